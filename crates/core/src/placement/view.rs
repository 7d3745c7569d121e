//! Views: who holds which shard.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::causality::hlc::Timestamp;
use crate::id::{Address, NodeId, ShardId, ViewId};
use crate::limits::MEMBERS_MAX;
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
}

/// Who holds which shard. Immutable; the table from slots to shards is computed once.
#[derive(Debug, Clone)]
pub struct View {
    /// Its identity.
    pub id: ViewId,
    /// Replicas of each shard at least.
    pub repl_factor: usize,
    shards: Arc<[Shard]>,
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
        if repl_factor == 0 {
            return Err(ViewError::NoReplicas);
        }
        if members.len() < repl_factor {
            return Err(ViewError::TooFewMembers { members: members.len(), factor: repl_factor });
        }
        if members.len() > MEMBERS_MAX {
            return Err(ViewError::TooManyMembers(members.len()));
        }
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
        Self::from_shards(id, repl_factor, shards)
    }

    /// A view with these shards.
    ///
    /// # Errors
    /// [`ViewError::Duplicate`] if a member holds two shards.
    pub fn from_shards(id: ViewId, repl_factor: usize, shards: Vec<Shard>) -> Result<Self, ViewError> {
        let mut members = BTreeMap::new();
        for shard in &shards {
            for address in &shard.replicas {
                if members.insert(address.node_id(), (address.clone(), shard.id)).is_some() {
                    return Err(ViewError::Duplicate(address.clone()));
                }
            }
        }
        let ids: Vec<ShardId> = shards.iter().map(|shard| shard.id).collect();
        let slots = (0..SLOTS)
            .map(|slot| {
                let owner = hash::owner(slot, &ids).expect("a view has a shard");
                u32::try_from(ids.iter().position(|id| *id == owner).expect("the owner is one of them"))
                    .expect("shards are few")
            })
            .collect();
        Ok(Self { id, repl_factor, shards: shards.into(), slots, members: Arc::new(members) })
    }

    /// The shards, by id.
    #[must_use]
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The shard with this id.
    #[must_use]
    pub fn shard(&self, id: ShardId) -> Option<&Shard> {
        self.shards.iter().find(|shard| shard.id == id)
    }

    /// The shard that holds keys with this hash.
    #[must_use]
    pub fn shard_of_hash(&self, key_hash: u64) -> &Shard {
        &self.shards[self.slots[usize::from(hash::slot_of_hash(key_hash))] as usize]
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
}
