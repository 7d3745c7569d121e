//! The barrier: whether all that a context names is on every replica of its shard, and if not, what is missing (design 7.7).
//!
//! The node asked asks the replicas. What members have said of themselves, which is gossiped anyway and by which contexts are pruned
//! (6.4), would not do: it outlives lives, and one that has started again may have recovered from another that lacked the write.

use std::collections::BTreeSet;

use crate::causality::context::Context;
use crate::causality::hlc::Timestamp;
use crate::causality::version_vector::VersionVector;
use crate::effect::Effects;
use crate::id::{NodeId, ShardId};
use crate::node::Node;
use crate::placement::views::Place;
use crate::planted::{self, Planted};
use crate::request::barriers::{Needed, Progress};
use crate::request::pending::Pending;
use crate::time::Now;
use crate::wire::message::Message;
use crate::wire::request::{Missing, Outcome, Refusal, Reply};

impl Node {
    /// Answers a barrier for which nobody need be asked.
    pub(super) fn pass_barrier(&mut self, pending: &Pending, effects: &mut Effects) -> bool {
        let context = &pending.request.context;
        let is_passed = self.may_pass(context) && self.needed_by(context).is_empty();
        if is_passed {
            self.answer_barrier(pending, Outcome::Stable, effects);
        }
        is_passed
    }

    /// Asks the replicas, answers a barrier that they have all confirmed, or one whose time is up.
    pub(super) fn advance_barrier(
        &mut self,
        now: Now,
        key: u64,
        pending: Pending,
        effects: &mut Effects,
    ) -> Option<Pending> {
        if self.confirm_barrier(now, key, &pending.request.context, effects) {
            self.answer_barrier(&pending, Outcome::Stable, effects);
            return None;
        }
        if pending.local_until.is_none_or(|until| until > now.monotonic) {
            return Some(pending);
        }
        if self.unsatisfied(&pending) == Refusal::ViewLost {
            self.refuse(pending.source, pending.request.context, Refusal::ViewLost, effects);
            return None;
        }
        let missing = self.missing(key, &pending.request.context);
        self.answer_barrier(&pending, Outcome::Unstable(Box::new(missing)), effects);
        None
    }

    fn answer_barrier(&mut self, pending: &Pending, outcome: Outcome, effects: &mut Effects) {
        let context = &pending.request.context;
        let lost = self.replica.as_ref().is_some_and(|replica| replica.names_lost(context));
        let reply = Reply { lost, ..self.reply(outcome, context.clone(), None) };
        self.answer(pending.source, reply, effects);
    }

    /// Whether all replicas have held, at one moment, what a context names; asks those who have not said so.
    fn confirm_barrier(&mut self, now: Now, key: u64, context: &Context, effects: &mut Effects) -> bool {
        if !self.may_pass(context) {
            return false;
        }
        let needed = self.needed_by(context);
        let mine = needed.get(&self.me).map(|entries| self.has(entries));
        let barrier = self.barriers.entry(key).or_default();
        let mut is_due = barrier.ask_at <= now.monotonic;
        if let (Some(has), Some(life)) = (mine, self.life) {
            barrier.on_answer(self.me, life, has);
        }
        match barrier.advance(&needed) {
            Progress::Passed => return true,
            Progress::AskAgain => {
                (barrier.round, is_due) = (0, true);
                if let (Some(has), Some(life)) = (mine, self.life) {
                    barrier.on_answer(self.me, life, has);
                }
                // This node may be the only one.
                if barrier.advance(&needed) == Progress::Passed {
                    return true;
                }
            }
            Progress::Waiting => {}
        }
        if !is_due {
            return false;
        }
        if barrier.round == 0 {
            self.next_forward += 1;
            barrier.round = self.next_forward;
        }
        barrier.ask_at = now.monotonic + self.config.cluster.heartbeat;
        let round = barrier.round;
        let asked: Vec<NodeId> = barrier.unconfirmed(&needed).filter(|node| *node != self.me).collect();
        for node in asked {
            let entries = needed.get(&node).cloned().unwrap_or_default();
            self.send(node, Message::Confirm { round, entries }, effects);
        }
        false
    }

