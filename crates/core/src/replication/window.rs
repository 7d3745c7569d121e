//! The window: the writes not yet known to be on every replica of everything they depend on (design 6.3).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use crate::causality::context::Context;
use crate::causality::hlc::Timestamp;
use crate::causality::version::Version;
use crate::id::Origin;
use crate::limits::CONTEXT_ENTRIES_MAX;
use crate::planted::{self, Planted};
use crate::replication::names::Naming;
use crate::table::entry::Entry as TableEntry;
use crate::wire::message::WriteId;

const ENTRY_OVERHEAD_BYTES: usize = 160;
pub(super) const CONTEXT_ENTRY_BYTES: usize = 48;

/// A recent write.
#[derive(Debug, Clone)]
pub struct WindowWrite {
    /// Key and value; shared with the table.
    pub entry: TableEntry,
    /// The context it was made with.
    pub dependencies: Arc<Context>,
    /// Its name across tries.
    pub write_id: Option<WriteId>,
    /// Its client's name for it. In a place of its own: few writes have one.
    pub named: Option<Box<Naming>>,
}

impl WindowWrite {
    /// Bytes that it takes, dependencies included, here and about as many in messages.
    pub(super) fn bytes(&self) -> usize {
        self.entry.content_bytes() + ENTRY_OVERHEAD_BYTES + self.dependencies.entries.len() * CONTEXT_ENTRY_BYTES
    }
}

/// Recent writes per origin, in timestamp order, bounded in bytes.
///
/// Invariant: every version in the table that lies above the stable timestamp has its dependencies here, or lies at or
/// below `floor_at` and has them in `floor`.
#[derive(Debug, Default)]
pub struct Window {
    writes: BTreeMap<Origin, BTreeMap<Timestamp, WindowWrite>>,
    bytes: usize,
    count: usize,
    floor: Context,
    floor_at: Timestamp,
    left: BTreeMap<Origin, Timestamp>,
    /// The stable timestamp that it was last settled to.
    settled: Timestamp,
}

impl Window {
    /// Writes held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether no write is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes held, dependencies included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The merged dependencies of what left early, and the timestamp up to which they stand for versions.
    #[must_use]
    pub fn floor(&self) -> (&Context, Timestamp) {
        (&self.floor, self.floor_at)
    }

    /// The greatest timestamp of an origin that has left the window: its stream cannot be repeated from before it.
    #[must_use]
    pub fn left(&self, origin: &Origin) -> Timestamp {
        self.left.get(origin).copied().unwrap_or_default()
    }

    /// Adds a write; a copy of one that is held already changes nothing, and what is stable leaves at once.
    pub fn insert(&mut self, origin: Origin, write: WindowWrite) {
        if write.entry.timestamp() <= self.settled {
            self.note_left(origin, write.entry.timestamp());
            return;
        }
        if let Entry::Vacant(place) = self.writes.entry(origin).or_default().entry(write.entry.timestamp()) {
            self.bytes += write.bytes();
            self.count += 1;
            place.insert(write);
        }
    }

    /// A write by its dot.
    #[must_use]
    pub fn get(&self, version: &Version) -> Option<&WindowWrite> {
        self.writes.get(&version.origin)?.get(&version.timestamp)
    }

    /// The writes of an origin after a timestamp, in order.
    pub fn after(&self, origin: &Origin, timestamp: Timestamp) -> impl Iterator<Item = &WindowWrite> {
        self.writes
            .get(origin)
            .into_iter()
            .flat_map(move |writes| writes.range(timestamp.next()..).map(|(_, write)| write))
    }

    /// Takes over the floor of a sync's source.
    pub fn merge_floor(&mut self, floor: &Context, at: Timestamp) {
        self.floor.merge(floor);
        self.floor.bound(&Context::default(), CONTEXT_ENTRIES_MAX);
        self.floor_at = self.floor_at.max(at);
    }

