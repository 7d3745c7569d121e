//! Lives: which run of each shard member is the newest, which earlier ones are closed, and when they may be.
//!
//! All lives of a member before its present one close together (design 10.4, 15.1), when every member, in its present
//! life, (1) accepts nothing more from them, (2) states the same vector for them, and (3) has completed a sync from every
//! member that has seen beyond that vector, since that one has accepted nothing more from any former life of any member.
//! Every report this rests on names the newest life of every member.

use std::collections::BTreeMap;

use crate::causality::hlc::Timestamp;
use crate::causality::version_vector::VersionVector;
use crate::id::{Life, NodeId, Origin};
use crate::planted::{self, Planted};
use crate::wire::message::{ClosedLives, Status};

/// The timestamp at or below which whoever has `applied` has everything of a shard: the least entry over all open lives of
/// all members. A member whose first open life is not known counts with `activation`.
#[must_use]
pub fn covered(
    members: &[NodeId],
    applied: &VersionVector,
    closed: &BTreeMap<NodeId, ClosedLives>,
    activation: Timestamp,
) -> Timestamp {
    let of = |node: &NodeId| {
        let first = closed.get(node).map_or(Timestamp::ZERO, |closed| closed.before);
        let open = applied.iter().filter(|(origin, _)| origin.node == *node && origin.start >= first);
        let (has_first, least) = open.fold((false, Timestamp(u64::MAX)), |(has_first, least), (origin, timestamp)| {
            (has_first | (origin.start == first), least.min(timestamp))
        });
        if has_first { least.max(activation) } else { activation }
    };
    members.iter().map(of).min().unwrap_or(activation)
}

/// What a life turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The newest that was known.
    Newest,
    /// Newer than any known: the earlier ones are fenced from now on.
    New,
    /// Over.
    Former,
}

/// A completed sync: from which life, and which lives that one knew, fencing all before them, when the pass began.
#[derive(Debug, Clone)]
struct Synced {
    life: Timestamp,
    lives: BTreeMap<NodeId, Timestamp>,
}

/// What a replica knows of the lives of its shard's members.
#[derive(Debug, Default)]
pub struct Lives {
    newest: BTreeMap<NodeId, Timestamp>,
    closed: BTreeMap<NodeId, ClosedLives>,
    synced: BTreeMap<NodeId, Synced>,
}

impl Lives {
    /// Takes note of a life.
    pub fn learn(&mut self, life: Life) -> Standing {
        match self.newest.get_mut(&life.node) {
            Some(known) if *known > life.start => Standing::Former,
            Some(known) if *known == life.start => Standing::Newest,
            Some(known) => {
                *known = life.start;
                Standing::New
            }
            None => {
                self.newest.insert(life.node, life.start);
                Standing::New
            }
        }
    }

    /// The newest known life of a member.
    #[must_use]
    pub fn newest(&self, node: NodeId) -> Option<Timestamp> {
        self.newest.get(&node).copied()
    }

    /// The newest known life of every member.
    #[must_use]
    pub fn all(&self) -> Vec<Life> {
        self.newest.iter().map(|(node, start)| Life { node: *node, start: *start }).collect()
    }

    /// Closed lives, by member.
    #[must_use]
    pub fn closed(&self) -> &BTreeMap<NodeId, ClosedLives> {
        &self.closed
    }

    /// Forgets what was closed: by lives that began when the view was over, among which there may be none that had the writes.
    pub fn forget_closed(&mut self) {
        self.closed.clear();
    }

    /// Takes over what another replica knows to be closed; tells what is new. Only a recovered replica may: an
    /// unrecovered one does not hold what closed lives wrote.
    pub fn merge_closed(&mut self, closed: &[ClosedLives]) -> Vec<ClosedLives> {
        let mut news = Vec::new();
        for &other in closed {
            let known = self.closed.get(&other.node).map_or(Timestamp::ZERO, |known| known.before);
            if other.before > known {
                self.closed.insert(other.node, other);
                news.push(other);
            }
        }
        news
    }

    /// A sync from `source` is complete; `lives` are those that it had fenced when the pass began.
    pub fn on_synced(&mut self, source: Life, lives: &[Life]) {
        let lives = lives.iter().map(|life| (life.node, life.start)).collect();
        self.synced.insert(source.node, Synced { life: source.start, lives });
    }

    /// Whether a sync from the newest life of `node` is complete.
    #[must_use]
    pub fn has_synced(&self, node: NodeId) -> bool {
        self.synced.get(&node).is_some_and(|synced| self.newest(node) == Some(synced.life))
    }

