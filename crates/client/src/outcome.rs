//! What successful operations return.

use serde::Deserialize;

use crate::{Address, Value};

/// A value that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The value.
    pub value: Value,
    /// The version read, opaque: equal versions of a key are the same write.
    pub version: String,
    /// The node that served the read.
    pub node: Address,
}

/// A write that has taken effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Whether the key had a value before.
    pub replaced: bool,
    /// On how many replicas the write was when it was answered; it spreads on.
    pub acks: u32,
    /// The version written, opaque.
    pub version: String,
    /// The node that took the write.
    pub node: Address,
    /// False if a write concern was asked for and not reached in time. The write stands nevertheless.
    pub concern_reached: bool,
}

/// A deletion that has taken effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// On how many replicas the deletion was when it was answered; it spreads on.
    pub acks: u32,
    /// The version written, opaque.
    pub version: String,
    /// The node that took the deletion.
    pub node: Address,
    /// False if a write concern was asked for and not reached in time. The deletion stands nevertheless.
    pub concern_reached: bool,
}

/// What a barrier has come to: whether all that a session has seen is on every replica of its shard, and if not, what is missing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Barrier {
    /// Whether all of it is.
    #[serde(skip)]
    pub reached: bool,
    /// Replicas that have not confirmed that they have all of their shard that the session has seen.
    #[serde(default)]
    pub missing: Vec<Lagging>,
    /// Shards that have not got everything yet in a view change that is under way.
    #[serde(default)]
    pub outstanding: Vec<u32>,
    /// False if the node has not heard yet of a view that the session has met.
    #[serde(default = "known")]
    pub view_known: bool,
}

/// A replica that a barrier waits for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Lagging {
    /// The shard.
    pub shard_id: u32,
    /// The node, `host:port`.
    pub address: String,
}

/// A barrier that is reached says nothing of views.
fn known() -> bool {
    true
}
