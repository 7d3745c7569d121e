//! Write ids: a write that a router tried at several replicas is recognised where its first try is known (design 15.3).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::causality::hlc::Timestamp;
use crate::causality::version::Version;
use crate::id::NodeId;
use crate::limits::WRITE_IDS_MAX;
use crate::time::Instant;
use crate::wire::message::WriteId;

/// What became of an id.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// When it came first.
    at: Instant,
    /// The least version with it.
    version: Version,
    /// Whether there are others.
    several: bool,
}

/// The writes of the recent past, by id. Bounded in time and number, oldest out first. Time is the node's own: the hybrid clock may
/// leap ahead by more than the retention while a write is under way.
#[derive(Debug, Default)]
pub struct WriteIds {
    known: BTreeMap<WriteId, Known>,
    forgotten: Timestamp,
    synced: Timestamp,
}

impl WriteIds {
    /// Takes note of a write.
    pub fn insert(&mut self, at: Instant, id: WriteId, version: Version) {
        if id.taken > self.forgotten {
            let known = self.known.entry(id).or_insert(Known { at, version, several: false });
            known.several |= known.version != version;
            known.version = known.version.min(version);
        }
        if self.known.len() > WRITE_IDS_MAX {
            self.forget_first();
        }
    }

    /// The write with this id, if it is known here; the first, if there are several.
    #[must_use]
    pub fn get(&self, id: &WriteId) -> Option<Version> {
        self.known.get(id).map(|known| known.version)
    }

    /// Whether a write with this id, had it been here, would still be known.
    #[must_use]
    pub fn remembers(&self, id: &WriteId) -> bool {
        id.taken > self.forgotten
    }

    /// Whether the table reflects at most one write with this id.
    #[must_use]
    pub fn is_one(&self, id: &WriteId) -> bool {
        self.remembers(id) && id.taken > self.synced && self.known.get(id).is_none_or(|known| !known.several)
    }

    /// Takes note of a sync, complete when the clock showed `timestamp`: it leaves out what was overwritten, and its id.
    pub fn on_synced(&mut self, timestamp: Timestamp) {
        self.synced = self.synced.max(timestamp);
    }

    /// Forgets everything taken at or before `timestamp`.
    pub fn forget_until(&mut self, timestamp: Timestamp) {
        self.forgotten = self.forgotten.max(timestamp);
        while self.known.first_key_value().is_some_and(|(id, _)| id.taken <= timestamp) {
            self.forget_first();
        }
    }

    /// Forgets what came longer than `retention` ago.
    pub fn expire(&mut self, now: Instant, retention: Duration) {
        while self.known.first_key_value().is_some_and(|(_, known)| now.since(known.at) > retention) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((id, _)) = self.known.pop_first() {
            self.forgotten = self.forgotten.max(id.taken);
        }
    }
}

/// The forwarded writes that came lately, by router and number. A copy of one must not be taken again, whatever became of the
/// first: one that found nothing to delete, or was refused, would take effect after its client was told that it did not.
#[derive(Debug, Default)]
pub struct SeenForwards {
    seen: BTreeSet<(NodeId, u64)>,
    oldest_first: VecDeque<(Instant, (NodeId, u64))>,
}

impl SeenForwards {
    /// Takes note of one; tells whether it is the first of its kind.
    pub fn insert(&mut self, now: Instant, router: NodeId, number: u64, retention: Duration) -> bool {
        while let Some((at, name)) = self.oldest_first.front()
            && (now.since(*at) > retention || self.oldest_first.len() >= WRITE_IDS_MAX)
        {
            self.seen.remove(name);
            self.oldest_first.pop_front();
        }
        let is_first = self.seen.insert((router, number));
        if is_first {
            self.oldest_first.push_back((now, (router, number)));
        }
        is_first
    }
}
