//! The hand-off of former views: passes over legacies, and single keys for reads that cannot wait (design 11.4, 11.5).

use crate::causality::hlc::Timestamp;
use crate::effect::Effects;
use crate::id::{Life, NodeId, ShardId, ViewId};
use crate::node::{Node, random};
use crate::placement::hash::key_hash;
use crate::placement::views::Place;
use crate::replication::claims::Fetched;
use crate::replication::sync::{Kind, Pass};
use crate::request::pending::Pending;
use crate::time::{Instant, Now};
use crate::wire::message::{self, Message, SyncChunk, SyncPull};

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
        let was_touched = held.touched;
        let id = random(&mut self.rng);
        let pass = Pass::new(id, source, kind, Some(legacy), covered, now.monotonic);
        self.pass = Some(Pass { was_touched, ..pass });
        self.pull(now, effects);
    }

    /// A hand-off from this node to itself goes on with every step.
    pub(super) fn local_pass_due(&self) -> Option<Instant> {
        self.pass.as_ref().filter(|pass| pass.source.node == self.me).map(|_| Instant::default())
    }

    pub(super) fn run_local_pass(&mut self, now: Now, effects: &mut Effects) {
        if self.local_pass_due().is_none() {
            return;
        }
        let Some(pull) = self.next_pull() else { return };
        match self.legacy_chunk(&pull, self.me) {
            Some(chunk) => self.on_sync_chunk(now, self.me, self.life, &chunk, effects),
            None => self.give_up_pass(now),
        }
    }

    /// A chunk of what this node held of a former view, for the shard that `to` holds now: nothing, if it held nothing. None if
    /// this node knows the view to be settled, or does not know it.
    pub(super) fn legacy_chunk(&self, pull: &SyncPull, to: NodeId) -> Option<SyncChunk> {
        let id = pull.legacy?;
        if !matches!(self.views.place(&id), Place::Former(_)) {
            return None;
        }
        let view = self.views.current();
        let shard = view.shard_of_member(to)?;
        let owned = |hash: u64| view.shard_of_hash(hash).id == shard;
        let chunk = match self.legacies.get(&id) {
            Some(legacy) => legacy.sync_chunk(pull, &self.stability, &self.views, Vec::new(), owned),
            None => SyncChunk::nothing(pull),
        };
        Some(chunk)
    }

    /// Whether everything that this replica needs to answer for a key is here, apart from the context: the key as it was
    /// handed over. What this node holds itself is looked up at once.
    pub(super) fn has_key(&mut self, hash: u64, pending: &mut Pending) -> bool {
        loop {
            let Some(replica) = &mut self.replica else { return false };
            let Some(view) = replica.lacks(hash, &pending.fetched) else { return true };
            let Some(key) = pending.request.action.key() else { return false };
            let shard = replica.held.get(&view).map(|held| held.view.shard_of_hash(hash).id);
            let own = self.legacies.get(&view).filter(|legacy| legacy.recovered && Some(legacy.shared.shard) == shard);
            let Some(legacy) = own else { return false };
            let answer = legacy.fetch(0, key, self.stability.stable());
            replica.on_fetched(&answer);
            pending.note_fetched(&answer);
            self.progress = true;
        }
    }

    /// Asks the next old owner for the key of a request.
    pub(super) fn fetch_next(&mut self, now: Now, key: u64, pending: &mut Pending, effects: &mut Effects) {
        let (Some(name), None) = (pending.request.action.key().cloned(), pending.fetching) else { return };
        let Some(replica) = &self.replica else { return };
        let hash = key_hash(&name);
        let old_owners = |(id, former, shard): (ViewId, &crate::placement::view::View, ShardId)| {
            former.members_of(shard).into_iter().map(move |node| (id, node)).collect::<Vec<_>>()
        };
        let former = replica.held.iter().map(|(id, held)| (*id, &held.view, held.view.shard_of_hash(hash).id));
        let candidates: Vec<(ViewId, NodeId)> = former
            .flat_map(old_owners)
            .filter(|(_, node)| *node != self.me && !self.views.current().wrote_off(*node))
            .collect();
        let lacks = replica.lacks(hash, &pending.fetched);
        let rank = |(id, node): &(ViewId, NodeId)| {
            let holds = self.holders.get(id).is_some_and(|holders| holders.contains(node));
            (Some(*id) != lacks, !self.is_up(*node), self.avoid.contains_key(node), !holds, *node)
        };
        let fresh =
            candidates.iter().filter(|candidate| !pending.fetch_tried.contains(candidate)).min_by_key(|c| rank(c));
        let Some(&(view, node)) = fresh else {
            // All were asked; some may have more to tell a little later.
            if !candidates.is_empty() {
                pending.fetch_tried.clear();
                pending.fetching = Some(now.monotonic + self.config.cluster.heartbeat);
            }
            return;
        };
        let id = random(&mut self.rng);
        self.fetches.insert(id, key);
        pending.fetch_tried.push((view, node));
        pending.fetching = Some(now.monotonic + self.config.cluster.heartbeat * 2);
        self.send(node, Message::Fetch { id, view, key: name }, effects);
    }

    /// A new owner asks for one key.
    pub(super) fn on_fetch(
        &mut self,
        now: Now,
        from: NodeId,
        id: u64,
        view: ViewId,
        key: &[u8],
        effects: &mut Effects,
    ) {
        match (self.legacies.get(&view), self.views.place(&view)) {
            (Some(legacy), _) => {
                let answer = legacy.fetch(id, key, self.stability.stable());
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
    pub(super) fn on_fetched(&mut self, now: Now, answer: &message::Fetched, effects: &mut Effects) {
        let Some(key) = self.fetches.remove(&answer.id) else { return };
        let Some(replica) = &mut self.replica else { return };
        if !replica.held.contains_key(&answer.view) {
            return;
        }
        replica.on_fetched(answer);
        self.progress = true;
        if let Some(pending) = self.pending.get_mut(key) {
            pending.note_fetched(answer);
            pending.fetching = None;
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

impl Pending {
    /// What an old owner said counts for this request.
    fn note_fetched(&mut self, answer: &message::Fetched) {
        let news = Fetched::new(answer);
        match self.fetched.get_mut(&answer.view) {
            Some(known) => known.merge(&news),
            None => {
                self.fetched.insert(answer.view, news);
            }
        }
    }
}
