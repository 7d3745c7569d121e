//! The table: key → version and value. Lock-striped; readers run beside the node.

pub mod entry;
pub mod memory;
pub mod origins;
pub mod value;

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Slot;
use parking_lot::RwLock;
use xxhash_rust::xxh3::xxh3_64;

use crate::causality::version::Version;
use crate::planted::{self, Planted};
use crate::table::entry::Entry;
use crate::table::origins::Origins;

/// Stripes of each quarter of the hash space. A stripe's index doubles when it is full; of four widths, not all double at once: what
/// lies free in them is about the same at any number of keys, and so is what a write may have to wait for.
const STRIPES: [usize; 4] = [1024, 1218, 1448, 1722];

/// The first stripe of each quarter, and how many there are in all.
const FIRST_STRIPES: [usize; 5] = {
    let (mut firsts, mut quarter) = ([0; 5], 0);
    while quarter < STRIPES.len() {
        firsts[quarter + 1] = firsts[quarter] + STRIPES[quarter];
        quarter += 1;
    }
    firsts
};

/// Bits of a hash that say which quarter it is in.
const QUARTER_BITS: u32 = 2;
/// Bits of the place in the quarter that are looked at.
const PLACE_BITS: u32 = 32;

/// What an entry weighs in a walk besides its content.
const ENTRY_BYTES: usize = 64;

/// Entries that a walk may pass for each that it may bring: a few of those that are not wanted cost as much as one that is.
const PASSED_PER_ENTRY: usize = 4;

/// Key → newest version known. Stripes are cut from the key's placement hash, so a walk in hash order is the same for
/// every node; within a stripe the hash is seeded per process.
#[derive(Debug)]
pub struct Table {
    stripes: Box<[RwLock<HashTable<Entry>>]>,
    hasher: FixedState,
    /// Short names of the origins in entries, shared by all tables of the node.
    pub origins: Arc<Origins>,
    counts: Counts,
}

/// What a table holds. It changes with every write, so it has cache lines of its own, beside what readers read.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counts {
    live: AtomicU64,
    bytes: AtomicU64,
    memory: AtomicU64,
    tombstones: AtomicU64,
    digest: AtomicU64,
}

/// What [`Table::apply`] did.
#[derive(Debug)]
pub struct Applied {
    /// Whether the entry is now in the table.
    pub stored: bool,
    /// What was there before.
    pub previous: Option<Entry>,
}

/// Part of a walk: every entry whose key hash lies in `from..next`.
#[derive(Debug)]
pub struct Walk {
    /// The entries, by key hash.
    pub entries: Vec<Entry>,
    /// Where to go on; none at the end.
    pub next: Option<u64>,
}

/// How much one part of a walk may bring, about.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Entries. A part also ends when it has passed several times as many that nobody wants.
    pub entries_max: usize,
    /// Bytes of keys and values, and a little for each entry.
    pub bytes_max: usize,
}

impl Bounds {
    /// All of it.
    pub const NONE: Self = Self { entries_max: usize::MAX, bytes_max: usize::MAX };

    fn are_met(self, entries: usize, bytes: usize) -> bool {
        entries >= self.entries_max || bytes >= self.bytes_max
    }
}

impl Table {
    /// An empty table; `seed` guards against keys chosen to collide.
    #[must_use]
    pub fn new(seed: u64, origins: Arc<Origins>) -> Self {
        Self {
            stripes: (0..FIRST_STRIPES[4]).map(|_| RwLock::new(HashTable::new())).collect(),
            hasher: FixedState::with_seed(seed),
            origins,
            counts: Counts::default(),
        }
    }

    /// Live keys.
    #[must_use]
    pub fn live(&self) -> u64 {
        self.counts.live.load(Ordering::Relaxed)
    }

