//! Views: who holds which shard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::causality::hlc::Timestamp;
use crate::id::{Address, NodeId, ShardId, ViewId};
use crate::limits::{EPOCH_MAX, MEMBERS_MAX, NODES_MAX, SETTLED_VIEWS_MAX, SHARD_ID_MAX};
use crate::placement::hash::{self, SLOTS};

/// A shard and its replica group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Its number.
    pub id: ShardId,
    /// Who holds it, in the order of the view.
    pub replicas: Vec<Address>,
}

/// Why a list of members makes no view. The text names the offence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// A factor of zero.
    #[error("replication factor 0: it must be at least 1")]
    NoReplicas,
    /// Fewer members than the factor.
    #[error("{members} members cannot hold {factor} replicas: name more members or lower the replication factor")]
    TooFewMembers {
        /// How many members were named.
        members: usize,
        /// The factor asked for.
        factor: usize,
    },
    /// More members than the limit.
    #[error("{0} members are more than the limit of {MEMBERS_MAX}")]
    TooManyMembers(usize),
    /// An address named twice, or two addresses with one short name.
    #[error("address `{0}` is named twice")]
    Duplicate(Address),
    /// No coordinator stamps such a view, or numbers have come to their end.
    #[error("no view has {0}")]
    Unsound(&'static str),
}

/// A view as it travels between nodes: everything that its coordinator stamped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewRecord {
    /// Its identity.
    pub id: ViewId,
    /// The view that its coordinator was in, with that one's own ancestors: the last so many.
    pub ancestors: BTreeSet<ViewId>,
    /// Replicas of each shard at least.
    pub repl_factor: u32,
    /// Its shards.
    pub shards: Vec<Shard>,
    /// The greatest shard id ever used in this view or one before it: ids are not used again.
    pub last_shard: ShardId,
    /// The life that was reached of each old and each new member, by node. A node that adopts the view in another life is
    /// unrecovered in it (design 11.2).
    pub lives: BTreeMap<NodeId, Timestamp>,
    /// Old members that did not answer and are not in the view: nobody waits for them, and they give up what they hold.
    pub written_off: BTreeSet<NodeId>,
    /// Views that were known to be settled when this one was stamped (design 3.4).
    pub settled: BTreeSet<ViewId>,
}

/// Who holds which shard. Immutable; the table from slots to shards is computed once.
#[derive(Debug, Clone)]
pub struct View {
    /// Its identity.
    pub id: ViewId,
    /// Replicas of each shard at least.
    pub repl_factor: usize,
    record: Arc<ViewRecord>,
    slots: Arc<[u32]>,
    members: Arc<BTreeMap<NodeId, (Address, ShardId)>>,
}

impl View {
    /// The bootstrap view (design 3.1): shard *i* is `members[(i-1)*R .. i*R]`; leftover members join shards 1, 2, … as
    /// extra replicas, around again if there are more leftovers than shards.
    ///
    /// # Errors
    /// [`ViewError`] names what is wrong with the list.
    pub fn bootstrap(members: &[Address], repl_factor: usize) -> Result<Self, ViewError> {
        check_members(members, repl_factor)?;
        let count = members.len() / repl_factor;
        let mut shards: Vec<Shard> = (0..count)
            .map(|at| Shard {
                id: ShardId(u32::try_from(at + 1).expect("members are few")),
                replicas: members[at * repl_factor..(at + 1) * repl_factor].to_vec(),
            })
            .collect();
        for (at, leftover) in members[count * repl_factor..].iter().enumerate() {
            shards[at % count].replicas.push(leftover.clone());
        }
        let mut fingerprint = Xxh3::new();
        for member in members {
            fingerprint.update(member.as_str().as_bytes());
            fingerprint.update(b",");
        }
        fingerprint.update(&(repl_factor as u64).to_le_bytes());
        let id = ViewId { epoch: 0, activation: Timestamp::ZERO, coordinator: NodeId(fingerprint.digest()) };
        let last_shard = shards.last().map_or(ShardId(0), |shard| shard.id);
        Self::from_record(ViewRecord {
            id,
            ancestors: BTreeSet::new(),
            repl_factor: u32::try_from(repl_factor).expect("it is at most the number of members"),
            shards,
            last_shard,
            lives: BTreeMap::new(),
            written_off: BTreeSet::new(),
            settled: BTreeSet::new(),
        })
    }

