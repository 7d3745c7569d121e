//! What a replica holds of a former view: the claims that its hand-offs have earned (design 11.3 to 11.6).

use std::collections::{BTreeMap, BTreeSet};

use crate::causality::hlc::Timestamp;
use crate::causality::version::Version;
use crate::causality::version_vector::VersionVector;
use crate::id::{Life, NodeId, Origin, ShardId, ViewId};
use crate::placement::view::View;
use crate::placement::views::Views;
use crate::planted::{self, Planted};
use crate::replication::is_closed;
use crate::replication::lives::covered;
use crate::wire::message::{ClosedLives, HandedOver, HeldReport, Past};

/// Claims about the slots that a replica owns now and that belonged to shards of one former view.
#[derive(Debug, Clone)]
pub struct Held {
    /// The former view.
    pub view: View,
    /// Whether the current one descends from it.
    pub is_ancestor: bool,
    /// Its shards that share slots with the replica's own.
    pub shards: BTreeSet<ShardId>,
    /// The table reflects every write of these origins up to here, in the slots that the replica owns.
    pub vector: VersionVector,
    /// Per origin the greatest timestamp ever put in the table.
    pub seen: VersionVector,
    /// Lives that were closed under that view.
    pub closed: BTreeMap<NodeId, ClosedLives>,
    /// The former shards of which entries of views before this one were put in the table: no vector names those.
    pub older: BTreeSet<ShardId>,
    /// The old members that have handed over all they held.
    pub done: BTreeMap<NodeId, HandedOver>,
    /// Whether everybody has handed over who has something: then what is not here is nowhere.
    pub complete: bool,
    /// Its shards in whose slots something was put in the table that the current view has not written.
    pub touched: BTreeSet<ShardId>,
    /// The shard peers that were synced from after they had got everything themselves, and which lives of the shard they knew then: what
    /// one may have got since from a life that is over may be nowhere else.
    pub synced: BTreeMap<NodeId, Vec<Life>>,
}

impl Held {
    /// Nothing yet, of what `shard` of the current view is to get from `former`.
    #[must_use]
    pub fn new(former: &View, views: &Views, shard: ShardId) -> Self {
        let view = views.current();
        let shards = view.overlap(former).remove(&shard).unwrap_or_default();
        Self {
            view: former.clone(),
            is_ancestor: view.comes_after(&former.id) || planted::is(Planted::SiblingOutdoes),
            shards: shards.into_keys().collect(),
            vector: VersionVector::default(),
            seen: VersionVector::default(),
            older: BTreeSet::new(),
            closed: BTreeMap::new(),
            done: BTreeMap::new(),
            complete: false,
            touched: BTreeSet::new(),
            synced: BTreeMap::new(),
        }
    }

    /// Whether a write of the former view is reflected in the table.
    #[must_use]
    pub fn covers(&self, version: &Version) -> bool {
        self.vector.covers(version) || self.has_closed(&version.origin)
    }

    /// Whether an entry of a context is satisfied for a key of `shard`.
    #[must_use]
    pub fn satisfies(&self, origin: &Origin, timestamp: Timestamp, shard: ShardId) -> bool {
        self.view.shard_of_member(origin.node) != Some(shard)
            || self.vector.get(origin) >= timestamp
            || self.has_closed(origin)
    }

    /// Whether the slots of a former shard are here: until then absence means nothing.
    #[must_use]
    pub fn has_bulk(&self, shard: ShardId) -> bool {
        self.complete || self.has_recovered(shard)
    }

    /// Whether a recovered replica of a former shard has handed over.
    #[must_use]
    pub fn has_recovered(&self, shard: ShardId) -> bool {
        self.done.iter().any(|(node, over)| over.recovered && self.view.shard_of_member(*node) == Some(shard))
    }

    /// Whether whoever had all of the views before this one stands for another view here: both this one and the current one come after
    /// it, in one line. Of two views made at once each may have settled what came before without the other side's members.
    #[must_use]
    pub fn stands_for(&self, id: &ViewId) -> bool {
        self.is_ancestor && (self.view.comes_after(id) || planted::is(Planted::SiblingOutdoes))
    }

    /// Whether this view may have been made without what a life wrote: that began after its coordinator was answered.
    #[must_use]
    pub fn came_before(&self, life: Life) -> bool {
        !self.view.wrote_off(life.node) && self.view.life(life.node).is_none_or(|named| named < life.start)
    }

    /// Whether a replica of a former shard has handed over that reflected everything of the views before this one.
    #[must_use]
    pub fn has_older(&self, shard: ShardId, needed: Past) -> bool {
        self.is_older_in(self.done.iter().map(|(node, over)| (*node, *over)), shard, needed)
    }

