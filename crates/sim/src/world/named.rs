//! Named writes: beside the sessions somebody makes writes that have a name, and repeats them here and there (design 7.6).
//!
//! What, when and with what is drawn from dice of their own, and the keys are theirs alone. Nobody goes on from the answers but for one
//! read, which shows whether the context covers what the answer revealed.

use std::collections::{BTreeMap, VecDeque};

use precede_core::causality::context::Context;
use precede_core::causality::hlc::Timestamp;
use precede_core::causality::version::Version;
use precede_core::id::{NodeId, Origin};
use precede_core::node::Node;
use precede_core::wire::message::Frame;
use precede_core::wire::named::{Name, Named};
use precede_core::wire::request::{Action, Reply};

use crate::dice::Dice;
use crate::oracle::{Fate, Issue, Sighting};
use crate::past::Past;
use crate::properties::live::Must;
use crate::properties::named::{self, MadeUnder};
use crate::queue::Event;
use crate::trace::letter;
use crate::violation::Rule;
use crate::world::told::Told;
use crate::world::{MILLISECOND, Pending, Purpose, SECOND, START, World, plain_request};

/// Mean time between two requests.
const INTERVAL: u64 = 120 * MILLISECOND;

/// Keys that are written under names.
pub(super) const KEYS: usize = 3;

/// Deeds that are repeated yet: the last ones.
const REPEATED: usize = 12;

/// A write with its name.
#[derive(Debug, Clone)]
struct Deed {
    key: usize,
    issue: usize,
    named: Named,
    action: Action,
    /// What it is called.
    text: String,
    /// What its client had seen.
    context: Context,
}

/// Who makes them.
#[derive(Debug)]
pub(super) struct NamedClients {
    dice: Dice,
    deeds: Vec<Deed>,
    pub(super) made: BTreeMap<Name, MadeUnder>,
    /// By request, what replicas had heard of its name when it was sent, in which life and view.
    heard: BTreeMap<u64, BTreeMap<NodeId, (Origin, Version)>>,
    /// What is to be read after an answer.
    reads: VecDeque<Pending>,
    pub(super) told: Told,
}

impl NamedClients {
    pub(super) fn new(dice: Dice) -> Self {
        let (made, heard) = (BTreeMap::new(), BTreeMap::new());
        Self { dice, deeds: Vec::new(), made, heard, reads: VecDeque::new(), told: Told::default() }
    }
}

impl World {
    pub(super) fn schedule_named(&mut self) {
        if let Some(clients) = &mut self.named {
            self.queue.push(START + clients.dice.below(SECOND), Event::Named);
        }
    }

    /// Somebody makes a write, or repeats one of the last, or takes its name for another.
    pub(super) fn write_named(&mut self) {
        let Some(mut clients) = self.named.take() else { return };
        let dice = &mut clients.dice;
        let last = clients.deeds.len().saturating_sub(REPEATED);
        let recent = (last < clients.deeds.len()).then(|| last + dice.index(clients.deeds.len() - last));
        let node = dice.index(self.machines.len());
        let session = &self.sessions[dice.index(self.sessions.len())];
        let (context, past) = match dice.chance(500) {
            true => (session.context.clone(), session.past.clone()),
            false => (Context::default(), Past::nothing(self.oracle.keys.len())),
        };
        let roll = dice.below(100);
        let deed = match recent {
            Some(at) if roll < 65 => at,
            Some(at) if roll < 70 => {
                let Deed { key, text, .. } = clients.deeds[at].clone();
                self.invent(&mut clients, (key, text), context.clone(), past.clone())
            }
            _ => {
                let key = self.oracle.keys.len() - 1 - clients.dice.index(KEYS);
                let text = format!("n{}", clients.deeds.len());
                self.invent(&mut clients, (key, text), context.clone(), past.clone())
            }
        };
        let next = self.now + clients.dice.wait(INTERVAL);
        let deed = clients.deeds[deed].clone();
        // Whoever repeats it has seen what its first client had seen, and perhaps more.
        let (mut seen, mut known) = (deed.context.clone(), self.oracle.issues[deed.issue].past.clone());
        if clients.dice.chance(300) {
            seen.merge(&context);
            known.join(&past, |write| self.oracle.version(write));
        }
        self.named = Some(clients);
        if next < self.heal_at {
            self.queue.push(next, Event::Named);
        }
        if self.machines[node].is_running() {
            self.submit_named(node, deed, seen, known);
        }
    }

    /// A write that has not been asked for yet. That it is repeated excuses whatever copies of it there are.
    fn invent(
        &mut self,
        clients: &mut NamedClients,
        (key, text): (usize, String),
        context: Context,
        past: Past,
    ) -> usize {
        let delete = clients.dice.chance(250);
        let issue = Issue { key, delete, past, fate: Fate::Open, repeated: true, told_once: false };
        let (issue, value) = self.oracle.ask(issue, 0);
        let name = self.oracle.keys[key].name.clone();
        let action = if delete { Action::Delete { key: name } } else { Action::Put { key: name, value } };
        let named = Named::of(&action, text.as_bytes()).expect("it is a write");
        clients.deeds.push(Deed { key, issue, named, action, text, context });
        clients.deeds.len() - 1
    }

