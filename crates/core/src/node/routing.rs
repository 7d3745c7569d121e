//! Requests that wait or are tried at other nodes (design 7.1).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::causality::context::Context;
use crate::causality::hlc::Timestamp;
use crate::causality::version::Version;
use crate::effect::Effects;
use crate::id::{NodeId, Origin, ShardId, Source, ViewId};
use crate::limits::{FORMER_VIEWS_MAX, HOPS_MAX};
use crate::node::{Node, random};
use crate::placement::hash::key_hash;
use crate::placement::views::Place;
use crate::request::pending::{Attempt, Pending};
use crate::time::{Instant, Now};
use crate::wire::message::{Forward, Message, WriteId};
use crate::wire::request::{Action, Outcome, Refusal, Reply, Request};

/// A node that did not answer in time is tried last for so many attempt time-outs.
const AVOID_ATTEMPTS: u32 = 3;

/// For so long it is remembered since when contexts have named a view that nobody has told of.
const UNKNOWN_FOR: Duration = Duration::from_secs(60);

impl Node {
    /// Looks after every pending request for which something may have changed.
    pub(super) fn run_pending(&mut self, now: Now, effects: &mut Effects) {
        let progress = std::mem::take(&mut self.progress);
        if self.pending.is_empty() {
            return;
        }
        let due = self.pending.next_deadline().is_some_and(|at| at <= now.monotonic);
        if !progress && !due {
            return;
        }
        for key in self.pending.keys() {
            self.run_one(now, key, effects);
        }
    }

    /// Answers a pending request, tries it elsewhere, or lets it go on waiting.
    pub(super) fn run_one(&mut self, now: Now, key: u64, effects: &mut Effects) {
        let Some(pending) = self.pending.remove(key) else { return };
        if let Some(pending) = self.advance(now, key, pending, effects) {
            self.pending.restore(key, pending);
        }
    }

    fn advance(&mut self, now: Now, key: u64, mut pending: Pending, effects: &mut Effects) -> Option<Pending> {
        if pending.from_future {
            return self.await_time(now, pending, effects);
        }
        // What came before this node had a life could not be held against its clock then.
        let judged = pending.local_until.is_some() || self.judge(now, &pending.request).is_none();
        if matches!(pending.request.action, Action::Barrier) && pending.local_until.is_some() {
            return self.advance_barrier(now, key, pending, effects);
        }
        // A write that is being tried elsewhere is not made here too.
        let elsewhere = pending.request.action.is_write() && !pending.attempts.is_empty();
        if judged && !elsewhere && self.answer_from_table(now, &mut pending, effects) {
            return None;
        }
        if pending.local_until.is_some_and(|until| until <= now.monotonic) && !elsewhere {
            let may_take = self.may_take(&pending);
            if pending.request.action.is_write() && pending.deadline > now.monotonic && !may_take {
                // Its timestamp could fall below a tombstone that is gone: one of the old owners must be heard first. Or its name may be
                // known to others. A router is told, before it gives the try up and cannot know what became of it.
                if matches!(pending.source, Source::Router { .. }) {
                    self.refuse(pending.source, pending.request.context, Refusal::Unsatisfied, effects);
                    return None;
                }
                pending.local_until = Some(pending.deadline);
                if self.is_behind_on_names(&pending) {
                    pending.forward_at = Some(now.monotonic);
                }
            } else if pending.request.action.is_write() && may_take {
                self.write(now, &pending, false, effects);
                return None;
            } else {
                let refusal = self.unsatisfied(&pending);
                self.refuse(pending.source, pending.request.context, refusal, effects);
                return None;
            }
        }
        if pending.deadline <= now.monotonic {
            let refusal = self.final_refusal(&pending);
            self.refuse(pending.source, pending.request.context, refusal, effects);
            return None;
        }
        if Self::give_up_fetch(now, &mut pending) && self.answer_from_table(now, &mut pending, effects) {
            return None;
        }
        if pending.local_until.is_some() && !self.views.is_settled() {
            self.fetch_next(now, key, &mut pending, effects);
        }
        self.give_up_attempts(now, &mut pending);
        if !pending.is_trying() && pending.forward_at.is_some_and(|at| at <= now.monotonic) {
            self.try_next(now, key, &mut pending, effects);
        }
        let hopeless = pending.local_until.is_none() && pending.attempts.is_empty() && pending.forward_at.is_none();
        if hopeless {
            let refusal = self.final_refusal(&pending);
            self.refuse(pending.source, pending.request.context, refusal, effects);
            return None;
        }
        Some(pending)
    }

