//! The cluster's view as the client knows it: shards and the nodes that hold them. A hint, and possibly an old one.

use crate::Address;
use crate::placement::{place, slot};

/// The shards of a cluster and their replicas, as one node told them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The shards, by rising id.
    pub shards: Vec<Shard>,
}

/// One shard: a part of the key space, and the nodes that hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// The shard's id.
    pub id: u32,
    /// The nodes that hold the shard.
    pub replicas: Vec<Address>,
}

impl View {
    /// The shard that a key belongs to under this view.
    pub fn shard_of(&self, key: &str) -> Option<&Shard> {
        let index = place(slot(key.as_bytes()), self.shards.iter().map(|shard| shard.id))?;
        self.shards.get(index)
    }

    /// All nodes that hold a shard.
    pub fn members(&self) -> impl Iterator<Item = &Address> + Clone {
        self.shards.iter().flat_map(|shard| &shard.replicas)
    }
}
