//! The causal context: what a client carries from response to request.

use serde::{Deserialize, Serialize};

use crate::causality::hlc::Timestamp;
use crate::causality::version::Version;
use crate::causality::version_vector::VersionVector;
use crate::id::{Origin, ViewId};
use crate::planted::{self, Planted};

/// Everything that a client has seen, as far as it may not be everywhere yet.
///
/// Meaning: the client's causal past is contained in "every write at or below `stable`" together with, for each entry
/// `(o, t)`, the write `(o, t)` itself and what it depends on. The dependencies of a write are a context too.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Context {
    /// The greatest view id of any node that the client has met.
    pub view: Option<ViewId>,
    /// Everything that was left out of this context lies at or below it.
    pub stable: Timestamp,
    /// What may not be everywhere yet.
    pub entries: VersionVector,
}

impl Context {
    /// A context with neither `stable` nor entries forbids nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stable == Timestamp::ZERO && self.entries.is_empty()
    }

    /// Union: entry-wise maximum, the greatest view, the greatest `stable`. An entry is never dropped for lying below
    /// the merged `stable`. Commutative, associative, idempotent.
    pub fn merge(&mut self, other: &Self) {
        self.view = self.view.max(other.view);
        self.stable = self.stable.max(other.stable);
        self.entries.merge(&other.entries);
    }

    /// Adds one write.
    pub fn add(&mut self, version: &Version) {
        self.entries.advance(version.origin, version.timestamp);
    }

    /// Notes that something at or below `timestamp` was left out.
    pub fn leave_out(&mut self, timestamp: Timestamp) {
        self.stable = self.stable.max(timestamp);
    }

    /// Drops the entries at or below the cluster's stable timestamp, and only those: they are on every replica of their shards.
    /// `stable` rises to the greatest that was dropped (design 5.2, 5.3).
    pub fn prune(&mut self, cluster_stable: Timestamp) {
        let mut dropped = Timestamp::ZERO;
        self.entries.retain(|_, timestamp| {
            let keep = timestamp > cluster_stable;
            if !keep {
                dropped = dropped.max(timestamp);
            }
            keep
        });
        self.leave_out(dropped);
    }

    /// Keeps what has room among so many entries: all of it, else what was `asked` with, else nothing. `stable` stands for the rest:
    /// coarser, still correct (ADR 13).
    pub fn bound(&mut self, asked: &Self, entries_max: usize) {
        if self.entries.len() <= entries_max {
            return;
        }
        let kept = match asked.entries.len() <= entries_max {
            true => asked.entries.clone(),
            false => VersionVector::default(),
        };
        let is_left_out = |(origin, timestamp): &(&Origin, Timestamp)| *timestamp > kept.get(origin);
        let greatest = self.entries.iter().filter(is_left_out).map(|(_, timestamp)| timestamp).max();
        if !planted::is(Planted::LeftOutUntold) {
            self.leave_out(greatest.unwrap_or_default());
        }
        self.entries = kept;
    }

    /// The greatest timestamp named.
    #[must_use]
    pub fn greatest(&self) -> Timestamp {
        self.entries.greatest().max(self.stable)
    }
}