    /// Why a read is refused whose context could not be satisfied in time: every member has been asked and has told which views it
    /// knows, and nobody knows the one that the context names (design 5.4); or it is only that nobody could be asked who has it. What
    /// members say otherwise is no answer: one that was heard just before a cut may know the view by now.
    pub(super) fn unsatisfied(&self, pending: &Pending) -> Refusal {
        let current = self.views.current();
        let all_told_since = |(_, asked): &(Instant, Timestamp)| {
            let has_told = |node: NodeId| self.told.get(&node).is_some_and(|clock| clock >= asked);
            current.members().all(|(node, _, _)| node == self.me || has_told(node))
        };
        let is_lost = |view: &ViewId| self.unknown.get(view).is_some_and(all_told_since);
        let lost = self.unknown_views(&pending.request.context).iter().any(is_lost);
        if lost { Refusal::ViewLost } else { Refusal::Unsatisfied }
    }

    /// The views that a context names and that are not known here.
    fn unknown_views(&self, context: &Context) -> BTreeSet<ViewId> {
        let ahead = context.view.filter(|view| *view > self.views.current().id);
        let is_unknown = |origin: &Origin| matches!(self.views.place_of(origin), Place::Unknown);
        let unknown = context.entries.iter().map(|(origin, _)| origin).filter(|origin| is_unknown(origin));
        let unknown = unknown.map(|origin| origin.view).filter(|_| self.views.is_settled());
        ahead.into_iter().chain(unknown).collect()
    }

    /// Asks everybody about views that a context names and that are not known here: only what is told from now on says whether
    /// somebody knows them. An answer's clock is at or above that of the question.
    pub(super) fn note_unknown(&mut self, now: Now, context: &Context, effects: &mut Effects) {
        let views = self.unknown_views(context);
        if views.is_empty() {
            return;
        }
        self.unknown.retain(|_, (since, _)| now.monotonic.since(*since) < UNKNOWN_FOR);
        for view in views {
            if self.unknown.len() < FORMER_VIEWS_MAX {
                self.unknown.entry(view).or_insert((now.monotonic, self.clock.last()));
            }
        }
        for node in self.others() {
            if self.offered.insert(node) {
                self.send(node, Message::ViewAsk, effects);
            }
        }
    }

    /// A context may be ahead of this clock because the cluster's word has not come yet: it is given a moment. If the
    /// time never comes it is refused, and no clock has moved (design 4.2).
    fn await_time(&mut self, now: Now, mut pending: Pending, effects: &mut Effects) -> Option<Pending> {
        match self.judge(now, &pending.request) {
            Some(Refusal::ContextFromTheFuture { .. }) if pending.next_deadline() > now.monotonic => Some(pending),
            Some(refusal) => {
                self.refuse(pending.source, pending.request.context, refusal, effects);
                None
            }
            None => {
                pending.from_future = false;
                pending.local_until = None;
                pending.forward_at = Some(now.monotonic);
                self.take(now, pending, effects);
                None
            }
        }
    }

    /// Marks the tries whose time is up. A write is tried elsewhere only above every timestamp that it may have got.
    fn give_up_attempts(&mut self, now: Now, pending: &mut Pending) {
        for attempt in &mut pending.attempts {
            if attempt.given_up || attempt.until > now.monotonic {
                continue;
            }
            attempt.given_up = true;
            let until = now.monotonic + self.config.cluster.attempt_timeout * AVOID_ATTEMPTS;
            self.avoid.insert(attempt.at, until);
            pending.unknown |= pending.request.action.is_write();
            pending.forward_at = Some(now.monotonic);
        }
        if pending.unknown {
            let acceptable = self.clock.acceptable(now.wall, self.config.cluster.clock_drift_max);
            self.clock.receive(pending.repeat_of.min(acceptable));
        }
    }

