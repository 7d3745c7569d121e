//! Writes that this node takes, and the answers that wait for other replicas (design 7.3, 7.5).

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::causality::hlc::Timestamp;
use crate::causality::version::Version;
use crate::effect::Effects;
use crate::id::NodeId;
use crate::limits::{OPEN_LIVES_MAX, UNACKED_WRITES_MAX};
use crate::node::Node;
use crate::node::answers::reveal;
use crate::planted::{self, Planted};
use crate::replication::replica::Incoming;
use crate::request::acks::Unacked;
use crate::request::pending::Pending;
use crate::table::value::Value;
use crate::time::Now;
use crate::wire::named::Made;
use crate::wire::request::{Action, Outcome, Refusal, Reply};

impl Node {
    /// Takes a write that has no name which is known here, or says why not. `satisfied`: whether the table shows all that the context
    /// needs.
    pub(super) fn write(&mut self, now: Now, pending: &Pending, satisfied: bool, effects: &mut Effects) {
        if self.answer_tried(pending, effects) {
            return;
        }
        let (source, asked) = (pending.source, &pending.request.context);
        let (key, value): (&Bytes, Option<&Value>) = match &pending.request.action {
            Action::Put { key, value } => (key, Some(value)),
            Action::Delete { key } => (key, None),
            Action::Get { .. } | Action::Count { .. } | Action::ChangeView(_) | Action::Barrier => return,
        };
        let Some(replica) = &self.replica else { return };
        let Some(origin) = replica.origin else { return };
        if replica.applied.iter().filter(|(origin, _)| origin.node == self.me).count() > OPEN_LIVES_MAX {
            let refusal = Refusal::Overloaded { what: "open lives".to_owned(), limit: OPEN_LIVES_MAX as u64 };
            self.refuse(source, asked.clone(), refusal, effects);
            return;
        }
        let mut context = asked.clone();
        let shown = replica.shown(key, self.stability.stable(), &pending.fetched);
        let visible = shown.is_visible();
        let lost = replica.names_lost(asked);
        let revealed = reveal(&shown, &mut context);
        self.bound(&mut context, asked, 1);
        if value.is_none() && planted::is(Planted::DeleteRevealsNothing) {
            context = asked.clone();
        }
        if value.is_none() && !visible && satisfied {
            let reply = Reply { lost, ..self.reply(Outcome::Absent, context, revealed) };
            self.answer(source, reply, effects);
            return;
        }
        if let Some(value) = value
            && let Some(refusal) = self.refuse_beyond_memory(key, value, pending.request.named.is_some(), effects)
        {
            self.refuse(source, asked.clone(), refusal, effects);
            return;
        }
        // Whoever repeats a named write is told what its first answer revealed: it depends on that too.
        let dependencies = if pending.request.named.is_some() { context.clone() } else { asked.clone() };
        self.clock.receive(dependencies.greatest());
        let timestamp = self.clock.tick(now.wall);
        if pending.not_after.is_some_and(|last| timestamp > last) && !planted::is(Planted::NotAfterIgnored) {
            self.refuse(source, asked.clone(), Refusal::TooLate, effects);
            return;
        }
        let version = Version { timestamp, origin };
        let replica = self.replica.as_mut().expect("it was just found");
        let made = match (value, visible) {
            (Some(_), true) => Made::Replaced,
            (Some(_), false) => Made::Added,
            (None, _) => Made::Deleted,
        };
        let named = pending.request.named.as_deref().map(|named| replica.names.begin(*named, made));
        let value_bytes = value.map(Value::as_ref);
        let write_id = pending.write_id;
        let write = Incoming { version, key, value: value_bytes, dependencies, write_id, named };
        replica.write(now.monotonic, write);
        if let Some(id) = pending.write_id {
            self.write_ids.insert(now.monotonic, id, version);
        }
        if !planted::is(Planted::OwnDotForgotten) {
            context.add(&version);
        }
        self.progress = true;
        let outcome = match value {
            Some(_) => Outcome::Written { replaced: visible, concern_met: true },
            None => Outcome::Deleted { concern_met: true },
        };
        let repeat_unconfirmed = !self.knows_copies(pending);
        let reply = Reply { acks: 1, lost, repeat_unconfirmed, ..self.reply(outcome, context, Some(version)) };
        self.await_acks(now, pending, timestamp, reply, effects);
    }

    fn await_acks(&mut self, now: Now, pending: &Pending, timestamp: Timestamp, reply: Reply, effects: &mut Effects) {
        let replicas = self.peers.len() + 1;
        let explicit = pending.request.concern.is_some();
        let wanted = pending.request.concern.map_or(2.min(replicas), |concern| concern.count(replicas));
        let until = (now.monotonic + self.config.cluster.ack_timeout).min(pending.deadline);
        let holders = BTreeSet::new();
        let write = Unacked { source: pending.source, reply, wanted, explicit, until, holders };
        if wanted <= 1 || self.acks.len() >= UNACKED_WRITES_MAX {
            self.answer_write(write, effects);
        } else {
            self.acks.insert(timestamp, write);
        }
    }

    pub(super) fn run_acks(&mut self, now: Now, effects: &mut Effects) {
        if self.acks.is_empty() {
            return;
        }
        let has_life =
            |node: &NodeId| self.replica.as_ref().is_some_and(|replica| replica.lives.newest(*node).is_some());
        let able: Vec<NodeId> = self.peers.keys().copied().filter(|node| self.is_up(*node) && has_life(node)).collect();
        let done = self.acks.take_done(now.monotonic, &able);
        for write in done {
            self.answer_write(write, effects);
        }
    }

    /// The view has changed: nobody acknowledges writes of the former one any more.
    pub(super) fn answer_unacked(&mut self, effects: &mut Effects) {
        for write in self.acks.take_all() {
            self.answer_write(write, effects);
        }
    }

    fn answer_write(&mut self, write: Unacked, effects: &mut Effects) {
        let acks = write.holders.len() + 1;
        let met = !write.explicit || acks >= write.wanted;
        let mut reply = write.reply;
        reply.acks = u32::try_from(acks).expect("replicas are few");
        match &mut reply.outcome {
            Outcome::Written { concern_met, .. } | Outcome::Deleted { concern_met } => *concern_met = met,
            Outcome::Found(_)
            | Outcome::Absent
            | Outcome::Counted(_)
            | Outcome::Refused(_)
            | Outcome::Changed(_)
            | Outcome::Stable
            | Outcome::Unstable(_) => {}
        }
        self.answer(write.source, reply, effects);
    }
}
