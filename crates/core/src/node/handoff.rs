//! The hand-off of former views: passes over legacies, and single keys for reads that cannot wait (design 11.4, 11.5).

use std::time::Duration;

use crate::causality::hlc::Timestamp;
use crate::effect::Effects;
use crate::id::{Life, NodeId, ViewId};
use crate::node::{Node, random};
use crate::placement::hash::key_hash;
use crate::placement::views::Place;
use crate::planted::{self, Planted};
use crate::replication::held::Held;
use crate::replication::sync::{Kind, Pass};
use crate::request::pending::Pending;
use crate::time::{Instant, Now};
use crate::wire::message::{self, Message, SyncChunk, SyncPull};
use crate::wire::named::Name;
use crate::wire::request::Action;

/// A hand-off from a node to itself takes a chunk in each such interval.
const LOCAL_REST: Duration = Duration::from_millis(1);

/// A hand-off rests once it owes so much: a node's timer is hardly finer, and would make more of less.
const REST_MIN: Duration = Duration::from_millis(2);

impl Node {
    /// The newest life of a node that was heard, or that was reached when the view was stamped. An old member that has started again
    /// since may have recovered in the former view, and hands over; if not, it says that it holds nothing.
    pub(super) fn life_of(&self, node: NodeId) -> Option<Timestamp> {
        self.newest_life(node).max(self.views.current().life(node))
    }

    pub(super) fn newest_life(&self, node: NodeId) -> Option<Timestamp> {
        if node == self.me { self.life } else { self.lives.get(&node).copied() }
    }

    /// The next old member to be handed something over from: this node itself first, then one with all there is of a
    /// shard, then the others.
    fn next_hand_off(&self) -> Option<(ViewId, Life)> {
        let replica = self.replica.as_ref()?;
        for (id, held) in &replica.held {
            let required = held.required(self.views.current());
            let todo = required.into_iter().filter(|node| !held.done.contains_key(node));
            let rank = |node: &NodeId| {
                let has_bulk = held.view.shard_of_member(*node).is_some_and(|shard| held.has_bulk(shard));
                let holds = self.holders.get(id).is_some_and(|holders| holders.contains(node));
                let sick = !self.is_up(*node) || self.avoid.contains_key(node);
                (*node != self.me, sick, !(has_bulk || holds), *node)
            };
            // One that does not hand over is left alone for a while.
            let able = |node: &NodeId| *node == self.me || !self.unwilling.contains_key(node);
            let next = todo.filter(able).min_by_key(rank);
            if let Some(node) = next
                && let Some(start) = self.life_of(node)
            {
                return Some((*id, Life { node, start }));
            }
        }
        None
    }

    /// Begins the next hand-off, if there is one.
    pub(super) fn seek_hand_off(&mut self, now: Now, effects: &mut Effects) -> bool {
        let Some((legacy, source)) = self.next_hand_off() else { return false };
        self.begin_hand_off(now, legacy, source, Kind::Missing, effects);
        true
    }

    pub(super) fn begin_hand_off(&mut self, now: Now, legacy: ViewId, source: Life, kind: Kind, effects: &mut Effects) {
        let Some(held) = self.replica.as_ref().and_then(|replica| replica.held.get(&legacy)) else { return };
        let covered = held.view.shard_of_member(source.node).map(|shard| held.covered(shard)).unwrap_or_default();
        let was_touched = held.view.shard_of_member(source.node).is_some_and(|shard| held.touched.contains(&shard));
        let id = random(&mut self.rng);
        let pass = Pass::new(id, source, kind, Some(legacy), covered, now.monotonic);
        let broken = self.broken.remove(&(legacy, source.node)).filter(|broken| broken.source == source);
        self.pass = Some(match broken.filter(|_| kind == Kind::Missing) {
            Some(broken) => Pass { asks: 1, resume_at: None, was_touched: broken.was_touched || was_touched, ..broken },
            None => Pass { was_touched, ..pass },
        });
        match source.node == self.me {
            true => self.pause_pass(now.monotonic),
            false => self.pull(now, effects),
        }
    }