    fn try_next(&mut self, now: Now, key: u64, pending: &mut Pending, effects: &mut Effects) {
        pending.forward_at = None;
        if pending.hops >= HOPS_MAX {
            return;
        }
        let Some(at) = self.choose(now, pending) else {
            // All were tried. Where some did not answer, messages may have been lost: go round again.
            // A write whose replicas are not connected has not been sent: it waits for a connection.
            let unsent = pending.request.action.is_write() && pending.refused.is_none();
            if unsent {
                self.ask_lives(now, pending, effects);
            }
            // Views differ for a moment while they change.
            let unsettled = pending.refused == Some(Refusal::NotOwner) || !self.views.is_settled();
            if unsent || unsettled || pending.attempts.iter().any(|attempt| attempt.given_up) {
                pending.tried.clear();
                pending.forward_at = Some(now.monotonic + self.config.cluster.heartbeat);
            }
            return;
        };
        self.next_forward += 1;
        let id = self.next_forward;
        let left = pending.deadline.since(now.monotonic);
        let patience = self.config.cluster.attempt_timeout.min(left);
        let is_write = pending.request.action.is_write();
        let acceptable = self.clock.acceptable(now.wall, self.config.cluster.clock_drift_max);
        // A context from the far future moves no clock: who takes it nevertheless is ahead, and says so.
        let named = Some(pending.request.context.greatest()).filter(|named| *named <= acceptable);
        let base = self.clock.follow(now.wall).max(named.unwrap_or_default());
        let not_after = is_write.then(|| base.later_by(patience));
        if is_write && pending.write_id.is_none() {
            // Only a write that is sent to another node can be tried twice, so only that one needs a name.
            let nonce = random(&mut self.rng);
            // Above all that any replica that was heard may have forgotten.
            pending.write_id = Some(WriteId { taken: self.clock.tick(now.wall), nonce });
        }
        // What is left of the time for the context, and in any case enough to ask an old owner for a key in transit.
        let wait = self.context_wait(&pending.request);
        let wait = pending.wait_until.since(now.monotonic).max(self.config.cluster.delete_wait).min(wait);
        let request = Request { deadline: left, wait: Some(wait), ..pending.request.clone() };
        let attempt = if is_write { patience } else { left };
        let life = self.life_of(at).filter(|_| is_write);
        let view = self.views.current().id;
        let forward = Forward {
            id,
            hops: pending.hops + 1,
            life,
            not_after,
            write_id: pending.write_id,
            repeat_of: if pending.unknown { pending.repeat_of } else { Timestamp::ZERO },
            attempt,
            request,
        };
        pending.repeat_of = pending.repeat_of.max(not_after.unwrap_or_default());
        pending.tried.push(at);
        pending.attempts.push(Attempt {
            id,
            at,
            view,
            life,
            not_after,
            until: now.monotonic + patience,
            given_up: false,
        });
        self.forwards.insert(id, key);
        self.send(at, Message::Forward(forward), effects);
    }

    /// Whether this node knows the life of another well enough to send it a write. Members tell each other of new lives; whoever is
    /// none may not be told when all of them start again, and goes by what it has heard lately.
    fn knows_life(&self, now: Now, node: NodeId) -> bool {
        let lately = self.config.cluster.attempt_timeout * AVOID_ATTEMPTS;
        let is_fresh = || self.heard.get(&node).is_some_and(|at| now.monotonic.since(*at) < lately);
        self.life_of(node).is_some() && (self.shard().is_some() || is_fresh())
    }

    /// Asks the replicas of a write's shard for a word of theirs, where none was heard, or none lately: it names their lives.
    fn ask_lives(&mut self, now: Now, pending: &Pending, effects: &mut Effects) {
        let Some(key) = pending.request.action.key() else { return };
        let shard = self.views.current().shard_of_hash(key_hash(key)).id;
        for node in self.views.current().members_of(shard) {
            if node != self.me && !self.knows_life(now, node) && self.offered.insert(node) {
                self.send(node, Message::ViewAsk, effects);
            }
        }
    }

