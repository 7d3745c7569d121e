//! The assignment of members to shards in a new view (design 3.1): balanced, stable, and close to the least that can move.

use std::collections::{BTreeMap, BTreeSet};

use precede_core::causality::hlc::Timestamp;
use precede_core::id::{Address, NodeId, ShardId, ViewId};
use precede_core::placement::hash::{SLOTS, owner};
use precede_core::placement::view::{Shard, View, ViewError, ViewRecord};
use precede_core::view_change::plan;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::Index;

/// As many shards as brute force can bear: one for each of twelve members.
const SHARDS_MAX: usize = 12;

/// What is asked for: members, by number, and the replication factor.
type Asked = (BTreeSet<u8>, usize);

fn address(at: u8) -> Address {
    Address::parse(&format!("10.0.0.{at}:80"), None).unwrap()
}

fn addresses(members: &BTreeSet<u8>) -> Vec<Address> {
    members.iter().map(|at| address(*at)).collect()
}

/// Members of one cluster, and a factor that they can hold.
fn asked(members_max: usize) -> impl Strategy<Value = Asked> {
    (btree_set(0..16u8, 1..=members_max), any::<Index>())
        .prop_map(|(members, factor)| (members.clone(), 1 + factor.index(members.len().min(4))))
}

/// The view that follows `old` when members and factor are asked for.
fn next(old: &View, (members, factor): &Asked) -> View {
    let (shards, last_shard) = plan::assign(old, &addresses(members), *factor).unwrap();
    let id = ViewId { epoch: old.id.epoch + 1, activation: Timestamp(1), coordinator: NodeId(1) };
    let repl_factor = u32::try_from(*factor).unwrap();
    View::from_record(ViewRecord { id, repl_factor, shards, last_shard, ..old.record().clone() }).unwrap()
}

fn bootstrap((members, factor): &Asked) -> View {
    View::bootstrap(&addresses(members), *factor).unwrap()
}

/// Every way to choose `count` of these.
fn choices(ids: &[ShardId], count: usize) -> Vec<Vec<ShardId>> {
    match (ids.split_first(), count) {
        (_, 0) => vec![Vec::new()],
        (None, _) => Vec::new(),
        (Some((first, rest)), _) => {
            let mut with = choices(rest, count - 1);
            with.iter_mut().for_each(|chosen| chosen.insert(0, *first));
            with.extend(choices(rest, count));
            with
        }
    }
}

/// The least number of slots that any balanced assignment copies: over every choice of the shards that live on, and every
/// way to seat the members, one member after the other, by how many seats of each shard are taken.
fn least_moved(old: &View, (members, factor): &Asked) -> usize {
    let count = members.len() / factor;
    let (base, extra) = (members.len() / count, members.len() % count);
    let old_ids: Vec<ShardId> = old.shards().iter().map(|shard| shard.id).collect();
    let fresh = (old.record().last_shard.0 + 1..).map(ShardId).take(count.saturating_sub(old_ids.len()));
    let fresh: Vec<ShardId> = fresh.collect();
    let old_owners: Vec<ShardId> = (0..SLOTS).map(|slot| owner(slot, &old_ids).unwrap()).collect();
    let mut least = usize::MAX;
    for mut ids in choices(&old_ids, count.min(old_ids.len())) {
        ids.extend(&fresh);
        let mut shared: BTreeMap<(ShardId, Option<ShardId>), usize> = BTreeMap::new();
        for (slot, before) in (0..SLOTS).zip(&old_owners) {
            let now = owner(slot, &ids).unwrap();
            *shared.entry((now, None)).or_default() += 1;
            *shared.entry((now, Some(*before))).or_default() += 1;
        }
        let copied = |member: u8, shard: ShardId| {
            let holds = old.shard_of_member(address(member).node_id());
            let kept = holds.and_then(|holds| shared.get(&(shard, Some(holds)))).copied().unwrap_or_default();
            shared[&(shard, None)] - kept
        };
        let mut seated = BTreeMap::from([([0; SHARDS_MAX], 0)]);
        for member in members {
            let copied: Vec<usize> = ids.iter().map(|shard| copied(*member, *shard)).collect();
            let mut more: BTreeMap<[u8; SHARDS_MAX], usize> = BTreeMap::new();
            for (taken, moved) in seated {
                for (at, copied) in copied.iter().enumerate() {
                    let mut taken = taken;
                    taken[at] += 1;
                    let large = taken.iter().filter(|seats| usize::from(**seats) > base).count();
                    if usize::from(taken[at]) <= base + 1 && large <= extra {
                        let moved = moved + copied;
                        let known = more.entry(taken).or_insert(moved);
                        *known = moved.min(*known);
                    }
                }
            }
            seated = more;
        }
        least = least.min(seated.into_values().min().unwrap());
    }
    least
}

#[test]
fn replacing_one_node_of_six_moves_one_copy_and_nothing_else() {
    let old = bootstrap(&((0..6).collect(), 2));
    for (replaced, newcomer) in [(0, 9), (3, 7), (5, 12)] {
        let members = (0..6).filter(|at| *at != replaced).chain([newcomer]).collect();
        let new = next(&old, &(members, 2));
        let shard = old.shard_of_member(address(replaced).node_id()).unwrap();
        assert_eq!(new.shard_of_member(address(newcomer).node_id()), Some(shard));
        for at in (0..6).filter(|at| *at != replaced) {
            let node = address(at).node_id();
            assert_eq!(new.shard_of_member(node), old.shard_of_member(node));
        }
        assert_eq!(plan::slots_moved(&old, &new), old.shared_slots(shard, &old, shard));
        let sizes = old.shards().iter().map(|shard| (shard.id, plan::Size { keys: 100, bytes: 1000 })).collect();
        let moves = plan::moves(&old, &new, &sizes);
        assert_eq!(moves.len(), 1);
        assert_eq!((moves[0].from, moves[0].shard, moves[0].keys, moves[0].bytes), (shard, shard, 100, 1000));
    }
}

