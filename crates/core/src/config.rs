//! What a node is told at its start: settings of the cluster, which all nodes must share, and of the node.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use crate::id::Address;
use crate::limits;
use crate::placement::view::View;

/// Everything a node needs to know at its start.
#[derive(Debug, Clone)]
pub struct Config {
    /// This node's name in the view.
    pub address: Address,
    /// The view to begin with, from the environment (design 3.3). A node that is not in it is a spare.
    pub bootstrap: View,
    /// Settings that all nodes of the cluster share.
    pub cluster: ClusterConfig,
    /// Seed of everything that looks random in this node.
    pub seed: u64,
    /// Bytes that the window may hold before its oldest writes leave it (design 6.3).
    pub window_bytes_max: usize,
    /// Bytes that tables and windows may take in memory before PUTs that need more are refused; none for no limit. What peers
    /// send is taken all the same.
    pub memory_bytes_max: Option<u64>,
    /// Entries in one chunk of a sync (design 8.3); at most [`limits::SYNC_CHUNK_ENTRIES_MAX`].
    pub sync_chunk_entries: usize,
    /// Entries in a context that this node gives out; at least 1, at most [`limits::CONTEXT_ENTRIES_MAX`].
    pub context_entries_max: usize,
}

/// Settings that must be the same on all nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterConfig {
    /// The cluster's name; messages of another one are refused and counted (design 15.6).
    pub name: String,
    /// Whether the name is only derived from the bootstrap view: such a node may be invited by a cluster of another name as
    /// long as it holds nothing.
    pub is_derived: bool,
    /// How far ahead of the wall clock a client's context may be (design 4.2).
    pub clock_drift_max: Duration,
    /// Interval of heartbeats between the replicas of a shard, and of gossip between shards.
    pub heartbeat: Duration,
    /// Silence after which a shard peer counts as down for waiting and routing, never for correctness.
    pub peer_silence: Duration,
    /// How long a read waits for replication before another replica is asked.
    pub replication_wait: Duration,
    /// How long a request waits for its context in all, unless it says otherwise.
    pub context_wait: Duration,
    /// How long a DELETE whose context is not satisfied waits before it writes its tombstone unseen.
    pub delete_wait: Duration,
    /// How long a write waits for its write concern.
    pub ack_timeout: Duration,
    /// Deadline of a request in all, unless it says otherwise.
    pub request_deadline: Duration,
    /// How long a forwarded request may stay unanswered before another replica is tried.
    pub attempt_timeout: Duration,
    /// How long a starting node waits to meet its shard before a majority is enough (design 10.1).
    pub bootstrap_timeout: Duration,
    /// How long an unrecovered node looks for a recovered peer before it answers what it can (design 10.2).
    pub recovery_timeout: Duration,
    /// How long a write id is remembered after its write (design 15.3).
    pub write_id_retention: Duration,
    /// How long a client's name for a write is remembered after it (design 7.6).
    pub name_retention: Duration,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            is_derived: false,
            clock_drift_max: Duration::from_secs(60),
            heartbeat: Duration::from_millis(50),
            peer_silence: Duration::from_millis(200),
            replication_wait: Duration::from_millis(10),
            context_wait: Duration::from_secs(1),
            delete_wait: Duration::from_millis(100),
            ack_timeout: Duration::from_millis(250),
            request_deadline: Duration::from_secs(3),
            attempt_timeout: Duration::from_millis(400),
            bootstrap_timeout: Duration::from_secs(10),
            recovery_timeout: Duration::from_secs(2),
            write_id_retention: Duration::from_secs(30),
            name_retention: Duration::from_secs(600),
        }
    }
}

impl Config {
    /// A configuration with the defaults. The cluster's name defaults to a fingerprint of the bootstrap view.
    #[must_use]
    pub fn new(address: Address, bootstrap: View, seed: u64) -> Self {
        let cluster = ClusterConfig {
            name: format!("{:016x}", bootstrap.id.coordinator.0),
            is_derived: true,
            ..ClusterConfig::default()
        };
        Self {
            address,
            bootstrap,
            cluster,
            seed,
            window_bytes_max: limits::WINDOW_BYTES_DEFAULT,
            memory_bytes_max: None,
            sync_chunk_entries: limits::SYNC_CHUNK_ENTRIES_MAX,
            context_entries_max: limits::CONTEXT_ENTRIES_MAX,
        }
    }
}

impl ClusterConfig {
    /// The fingerprint that messages and tokens carry.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        xxh3_64(self.name.as_bytes())
    }
}
