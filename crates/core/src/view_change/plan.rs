//! Which members hold which shards in a new view (design 3.1): a deterministic function of the old view and what is asked.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{Address, NodeId, ShardId};
use crate::placement::hash::{self, SLOTS};
use crate::placement::view::{Shard, View, ViewError, check_members};
use crate::wire::request::Move;

/// Keys and bytes of a shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Live keys.
    pub keys: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
}

/// The shards of the new view. Members stay with the shard that they hold as far as there are seats; the shards with the
/// most surviving members live on under their ids; new ones get ids never used before. Sizes are within one.
///
/// # Errors
/// [`ViewError`] names what is wrong with the list. Its order does not matter.
pub fn assign(old: &View, members: &[Address], repl_factor: usize) -> Result<(Vec<Shard>, ShardId), ViewError> {
    check_members(members, repl_factor)?;
    let members: BTreeSet<&Address> = members.iter().collect();
    let count = members.len() / repl_factor;
    let mut stay: BTreeMap<ShardId, Vec<&Address>> = old.shards().iter().map(|shard| (shard.id, Vec::new())).collect();
    let mut free: Vec<&Address> = Vec::new();
    for &address in &members {
        match old.shard_of_member(address.node_id()).and_then(|shard| stay.get_mut(&shard)) {
            Some(shard) => shard.push(address),
            None => free.push(address),
        }
    }
    // Those with the most survivors first, so that theirs are the larger shards too.
    let mut shards: Vec<(ShardId, Vec<&Address>)> = stay.into_iter().collect();
    shards.sort_by_key(|(id, survivors)| (std::cmp::Reverse(survivors.len()), *id));
    let dissolved = shards.split_off(count.min(shards.len()));
    free.extend(dissolved.into_iter().flat_map(|(_, survivors)| survivors));
    let mut last = old.record().last_shard;
    while shards.len() < count {
        last = ShardId(last.0 + 1);
        shards.push((last, Vec::new()));
    }
    let (base, extra) = (members.len() / count, members.len() % count);
    for (at, (_, replicas)) in shards.iter_mut().enumerate() {
        let seats = base + usize::from(at < extra);
        free.extend(replicas.split_off(seats.min(replicas.len())));
    }
    let ids: Vec<ShardId> = shards.iter().map(|(id, _)| *id).collect();
    let mut seats: Vec<usize> = (0..count).map(|at| base + usize::from(at < extra) - shards[at].1.len()).collect();
    for (address, at) in seat(old, &ids, &mut seats, free) {
        shards[at].1.push(address);
    }
    shards.sort_by_key(|(id, _)| *id);
    let own = |replicas: Vec<&Address>| replicas.into_iter().cloned().collect();
    Ok((shards.into_iter().map(|(id, replicas)| Shard { id, replicas: own(replicas) }).collect(), last))
}

/// Gives each of `free` one of the seats that are left: first to those who hold most of what they are to hold there, then to the
/// others in the order of their addresses.
fn seat<'a>(old: &View, ids: &[ShardId], seats: &mut [usize], mut free: Vec<&'a Address>) -> Vec<(&'a Address, usize)> {
    free.sort();
    let holds = |address: &Address| old.shard_of_member(address.node_id());
    let kept = if free.iter().any(|address| holds(address).is_some()) { kept_slots(old, ids) } else { BTreeMap::new() };
    let mut choices: Vec<(usize, &Address, usize)> = Vec::new();
    for &address in &free {
        let kept = holds(address).and_then(|shard| kept.get(&shard)).into_iter().flatten();
        choices.extend(kept.map(|(at, slots)| (*slots, address, *at)));
    }
    choices.sort_by_key(|(keeps, address, at)| (std::cmp::Reverse(*keeps), *address, *at));
    let mut seated: BTreeMap<&Address, usize> = BTreeMap::new();
    for (_, address, at) in choices {
        if seats[at] > 0 && !seated.contains_key(address) {
            seats[at] -= 1;
            seated.insert(address, at);
        }
    }
    let mut next = 0;
    for address in free {
        while seats.get(next).is_some_and(|left| *left == 0) {
            next += 1;
        }
        if !seated.contains_key(address)
            && let Some(left) = seats.get_mut(next)
        {
            *left -= 1;
            seated.insert(address, next);
        }
    }
    seated.into_iter().collect()
}

/// How many slots of each old shard belong to each of the new ones, by their places; those that share none are left out.
fn kept_slots(old: &View, ids: &[ShardId]) -> BTreeMap<ShardId, BTreeMap<usize, usize>> {
    let mut kept: BTreeMap<ShardId, BTreeMap<usize, usize>> = BTreeMap::new();
    for slot in 0..SLOTS {
        if let Some(at) = hash::place(slot, ids) {
            *kept.entry(old.shard_of_slot(slot)).or_default().entry(at).or_default() += 1;
        }
    }
    kept
}

/// Whether a view is what is asked for already: the same members and the same factor.
#[must_use]
pub fn is_same(view: &View, members: &[Address], repl_factor: usize) -> bool {
    let asked: BTreeSet<NodeId> = members.iter().map(Address::node_id).collect();
    let have: BTreeSet<NodeId> = view.members().map(|(node, _, _)| node).collect();
    view.repl_factor == repl_factor && asked == have
}

/// What has to move from the old view to the new one, by the share of slots; `sizes` are those of the old shards.
#[must_use]
pub fn moves(old: &View, new: &View, sizes: &BTreeMap<ShardId, Size>) -> Vec<Move> {
    let overlap = new.overlap(old);
    let mut slots_of_old: BTreeMap<ShardId, usize> = BTreeMap::new();
    for (from, slots) in overlap.values().flatten() {
        *slots_of_old.entry(*from).or_default() += slots;
    }
    let mut moves = Vec::new();
    for (node, address, shard) in new.members() {
        let holds = old.shard_of_member(node);
        for (&from, &slots) in overlap.get(&shard).into_iter().flatten().filter(|(from, _)| Some(**from) != holds) {
            let size = sizes.get(&from).copied().unwrap_or_default();
            let share = |all: u64| {
                let share = u128::from(all) * slots as u128 / slots_of_old[&from].max(1) as u128;
                u64::try_from(share).unwrap_or(u64::MAX)
            };
            moves.push(Move { from, to: address.clone(), shard, keys: share(size.keys), bytes: share(size.bytes) });
        }
    }
    moves
}

/// How many slots have to be copied to nodes that do not hold them.
#[must_use]
pub fn slots_moved(old: &View, new: &View) -> usize {
    let moved = |(node, _, shard): (NodeId, &Address, ShardId)| {
        let all = new.shared_slots(shard, new, shard);
        all - old.shard_of_member(node).map_or(0, |held| new.shared_slots(shard, old, held))
    };
    new.members().map(moved).sum()
}
