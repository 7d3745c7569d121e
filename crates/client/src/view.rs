//! The cluster's view as the client knows it: shards and the nodes that hold them. A hint, and possibly an old one.

use std::collections::BTreeSet;

use hyper::StatusCode;
use serde::Deserialize;

use crate::placement::{SLOTS, place, slot};
use crate::reply::Reply;
use crate::request::Request;
use crate::retry::Deadline;
use crate::{Address, Client, Context, Error};

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

    /// Asks the cluster for its view: one request for the shards, one for each.
    pub(crate) async fn fetch(client: &Client, deadline: Deadline) -> Result<Self, Error> {
        let context = Context::default();
        let reply = client.send(&Request::shards(), &context, deadline).await?;
        let ids = reply.json::<Ids>()?.shards;
        if ids.is_empty() || ids.len() > usize::from(SLOTS) {
            return Err(reply.protocol(format!("a view of {} shards", ids.len())));
        }
        let mut shards = Vec::with_capacity(ids.len());
        for id in ids {
            let reply = client.send(&Request::shard(id), &context, deadline).await?;
            // Absent if a view change came in between.
            if reply.status != StatusCode::NOT_FOUND {
                shards.push(Shard { id, replicas: members(&reply)? });
            }
        }
        Ok(Self { shards })
    }

    /// All nodes that hold a shard.
    pub fn members(&self) -> impl Iterator<Item = &Address> + Clone {
        self.shards.iter().flat_map(|shard| &shard.replicas)
    }
}

/// What `/kv-store/shards` tells.
#[derive(Deserialize)]
struct Ids {
    shards: BTreeSet<u32>,
}

/// What `/kv-store/shards/<id>` tells.
#[derive(Deserialize)]
struct Members {
    replicas: Vec<String>,
}

fn members(reply: &Reply) -> Result<Vec<Address>, Error> {
    let members = reply.json::<Members>()?.replicas;
    let addresses: Result<_, Error> = members.iter().map(|text| text.parse()).collect();
    addresses.map_err(|error| reply.protocol(format!("a replica's address: {error}")))
}
