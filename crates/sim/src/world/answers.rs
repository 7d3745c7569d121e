//! Answers: what they say is judged, recorded, and carried on by the session that asked.

use std::collections::BTreeMap;
use std::time::Duration;

use precede_checker::Outcome as Learnt;
use precede_core::causality::hlc::Timestamp;
use precede_core::config::ClusterConfig;
use precede_core::id::ViewId;
use precede_core::node::Node;
use precede_core::replication::replica::Replica;
use precede_core::wire::request::{Action, Outcome, Refusal, Reply};

use crate::mix::Mix;
use crate::oracle::{Fate, Sighting};
use crate::past::{Past, WriteIx};
use crate::properties::causal::Shown;
use crate::properties::live::Must;
use crate::properties::{bounded, causal, durable, empty_window, live, present, session, stable};
use crate::queue::Event;
use crate::trace::letter;
use crate::violation::Rule;
use crate::workload::{Kept, keep};
use crate::world::views::is_held;
use crate::world::{Pending, Purpose, SECOND, START, World};

impl World {
    pub(super) fn answer(&mut self, at: usize, id: u64, reply: Reply, by_reader: bool) {
        let Some(pending) = self.pending.remove(&id) else {
            self.object(
                Rule::Bounded,
                format!("{} answers #{id}, which is nothing it was asked or has answered", letter(at)),
            );
            return;
        };
        if self.trace.is_on() {
            let (outcome, version, acks) = (&reply.outcome, &reply.version, reply.acks);
            let reader = if by_reader { "r" } else { "" };
            let text = format!("{outcome:?} {version:?} acks={acks} context {:?}", reply.context);
            self.trace.line(self.now, format_args!("{} = #{id}{reader} {text}", letter(at)));
        }
        if pending.node != at {
            self.object(Rule::Bounded, format!("{} answers #{id}, which another was asked", letter(at)));
        }
        let about = || format!("#{id} at {} {:?}", letter(at), pending.request.action);
        let must = if self.clock_lost { live::Must::Not } else { pending.must };
        match &reply.outcome {
            Outcome::Refused(Refusal::ViewLost) => self.judge_view_lost(id, &pending),
            // Another change that was asked for meanwhile may have come first, or still be under way.
            Outcome::Refused(Refusal::ViewChangeInProgress(_))
                if self.changed_at > pending.asked_at || self.pending.values().any(Pending::is_change) => {}
            // A late word of a coordinator that has given up holds the next one up as long as its lease lasts.
            Outcome::Refused(Refusal::ViewChangeInProgress(_)) if must == Must::AtRest && self.may_ask_again() => {
                self.queue.push(self.now + 2 * SECOND, Event::ChangeAtRest { by: at, draw: id });
            }
            outcome => self.judge(Rule::Live, live::answer(must, outcome), about),
        }
        if let Action::Get { .. } = &pending.request.action {
            let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            let wait = pending.request.wait.unwrap_or(ClusterConfig::default().context_wait);
            let (took, deadline) = (self.now - pending.asked_at, pending.request.deadline);
            let judgement = live::patience(&reply.outcome, took, micros(wait), micros(deadline));
            self.judge(Rule::Live, judgement, about);
        }
        self.judge(Rule::Causal, causal::context(&pending.request.context, &reply.context), about);
        self.check_forged(id, &pending.request.context, &reply.outcome);
        let (asked, answered) = (pending.request.context.entries.len(), reply.context.entries.len());
        self.judge(Rule::Bounded, bounded::context(answered, asked, self.shape.context_entries_max), about);
        let known = self.machines.iter().filter_map(|machine| machine.node.as_ref()).map(Node::stable);
        self.stable_reached = known.fold(self.stable_reached, Timestamp::max);
        // Where contexts are short it stands for what has no room, too.
        if self.shape.context_entries_max.is_none() {
            self.judge(Rule::Sound, stable::issued(reply.context.stable, self.stable_reached), about);
        }
        if pending.purpose == (Purpose::Probe { last: true })
            && !self.clock_lost
            && !(0..self.machines.len()).any(|at| self.waits_for_strays(at))
        {
            self.judge(Rule::EmptyWindow, empty_window::context(&reply.context), about);
        }
        let mut past = pending.past.clone();
        let learnt = self.take(id, &pending, &reply, &mut past);
        self.check_present(id, &pending, &reply);
        if let Some(key) = pending.key {
            self.check_in_hand(pending.node, key, &reply);
        }
        self.conclude(id, &pending, reply, past, learnt);
    }

