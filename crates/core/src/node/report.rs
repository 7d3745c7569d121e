//! What a node says of itself, and what must hold of it at every step.

use std::time::Duration;

use bytes::Bytes;

use crate::causality::hlc::Timestamp;
use crate::causality::version::Version;
use crate::causality::version_vector::VersionVector;
use crate::id::{Life, NodeId, ShardId, ViewId};
use crate::limits::{CONTEXT_ENTRIES_MAX, FORWARDED_MAX, UNACKED_WRITES_MAX, WAITING_MAX};
use crate::node::Node;
use crate::placement::hash::key_hash;
use crate::placement::view::View;
use crate::replication::replica::Replica;
use crate::table::Bounds;
use crate::table::value::Value;
use crate::time::Now;

/// The state of a node, for people and probes.
#[derive(Debug, Clone)]
pub struct NodeReport {
    /// Whether it has met its shard since it started: it accepts writes.
    pub met: bool,
    /// Whether it holds all that its shard's recovered replicas held.
    pub recovered: bool,
    /// Whether it holds no shard.
    pub spare: bool,
    /// Its present life.
    pub life: Option<Life>,
    /// Its clock.
    pub clock: Timestamp,
    /// By how many milliseconds this node's wall clock is ahead of most others'; none if too few were heard to tell who is
    /// wrong.
    pub wall_ahead_ms: Option<i64>,
    /// Whom it waits for before it has met its shard.
    pub waiting_for: Vec<NodeId>,
    /// It has everything of its shard at or below it.
    pub covered: Timestamp,
    /// The cluster's stable timestamp, as far as known here.
    pub stable: Timestamp,
    /// The greatest tombstone ever collected.
    pub horizon: Timestamp,
    /// Its vector.
    pub applied: VersionVector,
    /// Per origin the greatest timestamp ever put in its table.
    pub seen: VersionVector,
    /// Live keys.
    pub live_keys: u64,
    /// Tombstones.
    pub tombstones: u64,
    /// Bytes of the keys and values that it holds for its shard, tombstones included.
    pub bytes: u64,
    /// Writes in the window.
    pub window_writes: u64,
    /// Bytes in the window.
    pub window_bytes: u64,
    /// Bytes that tables and windows take in memory, about.
    pub memory_bytes: u64,
    /// Up to here versions have their dependencies in the floor context; 0 if there is none.
    pub floor: Timestamp,
    /// Requests that wait for their context here.
    pub waiting: usize,
    /// Requests that are tried elsewhere.
    pub forwarded: usize,
    /// Writes that wait for their concern.
    pub unacked: usize,
    /// Shard peers.
    pub peers: Vec<PeerReport>,
}

/// What a node knows of a shard peer.
#[derive(Debug, Clone)]
pub struct PeerReport {
    /// Which.
    pub node: NodeId,
    /// Whether it is heard.
    pub up: bool,
    /// Up to where it is known to have this node's writes.
    pub acked: Timestamp,
    /// Whether it says that it has recovered.
    pub recovered: bool,
    /// How long ago this node wrote what the peer is known to have of it; none before the first heartbeat.
    pub lag: Option<Duration>,
}

impl Node {
    /// The cluster's stable timestamp, as far as it is known here (design 6.4).
    #[must_use]
    pub fn stable(&self) -> Timestamp {
        self.stability.stable()
    }