    fn submit_named(&mut self, node: usize, deed: Deed, context: Context, past: Past) {
        // Whoever is asked may make it now, whatever a router has allowed it before.
        self.allowed.insert((deed.issue, self.machines[node].id), Timestamp(u64::MAX));
        let heard = self.who_has_heard(&deed);
        if let Some(clients) = &mut self.named {
            clients.heard.insert(self.requests + 1, heard);
        }
        let mut request = plain_request(deed.action, context);
        request.named = Some(Box::new(deed.named));
        let pending =
            Pending { key: Some(deed.key), must: Must::Not, ..self.pending(Purpose::Named, node, request, past) };
        self.submit(pending);
    }

    /// The least write under a name that each replica has heard of.
    fn who_has_heard(&self, deed: &Deed) -> BTreeMap<NodeId, (Origin, Version)> {
        let Some(known) = self.named.as_ref().and_then(|clients| clients.made.get(&deed.named.name)) else {
            return BTreeMap::new();
        };
        let key = &self.oracle.keys[deed.key];
        let heard = |at: usize| {
            let replica = self.machines[at].node.as_ref().and_then(Node::replica).filter(|_| !self.is_stray(at))?;
            let held = replica.table().get(&key.name, key.hash).map(|entry| replica.table().version(&entry));
            let claims = |version: &Version| {
                let is_of_view = version.origin.view == replica.shared.view.id;
                (is_of_view && replica.applied.covers(version)) || held == Some(*version)
            };
            let least = known.keys().find(|version| claims(version))?;
            Some((self.machines[at].id, (replica.origin?, *least)))
        };
        (0..self.machines.len()).filter_map(heard).collect()
    }

    /// Notes what streams say of names.
    pub(super) fn observe_names(&mut self, frame: &Frame) {
        let Some(clients) = &mut self.named else { return };
        for write in &frame.writes {
            if let Some(told) = write.named {
                let version = Version { timestamp: write.timestamp, origin: frame.origin };
                let known = clients.made.entry(told.named.name).or_default();
                known.entry(version).or_insert((told.named.content, told.made));
            }
        }
    }

    /// Judges the answer to a named write, and reads something with its context.
    pub(super) fn judge_named(&mut self, id: u64, pending: &Pending, reply: &Reply, past: &mut Past) {
        let (Some(mut clients), Some(named)) = (self.named.take(), pending.request.named.as_deref().copied()) else {
            return;
        };
        let heard = clients.heard.remove(&id).unwrap_or_default();
        let heard = heard.get(&reply.served_by).filter(|(origin, _)| self.is_still(reply.served_by, origin));
        let known = clients.made.entry(named.name).or_default();
        let is_other = |deed: &Deed| deed.named.name == named.name && deed.named.content != named.content;
        let what = (heard.map(|(_, version)| *version), clients.deeds.iter().any(is_other));
        let judgement = named::answer(&named, known, what, reply);
        if let (Some(made), Some(version)) = (named::made(&reply.outcome), reply.version) {
            known.entry(version).or_insert((named.content, made));
        }
        let deed = clients.deeds.iter().find(|deed| deed.named == named).map(|deed| (deed.key, deed.issue));
        let (node, key) = (clients.dice.index(self.machines.len()), clients.dice.index(self.oracle.keys.len()));
        self.named = Some(clients);
        if !self.clock_lost && !self.stale_start {
            self.judge(Rule::Named, judgement, || format!("#{id} at {}", letter(pending.node)));
        }
        let (Some(version), Some((written, issue))) = (reply.version, deed) else { return };
        let value = match &pending.request.action {
            Action::Put { value, .. } => Some(&*value.bytes),
            _ => None,
        };
        if named::made(&reply.outcome).is_none() {
            return;
        }
        let Some(write) = self.learn(Sighting { version, key: written, value, issue: Some(issue) }) else { return };
        self.oracle.extend(past, write);
        if self.machines[node].is_running() && self.now < self.heal_at {
            let name = self.oracle.keys[key].name.clone();
            let request = plain_request(Action::Get { key: name }, reply.context.clone());
            let read = Pending { key: Some(key), ..self.pending(Purpose::Named, node, request, past.clone()) };
            if let Some(clients) = &mut self.named {
                clients.reads.push_back(read);
                self.queue.push(self.now, Event::NamedRead);
            }
        }
    }

    /// The next read that follows an answer.
    pub(super) fn read_named(&mut self) {
        let read = self.named.as_mut().and_then(|clients| clients.reads.pop_front());
        if let Some(read) = read.filter(|read| self.machines[read.node].is_running()) {
            self.submit(read);
        }
    }

    /// Whether a node is in the life and view that it was in.
    fn is_still(&self, node: NodeId, origin: &Origin) -> bool {
        let machine = self.index.get(&node).map(|at| &self.machines[*at]);
        let replica = machine.and_then(|machine| machine.node.as_ref()).and_then(Node::replica);
        replica.is_some_and(|replica| replica.origin == Some(*origin))
    }
}