    /// A context's view is lost if all who knew it have lost their memory (design 5.4). Whoever has been in it since the request came,
    /// and is a member still, knows it.
    fn judge_view_lost(&mut self, id: u64, pending: &Pending) {
        let Some(current) = self.machines[pending.node].node.as_ref().map(Node::view) else { return };
        let members: Vec<usize> = current.members().filter_map(|(node, _, _)| self.index.get(&node).copied()).collect();
        let context = &pending.request.context;
        let named = context.entries.iter().map(|(origin, _)| origin.view).chain(context.view);
        let known_by = |view: &ViewId| {
            let knows = |at: &&usize| self.machines[**at].was_in(view, pending.asked_at);
            members.iter().find(knows).map(|at| letter(*at))
        };
        let known: BTreeMap<ViewId, Option<char>> = named.map(|view| (view, known_by(&view))).collect();
        if !pending.is_forged
            && !self.siblings
            && !self.stale_start
            && !self.clock_lost
            && known.values().all(Option::is_some)
        {
            self.object(Rule::Live, format!("#{id}: a view of the context is said to be lost, of {known:?}"));
        }
    }

    /// Whoever says that a key is absent does not have it, whatever views there are.
    pub(super) fn check_in_hand(&mut self, at: usize, key: usize, reply: &Reply) {
        let is_own = reply.served_by == self.machines[at].id && reply.outcome == Outcome::Absent;
        if !is_own || self.is_stray(at) || self.clock_lost || self.stale_start {
            return;
        }
        let named = &self.oracle.keys[key];
        let table = self.machines[at].node.as_ref().and_then(Node::replica).map(Replica::table);
        let held = table.and_then(|table| Some((table, table.get(&named.name, named.hash)?)));
        let put = held.filter(|(_, entry)| !entry.is_tombstone()).map(|(table, entry)| table.version(&entry));
        if let Some(put) = put.and_then(|version| self.oracle.find(&version)) {
            let judgement = present::in_hand(&self.oracle, put);
            self.judge(Rule::Sound, judgement, || letter(at).to_string());
        }
    }

    /// What was there when a read was asked for is not absent.
    fn check_present(&mut self, id: u64, pending: &Pending, reply: &Reply) {
        let known = self.known_then.remove(&id).unwrap_or_default();
        let (Outcome::Absent, Some(key), false) = (&reply.outcome, pending.key, self.siblings) else { return };
        // Where no node forgets.
        if let Some(stable) = known.stable {
            let judgement = present::absence(&self.oracle, key, stable);
            self.judge(Rule::Sound, judgement, || format!("#{id}"));
        }
        // The answer may name a later one, that of whoever deleted the key through a node that was behind.
        let served_by = self.index.get(&reply.served_by).map(|at| &self.machines[*at]);
        let view = served_by.and_then(|machine| machine.view_at(pending.asked_at));
        if let (Action::Get { .. }, Some(put), Some(view)) = (&pending.request.action, known.on_two, view)
            && known.losses == self.losses
        {
            let judgement = present::in_transit(&self.oracle, put, view);
            self.judge(Rule::Sound, judgement, || format!("#{id}"));
        }
    }

    /// Takes an answer for what it says: what the client learns, and its past from now on.
    fn take(&mut self, id: u64, pending: &Pending, reply: &Reply, past: &mut Past) -> Learnt {
        if pending.purpose == Purpose::Change {
            if let Action::ChangeView(asked) = &pending.request.action {
                self.judge_change(id, pending.must, asked, &reply.outcome);
            }
            return Learnt::Unknown;
        }
        if pending.purpose == Purpose::Barrier {
            self.judge_barrier(id, pending, reply);
            return Learnt::Unknown;
        }
        if pending.request.named.is_some() {
            self.judge_named(id, pending, reply, past);
            return Learnt::Unknown;
        }
        let Some(key) = pending.key else {
            if !matches!(reply.outcome, Outcome::Counted(_) | Outcome::Refused(_)) {
                self.object(Rule::Sound, format!("#{id} is a count, answered with {:?}", reply.outcome));
            }
            return Learnt::Unknown;
        };
        let get = matches!(pending.request.action, Action::Get { .. });
        match (&reply.outcome, pending.issue) {
            (Outcome::Found(value), None) if get => {
                let seen =
                    reply.version.map(|version| Sighting { version, key, value: Some(&value.bytes), issue: None });
                self.take_read(id, key, seen, past);
                Learnt::Read { value: Some(String::from_utf8_lossy(&value.bytes).into_owned()) }
            }
            (Outcome::Absent, None) if get => {
                self.take_absence(id, key, reply, past);
                Learnt::Read { value: None }
            }
            (Outcome::Absent, Some(issue)) if self.oracle.issues[issue].delete => {
                self.take_absence(id, key, reply, past);
                // Another try may still make it.
                if reply.repeat_unconfirmed {
                    return Learnt::Unknown;
                }
                self.refuse(issue);
                Learnt::NotFound
            }
            (Outcome::Written { concern_met, .. }, Some(issue)) if !self.oracle.issues[issue].delete => {
                self.take_write(id, pending, issue, *concern_met, reply, past)
            }
            (Outcome::Deleted { concern_met }, Some(issue)) if self.oracle.issues[issue].delete => {
                self.take_write(id, pending, issue, *concern_met, reply, past)
            }
            (Outcome::Refused(Refusal::OutcomeUnknown), Some(_)) => Learnt::Unknown,
            (Outcome::Refused(refusal), issue) => {
                if matches!(refusal, Refusal::NotOwner | Refusal::TooLate) {
                    self.object(Rule::Sound, format!("#{id} is told what only routers are told: {refusal}"));
                }
                if let Some(issue) = issue {
                    self.refuse(issue);
                }
                Learnt::Failed
            }
            (outcome, _) => {
                self.object(Rule::Sound, format!("#{id} {:?} is answered with {outcome:?}", pending.request.action));
                Learnt::Unknown
            }
        }
    }

