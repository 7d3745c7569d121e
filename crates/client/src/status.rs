//! The state of a cluster, as one node tells it: what it knows of the view and its members, and what each member says of itself.
//!
//! Fields that a node does not tell, because it is of another release, have their defaults.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::reply::Verdict;
use crate::request::Request;
use crate::retry::Deadline;
use crate::transport::{Attempt, Limits};
use crate::{Address, Client, Context, Error};

/// A cluster, as the node asked sees it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct ClusterStatus {
    /// The node asked.
    pub node: String,
    /// Its view.
    pub view: ViewStatus,
    /// The shards of the view.
    pub shards: Vec<ShardStatus>,
    /// The members of the view, those of former views that are not settled, and the node asked.
    pub members: Vec<MemberStatus>,
}

/// A view, and how far the change to it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct ViewStatus {
    /// Counts view changes.
    pub epoch: u32,
    /// Replicas of each shard at least.
    pub repl_factor: u64,
    /// Whether everything has been handed over.
    pub settled: bool,
    /// Epochs of the former views that are not settled.
    pub former_epochs: Vec<u32>,
    /// Of the hand-offs that the members need, how many are complete, as far as members answer.
    pub hand_offs_done: u64,
    /// And how many there are.
    pub hand_offs_required: u64,
    /// Keys that were handed over under this view, to all members that answer.
    pub received_keys: u64,
    /// Bytes of them and their values.
    pub received_bytes: u64,
}

/// One shard. Where its replicas differ, what the one says that has most keys, recovered ones first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct ShardStatus {
    /// Its id.
    pub shard_id: u32,
    /// Who holds it.
    pub replicas: Vec<String>,
    /// Whether it has got everything of former views, as far as the node asked knows.
    pub settled: bool,
    /// How many of its replicas are ready.
    pub ready: u64,
    /// Its live keys; none if no replica answers.
    pub keys: Option<u64>,
    /// Bytes of its keys and values, deleted keys included.
    pub bytes: Option<u64>,
    /// How far its slowest replica is behind, as far as the node asked has been told.
    pub lag_ms: Option<u64>,
}

/// How a member is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It answers, and clients may be sent to it.
    Ready,
    /// It answers, and says why it is not ready.
    NotReady,
    /// It does not answer the node asked.
    #[default]
    Silent,
}

/// A member, as the node asked knows it, and what it says of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct MemberStatus {
    /// Its address.
    pub node: String,
    /// Its shard in the current view; none for spares and for those that have left.
    pub shard_id: Option<u32>,
    /// How it is.
    pub health: Health,
    /// Why it did not answer.
    pub error: Option<String>,
    /// Whether the node asked thinks that it is up.
    pub up: bool,
    /// How long ago it was heard, in milliseconds; none if never, and for the node asked.
    pub heard_ms: Option<u64>,
    /// How long ago the clock was where the member is: it has what its shard wrote before, as far as the node asked has been told.
    pub lag_ms: Option<u64>,
    /// By how many milliseconds its wall clock is ahead of that of the node asked, when last heard.
    pub wall_ahead_ms: Option<i64>,
    /// What it says of itself, if it answers.
    pub status: Option<NodeStatus>,
}

/// What a node says of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct NodeStatus {
    /// Its address.
    pub node: String,
    /// Its release.
    pub version: String,
    /// Since its start.
    pub uptime_ms: u64,
    /// The epoch of its view.
    pub epoch: u32,
    /// Its shard; none for a spare.
    pub shard_id: Option<u32>,
    /// Whether clients may be sent to it.
    pub ready: bool,
    /// Why not.
    pub reasons: Vec<String>,
    /// Whether it holds all that its shard's recovered replicas held.
    pub recovered: bool,
    /// Live keys.
    pub keys: u64,
    /// Deleted keys that are still remembered.
    pub tombstones: u64,
    /// Bytes of keys and values, deleted keys included.
    pub bytes: u64,
    /// Writes that are not known to be everywhere yet.
    pub window: WindowStatus,
    /// The timestamp at or below which everything is everywhere, as far as it knows: `milliseconds.counter`.
    pub stable: String,
    /// How long ago its clock was there; none at spares, who are not told.
    pub stable_age_ms: Option<u64>,
    /// By how much its logical clock is ahead of its wall clock.
    pub clock_ahead_ms: u64,
    /// By how many milliseconds its wall clock is ahead of most others'; none if too few were heard to tell who is wrong.
    pub wall_ahead_ms: Option<i64>,
    /// Its part in a view change.
    pub view_change: HandOffStatus,
    /// Requests since its start.
    pub requests: RequestCounts,
    /// What is under way.
    pub work: WorkStatus,
    /// Its memory, as the system counts it; none where the system does not tell.
    pub memory_bytes: Option<u64>,
    /// Processor time since its start, in milliseconds; none where the system does not tell.
    pub cpu_ms: Option<u64>,
    /// The other replicas of its shard.
    pub peers: Vec<PeerStatus>,
}

