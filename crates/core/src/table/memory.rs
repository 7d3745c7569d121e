//! What entries take in memory. It is counted, not measured: equal tables count the same wherever they lie, in the simulator too.

use crate::table::entry::Entry;
use crate::table::value::ValueRef;

/// A table's index for one entry: a pointer and a byte for each place, of which between a half and seven eighths are taken.
pub const INDEX_BYTES: usize = 16;

/// A tombstone's place in the order in which tombstones are collected, its key aside.
const GRAVE_BYTES: usize = 64;

/// Beyond this much the allocator gives memory page by page.
const STEP_MAX: usize = 4096;

/// What an allocation takes: general allocators keep blocks of few sizes, multiples of eight bytes for the smallest, four to a
/// doubling beyond.
#[must_use]
pub const fn allocated(bytes: usize) -> usize {
    if bytes <= 64 {
        return bytes.next_multiple_of(8);
    }
    let step = 1 << ((bytes - 1).ilog2() - 2);
    bytes.next_multiple_of(if step < STEP_MAX { step } else { STEP_MAX })
}

/// What a table takes for an entry with this key and value; without value it is a tombstone.
#[must_use]
pub fn needed_bytes(key: &[u8], value: Option<ValueRef<'_>>) -> usize {
    in_table(Entry::allocation_bytes(key, value), value.is_none().then_some(key.len()))
}

/// What a table takes for an entry.
#[must_use]
pub fn entry_bytes(entry: &Entry) -> usize {
    in_table(entry.own_bytes(), entry.is_tombstone().then(|| entry.key().len()))
}

/// What two tables that hold the same entry take once only.
#[must_use]
pub fn shared_bytes(entry: &Entry) -> u64 {
    allocated(entry.own_bytes()) as u64
}

/// `grave`: the length of the key of a tombstone.
fn in_table(entry: usize, grave: Option<usize>) -> usize {
    allocated(entry) + INDEX_BYTES + grave.map_or(0, |key| GRAVE_BYTES + allocated(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_come_in_few_sizes() {
        for (asked, given) in [
            (0, 0),
            (1, 8),
            (64, 64),
            (65, 80),
            (82, 96),
            (128, 128),
            (129, 160),
            (1024, 1024),
            (1025, 1280),
            (100_000, 102_400),
            (8_000_001, 8_003_584),
        ] {
            assert_eq!(allocated(asked), given, "{asked}");
        }
    }
}
