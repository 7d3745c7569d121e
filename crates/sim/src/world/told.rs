//! Named writes as they are made: what a replica must have known of the name by then, beside what it has heard of the write itself
//! (design 7.6, 11.4, ADR 12).
//!
//! One that has started again and not recovered leaves named writes to those of its shard that have. And what an old owner says of a
//! name counts for the request that asked for it. Which request that is cannot be seen from outside: so only those are looked at that
//! were the only ones under their name at their replica.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use precede_core::causality::hlc::Timestamp;
use precede_core::causality::version::Version;
use precede_core::id::{NodeId, Origin, ViewId};
use precede_core::input::Input;
use precede_core::node::Node;
use precede_core::wire::message::{Envelope, Message};
use precede_core::wire::named::Name;

use crate::properties::named::{self, MadeUnder};
use crate::trace::letter;
use crate::violation::Rule;
use crate::world::World;

/// Who asked a replica for a write: a client of its node, or a router; and the number of the question.
type Asker = (Option<NodeId>, u64);

/// The requests under one name that a replica has not answered.
#[derive(Debug, Default)]
struct Open {
    /// The process that was asked.
    boots: u64,
    askers: BTreeSet<Asker>,
    /// Counts requests: another one makes another number.
    serial: u64,
    /// What old owners have told the only one of them, in this life and view of its replica.
    told: Option<(Option<Origin>, Version)>,
}

/// A question for an old owner.
#[derive(Debug)]
struct Asked {
    by: usize,
    key: Bytes,
    name: Name,
    /// For which request, and by whom.
    serial: u64,
    origin: Option<Origin>,
    /// The least write under the name that whoever answers had heard of.
    heard: Option<Version>,
}

/// What is to be known of requests under names.
#[derive(Debug, Default)]
pub(super) struct Told {
    open: BTreeMap<(usize, Name), Open>,
    asked: BTreeMap<u64, Asked>,
    serial: u64,
    /// How far each replica's own writes were looked at.
    seen: BTreeMap<usize, (Origin, Timestamp)>,
}

impl World {
    fn origin_of(&self, at: usize) -> Option<Origin> {
        self.machines[at].node.as_ref().and_then(Node::replica).and_then(|replica| replica.origin)
    }

    /// A node is about to hear a request under a name, or what an old owner knows of one.
    pub(super) fn note_input(&mut self, at: usize, input: &Input) {
        if self.named.is_none() {
            return;
        }
        match input {
            Input::Request { id, request } => {
                if let Some(named) = &request.named {
                    self.note_request(at, named.name, (None, id.0));
                }
            }
            Input::Message(envelope) => match &envelope.body {
                Message::Forward(forward) => {
                    if let Some(named) = &forward.request.named {
                        self.note_request(at, named.name, (Some(envelope.from), forward.id));
                    }
                }
                Message::Fetched(answer) => self.note_told(at, envelope, answer.id),
                _ => {}
            },
            Input::Connected(_) | Input::Disconnected(_) | Input::Tick => {}
        }
    }

    fn note_request(&mut self, at: usize, name: Name, asker: Asker) {
        let boots = self.machines[at].boots;
        let Some(clients) = &mut self.named else { return };
        clients.told.serial += 1;
        let open = clients.told.open.entry((at, name)).or_default();
        if open.boots != boots {
            *open = Open { boots, ..Open::default() };
        }
        open.askers.insert(asker);
        (open.serial, open.told) = (clients.told.serial, None);
    }

    fn note_told(&mut self, at: usize, envelope: &Envelope, id: u64) {
        let from = self.index.get(&envelope.from).copied();
        // What an earlier life said may not be listened to any more.
        let is_present = from.is_some_and(|from| {
            let life = self.machines[from].life.map(|life| life.start);
            life.is_some() && life == envelope.life && !self.is_stray(from) && !self.is_stray(at)
        });
        let (origin, boots) = (self.origin_of(at), self.machines[at].boots);
        let Some(clients) = &mut self.named else { return };
        let Some(Asked { by, name, serial, origin: then, heard: Some(heard), .. }) = clients.told.asked.remove(&id)
        else {
            return;
        };
        if let Some(open) = clients.told.open.get_mut(&(at, name))
            && is_present
            && (by, then, serial, boots, 1) == (at, origin, open.serial, open.boots, open.askers.len())
        {
            let told = open.told.filter(|(then, _)| *then == origin).map(|(_, version)| version);
            open.told = Some((origin, told.map_or(heard, |told| told.min(heard))));
        }
    }