/// The window of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct WindowStatus {
    /// Writes in it.
    pub writes: u64,
    /// Bytes of them, dependencies included.
    pub bytes: u64,
    /// How many bytes it may hold.
    pub bytes_max: u64,
}

/// What a node has got, and has still to get, of former views.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct HandOffStatus {
    /// Epochs of the former views that it does not know to be settled.
    pub former_epochs: Vec<u32>,
    /// The old members that have handed over what they have for it, over all those views.
    pub hand_offs_done: u64,
    /// And how many have to.
    pub hand_offs_required: u64,
    /// Keys that were handed over to it under its view.
    pub received_keys: u64,
    /// Bytes of them and their values.
    pub received_bytes: u64,
}

/// Requests of clients, answered since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct RequestCounts {
    /// Reads of keys.
    pub gets: u64,
    /// Writes of keys.
    pub puts: u64,
    /// Deletes of keys.
    pub deletes: u64,
    /// Of these, those for keys that do not exist.
    pub not_found: u64,
    /// Of these, those answered with another 4xx.
    pub client_errors: u64,
    /// Of these, those answered with a 5xx.
    pub server_errors: u64,
    /// Bytes of the contexts that were given out with keys.
    pub context_bytes: u64,
    /// How many contexts these were.
    pub contexts: u64,
}

/// What is under way at a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct WorkStatus {
    /// Requests in progress.
    pub requests: u64,
    /// Those that wait for their context.
    pub waiting: u64,
    /// Those that are tried at other nodes.
    pub forwarded: u64,
    /// Writes that wait for replicas.
    pub unacknowledged: u64,
    /// Bytes of large answers that clients have not read yet.
    pub unread_bytes: u64,
    /// Connections of clients.
    pub connections: u64,
    /// Links from other nodes.
    pub links: u64,
}

/// A replica of the same shard, as a node knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct PeerStatus {
    /// Its address.
    pub node: String,
    /// Whether it is heard.
    pub up: bool,
    /// Whether it says that it has recovered.
    pub recovered: bool,
    /// How long ago the node wrote what this one is known to have of it.
    pub lag_ms: Option<u64>,
}

/// A status in the answer of a node about itself.
#[derive(Deserialize)]
struct OfNode {
    status: NodeStatus,
}

impl Client {
    /// The state of the cluster, as the first of the given nodes tells it that answers. Members that do not answer that one are told of
    /// as silent.
    ///
    /// # Errors
    ///
    /// As a read's.
    pub async fn status(&self) -> Result<ClusterStatus, Error> {
        let reply = self.send(&Request::status(false), &Context::default(), Deadline::after(self.timeout())).await?;
        reply.json()
    }

    /// What a node says of itself. It is asked once, and nobody else is.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if it does not answer in time, and as a read's if it refuses.
    pub async fn status_of(&self, node: &Address, timeout: Duration) -> Result<NodeStatus, Error> {
        let end = Instant::now() + timeout;
        let limits = Limits { sent_by: end, answered_by: end };
        let unavailable = |reason: String| Error::Unavailable { timeout, attempts: 1, reason };
        match self.transport().attempt(node, &Request::status(true), &Context::default(), limits).await {
            Attempt::Replied(reply) => match reply.verdict() {
                Verdict::Served => reply.json::<OfNode>().map(|told| told.status),
                Verdict::Refused(error) => Err(error),
                Verdict::NotNow { reason, .. } | Verdict::Failed(reason) => Err(unavailable(reason)),
            },
            Attempt::NotSent(reason) | Attempt::Broken(reason) => Err(unavailable(reason)),
            Attempt::TooLarge => Err(unavailable("its answer is too large".to_owned())),
        }
    }
}