    /// The next node to try: one that looks healthy if there is one, and, for a read that this replica cannot answer, one
    /// that says it has what the context needs.
    fn choose(&mut self, now: Now, pending: &Pending) -> Option<NodeId> {
        let owner = self.owns(&pending.request.action);
        let current = self.views.current();
        let able = match &pending.request.action {
            Action::ChangeView(_) => return None,
            Action::Barrier => current.shards(),
            Action::Count { shard } => std::slice::from_ref(current.shard(*shard)?),
            Action::Get { key } | Action::Put { key, .. } | Action::Delete { key } => {
                std::slice::from_ref(current.shard_of_hash(key_hash(key)))
            }
        };
        let source = match pending.source {
            Source::Router { node, .. } => Some(node),
            Source::Client(_) | Source::Count(_) => None,
        };
        let candidates: Vec<NodeId> = able
            .iter()
            .flat_map(|shard| &shard.replicas)
            .map(crate::id::Address::node_id)
            .filter(|node| *node != self.me && Some(*node) != source && !pending.tried.contains(node))
            // What is sent without a connection may or may not arrive, and what is not meant for one life may arrive at two: a read can
            // bear that, a write cannot.
            .filter(|node| {
                let is_known = self.knows_life(now, *node) && !self.disconnected.contains(node);
                is_known || !pending.request.action.is_write()
            })
            .collect();
        // A repeat finds the first where all routers send writes of one name to the same replica.
        let chances: Vec<u64> = match &pending.request.named {
            Some(named) => candidates.iter().map(|node| named.name.place(*node)).collect(),
            None => candidates.iter().map(|_| random(&mut self.rng)).collect(),
        };
        let rank = |node: &NodeId| {
            let sick = u8::from(!self.is_up(*node)) + u8::from(self.avoid.contains_key(node));
            let lacks = owner && !self.peer_has(*node, pending);
            (sick, lacks)
        };
        candidates.iter().zip(chances).min_by_key(|(node, chance)| (rank(node), *chance)).map(|(node, _)| *node)
    }

    /// Whether a peer's last report covers what the request's context needs of this shard.
    fn peer_has(&self, node: NodeId, pending: &Pending) -> bool {
        let (Some(replica), Some(peer)) = (&self.replica, self.peers.get(&node)) else { return false };
        let context = &pending.request.context;
        peer.status.as_ref().is_some_and(|status| {
            status.recovered
                && status.covered >= context.stable
                && context.entries.iter().all(|(origin, timestamp)| {
                    !crate::replication::belongs(origin, self.views.current(), replica.shared.shard)
                        || status.applied.get(origin) >= timestamp
                })
        })
    }

    pub(super) fn on_forward_reply(&mut self, now: Now, from: NodeId, id: u64, reply: Reply, effects: &mut Effects) {
        let Some(key) = self.forwards.remove(&id) else { return };
        let Some(mut pending) = self.pending.remove(key) else { return };
        let answered = pending.attempts.extract_if(.., |attempt| attempt.id == id).next();
        self.avoid.remove(&from);
        let refusal = match &reply.outcome {
            Outcome::Refused(refusal) => refusal.clone(),
            Outcome::Found(_)
            | Outcome::Absent
            | Outcome::Written { .. }
            | Outcome::Deleted { .. }
            | Outcome::Counted(_)
            | Outcome::Changed(_)
            | Outcome::Stable
            | Outcome::Unstable(_) => {
                self.finish_forwarded(&pending, id, reply, effects);
                return;
            }
        };
        match refusal {
            // What an earlier try did is not undone by a refusal of this one.
            Refusal::ContextFromTheFuture { .. } | Refusal::ViewLost if pending.unknown => pending.forward_at = None,
            Refusal::ContextFromTheFuture { .. } | Refusal::ViewLost => {
                self.finish_forwarded(&pending, id, reply, effects);
                return;
            }
            // What another replica of the shard took would have to be taken there too; and who does not know the name knows less.
            Refusal::MemoryFull { .. } | Refusal::NameTaken if !pending.unknown => {
                self.finish_forwarded(&pending, id, reply, effects);
                return;
            }
            // It has waited for the context as long as the client would.
            Refusal::Unsatisfied if !pending.request.action.is_write() && pending.wait_until <= now.monotonic => {
                self.finish_forwarded(&pending, id, reply, effects);
                return;
            }
            // Its clock came with the refusal: the next bound is good.
            Refusal::TooLate => pending.tried.retain(|node| *node != from),
            Refusal::OutcomeUnknown => {
                pending.unknown = true;
                // One that has started again since may know now.
                if self.life_of(from) > answered.and_then(|attempt| attempt.life) {
                    pending.tried.retain(|node| *node != from);
                }
            }
            Refusal::Unsatisfied
            | Refusal::NoReplica { .. }
            | Refusal::NotMet { .. }
            | Refusal::Overloaded { .. }
            | Refusal::BadView(_)
            | Refusal::ViewChangeInProgress(_)
            | Refusal::UnexpectedEpoch { .. }
            | Refusal::WouldGiveUp(_)
            | Refusal::MemoryFull { .. }
            | Refusal::NameTaken
            | Refusal::NotOwner => {}
        }
        if pending.attempts.is_empty() && !pending.unknown {
            (pending.repeat_of, pending.write_id) = (Timestamp::ZERO, None);
        }
        if refusal == Refusal::NotOwner && pending.attempts.is_empty() && self.owns(&pending.request.action) {
            // The view has changed meanwhile, and the shard is this node's own now.
            self.take(now, pending, effects);
            return;
        }
        pending.refused = Some(refusal);
        pending.forward_at = Some(now.monotonic);
        self.pending.restore(key, pending);
        self.run_one(now, key, effects);
    }