    /// When the next chunk is asked for, after one that is here. Hand-offs yield to clients, who go on meanwhile at both ends
    /// (design 11.9): a pass rests as long as its chunks took, which is longer where there is more to do, and one from this
    /// node to itself takes a chunk in each interval.
    pub(super) fn rest(&mut self, now: Now) -> Instant {
        let Some(pass) = self.pass.as_mut().filter(|pass| pass.legacy.is_some()) else { return now.monotonic };
        if pass.source.node == self.me {
            return now.monotonic + LOCAL_REST;
        }
        pass.owed = (pass.owed + now.monotonic.since(pass.asked_at)).min(self.config.cluster.heartbeat);
        match pass.owed < REST_MIN {
            true => now.monotonic,
            false => now.monotonic + std::mem::take(&mut pass.owed),
        }
    }

    /// Lets the pass rest until then.
    pub(super) fn pause_pass(&mut self, until: Instant) {
        if let Some(pass) = &mut self.pass {
            pass.resume_at = Some(until);
        }
    }

    /// Goes on with a pass that has rested.
    pub(super) fn resume_pass(&mut self, now: Now, effects: &mut Effects) {
        let Some(pass) = self.pass.as_mut().filter(|pass| pass.resume_at.is_some_and(|at| at <= now.monotonic)) else {
            return;
        };
        pass.resume_at = None;
        if pass.source.node != self.me {
            return self.pull(now, effects);
        }
        let Some(pull) = self.next_pull() else { return };
        match self.legacy_chunk(now, &pull, self.me) {
            Some(mut chunk) => self.on_sync_chunk(now, self.me, self.life, &mut chunk, effects),
            None => self.give_up_pass(now),
        }
    }

    /// A chunk of what this node held of a former view, for the shard that `to` holds now: nothing, if it held nothing. None if
    /// this node knows the view to be settled, or does not know it.
    pub(super) fn legacy_chunk(&self, now: Now, pull: &SyncPull, to: NodeId) -> Option<SyncChunk> {
        let id = pull.legacy?;
        if !matches!(self.views.place(&id), Place::Former(_)) {
            return None;
        }
        let view = self.views.current();
        let shard = view.shard_of_member(to)?;
        let owned = |hash: u64| view.shard_of_hash(hash).id == shard;
        let chunk = match self.legacies.get(&id) {
            Some(legacy) => legacy.sync_chunk(now.monotonic, pull, &self.stability, &self.views, Vec::new(), owned),
            None => SyncChunk::nothing(pull),
        };
        Some(chunk)
    }

    /// Whether everything that this replica needs to answer for a key is here, apart from the context: the key as it was
    /// handed over, and, if that is nothing, the word of those who may have it.
    pub(super) fn has_key(&self, now: Now, pending: &mut Pending) -> bool {
        let Some(replica) = &self.replica else { return false };
        let Some(hash) = pending.request.action.key().map(|key| key_hash(key)) else { return true };
        self.look_up(now, hash, pending);
        if replica.lacks(hash, &pending.fetched).is_some() {
            return false;
        }
        // A put is taken whatever is there, unless an old owner may know its name.
        let is_put = matches!(pending.request.action, Action::Put { .. });
        let is_named = pending.request.named.is_some();
        replica.held.is_empty()
            || (!is_named && (is_put || self.is_visible(pending)))
            || replica.held.keys().all(|id| self.is_absent(*id, hash, pending))
            || planted::is(Planted::AbsentInTransit)
            || planted::is(Planted::AbsentAtOne)
    }

    /// Whether the key that a request asks for has a value, by what is known of it here.
    fn is_visible(&self, pending: &Pending) -> bool {
        let shown = |key| Some(self.replica.as_ref()?.shown(key, self.stability.stable(), &pending.fetched));
        pending.request.action.key().and_then(shown).is_some_and(|shown| shown.is_visible())
    }

