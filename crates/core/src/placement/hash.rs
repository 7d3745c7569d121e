//! Keys to slots, slots to shards. Frozen: clients may compute it, and every node must agree.
//!
//! `slot(key) = xxh3_64(key) mod 16384`. A slot belongs to the shard with the greatest weight, the lower id on a tie;
//! the weight is `xxh3_64` of six bytes: the slot as two little-endian bytes, then the shard id as four. Thaler and
//! Ravishankar, *Using Name-Based Mappings to Increase Hit Rates* (1998), call it rendezvous hashing.

use xxhash_rust::xxh3::xxh3_64;

use crate::id::ShardId;

/// Parts of the key space.
pub const SLOTS: u16 = 16_384;

/// The hash of a key, the basis of its slot and of the order in which syncs walk the table.
#[must_use]
pub fn key_hash(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// The slot of a key with this hash.
#[must_use]
pub fn slot_of_hash(hash: u64) -> u16 {
    u16::try_from(hash % u64::from(SLOTS)).expect("a remainder of 16,384 fits")
}

/// The shard that owns a slot, among `shards`; none if there are none.
#[must_use]
pub fn owner(slot: u16, shards: &[ShardId]) -> Option<ShardId> {
    place(slot, shards).map(|at| shards[at])
}

/// Where in `shards` the one stands that owns a slot; none if there are none.
#[must_use]
pub fn place(slot: u16, shards: &[ShardId]) -> Option<usize> {
    let weight = |shard: &ShardId| {
        let mut bytes = [0u8; 6];
        bytes[..2].copy_from_slice(&slot.to_le_bytes());
        bytes[2..].copy_from_slice(&shard.0.to_le_bytes());
        xxh3_64(&bytes)
    };
    let all = shards.iter().enumerate();
    all.max_by_key(|(_, shard)| (weight(shard), std::cmp::Reverse(**shard))).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(key_hash(b"user:1"), 0x3b57_7afd_7fed_9501);
        assert_eq!(slot_of_hash(key_hash(b"user:1")), 5377);
    }

    #[test]
    fn adding_a_shard_moves_slots_to_it_and_nowhere_else() {
        let three: Vec<_> = (1..=3).map(ShardId).collect();
        let four: Vec<_> = (1..=4).map(ShardId).collect();
        let mut moved = 0u32;
        for slot in 0..SLOTS {
            let (before, after) = (owner(slot, &three).unwrap(), owner(slot, &four).unwrap());
            if before != after {
                assert_eq!(after, ShardId(4));
                moved += 1;
            }
        }
        let share = f64::from(moved) / f64::from(SLOTS);
        assert!((share - 0.25).abs() < 0.02, "{share}");
    }
}
