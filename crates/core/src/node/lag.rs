//! What a node knows of the others' health and lag: for people and probes. The protocol rests on none of it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::causality::hlc::Timestamp;
use crate::id::{Address, NodeId, ShardId};
use crate::node::Node;
use crate::replication::age::Age;
use crate::time::{Instant, Now};

/// What a node knows of a member of its view, itself included, or of one of a former view that is not settled.
#[derive(Debug, Clone)]
pub struct MemberReport {
    /// Its address.
    pub address: Address,
    /// Its shard in the current view; none for one that has left.
    pub shard: Option<ShardId>,
    /// Whether it is thought to be up: a shard peer by its stream, others by the failure detector, which takes seconds.
    pub up: bool,
    /// How long ago it was last heard in the current view; none if never, and for this node.
    pub heard: Option<Duration>,
    /// How long ago this node's clock was where the member is: it has everything of its shard that was written before, as far as this
    /// node has been told. None for one that has left, and at spares, who are not told.
    pub lag: Option<Duration>,
    /// By how many milliseconds its wall clock was ahead of this node's, when last heard; the time that the message took counts
    /// against it.
    pub wall_ahead_ms: Option<i64>,
}

/// How old is what the node has been told.
#[derive(Debug)]
pub(super) struct Lags {
    stable: Age,
    /// How far members are.
    covered: BTreeMap<NodeId, Age>,
    /// How far shard peers are with this node's writes.
    acked: BTreeMap<NodeId, Age>,
}

impl Lags {
    pub(super) fn new(now: Instant) -> Self {
        Self { stable: Age::new(now, Timestamp::ZERO), covered: BTreeMap::new(), acked: BTreeMap::new() }
    }
}

impl Node {
    /// Looks at how far everybody is, once in a heartbeat.
    pub(super) fn note_lags(&mut self, now: Now, clock: Timestamp) {
        let now = now.monotonic;
        if self.replica.is_none() {
            // Spares are not told.
            self.lags = Lags::new(now);
            return;
        }
        self.lags.stable.look(now, clock, self.stability.stable());
        let words = self.stability.words();
        for (node, covered) in &words {
            self.lags.covered.entry(*node).or_insert_with(|| Age::new(now, clock)).look(now, clock, *covered);
        }
        for (node, peer) in &self.peers {
            self.lags.acked.entry(*node).or_insert_with(|| Age::new(now, clock)).look(now, clock, peer.out.acked());
        }
        let peers = &self.peers;
        self.lags.acked.retain(|node, _| peers.contains_key(node));
        if self.lags.covered.len() > words.len() {
            let view = self.views.current();
            self.lags.covered.retain(|node, _| view.shard_of_member(*node).is_some());
        }
    }

    /// How long ago this node's clock was where the stable timestamp is; none at spares, who are not told.
    #[must_use]
    pub fn stable_age(&self, now: Now) -> Option<Duration> {
        self.replica.as_ref().map(|_| self.lags.stable.at(now.monotonic))
    }

    /// The members of the view, in its order, and after them those of former views that are not settled.
    #[must_use]
    pub fn members(&self, now: Now) -> Vec<MemberReport> {
        let current = self.views.current();
        let members = current.members().map(|(_, address, shard)| (address, Some(shard)));
        let has_left = |(node, _, _): &(NodeId, &Address, ShardId)| current.shard_of_member(*node).is_none();
        let old = self.views.former().flat_map(|view| view.members().filter(has_left));
        let old: BTreeMap<&Address, Option<ShardId>> = old.map(|(_, address, _)| (address, None)).collect();
        members.chain(old).map(|(address, shard)| self.member(now, address, shard)).collect()
    }

    fn member(&self, now: Now, address: &Address, shard: Option<ShardId>) -> MemberReport {
        let node = address.node_id();
        let up = node == self.me || self.is_up(node);
        let heard = self.silence(now, node);
        let lag = self.lags.covered.get(&node).map(|age| self.lag(now, node, *age));
        let wall_ahead_ms = self.walls.get(&node).copied();
        MemberReport { address: address.clone(), shard, up, heard, lag, wall_ahead_ms }
    }

    /// How long ago this node wrote what a shard peer is known to have of it.
    pub(super) fn peer_lag(&self, now: Now, node: NodeId) -> Option<Duration> {
        self.lags.acked.get(&node).map(|age| self.lag(now, node, *age))
    }

    /// Of one that is down nothing is known since it was heard, even if nothing was written that it could lack.
    fn lag(&self, now: Now, node: NodeId, age: Age) -> Duration {
        let is_up = node == self.me || self.is_up(node);
        let silence = self.silence(now, node).filter(|_| !is_up).unwrap_or_default();
        age.at(now.monotonic).max(silence)
    }

    fn silence(&self, now: Now, node: NodeId) -> Option<Duration> {
        self.heard.get(&node).map(|at| now.monotonic.since(*at))
    }
}
