//! What clients ask and what they are answered. The same values travel from router to replica.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::causality::context::Context;
use crate::causality::version::Version;
use crate::id::{Address, NodeId, ShardId};
use crate::table::value::Value;
use crate::wire::mark::Mark;
use crate::wire::named::Named;

/// A client's request, parsed and within the limits of size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What to do.
    pub action: Action,
    /// All contexts that the client sent, merged.
    pub context: Context,
    /// How long a read may wait for its context; `None`: the cluster's default.
    pub wait: Option<Duration>,
    /// The write concern, if asked for explicitly; `None`: min(2, replicas).
    pub concern: Option<WriteConcern>,
    /// Time left until the client must have an answer.
    pub deadline: Duration,
    /// What it is known by outside, if it is known by anything.
    pub mark: Option<Box<Mark>>,
    /// For a write: what its client calls it, to have a repeat recognised (design 7.6).
    pub named: Option<Box<Named>>,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Read a key.
    Get {
        /// The key, percent-decoded UTF-8, within the limit.
        key: Bytes,
    },
    /// Write a key.
    Put {
        /// The key.
        key: Bytes,
        /// The value, neither missing nor null.
        value: Value,
    },
    /// Delete a key.
    Delete {
        /// The key.
        key: Bytes,
    },
    /// Count the live keys of a shard.
    Count {
        /// Which shard.
        shard: ShardId,
    },
    /// Change the view, with the node asked as coordinator (design 11). Never forwarded.
    ChangeView(ViewChange),
    /// Wait until all that the context names is on every replica of its shard.
    Barrier,
}

/// The view that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewChange {
    /// Its members; their order does not matter.
    pub members: Vec<Address>,
    /// Replicas of each shard at least.
    pub repl_factor: usize,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Go on where data may be given up; the answer says what was.
    pub force: bool,
    /// Refuse unless the current view has this epoch.
    pub expected_epoch: Option<u32>,
}

/// What became of a view change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ViewChanged {
    /// The view, or with `dry_run` the one that would be.
    pub epoch: u32,
    /// Whether everything has been handed over.
    pub settled: bool,
    /// Its shards: who holds them, and how many live keys there are; none if nobody could tell in time.
    pub shards: Vec<(ShardId, Vec<Address>, Option<u64>)>,
    /// Which shards have not settled yet.
    pub outstanding: Vec<ShardId>,
    /// What `force` gave up, in words.
    pub given_up: Vec<String>,
    /// With `dry_run`: what would move.
    pub moves: Vec<Move>,
}

/// Keys on their way from a shard to a node that does not hold them yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The old shard.
    pub from: ShardId,
    /// The node that gets them.
    pub to: Address,
    /// The shard that they belong to then.
    pub shard: ShardId,
    /// About how many keys.
    pub keys: u64,
    /// About how many bytes of keys and values.
    pub bytes: u64,
}

/// What a barrier still waits for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Missing {
    /// Replicas that have not confirmed that they have all that the context names of their shard.
    pub replicas: Vec<(ShardId, Address)>,
    /// Shards of the current view that have not got everything of the views before it.
    pub outstanding: Vec<ShardId>,
    /// Whether the context names a view, or an origin of one, that the node has not heard of.
    pub unknown: bool,
}

impl Missing {
    /// Whether nothing is missing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.replicas.is_empty() && self.outstanding.is_empty() && !self.unknown
    }
}

impl Action {
    /// The key, if the action names one.
    #[must_use]
    pub fn key(&self) -> Option<&Bytes> {
        match self {
            Self::Get { key } | Self::Put { key, .. } | Self::Delete { key } => Some(key),
            Self::Count { .. } | Self::ChangeView(_) | Self::Barrier => None,
        }
    }

    /// Whether the action may change the table.
    #[must_use]
    pub fn is_write(&self) -> bool {
        match self {
            Self::Put { .. } | Self::Delete { .. } => true,
            Self::Get { .. } | Self::Count { .. } | Self::ChangeView(_) | Self::Barrier => false,
        }
    }
}

/// On how many replicas a write must be before it is answered as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WriteConcern {
    /// On the replica that takes it.
    One,
    /// On two.
    Two,
    /// On more than half of the shard's replicas.
    Majority,
    /// On every replica of the shard.
    All,
}