    /// See [`covered`].
    #[must_use]
    pub fn covered(&self, members: &[NodeId], applied: &VersionVector, activation: Timestamp) -> Timestamp {
        covered(members, applied, &self.closed, activation)
    }

    /// Takes note of the lives that a view names: lives before them made no write under it (design 11.2).
    pub fn begin(&mut self, lives: impl IntoIterator<Item = Life>) {
        for life in lives {
            self.learn(life);
            self.closed.insert(life.node, ClosedLives { node: life.node, before: life.start, last: None });
        }
    }

    /// The members whose former lives this replica has taken all there is of: condition (3), by what peers last said. A
    /// report that does not name the newest lives was made before its sender had fenced the former ones: it may have
    /// taken more from them since, so nothing rests on it.
    #[must_use]
    pub fn resolved(&self, me: NodeId, members: &[NodeId], statuses: &BTreeMap<NodeId, &Status>) -> Vec<NodeId> {
        let lives = self.all();
        let others_done = |of: NodeId| {
            members.iter().filter(|node| **node != me).all(|other| {
                let Some(status) = statuses.get(other).filter(|status| status.lives == lives) else { return false };
                let beyond = self.former(of, &status.seen).any(|(o, seen)| seen > status.applied.get(&o).max(o.start));
                !beyond || self.synced_since_fences(*other)
            })
        };
        let all = planted::is(Planted::ClosedUnresolved);
        members.iter().copied().filter(|node| all || others_done(*node)).collect()
    }

    /// Whether this replica still needs a sync from `other` before former lives can close.
    #[must_use]
    pub fn needs_sync_from(&self, other: NodeId, status: &Status, members: &[NodeId]) -> bool {
        members.iter().any(|of| {
            self.former(*of, &status.seen).any(|(o, seen)| seen > status.applied.get(&o).max(o.start))
                && !self.synced_since_fences(other)
        })
    }

    /// Whether some member has former lives that are not closed.
    #[must_use]
    pub fn are_open(&self) -> bool {
        self.newest.iter().any(|(node, newest)| self.closed.get(node).is_none_or(|closed| closed.before < *newest))
    }

    /// Closes the former lives that all agree on (design 10.4). `mine` is this replica's own status; `statuses` are the
    /// last ones of the others, each from the newest life known of its sender.
    pub fn close(
        &mut self,
        me: NodeId,
        mine: &Status,
        statuses: &BTreeMap<NodeId, &Status>,
        members: &[NodeId],
    ) -> Vec<ClosedLives> {
        let agreed = mine.recovered
            && members.iter().all(|node| self.newest.contains_key(node))
            && members
                .iter()
                .filter(|node| **node != me)
                .all(|node| statuses.get(node).is_some_and(|status| status.recovered && status.lives == mine.lives));
        if !agreed {
            return Vec::new();
        }
        let mut news = Vec::new();
        for &node in members {
            let before = self.newest[&node];
            if self.closed.get(&node).is_some_and(|closed| closed.before >= before) || !mine.resolved.contains(&node) {
                continue;
            }
            let mut former: BTreeMap<Origin, Timestamp> = BTreeMap::new();
            for status in statuses.values().copied().chain([mine]) {
                former.extend(self.former(node, &status.applied).map(|(origin, _)| (origin, Timestamp::ZERO)));
            }
            for (origin, agreed) in &mut former {
                *agreed = mine.applied.get(origin).max(origin.start);
            }
            let all_equal = statuses.values().all(|status| {
                status.resolved.contains(&node)
                    && former.iter().all(|(origin, agreed)| status.applied.get(origin).max(origin.start) == *agreed)
            });
            if all_equal {
                let last = former.last_key_value().map(|(origin, agreed)| (origin.start, *agreed));
                let closed = ClosedLives { node, before, last };
                self.closed.insert(node, closed);
                news.push(closed);
            }
        }
        news
    }

    fn former<'a>(&'a self, of: NodeId, vector: &'a VersionVector) -> impl Iterator<Item = (Origin, Timestamp)> + 'a {
        let first = self.closed.get(&of).map_or(Timestamp::ZERO, |closed| closed.before);
        let present = self.newest(of).unwrap_or_default();
        vector
            .iter()
            .filter(move |(origin, _)| origin.node == of && origin.start >= first && origin.start < present)
            .map(|(origin, timestamp)| (*origin, timestamp))
    }

    /// Whether a sync from `other` is complete that began when it took nothing more from any life that is over. To have fenced the life
    /// in question is not enough: it may get more of that from another member, which is gone before anybody else has asked it.
    fn synced_since_fences(&self, other: NodeId) -> bool {
        self.synced.get(&other).is_some_and(|synced| synced.lives == self.newest)
    }
}