    /// The view that a record describes.
    ///
    /// # Errors
    /// [`ViewError`] if no coordinator stamps such a view: a member in two shards, no shard, too many members, or numbers
    /// beyond their bounds. Whoever sends a record, computing who owns what costs no more than for the largest view.
    pub fn from_record(record: ViewRecord) -> Result<Self, ViewError> {
        let members = check_record(&record)?;
        let ids: Vec<ShardId> = record.shards.iter().map(|shard| shard.id).collect();
        let place = |slot| u32::try_from(hash::place(slot, &ids).expect("a view has a shard")).expect("shards are few");
        let slots = (0..SLOTS).map(place).collect();
        let repl_factor = usize::try_from(record.repl_factor).expect("a factor is small");
        Ok(Self { id: record.id, repl_factor, record: Arc::new(record), slots, members: Arc::new(members) })
    }

    /// Whether this view comes after another one: it descends from it, or knew it to be settled when it was stamped, or is so much
    /// later that the other has long been. Not so a lesser one that was made at the same time on the other side of a cut.
    #[must_use]
    pub fn comes_after(&self, id: &ViewId) -> bool {
        let is_old =
            usize::try_from(self.id.epoch.saturating_sub(id.epoch)).is_ok_and(|epochs| epochs >= SETTLED_VIEWS_MAX);
        is_old || self.record.ancestors.contains(id) || self.record.settled.contains(id)
    }

    /// What was stamped.
    #[must_use]
    pub fn record(&self) -> &ViewRecord {
        &self.record
    }

    /// The life of a node that was reached when the view was stamped.
    #[must_use]
    pub fn life(&self, node: NodeId) -> Option<Timestamp> {
        self.record.lives.get(&node).copied()
    }

    /// Whether the view's coordinator gave a node up.
    #[must_use]
    pub fn wrote_off(&self, node: NodeId) -> bool {
        self.record.written_off.contains(&node)
    }

    /// The members of one shard, by short name.
    #[must_use]
    pub fn members_of(&self, shard: ShardId) -> Vec<NodeId> {
        self.members.iter().filter(|(_, (_, of))| *of == shard).map(|(node, _)| *node).collect()
    }

    /// How many slots of `shard` belong to `other_shard` in `other`.
    #[must_use]
    pub fn shared_slots(&self, shard: ShardId, other: &Self, other_shard: ShardId) -> usize {
        let slots = self.slots.iter().zip(other.slots.iter());
        let id = |view: &Self, at: u32| view.record.shards[at as usize].id;
        slots.filter(|(here, there)| id(self, **here) == shard && id(other, **there) == other_shard).count()
    }

    /// Per shard of this view, how many of its slots belonged to which shard of `other`; none are left out. One walk over the
    /// slots, whatever the number of shards.
    #[must_use]
    pub fn overlap(&self, other: &Self) -> BTreeMap<ShardId, BTreeMap<ShardId, usize>> {
        let mut shared: BTreeMap<(u32, u32), usize> = BTreeMap::new();
        for pair in self.slots.iter().copied().zip(other.slots.iter().copied()) {
            *shared.entry(pair).or_default() += 1;
        }
        let id = |view: &Self, at: u32| view.record.shards[at as usize].id;
        let mut overlap: BTreeMap<ShardId, BTreeMap<ShardId, usize>> = BTreeMap::new();
        for ((here, there), slots) in shared {
            overlap.entry(id(self, here)).or_default().insert(id(other, there), slots);
        }
        overlap
    }

    /// The shard that owns a slot.
    #[must_use]
    pub fn shard_of_slot(&self, slot: u16) -> ShardId {
        self.record.shards[self.slots[usize::from(slot)] as usize].id
    }