    fn take_absence(&mut self, id: u64, key: usize, reply: &Reply, past: &mut Past) {
        match reply.version {
            Some(version) => self.take_read(id, key, Some(Sighting { version, key, value: None, issue: None }), past),
            None => self.judge_read(id, key, Shown::Nothing, past),
        }
    }

    fn take_read(&mut self, id: u64, key: usize, seen: Option<Sighting<'_>>, past: &mut Past) {
        match seen.map(|seen| self.learn(seen)) {
            Some(Some(write)) => self.judge_read(id, key, Shown::Write(write), past),
            Some(None) => {}
            None => self.object(Rule::Sound, format!("#{id} is shown a value without its version")),
        }
    }

    fn judge_read(&mut self, id: u64, key: usize, shown: Shown, past: &mut Past) {
        // A life that began below a former one of its address takes that for its successor when it hears of it: what that wrote comes
        // late, also to where it was deleted and collected meanwhile, and what this one wrote is over.
        let about = match shown {
            Shown::Write(write) => Some(write),
            Shown::Nothing => self.oracle.required(past, key),
        };
        let origin = about.map(|write| self.oracle.version(write).origin.node);
        let is_set_back =
            origin.is_some_and(|node| self.index.get(&node).is_some_and(|at| self.machines[*at].set_back));
        let judgement = causal::read(&self.oracle, past, key, shown);
        if !self.siblings && !self.stale_start && !is_set_back {
            self.judge(Rule::Causal, judgement, || format!("#{id}"));
        }
    }

    fn take_write(
        &mut self,
        id: u64,
        pending: &Pending,
        issue: usize,
        concern_met: bool,
        reply: &Reply,
        past: &mut Past,
    ) -> Learnt {
        self.oracle.issues[issue].fate = Fate::Done;
        let (key, about) = (self.oracle.issues[issue].key, || format!("#{id}"));
        let Some(version) = reply.version else {
            self.object(Rule::Sound, format!("#{id} is written without a version"));
            return Learnt::Written;
        };
        let value = match &pending.request.action {
            Action::Put { value, .. } => Some(&*value.bytes),
            Action::Delete { .. }
            | Action::Get { .. }
            | Action::Count { .. }
            | Action::ChangeView(_)
            | Action::Barrier => None,
        };
        // Absence is taken for the first tombstone that can have made it; beside another view that may be one that went there.
        if !self.siblings && !self.stale_start {
            self.judge(Rule::Causal, causal::write(&self.oracle, past, &version), about);
        }
        let view = self.views.get(&version.origin.view).unwrap_or(&self.shape.view).clone();
        let shard = view.shard_of_hash(self.oracle.keys[key].hash).clone();
        let replicas = shard.replicas.len();
        let judgement = durable::answer(reply.acks, pending.request.concern, concern_met, replicas);
        self.judge(Rule::Sound, judgement, about);
        let local = self.machines[pending.node].shard() == Some(shard.id);
        let calm = self.mix == Mix::Calm && self.now > START + SECOND;
        // A tiny window gives writes up before they are sent: they arrive by sync, which may take longer than is waited.
        let local = local && self.shape.window_bytes_max.is_none();
        if local && pending.request.concern.is_none() && (pending.must == Must::AtRest || calm) {
            self.judge(Rule::Live, durable::in_health(reply.acks, replicas), about);
        }
        if let Some(write) = self.learn(Sighting { version, key, value, issue: Some(issue) }) {
            self.oracle.writes[write.at()].acks = reply.acks;
            // Both may be on the other side of a cut, and given up.
            let origin = version.origin;
            let given_up = self.index.get(&origin.node).is_some_and(|at| self.is_written_off(*at, &origin.view));
            if reply.acks >= 2 && self.lossless_since(id) && !given_up {
                self.on_two.insert(write);
            }
            if self.mix.has_held_faults() {
                self.spreading.push_back((self.now, write));
            }
            self.check_acks(id, write, reply.acks);
            self.oracle.issues[issue].told_once = !reply.repeat_unconfirmed;
            self.check_once(issue);
            self.oracle.extend(past, write);
        }
        Learnt::Written
    }

