//! Faults that are held for ever: the healthy rest must make progress, and what it writes must spread around them.

use precede_core::id::ShardId;

use crate::properties::Holding;
use crate::trace::letter;
use crate::violation::Rule;
use crate::world::{MILLISECOND, Pending, World};

/// Time for a write to reach every replica that a chain of open links leads to. A relay notices that a peer lacks something
/// by that peer's next report, waits for one heartbeat, and pulls: 3 heartbeats of 50 ms and a few delays of 80 ms at most.
const SPREADS_WITHIN: u64 = 1_000 * MILLISECOND;

impl World {
    /// Whether a node can reach, both ways, a replica that hears all others of its shard. One direction is cut for good.
    pub(super) fn is_beside_the_cut(&self, node: usize, shard: ShardId) -> bool {
        let open = |one: usize, other: usize| self.network.is_open(one, other) && self.network.is_open(other, one);
        let replicas: Vec<usize> = (0..self.machines.len()).filter(|at| self.shard_at(*at) == Some(shard)).collect();
        let hears_all = |replica: usize| replicas.iter().all(|from| self.network.is_open(*from, replica));
        replicas.iter().any(|replica| open(node, *replica) && hears_all(*replica))
    }

    /// Whether a request must be served although a node is dead or stands still, or a link is cut, for ever: the node asked
    /// reaches a replica, and, for a read, one that all others that run are linked to and that has all of the client's past
    /// that belongs to the shard. (Where the two halves of a shard do not hear one another, a context may name more than that.)
    pub(super) fn can_be_served(&self, pending: &Pending, shard: ShardId) -> bool {
        let node = pending.node;
        let open = |other: usize| self.network.is_open(node, other) && self.network.is_open(other, node);
        if !self.machines[node].is_running() {
            return false;
        }
        let view = &self.shape.view;
        let of_shard = |write: &crate::past::WriteIx| {
            let record = &self.oracle.writes[write.at()];
            view.shard_of_hash(self.oracle.keys[record.key].hash).id == shard
        };
        let needed: Vec<_> = pending.past.iter().filter(of_shard).collect();
        let has_all = |holding: &Holding| needed.iter().all(|write| holding.reflects(&self.oracle, *write));
        let replicas = self.holdings(view, shard);
        let runs = |at: usize| self.machines[at].is_running();
        let linked = |at: usize| {
            let reached = self.reached_from(at);
            replicas.iter().all(|(other, _)| !runs(*other) || reached.contains(other))
        };
        let write = pending.request.action.is_write();
        replicas.iter().any(|(at, holding)| runs(*at) && open(*at) && (write || (linked(*at) && has_all(holding))))
    }

    /// Holds acknowledged writes that are old enough against the replicas that a chain of open links leads to.
    pub(super) fn check_spread(&mut self) {
        if self.now >= self.heal_at {
            self.spreading.clear();
        }
        while self.spreading.front().is_some_and(|(at, _)| at + SPREADS_WITHIN < self.now) {
            let Some((at, write)) = self.spreading.pop_front() else { return };
            let (record, view) = (&self.oracle.writes[write.at()], &self.shape.view);
            let Some(&from) = self.index.get(&record.version.origin.node) else { continue };
            let reached = self.reached_from(from);
            let lacks = self
                .holdings(view, view.shard_of_hash(self.oracle.keys[record.key].hash).id)
                .into_iter()
                .find(|(replica, holding)| reached.contains(replica) && !holding.reflects(&self.oracle, write));
            if let Some((replica, _)) = lacks {
                let (now, what) = (letter(replica), self.oracle.describe(write));
                let since = (self.now - at) / MILLISECOND;
                self.object(Rule::Live, format!("{now} lacks {what}, acknowledged {since} ms ago"));
            }
        }
    }

    /// The shard that a machine holds in the first view, which does not change here, whether a process runs or not.
    fn shard_at(&self, at: usize) -> Option<ShardId> {
        self.shape.view.shard_of_member(self.machines[at].id)
    }

    /// The replicas of a node's shard that run and that links open both ways lead to, from one to the next.
    fn reached_from(&self, from: usize) -> Vec<usize> {
        let runs = |at: usize| self.shard_at(at) == self.shard_at(from) && self.machines[at].is_running();
        let open = |one: usize, other: usize| self.network.is_open(one, other) && self.network.is_open(other, one);
        let mut reached = if runs(from) { vec![from] } else { Vec::new() };
        let mut next = 0;
        while next < reached.len() {
            let one = reached[next];
            let found = (0..self.machines.len()).filter(|at| runs(*at) && open(one, *at) && !reached.contains(at));
            reached.extend(found.collect::<Vec<_>>());
            next += 1;
        }
        reached
    }
}