    /// The state of this node.
    #[must_use]
    pub fn report(&self, now: Now) -> NodeReport {
        let (waiting, forwarded) = self.pending.counts();
        let replica = self.replica.as_ref();
        NodeReport {
            met: self.has_life(),
            recovered: replica.is_some_and(|replica| replica.recovered),
            spare: replica.is_none(),
            life: replica.and_then(|replica| replica.origin).map(|origin| origin.life()),
            clock: self.clock.last().max(Timestamp::from_wall(now.wall)),
            wall_ahead_ms: self.wall_ahead_ms(),
            waiting_for: self
                .boot
                .as_ref()
                .map(|boot| boot.waiting_for(self.views.current(), self.me))
                .unwrap_or_default(),
            covered: replica.map(|replica| replica.covered).unwrap_or_default(),
            stable: self.stability.stable(),
            horizon: replica.map(|replica| replica.horizon).unwrap_or_default(),
            applied: replica.map(|replica| replica.applied.clone()).unwrap_or_default(),
            seen: replica.map(|replica| replica.seen.clone()).unwrap_or_default(),
            live_keys: replica.map_or(0, |replica| replica.table().live()),
            tombstones: replica.map_or(0, |replica| replica.table().tombstones()),
            bytes: replica.map_or(0, |replica| replica.table().bytes()),
            window_writes: replica.map_or(0, |replica| replica.window.len() as u64),
            window_bytes: replica.map_or(0, |replica| replica.window.bytes() as u64),
            memory_bytes: self.memory_bytes(),
            floor: replica.map(|replica| replica.window.floor().1).unwrap_or_default(),
            waiting,
            forwarded,
            unacked: self.acks.len(),
            peers: self
                .peers
                .iter()
                .map(|(node, peer)| PeerReport {
                    node: *node,
                    up: self.is_up(*node),
                    acked: peer.out.acked(),
                    recovered: peer.status.as_ref().is_some_and(|status| status.recovered),
                    lag: self.peer_lag(now, *node),
                })
                .collect(),
        }
    }

    /// With two others at least, the median of what they say: one wrong clock does not move it.
    fn wall_ahead_ms(&self) -> Option<i64> {
        let mut ahead: Vec<i64> = self.walls.values().map(|theirs| -theirs).collect();
        ahead.sort_unstable();
        (ahead.len() >= 2).then(|| {
            let (low, high) = (ahead[(ahead.len() - 1) / 2], ahead[ahead.len() / 2]);
            if low > 0 { low } else { high.min(0) }
        })
    }

    /// Whether nothing is lost if this node ends now: no live peer lacks a write of it, nobody waits for a hand-off of what it
    /// held under a former view, and no view is in the making that may count on one.
    #[must_use]
    pub fn drained(&self, now: Now) -> bool {
        let is_asked = self.lease.is_some_and(|lease| lease.until > now.monotonic);
        // One that has stopped gives nothing more.
        self.stopped || (self.is_handed_over() && !is_asked && self.is_replicated())
    }

    /// Whether no live peer lacks a write of this node.
    fn is_replicated(&self) -> bool {
        let Some(replica) = &self.replica else { return true };
        let Some(origin) = replica.origin else { return true };
        let last = replica.seen.get(&origin);
        self.peers.iter().all(|(node, peer)| !self.is_up(*node) || peer.out.acked() >= last)
    }

    /// Whether this node holds nothing of former views that are not known to be settled.
    #[must_use]
    pub fn is_handed_over(&self) -> bool {
        self.legacies.is_empty()
    }

    /// Per former view, how many live entries this node holds for shards that have not said yet that they have everything of
    /// it. Slow: it looks at all of them.
    #[must_use]
    pub fn not_handed_over(&self) -> Vec<(ViewId, u64)> {
        let current = self.views.current();
        let waits =
            |id: &ViewId, key: &[u8]| !self.statements.contains_key(&(*id, current.shard_of_hash(key_hash(key)).id));
        let count = |(id, legacy): (&ViewId, &Replica)| {
            let walk = legacy.table().walk(0, Bounds::NONE, |_| true);
            let live = walk.entries.iter().filter(|entry| entry.value().is_some());
            (*id, live.filter(|entry| waits(id, entry.key())).count() as u64)
        };
        self.legacies.iter().map(count).filter(|(_, entries)| *entries > 0).collect()
    }

    /// All entries, tombstones included, by key. Slow; for tests and the simulator.
    #[must_use]
    pub fn dump(&self) -> Vec<(Bytes, Version, Option<Value>)> {
        self.replica.as_ref().map(entries).unwrap_or_default()
    }

    /// What this node holds: its shard's table, and the legacies of former views. Slow; for tests and the simulator.
    #[must_use]
    pub fn tables(&self) -> Vec<TableReport> {
        self.replica.iter().chain(self.legacies.values()).map(TableReport::of).collect()
    }

