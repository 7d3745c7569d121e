//! Version vectors: for each origin, "all of its writes up to and including this timestamp".

use serde::{Deserialize, Serialize};

use crate::causality::hlc::Timestamp;
use crate::causality::version::Version;
use crate::id::Origin;

/// How two vectors or contexts stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Causality {
    /// Everything here is there, and there is more there.
    Before,
    /// Everything there is here, and there is more here.
    After,
    /// The same.
    Equal,
    /// Each has something that the other lacks.
    Concurrent,
}

/// Map from origin to timestamp, sorted by origin. An absent entry reads as 0.
///
/// Parker et al., *Detection of Mutual Inconsistency in Distributed Systems* (1983). Merging is the entry-wise
/// maximum: commutative, associative, idempotent.
#[derive(Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "Wire")]
pub struct VersionVector {
    entries: Vec<(Origin, Timestamp)>,
}

/// A vector as it comes from a peer: whatever reads it relies on its order, so that is checked first.
#[derive(Deserialize)]
#[serde(rename = "VersionVector")]
struct Wire {
    entries: Vec<(Origin, Timestamp)>,
}

impl TryFrom<Wire> for VersionVector {
    type Error = &'static str;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        match wire.entries.is_sorted_by(|one, next| one.0 < next.0) {
            true => Ok(Self { entries: wire.entries }),
            false => Err("a version vector whose entries are not in the order of their origins"),
        }
    }
}

impl Clone for VersionVector {
    fn clone(&self) -> Self {
        Self { entries: self.entries.clone() }
    }

    // Keeps the allocation: the vector is published to readers after every write.
    fn clone_from(&mut self, source: &Self) {
        self.entries.clone_from(&source.entries);
    }
}

impl VersionVector {
    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry of `origin`, or zero.
    #[must_use]
    pub fn get(&self, origin: &Origin) -> Timestamp {
        match self.position(origin) {
            Ok(at) => self.entries[at].1,
            Err(_) => Timestamp::ZERO,
        }
    }

    /// Whether the write is among those that the vector names.
    #[must_use]
    pub fn covers(&self, version: &Version) -> bool {
        self.get(&version.origin) >= version.timestamp
    }

    /// Raises the entry of `origin` to at least `timestamp`; tells whether it rose.
    pub fn advance(&mut self, origin: Origin, timestamp: Timestamp) -> bool {
        match self.position(&origin) {
            Ok(at) if self.entries[at].1 < timestamp => self.entries[at].1 = timestamp,
            Ok(_) => return false,
            Err(at) => self.entries.insert(at, (origin, timestamp)),
        }
        true
    }

    /// Entry-wise maximum.
    pub fn merge(&mut self, other: &Self) {
        for &(origin, timestamp) in &other.entries {
            self.advance(origin, timestamp);
        }
    }

    /// Keeps the entries for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&Origin, Timestamp) -> bool) {
        self.entries.retain(|(origin, timestamp)| keep(origin, *timestamp));
    }

    /// The entries, by origin.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Origin, Timestamp)> + Clone {
        self.entries.iter().map(|(origin, timestamp)| (origin, *timestamp))
    }

    /// The greatest timestamp, zero if empty.
    #[must_use]
    pub fn greatest(&self) -> Timestamp {
        self.entries.iter().map(|entry| entry.1).max().unwrap_or_default()
    }

    /// How `self` stands to `other`.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Causality {
        let ahead = self.entries.iter().any(|(origin, timestamp)| *timestamp > other.get(origin));
        let behind = other.entries.iter().any(|(origin, timestamp)| *timestamp > self.get(origin));
        match (ahead, behind) {
            (false, false) => Causality::Equal,
            (true, false) => Causality::After,
            (false, true) => Causality::Before,
            (true, true) => Causality::Concurrent,
        }
    }

    fn position(&self, origin: &Origin) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| entry.0.cmp(origin))
    }
}

impl FromIterator<(Origin, Timestamp)> for VersionVector {
    fn from_iter<I: IntoIterator<Item = (Origin, Timestamp)>>(entries: I) -> Self {
        let mut entries: Vec<(Origin, Timestamp)> = entries.into_iter().collect();
        entries.sort_unstable();
        entries.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = next.1;
            }
            same
        });
        Self { entries }
    }
}
