//! Requests that this node serves itself (design 7.2 to 7.5).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::causality::context::Context;
use crate::causality::hlc::Timestamp;
use crate::effect::Effects;
use crate::id::{NodeId, RequestId, ShardId, Source};
use crate::limits::{FORWARDED_MAX, WAIT_MAX, WAITING_MAX};
use crate::node::Node;
use crate::placement::hash::key_hash;
use crate::planted::{self, Planted};
use crate::replication::claims::Fetches;
use crate::request::pending::Pending;
use crate::time::{Instant, Now};
use crate::wire::message::Forward;
use crate::wire::request::{Action, Outcome, Refusal, Request};

impl Node {
    pub(super) fn on_request(&mut self, now: Now, id: RequestId, request: Request, effects: &mut Effects) {
        // Answer a little before the client gives up.
        let margin = (request.deadline / 10).min(Duration::from_millis(50));
        let deadline = now.monotonic + request.deadline.saturating_sub(margin);
        match request.action {
            Action::ChangeView(asked) => {
                self.on_change_view(now, Source::Client(id), asked, request.context, deadline, effects);
            }
            Action::Get { .. }
            | Action::Put { .. }
            | Action::Delete { .. }
            | Action::Count { .. }
            | Action::Barrier => {
                let pending = self.pending(now, Source::Client(id), request, deadline);
                self.take(now, pending, effects);
            }
        }
    }

    /// Asks a shard for the number of its keys, on behalf of a view change.
    pub(super) fn ask_count(&mut self, now: Now, shard: ShardId, deadline: Instant, effects: &mut Effects) {
        let left = deadline.since(now.monotonic);
        let action = Action::Count { shard };
        let context = Context::default();
        let request = Request { action, context, wait: None, concern: None, deadline: left, mark: None, named: None };
        let pending = self.pending(now, Source::Count(shard), request, deadline);
        self.take(now, pending, effects);
    }

    /// After a change of view all requests that are not answered find their way anew.
    pub(super) fn retake(&mut self, now: Now, effects: &mut Effects) {
        self.fetches.clear();
        self.barriers.clear();
        for key in self.pending.keys() {
            let Some(mut pending) = self.pending.remove(key) else { continue };
            (pending.local_until, pending.fetching) = (None, None);
            pending.fetched.clear();
            pending.fetch_tried.clear();
            pending.silent.clear();
            pending.tried.clear();
            let owned = self.owns(&pending.request.action);
            match pending.source {
                // Its router has to hear of the new view.
                Source::Router { .. } if !owned => {
                    self.refuse(pending.source, pending.request.context, Refusal::NotOwner, effects);
                }
                _ if owned && (pending.attempts.is_empty() || !pending.request.action.is_write()) => {
                    for attempt in pending.attempts.drain(..) {
                        self.forwards.remove(&attempt.id);
                    }
                    self.take(now, pending, effects);
                }
                _ => {
                    pending.forward_at = Some(now.monotonic);
                    self.pending.restore(key, pending);
                }
            }
        }
        self.progress = true;
    }

    pub(super) fn on_forward(
        &mut self,
        now: Now,
        from: NodeId,
        forward: Forward,
        is_behind: bool,
        effects: &mut Effects,
    ) {
        let Forward { id, hops, life, not_after, write_id, repeat_of, attempt, request } = forward;
        let deadline = now.monotonic + attempt;
        let source = Source::Router { node: from, id };
        let retention = self.config.cluster.write_id_retention;
        if request.action.is_write() && !self.seen_forwards.insert(now.monotonic, from, id, retention) {
            return;
        }
        let meant_for = life.filter(|_| request.action.is_write());
        let refusal = if self.is_of_former_process(meant_for) {
            Some(Refusal::OutcomeUnknown)
        } else if is_behind {
            Some(Refusal::NotOwner)
        } else {
            (meant_for.is_some() && self.life > meant_for).then_some(Refusal::TooLate)
        };
        if let Some(refusal) = refusal {
            self.refuse(source, request.context, refusal, effects);
            return;
        }
        let pending = Pending { hops, not_after, repeat_of, write_id, ..self.pending(now, source, request, deadline) };
        self.take(now, pending, effects);
    }

