//! Where a key lives: its slot, and the shard that a slot belongs to. Fixed by the protocol.
//!
//! The client computes it only to ask the right node first. A wrong guess costs a hop, nothing else.

use xxhash_rust::xxh3::xxh3_64;

/// The number of slots, the fixed parts of the key space.
pub const SLOTS: u16 = 16_384;

/// The slot of a key: `xxh3_64` of its bytes, modulo [`SLOTS`].
pub fn slot(key: &[u8]) -> u16 {
    u16::try_from(xxh3_64(key) % u64::from(SLOTS)).expect("a remainder of 16384 fits 16 bits")
}

/// The index, in `shard_ids`, of the shard that a slot belongs to: the one of greatest weight, the lower id among
/// equals (rendezvous hashing). `None` if there are no shards.
pub(crate) fn place(slot: u16, shard_ids: impl Iterator<Item = u32>) -> Option<usize> {
    shard_ids.enumerate().max_by_key(|&(_, id)| (weight(slot, id), std::cmp::Reverse(id))).map(|(index, _)| index)
}

/// `xxh3_64` of six bytes: the slot as little-endian 16 bits, then the shard's id as little-endian 32 bits.
fn weight(slot: u16, shard_id: u32) -> u64 {
    let mut input = [0; 6];
    input[..2].copy_from_slice(&slot.to_le_bytes());
    input[2..].copy_from_slice(&shard_id.to_le_bytes());
    xxh3_64(&input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_pinned() {
        assert_eq!(xxh3_64(b"user:1"), 0x3b57_7afd_7fed_9501);
        assert_eq!(slot(b"user:1"), 0x1501);
        assert_eq!(slot(b""), 0x14c2);
    }

    #[test]
    fn weights_are_pinned() {
        // By the reference implementation of XXH3, over struct.pack("<HI", slot, shard_id).
        assert_eq!(weight(0, 1), 0xeb80_3813_96a0_3037);
        assert_eq!(weight(1, 1), 0x8556_55ec_0c17_358f);
        assert_eq!(weight(0, 2), 0xb5c9_123f_3528_6b32);
        assert_eq!(weight(0x1501, 1), 0xd6cd_cb39_d1c7_376d);
        assert_eq!(weight(16_383, 70_000), 0x126c_52c1_4a23_7596);
    }

    #[test]
    fn shards_are_pinned() {
        let index = |key: &str| place(slot(key.as_bytes()), 1..=4);
        let shards = ["user:1", "user:2", "user:3", "", "ä/b"].map(|key| index(key).unwrap() + 1);
        assert_eq!(shards, [4, 2, 4, 2, 2]);
    }

    #[test]
    fn the_order_of_shards_does_not_matter_and_none_means_none() {
        for slot in 0..SLOTS {
            let forth = [1, 2, 7][place(slot, [1, 2, 7].into_iter()).unwrap()];
            let back = [7, 2, 1][place(slot, [7, 2, 1].into_iter()).unwrap()];
            assert_eq!(forth, back);
        }
        assert_eq!(place(0, std::iter::empty()), None);
    }

    #[test]
    fn a_new_shard_takes_its_share_and_moves_nothing_else() {
        let mut moved = 0;
        for slot in 0..SLOTS {
            let before = place(slot, 1..=4).unwrap();
            let after = place(slot, 1..=5).unwrap();
            if before != after {
                assert_eq!(after, 4);
                moved += 1;
            }
        }
        let fair = u32::from(SLOTS) / 5;
        assert!((fair - fair / 10..=fair + fair / 10).contains(&moved), "{moved} of {SLOTS} slots moved");
    }
}