    /// What this node holds itself is looked up at once.
    fn look_up(&self, now: Now, hash: u64, pending: &mut Pending) {
        let Some(replica) = &self.replica else { return };
        for (id, held) in &replica.held {
            let shard = held.view.shard_of_hash(hash).id;
            let own = self.legacies.get(id).filter(|legacy| legacy.recovered && legacy.shared.shard == shard);
            if let Some(legacy) = own
                && !held.done.contains_key(&self.me)
                && pending.fetched.from(*id, self.me).is_none()
                && let Some(key) = pending.request.action.key()
            {
                let name = pending.request.named.as_ref().map(|named| named.name);
                let answer = legacy.fetch(now.monotonic, 0, key, name.as_ref(), self.stability.stable());
                pending.fetched.hear(self.me, answer);
            }
        }
    }

    /// What an old member has to say of a key of a former view: it has said it, or it can say nothing of use, since it has
    /// lost it.
    fn word(&self, id: ViewId, node: NodeId, pending: &Pending) -> Word {
        let held = self.replica.as_ref().and_then(|replica| replica.held.get(&id));
        let done = held.and_then(|held| held.done.get(&node)).map(|over| over.recovered);
        let fetched = pending.fetched.from(id, node).map(|fetched| fetched.answer.recovered);
        match done.or(fetched) {
            Some(true) => Word::Heard,
            Some(false) => Word::Lost,
            None if self.views.current().wrote_off(node) => Word::Lost,
            None => Word::Awaited,
        }
    }

    /// Whether a key that was found nowhere so far is absent (design 11.4): every old member of its former shard has been
    /// heard that can be. One that does not answer is not waited for, if all others were heard: what two have acknowledged one
    /// of those has.
    fn is_absent(&self, id: ViewId, hash: u64, pending: &Pending) -> bool {
        let Some(held) = self.replica.as_ref().and_then(|replica| replica.held.get(&id)) else { return true };
        if held.complete {
            return true;
        }
        let members = held.view.members_of(held.view.shard_of_hash(hash).id);
        let words: Vec<(NodeId, Word)> = members.iter().map(|node| (*node, self.word(id, *node, pending))).collect();
        let unheard = words.iter().filter(|(_, word)| *word != Word::Heard).count();
        let is_silent = |node: &NodeId| pending.silent.contains(node) || !self.is_up(*node);
        words.iter().all(|(node, word)| *word != Word::Awaited || (unheard == 1 && is_silent(node)))
    }

    /// Asks the next old owner for the key of a request; all of them, if it has a name.
    pub(super) fn fetch_next(&mut self, now: Now, key: u64, pending: &mut Pending, effects: &mut Effects) {
        let (Some(wanted), None) = (pending.request.action.key().cloned(), pending.fetching) else { return };
        let Some(replica) = &self.replica else { return };
        let hash = key_hash(&wanted);
        let old_owners = |(id, held): (&ViewId, &Held)| {
            let id = *id;
            let members = held.view.members_of(held.view.shard_of_hash(hash).id);
            members.into_iter().map(move |node| (id, node)).collect::<Vec<_>>()
        };
        let candidates: Vec<(ViewId, NodeId)> = replica
            .held
            .iter()
            .flat_map(old_owners)
            .filter(|(id, node)| *node != self.me && self.word(*id, *node, pending) == Word::Awaited)
            .collect();
        let lacks = replica.lacks(hash, &pending.fetched);
        let rank = |(id, node): &(ViewId, NodeId)| {
            let holds = self.holders.get(id).is_some_and(|holders| holders.contains(node));
            (Some(*id) != lacks, !self.is_up(*node), self.avoid.contains_key(node), !holds, *node)
        };
        let mut fresh: Vec<(ViewId, NodeId)> =
            candidates.iter().copied().filter(|candidate| !pending.fetch_tried.contains(candidate)).collect();
        fresh.sort_by_key(&rank);
        if fresh.is_empty() {
            // All were asked; some may have adopted the view a little later.
            if !candidates.is_empty() {
                pending.fetch_tried.clear();
                pending.fetching = Some(now.monotonic + self.config.cluster.heartbeat);
            }
            return;
        }
        // Any of them may be the only one that knows a name. One that is silent must not use up the time of the others.
        let name = pending.request.named.as_ref().map(|named| named.name);
        let at_once = if name.is_some() { fresh.len() } else { 1 };
        pending.fetching = Some(now.monotonic + self.config.cluster.heartbeat * 2);
        for (view, node) in fresh.into_iter().take(at_once) {
            let id = random(&mut self.rng);
            self.fetches.insert(id, key);
            pending.fetch_tried.push((view, node));
            self.send(node, Message::Fetch { id, view, key: wanted.clone(), name }, effects);
        }
    }