    /// Whether a write that names a life was meant for a process that is gone, which may have made it. To this one, if it was meant for
    /// it, it has come for the first time.
    pub(super) fn is_of_former_process(&self, life: Option<Timestamp>) -> bool {
        life.is_some_and(|life| self.first_life.is_none_or(|first| life < first))
    }

    /// Takes a request: answers it, lets it wait, or forwards it.
    pub(super) fn take(&mut self, now: Now, mut pending: Pending, effects: &mut Effects) {
        let routed = matches!(pending.source, Source::Router { .. });
        let refusal = match self.owns(&pending.request.action) {
            false if routed => Some(Refusal::NotOwner),
            // The router knows the other replicas as well as this node does. Were it forwarded once more, tries would
            // multiply, and the last timestamp of a write would be lost on the way.
            true if routed && !self.has_life() => Some(self.not_met()),
            false => None,
            true => self.judge(now, &pending.request),
        };
        pending.from_future = matches!(refusal, Some(Refusal::ContextFromTheFuture { .. }));
        if let Some(refusal) = refusal
            && !pending.from_future
        {
            self.refuse(pending.source, pending.request.context, refusal, effects);
            return;
        }
        if self.owns(&pending.request.action) && self.has_life() && !pending.from_future {
            // Reads too: a client may be the only one left that knows how far a former life had got (design 4.1).
            self.clock.receive(pending.request.context.greatest());
            self.note_unknown(now, &pending.request.context, effects);
        }
        if pending.from_future {
            let patience = self.config.cluster.context_wait;
            pending.local_until = Some((now.monotonic + patience).min(pending.deadline));
            pending.forward_at = None;
        } else if self.answer_from_table(now, &mut pending, effects) {
            return;
        } else if self.owns(&pending.request.action) && self.has_life() {
            let (patience, forward_after) = self.patience(now, &pending);
            pending.local_until = Some((now.monotonic + patience).min(pending.deadline));
            pending.forward_at = forward_after.map(|after| now.monotonic + after);
        }
        let (waiting, forwarded) = self.pending.counts();
        let (limit, used, what) = match pending.local_until {
            Some(_) => (WAITING_MAX, waiting, "waiting requests"),
            None => (FORWARDED_MAX, forwarded, "forwarded requests"),
        };
        if used >= limit {
            let refusal = Refusal::Overloaded { what: what.to_owned(), limit: limit as u64 };
            self.refuse(pending.source, pending.request.context, refusal, effects);
            return;
        }
        let key = self.pending.insert(pending);
        self.run_one(now, key, effects);
    }

    /// How long a read may wait for its context.
    pub(super) fn context_wait(&self, request: &Request) -> Duration {
        request.wait.unwrap_or(self.config.cluster.context_wait).min(WAIT_MAX)
    }

    /// The same of any request. Replicas must be asked before a barrier can be answered.
    fn wait_of(&self, request: &Request) -> Duration {
        let wait = self.context_wait(request);
        let least = self.config.cluster.delete_wait;
        if matches!(request.action, Action::Barrier) { wait.max(least) } else { wait }
    }

    /// A request that has just come.
    fn pending(&self, now: Now, source: Source, request: Request, deadline: Instant) -> Pending {
        Pending {
            source,
            hops: 0,
            not_after: None,
            write_id: None,
            repeat_of: Timestamp::ZERO,
            deadline,
            wait_until: now.monotonic + self.wait_of(&request),
            local_until: None,
            forward_at: Some(Instant::default()),
            tried: Vec::new(),
            attempts: Vec::new(),
            from_future: false,
            refused: None,
            unknown: false,
            fetched: Fetches::default(),
            fetch_tried: Vec::new(),
            fetching: None,
            silent: BTreeSet::new(),
            request,
        }
    }