    /// A replica asks an old owner.
    pub(super) fn observe_fetch(&mut self, at: usize, id: u64, key: &Bytes, name: Option<Name>) {
        let origin = self.origin_of(at);
        let (Some(clients), Some(name)) = (&mut self.named, name) else { return };
        if let Some(open) = clients.told.open.get(&(at, name)).filter(|open| open.askers.len() == 1) {
            let asked = Asked { by: at, key: key.clone(), name, serial: open.serial, origin, heard: None };
            clients.told.asked.insert(id, asked);
        }
    }

    /// An old owner answers: what it claims of the former view, or holds, it has heard of.
    pub(super) fn observe_fetched(&mut self, at: usize, id: u64, view: &ViewId) {
        let Some(clients) = &mut self.named else { return };
        let Some(asked) = clients.told.asked.get_mut(&id) else { return };
        let Some(made) = clients.made.get(&asked.name) else { return };
        let Some(table) = self.machines[at].node.as_ref().and_then(|node| node.table(view)) else { return };
        let held = table.entries.iter().find(|(key, ..)| *key == asked.key).map(|(_, version, _)| *version);
        let claims = |version: &&Version| {
            (version.origin.view == *view && table.applied.covers(version)) || held == Some(**version)
        };
        asked.heard = made.keys().find(claims).copied();
    }

    /// A request has its answer.
    pub(super) fn note_answer(&mut self, at: usize, asker: Asker) {
        let Some(clients) = &mut self.named else { return };
        for (_, open) in clients.told.open.iter_mut().filter(|((node, _), _)| *node == at) {
            open.askers.remove(&asker);
        }
        clients.told.open.retain(|_, open| !open.askers.is_empty());
    }

    /// After a step, before anybody hears of it: the named writes that a replica has made.
    pub(super) fn check_named(&mut self, at: usize) {
        if self.is_stray(at) || self.clock_lost || self.stale_start {
            return;
        }
        let Some(mut clients) = self.named.take() else { return };
        if let Some(origin) = self.origin_of(at)
            && let Some(replica) = self.machines[at].node.as_ref().and_then(Node::replica)
        {
            let last = clients.told.seen.insert(at, (origin, replica.seen.get(&origin)));
            let last = last.filter(|(then, _)| *then == origin).map(|(_, last)| last).unwrap_or(origin.start);
            let made = replica.window.after(&origin, last).filter_map(|write| {
                let name = write.named.as_ref()?.named.name;
                Some((Version { timestamp: write.entry.timestamp(), origin }, name))
            });
            for (version, name) in made.collect::<Vec<_>>() {
                let by_peers = clients.made.get(&name).and_then(|made| self.known_to_recovered(at, made));
                let told = clients.told.open.get(&(at, name)).filter(|open| open.askers.len() == 1);
                let told = told.and_then(|open| open.told).filter(|(then, _)| *then == Some(origin));
                let judgement = named::made_at(&version, by_peers, told.map(|(_, version)| version));
                self.judge(Rule::Named, judgement, || letter(at).to_string());
            }
        }
        self.named = Some(clients);
    }

    /// Of a replica that has not recovered: the least write under a name that those claim who have recovered, and whom it hears.
    fn known_to_recovered(&self, at: usize, made: &MadeUnder) -> Option<Version> {
        let machine = &self.machines[at];
        let node = machine.node.as_ref()?;
        let report = node.report(machine.clock.read(self.now));
        let peers = report.peers.iter().filter(|peer| !report.recovered && peer.up && peer.recovered);
        let heard = peers.filter_map(|peer| {
            let replica = self.machines[*self.index.get(&peer.node)?].node.as_ref()?.replica()?;
            let is_able = replica.recovered && replica.shared.view.id == node.view().id;
            made.keys().find(|version| is_able && replica.applied.covers(version)).copied()
        });
        heard.min()
    }
}