    /// Notes that old owners that were asked have not answered in time.
    pub(super) fn give_up_fetch(now: Now, pending: &mut Pending) -> bool {
        if pending.fetching.is_none_or(|at| at > now.monotonic) {
            return false;
        }
        pending.fetching = None;
        let is_silent = |(view, node): &&(ViewId, NodeId)| pending.fetched.from(*view, *node).is_none();
        pending.silent.extend(pending.fetch_tried.iter().filter(is_silent).map(|(_, node)| *node));
        true
    }

    /// A new owner asks for one key.
    pub(super) fn on_fetch(
        &mut self,
        now: Now,
        from: NodeId,
        (id, view): (u64, ViewId),
        (key, name): (&[u8], Option<Name>),
        effects: &mut Effects,
    ) {
        match (self.legacies.get(&view), self.views.place(&view)) {
            (Some(legacy), _) => {
                let answer = legacy.fetch(now.monotonic, id, key, name.as_ref(), self.stability.stable());
                self.send(from, Message::Fetched(Box::new(answer)), effects);
            }
            (None, Place::Former(_)) => {
                self.send(from, Message::Fetched(Box::new(message::Fetched::nothing(id, view))), effects);
            }
            // It may not have heard yet that the view is settled.
            (None, Place::Current | Place::Settled | Place::Unknown) => self.send(from, self.news(now), effects),
        }
    }

    /// An old owner answers.
    pub(super) fn on_fetched(&mut self, now: Now, from: NodeId, answer: message::Fetched, effects: &mut Effects) {
        let Some(key) = self.fetches.remove(&answer.id) else { return };
        if let Some(pending) = self.pending.get_mut(key) {
            if pending.fetch_tried.last() == Some(&(answer.view, from)) {
                pending.fetching = None;
            }
            pending.fetched.hear(from, answer);
        }
        self.run_one(now, key, effects);
    }

    /// Whether a write of a key may be taken: some node was heard, under the current view, that holds a recovered legacy of
    /// the key's former shard; or nobody does. Its clock is above every tombstone that the shard has ever collected (design 11.4).
    pub(super) fn may_write(&self, hash: u64) -> bool {
        self.views.former().all(|former| {
            let shard = former.shard_of_hash(hash).id;
            let current = self.views.current();
            let of_shard = |node: &NodeId| former.shard_of_member(*node) == Some(shard);
            let written_off = former.members_of(shard).iter().all(|node| current.wrote_off(*node));
            let held = self.replica.as_ref().and_then(|replica| replica.held.get(&former.id));
            let nobody = written_off || held.is_some_and(|held| held.complete);
            let own =
                self.legacies.get(&former.id).is_some_and(|legacy| legacy.recovered && legacy.shared.shard == shard);
            nobody || own || self.holders.get(&former.id).is_some_and(|holders| holders.iter().any(of_shard))
        })
    }
}

/// What an old member has said of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// What it has of it.
    Heard,
    /// Nothing, and nothing will come: it has lost its memory, or is not waited for.
    Lost,
    /// Nothing yet.
    Awaited,
}