    /// The shards, by id.
    #[must_use]
    pub fn shards(&self) -> &[Shard] {
        &self.record.shards
    }

    /// The shard with this id.
    #[must_use]
    pub fn shard(&self, id: ShardId) -> Option<&Shard> {
        self.record.shards.iter().find(|shard| shard.id == id)
    }

    /// The shard that holds keys with this hash.
    #[must_use]
    pub fn shard_of_hash(&self, key_hash: u64) -> &Shard {
        &self.record.shards[self.slots[usize::from(hash::slot_of_hash(key_hash))] as usize]
    }

    /// The shard that a member holds; none for a spare.
    #[must_use]
    pub fn shard_of_member(&self, node: NodeId) -> Option<ShardId> {
        self.members.get(&node).map(|member| member.1)
    }

    /// The address of a member.
    #[must_use]
    pub fn address(&self, node: NodeId) -> Option<&Address> {
        self.members.get(&node).map(|member| &member.0)
    }

    /// All members, by short name.
    pub fn members(&self) -> impl Iterator<Item = (NodeId, &Address, ShardId)> {
        self.members.iter().map(|(node, (address, shard))| (*node, address, *shard))
    }
}

/// What every list of members must be like (design 3.1). Cheap: nothing is placed.
///
/// # Errors
/// [`ViewError`] names what is wrong with the list.
pub fn check_members(members: &[Address], repl_factor: usize) -> Result<(), ViewError> {
    if repl_factor == 0 {
        return Err(ViewError::NoReplicas);
    }
    if members.len() < repl_factor {
        return Err(ViewError::TooFewMembers { members: members.len(), factor: repl_factor });
    }
    if members.len() > MEMBERS_MAX {
        return Err(ViewError::TooManyMembers(members.len()));
    }
    let mut seen = BTreeSet::new();
    match members.iter().find(|address| !seen.insert(address.node_id())) {
        Some(twice) => Err(ViewError::Duplicate(twice.clone())),
        None => Ok(()),
    }
}

const UNSOUND_FACTOR: &str = "a shard with fewer replicas than its factor";