    /// What this node holds under one view. Slow; for tests and the simulator.
    #[must_use]
    pub fn table(&self, view: &ViewId) -> Option<TableReport> {
        let of_view = |replica: &&Replica| replica.shared.view.id == *view;
        self.replica.iter().chain(self.legacies.values()).find(of_view).map(TableReport::of)
    }

    /// What this node holds of its shard, and claims to hold; none for a spare. For the simulator, which looks at it after every step.
    #[must_use]
    pub fn replica(&self) -> Option<&Replica> {
        self.replica.as_ref()
    }

    /// Whether every former view is known to be settled.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.views.is_settled()
    }

    /// This run's life, once it has begun one.
    #[must_use]
    pub fn life(&self) -> Option<Timestamp> {
        self.life
    }

    /// Loses an entry as a bug or a bit flip would: for tests of what mends it.
    #[doc(hidden)]
    pub fn lose(&self, key: &[u8]) {
        if let Some(replica) = &self.replica {
            replica.table().remove_if(key, crate::placement::hash::key_hash(key), |_| true);
        }
    }

    /// Checks what must hold at every step.
    ///
    /// # Panics
    /// If an invariant is broken: a bug.
    pub fn check_invariants(&self) {
        let (waiting, forwarded) = self.pending.counts();
        assert!(waiting <= WAITING_MAX && forwarded <= FORWARDED_MAX, "requests beyond their bound");
        assert!(self.acks.len() <= UNACKED_WRITES_MAX, "writes without answer beyond their bound");
        let Some(replica) = &self.replica else { return };
        replica.names.check_invariants();
        assert!(replica.window.bytes() <= self.config.window_bytes_max, "the window is beyond its bound");
        assert!(replica.window.floor().0.entries.len() <= CONTEXT_ENTRIES_MAX, "the floor is beyond its bound");
        assert!(replica.recovered || replica.covered == Timestamp::ZERO, "covered before recovery");
        assert!(self.boot.is_some() != replica.origin.is_some(), "a life begins when the shard is met");
        for (origin, timestamp) in replica.applied.iter() {
            assert!(timestamp >= origin.start, "a vector below the start of an origin");
            assert!(timestamp <= self.clock.last() || origin.node != self.me, "a vector ahead of its own clock");
        }
        let visible = replica.shared.visible.read();
        assert!(visible.horizon >= replica.horizon, "a horizon that readers do not see");
        assert!(visible.covered <= replica.covered || !visible.serving, "readers see more than there is");
    }
}

/// A table, as the simulator looks at it.
#[derive(Debug, Clone)]
pub struct TableReport {
    /// The view under which it is held.
    pub view: View,
    /// The shard that it holds of it.
    pub shard: ShardId,
    /// Whether it holds all that the shard's recovered replicas held.
    pub recovered: bool,
    /// Its vector.
    pub applied: VersionVector,
    /// What it claims of former views.
    pub held: Vec<(ViewId, VersionVector)>,
    /// The greatest tombstone ever collected.
    pub horizon: Timestamp,
    /// By key.
    pub entries: Vec<(Bytes, Version, Option<Value>)>,
}

impl TableReport {
    fn of(replica: &Replica) -> Self {
        Self {
            view: replica.shared.view.clone(),
            shard: replica.shared.shard,
            recovered: replica.recovered,
            applied: replica.applied.clone(),
            held: replica.held.iter().map(|(id, held)| (*id, held.vector.clone())).collect(),
            horizon: replica.horizon,
            entries: entries(replica),
        }
    }
}

fn entries(replica: &Replica) -> Vec<(Bytes, Version, Option<Value>)> {
    let walk = replica.table().walk(0, Bounds::NONE, |_| true);
    let mut entries: Vec<_> = walk
        .entries
        .iter()
        .map(|entry| {
            let value = entry.value().map(|value| value.to_owned());
            (Bytes::copy_from_slice(entry.key()), replica.table().version(entry), value)
        })
        .collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    entries
}