    /// A node asks whether this one has some writes of its shard.
    pub(super) fn on_confirm(&mut self, from: NodeId, round: u64, entries: &VersionVector, effects: &mut Effects) {
        if self.has_life() {
            let has = self.has(entries);
            self.send(from, Message::Confirmed { round, has }, effects);
        }
    }

    pub(super) fn on_confirmed(
        &mut self,
        now: Now,
        from: NodeId,
        life: Timestamp,
        answer: (u64, bool),
        effects: &mut Effects,
    ) {
        let (round, has) = answer;
        let asked = self.barriers.iter_mut().find(|(_, barrier)| barrier.round == round);
        let Some((key, barrier)) = asked else { return };
        barrier.on_answer(from, life, has);
        let key = *key;
        self.run_one(now, key, effects);
    }

    /// Whether the table reflects writes of this shard, or has been agreed on without them.
    fn has(&self, entries: &VersionVector) -> bool {
        self.replica.as_ref().is_some_and(|replica| {
            let has = |(origin, timestamp)| replica.applied.get(origin) >= timestamp || replica.has_closed(origin);
            entries.iter().all(has)
        })
    }

    /// Whether a barrier passes once the replicas have confirmed what its context names.
    fn may_pass(&self, context: &Context) -> bool {
        self.hindrance(context).is_nothing() && self.is_reached(context)
    }

    /// Whether what a context has left out has been everywhere: `stable` may stand for what it had no room for (ADR 13).
    fn is_reached(&self, context: &Context) -> bool {
        context.stable <= self.stability.stable() || planted::is(Planted::BarrierIgnoresStable)
    }

    /// What is needed of whom: per replica the entries of its shard. Those of settled views have been handed over to everybody, and what
    /// was left out of the context has been everywhere, once that is reached.
    fn needed_by(&self, context: &Context) -> Needed {
        let current = self.views.current();
        let mut needed = Needed::new();
        for (origin, timestamp) in context.entries.iter().filter(|_| !planted::is(Planted::BarrierIgnoresEntries)) {
            let (Place::Current, Some(shard)) = (self.views.place_of(origin), current.shard_of_member(origin.node))
            else {
                continue;
            };
            for node in current.members_of(shard) {
                needed.entry(node).or_default().advance(*origin, timestamp);
            }
        }
        needed
    }

    /// What keeps a context from being judged at all: a view that this node has not heard of, or one that is not settled, whatever the
    /// context names: new owners may not have got yet what every old one has.
    fn hindrance(&self, context: &Context) -> Missing {
        if context.is_empty() {
            return Missing::default();
        }
        let current = self.views.current();
        let is_unknown = |origin: &crate::id::Origin| match self.views.place_of(origin) {
            Place::Current => current.shard_of_member(origin.node).is_none(),
            Place::Former(_) | Place::Settled => false,
            Place::Unknown => true,
        };
        let unknown = context.view.is_some_and(|view| view > current.id)
            || context.entries.iter().any(|(origin, _)| is_unknown(origin));
        Missing { replicas: Vec::new(), outstanding: self.in_transition(), unknown }
    }

    /// What a barrier has waited for in vain.
    fn missing(&self, key: u64, context: &Context) -> Missing {
        let current = self.views.current();
        let needed = self.needed_by(context);
        let mut unconfirmed: BTreeSet<NodeId> = match self.barriers.get(&key) {
            Some(barrier) => barrier.unconfirmed(&needed).collect(),
            None => needed.into_keys().collect(),
        };
        if !self.is_reached(context) {
            let behind = self.stability.words().into_iter().filter(|(_, covered)| *covered < context.stable);
            unconfirmed.extend(behind.map(|(node, _)| node));
        }
        let named = |node: NodeId| Some((current.shard_of_member(node)?, current.address(node)?.clone()));
        Missing { replicas: unconfirmed.into_iter().filter_map(named).collect(), ..self.hindrance(context) }
    }

    /// The shards that have not got everything of the views before; all, as long as a view is not settled though they have.
    fn in_transition(&self) -> Vec<ShardId> {
        let outstanding = self.outstanding();
        if self.views.is_settled() || !outstanding.is_empty() {
            return outstanding;
        }
        self.views.current().shards().iter().map(|shard| shard.id).collect()
    }
}