impl WriteConcern {
    /// The number of replicas meant, in a shard of `replicas`. `Two` stays 2 in a shard of one: it cannot be met there.
    #[must_use]
    pub fn count(self, replicas: usize) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Majority => replicas / 2 + 1,
            Self::All => replicas,
        }
    }
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// What happened.
    pub outcome: Outcome,
    /// The client's new context. A refusal returns the request's context as it came.
    pub context: Context,
    /// Who answered.
    pub served_by: NodeId,
    /// The version read or written.
    pub version: Option<Version>,
    /// On how many replicas the write is known to be; 0 for reads.
    pub acks: u32,
    /// The context named writes that died with all their holders (design 15.7).
    pub lost: bool,
    /// The write was tried at a second replica while the fate of the first try is unknown: it may take effect twice.
    pub repeat_unconfirmed: bool,
}

/// What happened to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// GET: the key exists (200).
    Found(Value),
    /// GET or DELETE: the key does not exist (404).
    Absent,
    /// PUT: written (201, or 200 if `replaced`; 202 if an explicit concern was not met).
    Written {
        /// Whether the key was visible before.
        replaced: bool,
        /// Whether an explicitly asked write concern was met; true if none was asked for.
        concern_met: bool,
    },
    /// DELETE: the tombstone is written (200; 202 if an explicit concern was not met).
    Deleted {
        /// As for PUT.
        concern_met: bool,
    },
    /// Count of live keys (200).
    Counted(u64),
    /// Nothing was done, with one exception that says so.
    Refused(Refusal),
    /// View change: it is done, or under way (200, 202).
    Changed(Box<ViewChanged>),
    /// Barrier: all that the context names is on every replica of its shard (200).
    Stable,
    /// Barrier: its time is up, and this is missing (202).
    Unstable(Box<Missing>),
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// 400. The context names a time too far ahead of the clock (design 4.2).
    #[error("causal context is {ahead_ms} ms ahead of this node's clock, more than the limit of {limit_ms} ms")]
    ContextFromTheFuture {
        /// How far ahead.
        ahead_ms: u64,
        /// `clock_drift_max`.
        limit_ms: u64,
    },
    /// 410. No node knows the view that the context names (design 5.4).
    #[error("View of the context is lost")]
    ViewLost,
    /// 503. No reachable replica has what the context needs.
    #[error("no reachable replica holds what the causal context needs yet")]
    Unsatisfied,
    /// 503. No replica of the shard could be reached in time.
    #[error("no replica of shard {} could be reached in time", shard.0)]
    NoReplica {
        /// The key's shard.
        shard: ShardId,
    },
    /// 503. The node has not met its shard since it started (design 10.1).
    #[error("this node has started and still waits to meet {} of its shard", .waiting_for.len())]
    NotMet {
        /// Whom it waits for.
        waiting_for: Vec<NodeId>,
    },
    /// 503. A bound on concurrent work is reached; nothing was done.
    #[error("this node has reached its limit of {limit} {what}")]
    Overloaded {
        /// What there is too much of.
        what: String,
        /// The bound.
        limit: u64,
    },
    /// To a router only: the receiver does not hold the shard under its own view (design 15.4).
    #[error("the node asked does not hold the shard")]
    NotOwner,
    /// To a router only: the write came too late and was not applied (design 7.1).
    #[error("the forwarded write arrived after the time it was good for")]
    TooLate,
    /// 400. No such view can be; the text names the offence.
    #[error("{0}")]
    BadView(String),
    /// 409. Another change is under way, or the view is not the one expected.
    #[error("View change in progress: {0}")]
    ViewChangeInProgress(String),
    /// 409. The view is not the one that was expected.
    #[error("the current view has epoch {epoch}, not {expected}")]
    UnexpectedEpoch {
        /// The current one.
        epoch: u32,
        /// The one expected.
        expected: u32,
    },
    /// 503. The change would give up data that may be nowhere else; `force` overrides.
    #[error("{0}")]
    WouldGiveUp(String),
    /// Status 504: a write was sent to a replica that did not answer and could not be tried elsewhere: it may take effect or
    /// not.
    #[error("outcome unknown: a replica was sent the write and did not answer in time")]
    OutcomeUnknown,
    /// 507. A PUT needs more memory than the node may take; nothing was done.
    #[error("Memory limit reached: {limit} bytes (MAX_MEMORY_BYTES): delete keys, add nodes, or raise the limit")]
    MemoryFull {
        /// `memory_bytes_max`.
        limit: u64,
    },
    /// 422. Another write of the key has this name; nothing was done.
    #[error("Idempotency-Key was used for another write of this key: choose a new one for each write")]
    NameTaken,
}
