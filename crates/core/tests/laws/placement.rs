//! Placement is frozen: clients compute it too, and every node must agree. The numbers here come from the published vectors
//! and from a second implementation of the specification.

use std::collections::BTreeSet;

use precede_core::id::ShardId;
use precede_core::placement::hash::{SLOTS, key_hash, owner, slot_of_hash};
use proptest::prelude::*;

/// The published vectors of XXH3, 64 bits, seed 0: length of the input and hash. They cover every branch of the function.
const PUBLISHED: [(usize, u64); 13] = [
    (0, 0x2d06_8005_38d3_94c2),
    (1, 0xc44b_dff4_074e_ecdb),
    (6, 0x27b5_6a84_cd2d_7325),
    (12, 0xa713_daf0_dfbb_77e7),
    (24, 0xa3fe_70bf_9d35_10eb),
    (48, 0x397d_a259_ecba_1f11),
    (80, 0xbcde_fbbb_2c47_c90a),
    (195, 0xcd94_217e_e362_ec3a),
    (403, 0xcdeb_804d_65c6_dea4),
    (512, 0x617e_4959_9013_cb6b),
    (2048, 0xdd59_e2c3_a5f0_38e0),
    (2240, 0x6e73_a905_39cf_2948),
    (2367, 0xcb37_aeb9_e5d3_61ed),
];

/// The input that the published vectors are taken over.
fn published_input(len: usize) -> Vec<u8> {
    let mut state: u64 = 2_654_435_761;
    let mut next = || {
        let byte = state.to_be_bytes()[0];
        state = state.wrapping_mul(11_400_714_785_074_694_797);
        byte
    };
    (0..len).map(|_| next()).collect()
}

fn owners(shards: &[u32]) -> Vec<u32> {
    let shards: Vec<_> = shards.iter().copied().map(ShardId).collect();
    (0..SLOTS).map(|slot| owner(slot, &shards).unwrap().0).collect()
}

fn share(owners: &[u32], shard: u32) -> usize {
    owners.iter().filter(|owner| **owner == shard).count()
}

#[test]
fn the_hash_is_the_published_one() {
    for (len, hash) in PUBLISHED {
        assert_eq!(key_hash(&published_input(len)), hash, "{len} bytes");
    }
}

#[test]
fn keys_lie_in_their_pinned_slots() {
    let long = "x".repeat(1024);
    for (key, hash, slot) in [
        ("", 0x2d06_8005_38d3_94c2, 5314),
        ("user:1", 0x3b57_7afd_7fed_9501, 5377),
        ("user:2", 0x69a0_366b_760b_5c02, 7170),
        ("ä", 0x5430_6467_6a70_b4b4, 13492),
        ("a/b/c", 0x2aa9_2102_1e82_2567, 9575),
        (&long, 0xfc56_a7ce_85b3_164a, 5706),
    ] {
        assert_eq!((key_hash(key.as_bytes()), slot_of_hash(key_hash(key.as_bytes()))), (hash, slot), "{key}");
    }
}

#[test]
fn slots_lie_at_their_pinned_shards() {
    // For each set of shards: the owners of the first twelve slots, and a hash over the owners of all, each as four
    // little-endian bytes.
    let eight: Vec<u32> = (1..=8).collect();
    for (shards, first, all) in [
        (&eight[..1], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], 0x7466_c664_ee00_0979),
        (&eight[..2], [1, 2, 1, 1, 2, 2, 2, 1, 2, 2, 1, 2], 0xb10e_e498_1a8b_ea06),
        (&eight[..3], [3, 2, 3, 1, 2, 2, 2, 3, 3, 2, 1, 3], 0x869a_71de_70ef_cf77),
        (&eight[..5], [3, 4, 4, 1, 5, 2, 5, 3, 3, 4, 1, 3], 0x3d76_e2cc_ca25_72cb),
        (&eight[..], [3, 7, 4, 1, 5, 2, 5, 3, 3, 4, 8, 6], 0x134d_3911_7917_f940),
        (&[2, 5, 7], [5, 7, 7, 2, 5, 2, 5, 5, 2, 2, 7, 2], 0x3329_f25c_c96f_35d6),
    ] {
        let owners = owners(shards);
        assert_eq!(owners[..12], first, "{shards:?}");
        let bytes: Vec<u8> = owners.iter().flat_map(|owner| owner.to_le_bytes()).collect();
        assert_eq!(key_hash(&bytes), all, "{shards:?}");
    }
    assert_eq!(owner(0, &[]), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Adding a shard to S moves 1/(S+1) of the slots, all to the new one; taking it away again moves only its own.
    #[test]
    fn a_shard_that_comes_or_goes_moves_only_its_own(
        ids in prop::collection::btree_set(1u32..200, 2..9),
        chosen in any::<prop::sample::Index>(),
    ) {
        let with: Vec<u32> = ids.iter().copied().collect();
        let changed = with[chosen.index(with.len())];
        let without: Vec<u32> = with.iter().copied().filter(|id| *id != changed).collect();
        let (many, few) = (owners(&with), owners(&without));
        let moved: BTreeSet<u32> =
            many.iter().zip(&few).filter(|(one, other)| one != other).map(|(one, _)| *one).collect();
        prop_assert_eq!(moved, BTreeSet::from([changed]));
        let expected = usize::from(SLOTS) / with.len();
        // Six standard deviations at two shards; more at eight.
        prop_assert!(share(&many, changed).abs_diff(expected) < 384, "{} of {}", share(&many, changed), expected);
    }

    #[test]
    fn the_order_of_the_shards_does_not_matter(ids in prop::collection::btree_set(1u32..200, 1..9)) {
        let ids: Vec<u32> = ids.into_iter().collect();
        let reversed: Vec<u32> = ids.iter().rev().copied().collect();
        prop_assert_eq!(owners(&ids), owners(&reversed));
    }
}