    /// The dependencies of a version that lies above the stable timestamp.
    #[must_use]
    pub fn dependencies(&self, version: &Version) -> Context {
        let mut context = self.get(version).map(|write| (*write.dependencies).clone()).unwrap_or_default();
        if version.timestamp <= self.floor_at {
            context.merge(&self.floor);
        }
        context
    }

    /// Drops what the stable timestamp has passed; its dependencies are below it too (design 4.3).
    pub fn settle(&mut self, stable: Timestamp) {
        for (origin, writes) in &mut self.writes {
            while let Some(first) = writes.first_entry() {
                if *first.key() > stable {
                    break;
                }
                let (timestamp, write) = first.remove_entry();
                self.bytes -= write.bytes();
                self.count -= 1;
                let left = self.left.entry(*origin).or_default();
                *left = (*left).max(timestamp);
            }
        }
        self.settled = self.settled.max(stable);
        if self.floor_at <= stable {
            self.floor = Context::default();
            self.floor_at = Timestamp::ZERO;
        }
    }

    /// Makes the oldest writes leave until at most `bytes_max` are held; tells how many left. Their dependencies go to
    /// the floor: coarser, still correct, bounded as a context is.
    pub fn evict(&mut self, bytes_max: usize) -> u64 {
        let mut evicted = 0;
        while self.bytes > bytes_max {
            let oldest = self
                .writes
                .iter()
                .filter_map(|(origin, writes)| writes.first_key_value().map(|(timestamp, _)| (*timestamp, *origin)))
                .min();
            let Some((timestamp, origin)) = oldest else { break };
            let writes = self.writes.get_mut(&origin).expect("it was just found");
            let write = writes.remove(&timestamp).expect("it was just found");
            self.bytes -= write.bytes();
            self.count -= 1;
            if !planted::is(Planted::FloorForgotten) {
                self.floor.merge(&write.dependencies);
                self.floor.bound(&Context::default(), CONTEXT_ENTRIES_MAX);
            }
            self.floor_at = self.floor_at.max(timestamp);
            self.note_left(origin, timestamp);
            evicted += 1;
        }
        evicted
    }

    fn note_left(&mut self, origin: Origin, timestamp: Timestamp) {
        let left = self.left.entry(origin).or_default();
        *left = (*left).max(timestamp);
    }

    /// Forgets how far origins that are no more have left the window.
    pub fn forget(&mut self, is_over: impl Fn(&Origin) -> bool) {
        self.left.retain(|origin, _| !is_over(origin));
        self.writes.retain(|origin, writes| !writes.is_empty() || !is_over(origin));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::causality::version_vector::VersionVector;
    use crate::id::{NodeId, ViewId};
    use crate::table::origins::OriginRef;

    /// ADR 13.
    #[test]
    fn a_floor_has_no_more_entries_than_a_context_and_stands_for_all_that_left() {
        let view = ViewId { epoch: 0, activation: Timestamp::ZERO, coordinator: NodeId(0) };
        let origin = |node| Origin { view, node: NodeId(node), start: Timestamp(1) };
        let mut window = Window::default();
        let mut greatest = Timestamp::ZERO;
        for at in 0..3u64 {
            let mut entries = VersionVector::default();
            for node in 0..3_000 {
                greatest = Timestamp(at * 3_000 + node + 1);
                entries.advance(origin(at * 3_000 + node), greatest);
            }
            let entry = TableEntry::new(b"k", Timestamp(10_000 + at), OriginRef::default(), None);
            let dependencies = Arc::new(Context { entries, ..Context::default() });
            window.insert(origin(0), WindowWrite { entry, dependencies, write_id: None, named: None });
        }
        assert_eq!(window.evict(0), 3);
        let (floor, at) = window.floor();
        assert!(floor.entries.len() <= CONTEXT_ENTRIES_MAX, "{}", floor.entries.len());
        assert_eq!(at, Timestamp(10_002));
        assert_eq!(floor.greatest(), greatest);
        let is_covered = |node| floor.stable > Timestamp(node) || floor.entries.get(&origin(node)) > Timestamp(node);
        assert!((0..9_000).all(is_covered));
    }
}