    /// Bytes of keys and values.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.counts.bytes.load(Ordering::Relaxed)
    }

    /// Bytes that it takes in memory, about.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.counts.memory.load(Ordering::Relaxed)
    }

    /// Tombstones.
    #[must_use]
    pub fn tombstones(&self) -> u64 {
        self.counts.tombstones.load(Ordering::Relaxed)
    }

    /// Sum of a hash over live entries: equal contents give equal digests, whatever the order they came in.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.counts.digest.load(Ordering::Relaxed)
    }

    /// The newest version of a key, a tombstone included.
    #[must_use]
    pub fn get(&self, key: &[u8], key_hash: u64) -> Option<Entry> {
        let stripe = self.stripe(key_hash).read();
        stripe.find(self.hasher.hash_one(key), |entry| entry.key() == key).cloned()
    }

    /// The version of an entry.
    #[must_use]
    pub fn version(&self, entry: &Entry) -> Version {
        Version { timestamp: entry.timestamp(), origin: self.origins.resolve(entry.origin()) }
    }

    /// Keeps the greater version: idempotent and independent of order.
    pub fn apply(&self, key_hash: u64, entry: Entry) -> Applied {
        let mut stripe = self.stripe(key_hash).write();
        let hash = self.hasher.hash_one(entry.key());
        match stripe.entry(hash, |other| other.key() == entry.key(), |other| self.hasher.hash_one(other.key())) {
            Slot::Occupied(mut slot) => {
                let held = slot.get();
                let stored = match entry.timestamp().cmp(&held.timestamp()) {
                    std::cmp::Ordering::Equal => {
                        self.version(&entry) > self.version(held) && !planted::is(Planted::TiesByReceiver)
                    }
                    order @ (std::cmp::Ordering::Less | std::cmp::Ordering::Greater) => order.is_gt(),
                };
                if !stored {
                    return Applied { stored, previous: Some(slot.get().clone()) };
                }
                self.count(Some(held), Some(&entry));
                let previous = std::mem::replace(slot.get_mut(), entry);
                Applied { stored, previous: Some(previous) }
            }
            Slot::Vacant(slot) => {
                self.count(None, Some(&entry));
                slot.insert(entry);
                Applied { stored: true, previous: None }
            }
        }
    }

    /// Removes a key if `condition` holds for what is there; tells whether it did.
    pub fn remove_if(&self, key: &[u8], key_hash: u64, condition: impl FnOnce(&Entry) -> bool) -> bool {
        let mut stripe = self.stripe(key_hash).write();
        match stripe.find_entry(self.hasher.hash_one(key), |entry| entry.key() == key) {
            Ok(slot) if condition(slot.get()) => {
                let (entry, _) = slot.remove();
                self.count(Some(&entry), None);
                true
            }
            Ok(_) | Err(_) => false,
        }
    }

    /// Walks the table in the order of key hashes from `from` on, up to about as much as `bounds` say; at least one hash is
    /// covered. A part ends with a stripe if another one might be too much, and in the middle of one that is too much by itself:
    /// it brings less than twice what `bounds` say, and one entry. Of what is passed only what `wanted` accepts, by its hash, is
    /// among the entries. What changes behind the walk is not seen.
    #[must_use]
    pub fn walk(&self, from: u64, bounds: Bounds, wanted: impl Fn(u64) -> bool) -> Walk {
        let mut entries: Vec<Entry> = Vec::new();
        let (mut bytes, mut passed) = (0usize, 0usize);
        for at in stripe_of(from)..self.stripes.len() {
            let stripe = self.stripes[at].read();
            passed = passed.saturating_add(stripe.len());
            let hashed = stripe.iter().map(|entry| (xxh3_64(entry.key()), entry));
            let mut found: Vec<(u64, &Entry)> = hashed.filter(|(hash, _)| *hash >= from && wanted(*hash)).collect();
            found.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.key().cmp(b.1.key())));
            let (before, mut last) = ((entries.len(), bytes), None);
            for (hash, entry) in found {
                let here = (entries.len() - before.0, bytes - before.1);
                if last != Some(hash) && !entries.is_empty() && bounds.are_met(here.0, here.1) {
                    return Walk { entries, next: Some(hash) };
                }
                bytes = bytes.saturating_add(entry.content_bytes() + ENTRY_BYTES);
                last = Some(hash);
                entries.push(entry.clone());
            }
            // Whoever goes on in the middle of a stripe has to look through all of it again. The next one may be like this one.
            let enough = bounds.are_met(2 * entries.len() - before.0, bytes.saturating_mul(2) - before.1)
                || passed >= bounds.entries_max.saturating_mul(PASSED_PER_ENTRY);
            if at + 1 < self.stripes.len() && enough {
                return Walk { entries, next: Some(first_hash_of(at + 1)) };
            }
        }
        Walk { entries, next: None }
    }

    /// Every entry whose key hash lies in `from..to`, to the end if none.
    #[must_use]
    pub fn range(&self, from: u64, to: Option<u64>) -> Vec<Entry> {
        let last = to.map_or(self.stripes.len() - 1, stripe_of);
        let mut entries = Vec::new();
        for stripe in &self.stripes[stripe_of(from)..=last] {
            let within = |entry: &&Entry| {
                let hash = xxh3_64(entry.key());
                hash >= from && to.is_none_or(|to| hash < to)
            };
            entries.extend(stripe.read().iter().filter(within).cloned());
        }
        entries
    }

    fn stripe(&self, key_hash: u64) -> &RwLock<HashTable<Entry>> {
        &self.stripes[stripe_of(key_hash)]
    }

    /// An entry has gone, and another come. What both have is not touched: each counter costs more than the sums.
    fn count(&self, gone: Option<&Entry>, come: Option<&Entry>) {
        let weigh = |entry: Option<&Entry>| entry.map_or([0; 5], |entry| self.weigh(entry));
        let counts = &self.counts;
        let counters = [&counts.live, &counts.bytes, &counts.memory, &counts.tombstones, &counts.digest];
        for ((counter, gone), come) in counters.into_iter().zip(weigh(gone)).zip(weigh(come)) {
            if come != gone {
                counter.fetch_add(come.wrapping_sub(gone), Ordering::Relaxed);
            }
        }
    }

    /// What an entry adds to each of the counts.
    fn weigh(&self, entry: &Entry) -> [u64; 5] {
        let (bytes, memory) = (entry.content_bytes() as u64, memory::entry_bytes(entry) as u64);
        if entry.is_tombstone() {
            return [0, bytes, memory, 1, 0];
        }
        let origin = self.origins.resolve(entry.origin());
        let mix = xxh3_64(entry.key())
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(entry.timestamp().0.wrapping_mul(0xc2b2_ae3d_27d4_eb4f))
            .wrapping_add(origin.node.0 ^ origin.start.0);
        let mix = (mix ^ (mix >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        [1, bytes, memory, 0, mix]
    }
}

fn stripe_of(key_hash: u64) -> usize {
    let quarter = (key_hash >> (u64::BITS - QUARTER_BITS)) as usize;
    let place = (key_hash << QUARTER_BITS) >> (u64::BITS - PLACE_BITS);
    FIRST_STRIPES[quarter] + ((place * STRIPES[quarter] as u64) >> PLACE_BITS) as usize
}

/// The least hash in a stripe.
fn first_hash_of(stripe: usize) -> u64 {
    let quarter = FIRST_STRIPES.partition_point(|first| *first <= stripe) - 1;
    let place = (((stripe - FIRST_STRIPES[quarter]) as u64) << PLACE_BITS).div_ceil(STRIPES[quarter] as u64);
    (quarter as u64) << (u64::BITS - QUARTER_BITS) | place << (u64::BITS - QUARTER_BITS - PLACE_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::causality::hlc::Timestamp;
    use crate::id::{NodeId, Origin, ViewId};
    use crate::placement::hash::key_hash;
    use crate::table::value::ValueRef;
    use proptest::prelude::*;

    fn origin(node: u64) -> Origin {
        let view = ViewId { epoch: 0, activation: Timestamp::ZERO, coordinator: NodeId(0) };
        Origin { view, node: NodeId(node), start: Timestamp(1) }
    }

    fn table(seed: u64) -> Table {
        Table::new(seed, Arc::default())
    }

    fn apply(table: &Table, key: &[u8], timestamp: u64, node: u64, value: Option<&[u8]>) -> bool {
        let origin = table.origins.intern(&origin(node));
        let value = value.map(|bytes| ValueRef { content_type: None, bytes });
        table.apply(key_hash(key), Entry::new(key, Timestamp(timestamp), origin, value)).stored
    }

    fn contents(table: &Table) -> Vec<(Vec<u8>, Version, Option<Vec<u8>>)> {
        let walk = table.walk(0, Bounds::NONE, |_| true);
        assert!(walk.next.is_none());
        walk.entries.iter().map(|e| (e.key().to_vec(), table.version(e), e.value().map(|v| v.bytes.to_vec()))).collect()
    }

    #[test]
    fn the_greater_version_stays() {
        let table = table(1);
        assert!(apply(&table, b"k", 5, 1, Some(b"a")));
        assert!(!apply(&table, b"k", 4, 9, Some(b"b")));
        assert!(!apply(&table, b"k", 5, 1, Some(b"a")));
        assert!(apply(&table, b"k", 5, 2, None));
        assert_eq!((table.live(), table.tombstones(), table.digest()), (0, 1, 0));
        assert!(table.memory_bytes() > 0);
        assert!(table.remove_if(b"k", key_hash(b"k"), Entry::is_tombstone));
        assert_eq!((table.tombstones(), table.bytes(), table.memory_bytes()), (0, 0, 0));
    }

    #[test]
    fn stripes_are_in_the_order_of_hashes_and_leave_nothing_out() {
        assert_eq!((stripe_of(0), stripe_of(u64::MAX)), (0, FIRST_STRIPES[4] - 1));
        for stripe in 1..FIRST_STRIPES[4] {
            let first = first_hash_of(stripe);
            assert_eq!((stripe_of(first - 1), stripe_of(first)), (stripe - 1, stripe));
        }
    }

    #[test]
    fn a_walk_in_chunks_meets_every_key_once() {
        let table = table(1);
        for at in 0..5000u32 {
            apply(&table, &at.to_be_bytes(), 5, 1, Some(b"value"));
        }
        let (mut from, mut met) = (Some(0), Vec::new());
        while let Some(at) = from {
            let walk = table.walk(at, Bounds { entries_max: 7, ..Bounds::NONE }, |_| true);
            met.extend(walk.entries.iter().map(|entry| entry.key().to_vec()));
            from = walk.next;
        }
        assert_eq!(met.len(), 5000);
        met.sort();
        met.dedup();
        assert_eq!(met.len(), 5000);
    }

    #[test]
    fn a_part_of_a_walk_ends_with_a_stripe_or_in_a_large_one() {
        let parts = |table: &Table, entries_max| {
            let (mut from, mut parts) = (Some(0), Vec::new());
            while let Some(at) = from {
                let walk = table.walk(at, Bounds { entries_max, ..Bounds::NONE }, |_| true);
                from = walk.next;
                parts.push((walk.entries.len(), from.is_none_or(|next| next == first_hash_of(stripe_of(next)))));
            }
            parts
        };
        let small = table(1);
        (0..5000u32).for_each(|at| assert!(apply(&small, &at.to_be_bytes(), 5, 1, None)));
        let parts_of_small = parts(&small, 100);
        assert!(parts_of_small.iter().all(|(entries, is_whole)| *entries < 110 && *is_whole), "{parts_of_small:?}");
        let large = table(1);
        let same = (0u32..).filter(|at| stripe_of(key_hash(&at.to_be_bytes())) == 0);
        same.take(20).for_each(|at| assert!(apply(&large, &at.to_be_bytes(), 5, 1, None)));
        let parts_of_large = parts(&large, 7);
        assert_eq!(parts_of_large.iter().map(|part| part.0).take(3).collect::<Vec<_>>(), [7, 7, 6]);
        assert!(!parts_of_large[0].1 && parts_of_large[2].1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn any_order_and_duplication_gives_one_table(
            writes in prop::collection::vec((0u8..4, 1u64..6, 0u64..3, any::<bool>()), 0..12),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..24),
        ) {
            let (a, b) = (table(1), table(2));
            let put = |table: &Table, &(key, timestamp, node, tombstone): &(u8, u64, u64, bool)| {
                // A dot names one write: whether it is a delete follows from it.
                let tombstone = tombstone && (timestamp + node) % 2 == 0;
                let value = [u8::try_from(timestamp).unwrap(), u8::try_from(node).unwrap()];
                let delete = tombstone || (timestamp * 3 + node) % 5 == 0;
                let delete = delete && (timestamp * 3 + node) % 5 == 0;
                apply(table, &[key], timestamp, node, if delete { None } else { Some(&value) });
            };
            for write in &writes {
                put(&a, write);
            }
            if !writes.is_empty() {
                for index in &order {
                    put(&b, &writes[index.index(writes.len())]);
                }
            }
            for write in writes.iter().rev() {
                put(&b, write);
            }
            prop_assert_eq!(contents(&a), contents(&b));
            prop_assert_eq!(a.digest(), b.digest());
        }
    }
}