#[test]
fn the_number_of_a_dissolved_shard_is_not_used_again() {
    let six = bootstrap(&((0..6).collect(), 2));
    let four = next(&six, &((0..4).collect(), 2));
    let again = next(&four, &((0..6).collect(), 2));
    let ids = |view: &View| view.shards().iter().map(|shard| shard.id.0).collect::<Vec<_>>();
    assert_eq!((ids(&six), ids(&four), ids(&again)), (vec![1, 2, 3], vec![1, 2], vec![1, 2, 4]));
}

#[test]
fn an_impossible_view_is_refused_by_name() {
    let old = bootstrap(&((0..4).collect(), 2));
    let twice = [address(1), address(2), address(1)];
    assert_eq!(plan::assign(&old, &twice, 1).unwrap_err(), ViewError::Duplicate(address(1)));
    let two = &twice[..2];
    assert_eq!(plan::assign(&old, two, 0).unwrap_err(), ViewError::NoReplicas);
    assert_eq!(plan::assign(&old, two, 3).unwrap_err(), ViewError::TooFewMembers { members: 2, factor: 3 });
    assert!(plan::assign(&old, &[], 1).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_member_has_one_shard_and_shards_are_balanced(first in asked(16), changes in vec(asked(16), 1..5)) {
        let mut view = bootstrap(&first);
        let mut used: BTreeSet<ShardId> = view.shards().iter().map(|shard| shard.id).collect();
        for change in &changes {
            let (members, factor) = change;
            let new = next(&view, change);
            let mut seen: Vec<Address> = new.shards().iter().flat_map(|shard| shard.replicas.clone()).collect();
            seen.sort();
            prop_assert_eq!(seen.len(), members.len());
            prop_assert!(seen.iter().eq(addresses(members).iter().collect::<BTreeSet<_>>()));
            let sizes: Vec<usize> = new.shards().iter().map(|shard| shard.replicas.len()).collect();
            let (least, most) = (*sizes.iter().min().unwrap(), *sizes.iter().max().unwrap());
            prop_assert!(least >= *factor && most - least <= 1, "{:?}", sizes);
            prop_assert_eq!(sizes.len(), members.len() / factor);
            // Ids are kept as far as there are shards, and new ones were never used.
            let before: BTreeSet<ShardId> = view.shards().iter().map(|shard| shard.id).collect();
            let after: BTreeSet<ShardId> = new.shards().iter().map(|shard| shard.id).collect();
            prop_assert_eq!(before.intersection(&after).count(), before.len().min(after.len()));
            for id in after.difference(&before) {
                prop_assert!(used.insert(*id), "{:?} is used again", id);
            }
            prop_assert_eq!(Some(&new.record().last_shard), used.last());
            view = new;
        }
    }

    #[test]
    fn the_order_of_the_list_does_not_matter(first in asked(12), change in asked(12), order in Just(()).prop_perturb(|(), rng| rng)) {
        let old = bootstrap(&first);
        let (members, factor) = &change;
        let mut list = addresses(members);
        let mut rng = order;
        for at in (1..list.len()).rev() {
            list.swap(at, rng.random_range(0..=at));
        }
        prop_assert_eq!(plan::assign(&old, &list, *factor), plan::assign(&old, &addresses(members), *factor));
        prop_assert!(plan::is_same(&next(&old, &change), &list, *factor));
    }

    /// Who is asked for what there is already gets the same shards.
    #[test]
    fn nothing_moves_for_the_same_members(first in asked(12), change in asked(12)) {
        let view = next(&bootstrap(&first), &change);
        let again = next(&view, &change);
        let homes = |view: &View| view.members().map(|(node, _, shard)| (node, shard)).collect::<Vec<_>>();
        prop_assert_eq!(homes(&view), homes(&again));
        prop_assert_eq!(plan::slots_moved(&view, &again), 0);
    }

    /// Adding a shard to S moves 1/(S+1) of the keys, all to the new shard.
    #[test]
    fn one_more_shard_takes_its_share_and_nothing_else_moves(shards in 1usize..6, factor in 1usize..4) {
        let count = u8::try_from(shards * factor).unwrap();
        let old = bootstrap(&((0..count).collect(), factor));
        let more = count + u8::try_from(factor).unwrap();
        let new = next(&old, &((0..more).collect(), factor));
        for (node, _, shard) in old.members() {
            prop_assert_eq!(new.shard_of_member(node), Some(shard));
        }
        let fresh: Vec<&Shard> = new.shards().iter().filter(|shard| old.shard(shard.id).is_none()).collect();
        prop_assert_eq!(fresh.len(), 1);
        let share = new.shared_slots(fresh[0].id, &new, fresh[0].id);
        prop_assert_eq!(plan::slots_moved(&old, &new), share * factor);
        prop_assert!(share.abs_diff(usize::from(SLOTS) / (shards + 1)) < 400, "{} of {}", share, SLOTS);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn little_more_moves_than_must(first in asked(12), change in asked(12)) {
        let old = bootstrap(&first);
        let moved = plan::slots_moved(&old, &next(&old, &change));
        let least = least_moved(&old, &change);
        prop_assert!(moved * 100 <= least * 105, "{} slots are copied where {} would do", moved, least);
    }
}
