//! Start-up: meeting the shard (design 10.1). What follows, recovering, is decided by the node with [`crate::replication`].

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::{NodeId, ShardId};
use crate::placement::view::View;
use crate::time::Instant;

/// How a node met its shard (design 10.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met {
    /// It heard a recovered replica.
    RecoveredReplica,
    /// All members of its view are here, and its shard is as new as itself.
    FreshCluster,
    /// It holds no shard: any member was heard, or nobody for `bootstrap_timeout`.
    Spare,
    /// After `bootstrap_timeout` a majority of its view was here, and nobody had anything.
    Majority,
}

/// A node that has started and not yet met its shard.
#[derive(Debug)]
pub struct Boot {
    /// Tells this start from others of the address.
    pub nonce: u64,
    /// When it began.
    pub started: Instant,
    /// When to ask again.
    pub ask_at: Instant,
    heard: BTreeMap<NodeId, bool>,
}

impl Boot {
    /// Begins.
    #[must_use]
    pub fn new(nonce: u64, now: Instant) -> Self {
        Self { nonce, started: now, ask_at: now, heard: BTreeMap::new() }
    }

    /// A member has answered.
    pub fn hear(&mut self, node: NodeId, recovered: bool) {
        self.heard.insert(node, recovered);
    }

    /// Members not heard yet.
    #[must_use]
    pub fn waiting_for(&self, view: &View, me: NodeId) -> Vec<NodeId> {
        view.members().map(|(node, _, _)| node).filter(|node| *node != me && !self.heard.contains_key(node)).collect()
    }

    /// Whether the shard is met, and how: one recovered replica of it was heard; or all members of the view were, and
    /// nobody of the shard has recovered; or after `bootstrap_timeout` a majority was, likewise. A spare has no shard: any
    /// member will do, who may know its former lives, and after `bootstrap_timeout` none.
    #[must_use]
    pub fn verdict(
        &self,
        view: &View,
        me: NodeId,
        shard: Option<ShardId>,
        now: Instant,
        timeout: Duration,
    ) -> Option<Met> {
        let Some(shard) = shard else {
            let heard = (!self.heard.is_empty()).then_some(Met::Spare);
            return heard.or_else(|| (now.since(self.started) >= timeout).then_some(Met::Spare));
        };
        let of_shard = |node: &NodeId| view.shard_of_member(*node) == Some(shard);
        if self.heard.iter().any(|(node, recovered)| *recovered && of_shard(node)) {
            return Some(Met::RecoveredReplica);
        }
        let members = view.members().count();
        let missing = self.waiting_for(view, me).len();
        if missing == 0 {
            return Some(Met::FreshCluster);
        }
        let majority = (members - missing) * 2 > members;
        (majority && now.since(self.started) >= timeout).then_some(Met::Majority)
    }
}