    /// How long a request waits here for its context, and when it is tried elsewhere.
    fn patience(&self, now: Now, pending: &Pending) -> (Duration, Option<Duration>) {
        let cluster = &self.config.cluster;
        match pending.request.action {
            Action::Put { .. } if self.views.is_settled() && pending.request.named.is_none() => {
                (cluster.replication_wait, None)
            }
            // The key, or the name, may be on its way from others.
            Action::Put { .. } | Action::Delete { .. } => (cluster.delete_wait, None),
            // Every member asks the same.
            Action::Barrier => (pending.wait_until.since(now.monotonic), None),
            Action::Get { .. } | Action::Count { .. } | Action::ChangeView(_) => {
                let wait = self.context_wait(&pending.request);
                let from_peer = matches!(pending.source, Source::Router { node, .. } if self.peers.contains_key(&node));
                let recovered = self.replica.as_ref().is_some_and(|replica| replica.recovered);
                let after = if recovered { cluster.replication_wait } else { Duration::ZERO };
                (wait, (!from_peer).then_some(after))
            }
        }
    }

    /// The refusal of a node that has not met its shard.
    pub(super) fn not_met(&self) -> Refusal {
        let waiting_for =
            self.boot.as_ref().map(|boot| boot.waiting_for(self.views.current(), self.me)).unwrap_or_default();
        Refusal::NotMet { waiting_for }
    }

    pub(super) fn has_life(&self) -> bool {
        self.replica.as_ref().is_some_and(|replica| replica.origin.is_some())
    }

    /// Whether this node is a replica of what is asked for.
    pub(super) fn owns(&self, action: &Action) -> bool {
        let Some(shard) = self.shard() else { return false };
        match action {
            Action::Get { key } | Action::Put { key, .. } | Action::Delete { key } => {
                self.views.current().shard_of_hash(key_hash(key)).id == shard
            }
            Action::Count { shard: asked } => *asked == shard,
            // Every member can ask every other one.
            Action::ChangeView(_) | Action::Barrier => true,
        }
    }

    /// Refuses what no waiting can make right.
    pub(super) fn judge(&self, now: Now, request: &Request) -> Option<Refusal> {
        let greatest = request.context.greatest();
        let limit = self.config.cluster.clock_drift_max;
        let is_ahead = greatest > self.clock.acceptable(now.wall, limit) && self.has_life();
        is_ahead.then(|| {
            let ahead_ms = greatest.millis().saturating_sub(self.clock.last().millis());
            let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
            Refusal::ContextFromTheFuture { ahead_ms, limit_ms }
        })
    }

    /// Answers what can be answered now. A write is taken at once if its context is satisfied.
    pub(super) fn answer_from_table(&mut self, now: Now, pending: &mut Pending, effects: &mut Effects) -> bool {
        if !self.has_life() || !self.owns(&pending.request.action) {
            return false;
        }
        if matches!(pending.request.action, Action::Barrier) {
            return self.pass_barrier(pending, effects);
        }
        // An old owner may know the name: it is looked up with the key.
        let has_key = self.has_key(now, pending);
        if self.answer_named(pending, effects) {
            return true;
        }
        if !has_key {
            return false;
        }
        let hash = pending.request.action.key().map_or(0, |key| key_hash(key));
        let Some(replica) = &self.replica else { return false };
        let satisfied = replica.satisfies(&pending.request.context, hash, &self.views, &pending.fetched);
        match &pending.request.action {
            Action::Count { .. } => {
                let outcome = Outcome::Counted(replica.table().live());
                let reply = self.reply(outcome, pending.request.context.clone(), None);
                self.answer(pending.source, reply, effects);
                true
            }
            Action::Get { key } if self.may_read(now, satisfied) => {
                let reply = self.read(key, &pending.request.context, &pending.fetched);
                self.answer(pending.source, reply, effects);
                true
            }
            Action::Put { .. } | Action::Delete { .. } if satisfied && replica.recovered && self.may_write(hash) => {
                self.write(now, pending, true, effects);
                true
            }
            Action::Get { .. }
            | Action::Put { .. }
            | Action::Delete { .. }
            | Action::ChangeView(_)
            | Action::Barrier => false,
        }
    }

    /// An unrecovered replica leaves reads to recovered peers while there are any, and for `recovery_timeout`; then 7.2 alone decides.
    fn may_read(&self, now: Now, satisfied: bool) -> bool {
        let Some(replica) = &self.replica else { return false };
        let alone =
            || now.monotonic.since(self.started) >= self.config.cluster.recovery_timeout && !self.has_recovered_peer();
        if planted::is(Planted::UnrecoveredAnswers) && !replica.recovered {
            return true;
        }
        satisfied && (replica.recovered || alone())
    }
}