    fn check_acks(&mut self, id: u64, write: WriteIx, acks: u32) {
        if acks < 2 {
            return;
        }
        if self.mix.has_single_crashes_only() && self.oracle.writes[write.at()].lost {
            // A replica may have got it on its way when its writer crashed.
            if is_held(&self.oracle, &self.holders(), write) {
                self.oracle.writes[write.at()].lost = false;
            } else {
                let what = format!("{} is acknowledged by {acks}, and one crash lost it", self.oracle.describe(write));
                self.object(Rule::NoLostWrite, what);
            }
        }
        // Once its view has settled, those who had the write may have handed it over and dropped it.
        let view = self.oracle.version(write).origin.view;
        if !self.mix.has_crashes() && !self.settled.contains(&view) && self.dice.chance(100) {
            let holders = self.nodes_that_hold(write);
            self.judge(Rule::Sound, durable::holders(&self.oracle, write, acks, holders), || format!("#{id}"));
        }
    }

    /// The session goes on with what it got, unless it has given up waiting.
    fn conclude(&mut self, id: u64, pending: &Pending, reply: Reply, past: Past, learnt: Learnt) {
        let succeeded = !matches!(reply.outcome, Outcome::Refused(_));
        match pending.purpose {
            Purpose::Session(session) => {
                if self.sessions[session].waiting != Some(id) {
                    return;
                }
                if let Some(operation) = pending.operation {
                    self.recorder.end(operation, self.now, learnt);
                }
                if succeeded && pending.carries {
                    self.check_session(id, session, pending, &reply);
                    self.carry_on(session, pending.operation, reply, past);
                }
                self.go_on(session);
            }
            Purpose::Change | Purpose::Barrier | Purpose::Named => {}
            Purpose::Probe { .. } => {
                if let Some(operation) = pending.operation {
                    self.recorder.end(operation, self.now, learnt);
                }
                if succeeded && self.dice.chance(100) {
                    let kept = Kept { context: reply.context, past, sources: pending.operation.into_iter().collect() };
                    keep(&mut self.kept, kept, &mut self.dice);
                }
            }
        }
    }

    /// Rule 2, of what the session itself does.
    fn check_session(&mut self, id: u64, session: usize, pending: &Pending, reply: &Reply) {
        let Some(key) = pending.key.filter(|_| !self.siblings && !self.stale_start) else { return };
        let own = &mut self.sessions[session].own;
        let judgement = match (&reply.outcome, reply.version) {
            (Outcome::Written { .. } | Outcome::Deleted { .. }, Some(version)) => {
                session::write(&self.oracle, own, key, &version)
            }
            (_, Some(version)) => match self.oracle.find(&version) {
                Some(write) => session::read(&self.oracle, own, key, Shown::Write(write)),
                None => Ok(()),
            },
            (_, None) => session::read(&self.oracle, own, key, Shown::Nothing),
        };
        self.judge(Rule::Monotone, judgement, || format!("#{id}"));
    }

    fn carry_on(&mut self, session: usize, operation: Option<usize>, reply: Reply, past: Past) {
        let this = &mut self.sessions[session];
        this.context = reply.context;
        this.past = past;
        if operation.is_some() {
            this.source = operation;
        }
        // A count has no place in the history: a session that was handed something meanwhile has it still to tell.
        if this.received.is_empty() && self.dice.chance(30) {
            let sources = this.source.into_iter().collect();
            let kept = Kept { context: this.context.clone(), past: this.past.clone(), sources };
            keep(&mut self.kept, kept, &mut self.dice);
        }
    }
}