    /// Whether one of these hand-offs brought everything of a former shard that is older than this view.
    pub fn is_older_in(
        &self,
        done: impl IntoIterator<Item = (NodeId, HandedOver)>,
        shard: ShardId,
        needed: Past,
    ) -> bool {
        let brought =
            |(node, over): (NodeId, HandedOver)| over.past >= needed && self.view.shard_of_member(node) == Some(shard);
        self.is_ancestor && done.into_iter().any(brought)
    }

    /// The former shards of which nobody has handed over who held all there was.
    pub fn without_owner(&self) -> Vec<ShardId> {
        self.shards.iter().copied().filter(|shard| !self.has_recovered(*shard)).collect()
    }

    /// Everything of a former shard at or below it is here.
    #[must_use]
    pub fn covered(&self, shard: ShardId) -> Timestamp {
        if !self.has_bulk(shard) {
            return Timestamp::ZERO;
        }
        covered(&self.view.members_of(shard), &self.vector, &self.closed, self.view.id.activation)
    }

    /// The old members that have to hand over what they hold, or to say that they hold nothing.
    #[must_use]
    pub fn required(&self, current: &View) -> Vec<NodeId> {
        let of_shards = self.view.members().filter(|(_, _, shard)| self.shards.contains(shard));
        of_shards.map(|(node, _, _)| node).filter(|node| !current.wrote_off(*node)).collect()
    }

    /// How many of those have.
    #[must_use]
    pub fn done_of(&self, current: &View) -> usize {
        self.required(current).iter().filter(|node| self.done.contains_key(node)).count()
    }

    /// A hand-off is complete.
    pub fn on_handed_over(&mut self, node: NodeId, over: HandedOver, vector: &VersionVector, closed: &[ClosedLives]) {
        let shard = self.view.shard_of_member(node);
        for (origin, timestamp) in vector.iter() {
            if origin.view == self.view.id && self.view.shard_of_member(origin.node) == shard {
                self.vector.advance(*origin, timestamp);
            }
        }
        if over.recovered {
            self.merge_closed(closed);
        }
        self.done.insert(node, over);
    }

    /// A sync from a shard peer is complete, and this is what it held before. `complete`: whether it could get no more.
    pub fn on_synced(&mut self, peer: NodeId, lives: &[Life], theirs: &HeldReport) {
        self.vector.merge(&theirs.vector);
        self.seen.merge(&theirs.seen);
        self.merge_closed(&theirs.closed);
        for (node, over) in &theirs.done {
            let known = self.done.entry(*node).or_insert(*over);
            known.recovered |= over.recovered;
            known.past = known.past.max(over.past);
        }
        if theirs.complete {
            self.synced.insert(peer, lives.to_vec());
        }
    }

    /// An entry of this view, or of one before it, was put in the table. `is_told`: whether peers are told of the entry's view.
    pub fn note(&mut self, version: &Version, key_hash: u64, is_told: bool) {
        let shard = self.view.shard_of_hash(key_hash).id;
        self.touched.insert(shard);
        if version.origin.view == self.view.id {
            self.seen.advance(version.origin, version.timestamp);
        } else if version.origin.view < self.view.id && !is_told {
            self.older.insert(shard);
        }
    }

    /// What peers are told. `complete`: whether everybody required has handed over.
    #[must_use]
    pub fn report(&self, complete: bool, resolved: bool) -> HeldReport {
        HeldReport {
            view: self.view.id,
            vector: self.vector.clone(),
            seen: self.seen.clone(),
            older: self.older.iter().any(|shard| !self.has_older(*shard, Past::Whole)),
            closed: self.closed.values().copied().collect(),
            done: self.done.iter().map(|(node, over)| (*node, *over)).collect(),
            complete,
            resolved,
        }
    }

    /// Whether a peer may have put something in its table that its own claims do not name, and was not synced from since the newest
    /// `lives` of the shard began.
    #[must_use]
    pub fn must_sync_from(&self, peer: NodeId, lives: &[Life], theirs: &HeldReport) -> bool {
        let beyond =
            theirs.seen.iter().any(|(origin, seen)| seen > theirs.vector.get(origin) && !self.has_closed(origin));
        (beyond || theirs.older) && self.synced.get(&peer).is_none_or(|synced| synced != lives)
    }

    fn has_closed(&self, origin: &Origin) -> bool {
        is_closed(&self.closed, origin)
    }

    fn merge_closed(&mut self, closed: &[ClosedLives]) {
        for &other in closed {
            let known = self.closed.entry(other.node).or_insert(other);
            if other.before > known.before {
                *known = other;
            }
        }
    }
}