    /// Hands over the answer to the try `id`; the other tries are what is left of `attempts`.
    fn finish_forwarded(&mut self, pending: &Pending, id: u64, mut reply: Reply, effects: &mut Effects) {
        for attempt in &pending.attempts {
            self.forwards.remove(&attempt.id);
        }
        // A write that has a name may have been made by another request.
        let is_named = pending.request.named.is_some();
        let made_it = |attempt: &Attempt, version: &Version| {
            !is_named
                && attempt.at == version.origin.node
                && attempt.not_after.is_some_and(|last| version.timestamp <= last)
        };
        // Who answers cannot know what became of later tries, nor of one at an owner that a view change has written off since; of
        // other earlier ones it may know, and the one that made this very version made no other.
        let view = reply.context.view;
        let is_beyond = |other: &Attempt| other.id > id || Some(other.view) < view;
        reply.repeat_unconfirmed = match (&pending.attempts[..], &reply.version) {
            ([], _) => reply.repeat_unconfirmed,
            // One replica had nothing to delete. What another one still does of it may come after what is written next.
            _ if reply.outcome == Outcome::Absent => pending.request.action.is_write(),
            (_, None) => false,
            ([other], Some(version)) if other.id < id && made_it(other, version) => false,
            (others, Some(_)) => reply.repeat_unconfirmed || others.iter().any(is_beyond),
        };
        self.hand_over(pending.source, reply, effects);
    }

    fn final_refusal(&mut self, pending: &Pending) -> Refusal {
        for attempt in &pending.attempts {
            self.forwards.remove(&attempt.id);
        }
        if pending.request.action.is_write() && (pending.unknown || !pending.attempts.is_empty()) {
            return Refusal::OutcomeUnknown;
        }
        match &pending.refused {
            // These two are for routers only: to the client no replica could be reached in time.
            Some(Refusal::TooLate | Refusal::NotOwner) | None => {}
            Some(refusal) => return refusal.clone(),
        }
        match (&self.boot, self.owns(&pending.request.action)) {
            (Some(_), true) => self.not_met(),
            (Some(_) | None, _) => {
                let shard = match &pending.request.action {
                    Action::Count { shard } => *shard,
                    // Nobody could be reached, whichever shard is named.
                    Action::ChangeView(_) | Action::Barrier => {
                        self.views.current().shards().first().map_or(ShardId(0), |shard| shard.id)
                    }
                    Action::Get { key } | Action::Put { key, .. } | Action::Delete { key } => {
                        self.views.current().shard_of_hash(key_hash(key)).id
                    }
                };
                Refusal::NoReplica { shard }
            }
        }
    }

    /// A connection is lost: tries at that node will not be answered.
    pub(super) fn on_disconnected(&mut self, now: Now, node: NodeId, effects: &mut Effects) {
        self.disconnected.insert(node);
        if let Some(peer) = self.peers.get_mut(&node)
            && peer.up
        {
            peer.up = false;
            effects.push(crate::effect::Effect::Event(crate::event::Event::PeerDown(node)));
        }
        for key in self.pending.keys() {
            let Some(pending) = self.pending.get_mut(key) else { continue };
            for attempt in &mut pending.attempts {
                if attempt.at == node {
                    attempt.until = attempt.until.min(now.monotonic);
                }
            }
        }
        self.progress = true;
    }
}
