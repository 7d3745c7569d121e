//! Requests that this node serves itself (design 7.2 to 7.5).

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;

use crate::causality::context::Context;
use crate::causality::hlc::Timestamp;
use crate::causality::version::Version;
use crate::effect::{Effect, Effects};
use crate::id::{NodeId, Origin, RequestId, ShardId, Source};
use crate::limits::{FORWARDED_MAX, OPEN_LIVES_MAX, UNACKED_WRITES_MAX, WAIT_MAX, WAITING_MAX};
use crate::node::Node;
use crate::placement::hash::key_hash;
use crate::planted::{self, Planted};
use crate::replication::claims::Fetches;
use crate::replication::reading::Shown;
use crate::replication::replica::Incoming;
use crate::request::acks::Unacked;
use crate::request::pending::Pending;
use crate::table::value::Value;
use crate::time::{Instant, Now};
use crate::wire::message::{Forward, Message};
use crate::wire::named::Made;
use crate::wire::request::{Action, Outcome, Refusal, Reply, Request};

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

    fn read(&self, key: &Bytes, asked: &Context, fetched: &Fetches) -> Reply {
        let replica = self.replica.as_ref().expect("a read is served by a replica");
        let mut context = asked.clone();
        let shown = replica.shown(key, self.stability.stable(), fetched);
        let version = reveal(&shown, &mut context);
        self.bound(&mut context, asked, 0);
        let outcome = match shown.entry.as_ref().and_then(|(_, entry)| entry.value()) {
            Some(value) => Outcome::Found(value.to_owned()),
            None => Outcome::Absent,
        };
        let lost = replica.names_lost(asked);
        Reply { lost, ..self.reply(outcome, context, version) }
    }

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

    pub(super) fn reply(&self, outcome: Outcome, context: Context, version: Option<Version>) -> Reply {
        Reply { outcome, context, served_by: self.me, version, acks: 0, lost: false, repeat_unconfirmed: false }
    }

    /// Keeps the context of an answer to what an answer may have, with so many entries to come: a request must be able to bring it back.
    pub(super) fn bound(&self, context: &mut Context, asked: &Context, more: usize) {
        let entries_max = self.config.context_entries_max - more;
        if context.entries.len() > entries_max {
            context.prune(self.stability.stable());
            context.bound(asked, entries_max);
        }
    }

    pub(super) fn refuse(&mut self, source: Source, context: Context, refusal: Refusal, effects: &mut Effects) {
        let reply = self.reply(Outcome::Refused(refusal), context, None);
        self.hand_over(source, reply, effects);
    }

    /// Answers as a replica: the context is pruned here (design 5.3).
    pub(super) fn answer(&mut self, source: Source, mut reply: Reply, effects: &mut Effects) {
        reply.context.view = reply.context.view.max(Some(self.views.current().id));
        reply.context.prune(self.stability.stable());
        if planted::is(Planted::UnsettledOriginDropped)
            && let Some(replica) = &self.replica
        {
            let open = |origin: &Origin| replica.lives.newest(origin.node).is_none_or(|start| start <= origin.start);
            reply.context.entries.retain(|origin, _| open(origin));
        }
        self.hand_over(source, reply, effects);
    }

    /// Hands an answer over as it is.
    pub(super) fn hand_over(&mut self, source: Source, reply: Reply, effects: &mut Effects) {
        match source {
            Source::Count(shard) => self.on_counted(shard, &reply.outcome),
            Source::Client(id) => effects.push(Effect::Reply { id, reply: Box::new(reply) }),
            Source::Router { node, id } => self.send(node, Message::ForwardReply { id, reply }, effects),
        }
    }
}

/// Adds to a context what an answer reveals: the version, with its dependencies, or how far absence reaches.
fn reveal(shown: &Shown, context: &mut Context) -> Option<Version> {
    let Some((version, _)) = &shown.entry else {
        context.leave_out(shown.horizon);
        return None;
    };
    context.merge(&shown.dependencies);
    context.add(version);
    Some(*version)
}