/// Everything that a record must be like, sizes first: it may come from anybody. Returns its members.
fn check_record(record: &ViewRecord) -> Result<BTreeMap<NodeId, (Address, ShardId)>, ViewError> {
    if record.shards.is_empty() || record.repl_factor == 0 {
        return Err(ViewError::NoReplicas);
    }
    let count: usize = record.shards.iter().map(|shard| shard.replicas.len()).sum();
    if record.shards.len() > MEMBERS_MAX || count > MEMBERS_MAX {
        return Err(ViewError::TooManyMembers(count.max(record.shards.len())));
    }
    let factor = usize::try_from(record.repl_factor).unwrap_or(usize::MAX);
    if record.shards.iter().any(|shard| shard.replicas.len() < factor) {
        return Err(ViewError::Unsound(UNSOUND_FACTOR));
    }
    if !record.shards.is_sorted_by(|one, next| one.id < next.id) {
        return Err(ViewError::Unsound("shards that are not in the order of their ids"));
    }
    let last = record.shards.last().map_or(ShardId(0), |shard| shard.id);
    if record.id.epoch > EPOCH_MAX || record.last_shard.0 > SHARD_ID_MAX || last > record.last_shard {
        return Err(ViewError::Unsound("an epoch or a shard id beyond its bound"));
    }
    if record.ancestors.last().is_some_and(|last| *last >= record.id) {
        return Err(ViewError::Unsound("an ancestor that is not before it"));
    }
    let named = record.lives.len().max(record.written_off.len());
    if named > NODES_MAX || record.settled.len().max(record.ancestors.len()) > SETTLED_VIEWS_MAX {
        return Err(ViewError::Unsound("so many nodes or views behind it"));
    }
    let mut members = BTreeMap::new();
    for shard in &record.shards {
        for address in &shard.replicas {
            if members.insert(address.node_id(), (address.clone(), shard.id)).is_some() {
                return Err(ViewError::Duplicate(address.clone()));
            }
        }
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(count: usize) -> Vec<Address> {
        (0..count).map(|at| Address::parse(&format!("10.0.0.{at}:80"), None).unwrap()).collect()
    }

    #[test]
    fn leftovers_join_the_first_shards() {
        let view = View::bootstrap(&addresses(5), 2).unwrap();
        let sizes: Vec<_> = view.shards().iter().map(|shard| shard.replicas.len()).collect();
        assert_eq!(sizes, [3, 2]);
        let view = View::bootstrap(&addresses(5), 3).unwrap();
        assert_eq!(view.shards().len(), 1);
        assert_eq!(view.shards()[0].replicas.len(), 5);
    }

    #[test]
    fn an_impossible_view_is_refused_by_name() {
        assert_eq!(View::bootstrap(&addresses(2), 0).unwrap_err(), ViewError::NoReplicas);
        assert_eq!(View::bootstrap(&addresses(2), 3).unwrap_err(), ViewError::TooFewMembers { members: 2, factor: 3 });
        let mut twice = addresses(2);
        twice.push(twice[0].clone());
        assert_eq!(View::bootstrap(&twice, 1).unwrap_err(), ViewError::Duplicate(twice[0].clone()));
    }
    /// A record of `shards` shards, each with so many replicas.
    fn record(shards: u32, replicas: usize) -> ViewRecord {
        let named = |id: u32| {
            (0..replicas).map(move |at| Address::parse(&format!("10.0.{id}.{at}:80"), None).unwrap()).collect()
        };
        let id = ViewId { epoch: 1, activation: Timestamp(1), coordinator: NodeId(1) };
        let shards = (1..=shards).map(|id| Shard { id: ShardId(id), replicas: named(id) }).collect::<Vec<_>>();
        ViewRecord {
            id,
            ancestors: BTreeSet::new(),
            repl_factor: 1,
            last_shard: shards.last().map_or(ShardId(0), |shard| shard.id),
            shards,
            lives: BTreeMap::new(),
            written_off: BTreeSet::new(),
            settled: BTreeSet::new(),
        }
    }

    #[test]
    fn a_record_beyond_any_bound_is_refused() {
        assert!(View::from_record(record(3, 2)).is_ok());
        assert_eq!(View::from_record(record(3, 0)).unwrap_err(), ViewError::Unsound(UNSOUND_FACTOR));
        assert_eq!(View::from_record(record(100_000, 0)).unwrap_err(), ViewError::TooManyMembers(100_000));
        assert_eq!(View::from_record(record(2, 600)).unwrap_err(), ViewError::TooManyMembers(1200));
        let cases: [fn(&mut ViewRecord); 8] = [
            |record| record.ancestors.extend([record.id]),
            |record| record.id.epoch = u32::MAX,
            |record| record.last_shard = ShardId(u32::MAX),
            |record| record.last_shard = ShardId(0),
            |record| record.shards.swap(0, 1),
            |record| record.shards[1].id = record.shards[0].id,
            |record| record.lives.extend((0..=NODES_MAX as u64).map(|node| (NodeId(node), Timestamp(1)))),
            |record| record.settled.extend((0..=64).map(|epoch| ViewId { epoch, ..record.id })),
        ];
        for (number, case) in cases.into_iter().enumerate() {
            let mut record = record(3, 2);
            case(&mut record);
            assert!(matches!(View::from_record(record), Err(ViewError::Unsound(_))), "case {number}");
        }
    }

    #[test]
    fn overlaps_are_counted_in_one_walk() {
        let (old, new) = (View::bootstrap(&addresses(3), 1).unwrap(), View::bootstrap(&addresses(5), 1).unwrap());
        let overlap = new.overlap(&old);
        for here in new.shards() {
            for there in old.shards() {
                let counted = overlap[&here.id].get(&there.id).copied().unwrap_or_default();
                assert_eq!(counted, new.shared_slots(here.id, &old, there.id));
            }
        }
    }
}
