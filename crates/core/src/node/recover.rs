//! Start-up, recovery and catch-up: when to meet, from whom to sync (design 8.3, 8.4, 10).

use std::time::Duration;

use crate::causality::hlc::Timestamp;
use crate::effect::{Effect, Effects};
use crate::event::Event;
use crate::id::{Life, NodeId, Origin};
use crate::node::{Node, random};
use crate::planted::{self, Planted};
use crate::replication::is_closed;
use crate::replication::stream::Outgoing;
use crate::replication::sync::{Kind, Pass};
use crate::time::Now;
use crate::wire::message::{Message, Status, SyncPull};

/// After so many unanswered pulls of one chunk a pass is given up.
const PULLS_MAX: u32 = 5;

/// A digest that differs so often in a row differs for good.
pub(super) const MISMATCHES: u32 = 3;

impl Node {
    pub(super) fn on_welcome(
        &mut self,
        now: Now,
        from: NodeId,
        nonce: u64,
        recovered: bool,
        known_life: Option<Timestamp>,
        effects: &mut Effects,
    ) {
        let Some(boot) = &mut self.boot else { return };
        if boot.nonce != nonce {
            return;
        }
        boot.hear(from, recovered);
        self.clock.receive(known_life.unwrap_or_default());
        self.try_to_meet(now, effects);
    }

    /// Begins this node's life if its shard is met (design 10.1).
    pub(super) fn try_to_meet(&mut self, now: Now, effects: &mut Effects) {
        let (Some(boot), Some(replica)) = (&self.boot, &mut self.replica) else { return };
        let timeout = self.config.cluster.bootstrap_timeout;
        let Some(how) = boot.verdict(&self.view, self.me, replica.shared.shard, now.monotonic, timeout) else { return };
        // Whoever was heard may not know what this address issued in a life that only others heard of, or nobody. So a life
        // begins above all that a drifting clock can have issued before, in a millisecond of its own; the random bits
        // tell lives apart whose wall clock was set back (design 4.1, 15.2).
        let safe = Timestamp::from_wall(now.wall).later_by(2 * self.config.cluster.clock_drift_max);
        let floor = self.clock.last().max(safe).later_by(Duration::from_millis(1));
        let start = floor.in_millisecond(random(&mut self.rng));
        self.clock.begin(start);
        let start = if planted::is(Planted::OriginReused) { Timestamp(1) } else { start };
        let origin = Origin { view: self.view.id, node: self.me, start };
        replica.begin(origin);
        for peer in self.peers.values_mut() {
            peer.out = Outgoing::new(start);
        }
        self.write_ids.forget_until(start);
        self.boot = None;
        self.progress = true;
        effects.push(Effect::Event(Event::Met { life: origin.life(), how }));
        self.seek_recovery(now, effects);
    }

    /// Whether some other replica of the shard has recovered and can be asked.
    pub(super) fn has_recovered_peer(&self) -> bool {
        self.peers
            .iter()
            .any(|(node, peer)| peer.up && self.is_up(*node) && peer.status.as_ref().is_some_and(|s| s.recovered))
    }

    /// Chooses whom to sync from, if anyone.
    pub(super) fn seek_recovery(&mut self, now: Now, effects: &mut Effects) {
        let Some(replica) = &self.replica else { return };
        if replica.origin.is_none() {
            return;
        }
        self.watch_pass(now, effects);
        if self.pass.is_some() {
            return;
        }
        match self.replica.as_ref().is_some_and(|replica| replica.recovered) {
            true => self.seek_relay(now, effects),
            false => self.seek_first(now, effects),
        }
    }

    /// Unrecovered: sync from one recovered replica, or, if all have lost their memory, from every one (design 10.3).
    fn seek_first(&mut self, now: Now, effects: &mut Effects) {
        let recovered = |status: &Status| status.recovered;
        let source = self.peers.iter().find(|(_, peer)| peer.up && peer.status.as_ref().is_some_and(recovered));
        if let Some((&node, _)) = source {
            self.begin_pass(now, node, Kind::Full, effects);
            return;
        }
        let Some(replica) = &self.replica else { return };
        let lives = replica.lives.all();
        let agreed = self
            .peers
            .values()
            .all(|peer| peer.status.as_ref().is_some_and(|status| !status.recovered && status.lives == lives));
        let missing = self.peers.iter().find(|(node, peer)| peer.up && !replica.lives.has_synced(**node)).map(|p| *p.0);
        match missing {
            Some(node) if self.peers.get(&node).is_some_and(|peer| peer.status.is_some()) => {
                self.begin_pass(now, node, Kind::Missing, effects);
            }
            Some(_) => {}
            None if agreed && self.peers.keys().all(|node| replica.lives.has_synced(*node)) => {
                self.become_recovered(effects);
            }
            None => {}
        }
    }

    fn become_recovered(&mut self, effects: &mut Effects) {
        let Some(replica) = &mut self.replica else { return };
        replica.recovered = true;
        self.progress = true;
        let members = &replica.members;
        let remembered = self
            .stability
            .words()
            .iter()
            .any(|(node, covered)| members.contains(node) && *covered > self.view.id.activation);
        effects.push(Effect::Event(Event::Recovered { entries: replica.table().live() }));
        if remembered {
            effects.push(Effect::Event(Event::ShardMemoryLost));
        }
        self.close_lives(effects);
    }

    /// Recovered: sync from a peer that has what no stream will deliver.
    fn seek_relay(&mut self, now: Now, effects: &mut Effects) {
        let needs: Vec<(NodeId, Option<Kind>)> = self.peers.keys().map(|node| (*node, self.needed(*node))).collect();
        let patience = self.config.cluster.heartbeat;
        let mut chosen = None;
        for (node, needed) in needs {
            let Some(peer) = self.peers.get_mut(&node) else { continue };
            let Some(kind) = needed.filter(|_| peer.up) else {
                peer.behind_since = None;
                // A gap that going back in the window has not closed in good time is closed by a sync.
                let gap = peer.up && peer.gap_since.is_some_and(|since| now.monotonic.since(since) >= patience * 6);
                if gap && chosen.is_none() {
                    chosen = Some((node, Kind::Missing));
                }
                continue;
            };
            let since = *peer.behind_since.get_or_insert(now.monotonic);
            if now.monotonic.since(since) >= patience && chosen.is_none_or(|(_, other)| kind > other) {
                chosen = Some((node, kind));
            }
        }
        if let Some((node, kind)) = chosen {
            self.begin_pass(now, node, kind, effects);
        }
    }

    /// Whether a peer has writes that their origin does not deliver itself, or must be synced from before lives close.
    fn needs(&self, node: NodeId) -> bool {
        let (Some(replica), Some(status)) = (&self.replica, self.peers.get(&node).and_then(|p| p.status.as_ref()))
        else {
            return false;
        };
        let closed = replica.lives.closed();
        let ahead = |origin: &Origin, there: Timestamp, here: Timestamp| {
            there > here.max(origin.start) && !is_closed(closed, origin) && !self.delivers(origin)
        };
        if planted::is(Planted::RelayForgotten) {
            return replica.lives.needs_sync_from(node, status, &replica.members);
        }
        status.applied.iter().any(|(origin, there)| ahead(origin, there, replica.applied.get(origin)))
            || status
                .seen
                .iter()
                .any(|(origin, there)| ahead(origin, there, replica.seen.get(origin).max(replica.applied.get(origin))))
            || replica.lives.needs_sync_from(node, status, &replica.members)
    }

    /// What this replica needs from a peer: everything if they differ where they must not; absence too if the peer may
    /// have collected tombstones that this replica never had.
    fn needed(&self, node: NodeId) -> Option<Kind> {
        let (replica, peer) = (self.replica.as_ref()?, self.peers.get(&node)?);
        let collected =
            |status: &Status| status.recovered && status.horizon > replica.covered && replica.horizon < status.horizon;
        if peer.mismatches >= MISMATCHES {
            Some(Kind::Replacing)
        } else if peer.status.as_ref().is_some_and(collected) {
            Some(Kind::Full)
        } else {
            self.needs(node).then_some(Kind::Missing)
        }
    }

    /// Whether an origin's own stream reaches this node.
    fn delivers(&self, origin: &Origin) -> bool {
        if origin.node == self.me {
            return self.replica.as_ref().is_some_and(|replica| replica.origin == Some(*origin));
        }
        let newest = self.replica.as_ref().and_then(|replica| replica.lives.newest(origin.node));
        newest == Some(origin.start) && self.peers.get(&origin.node).is_some_and(|peer| peer.up)
    }

    fn begin_pass(&mut self, now: Now, node: NodeId, kind: Kind, effects: &mut Effects) {
        let Some(replica) = &self.replica else { return };
        let Some(start) = replica.lives.newest(node) else { return };
        let id = random(&mut self.rng);
        self.pass = Some(Pass::new(id, Life { node, start }, kind, replica.covered, now.monotonic));
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.behind_since = None;
            peer.gap_since = None;
            peer.mismatches = 0;
        }
        effects.push(Effect::Event(Event::SyncStarted { from: node, full: kind.names_all() }));
        self.pull(now, effects);
    }

    /// Asks for the chunk that the pass waits for.
    pub(super) fn pull(&mut self, now: Now, effects: &mut Effects) {
        let (Some(replica), Some(pass)) = (&self.replica, &mut self.pass) else { return };
        pass.asked_at = now.monotonic;
        pass.asks += 1;
        let (have, closed) = match pass.kind {
            Kind::Replacing => Default::default(),
            Kind::Missing | Kind::Full => {
                let closed = replica.recovered.then(|| replica.lives.closed().values().copied().collect());
                (replica.applied.clone(), closed.unwrap_or_default())
            }
        };
        let pull = SyncPull { pass: pass.id, have, closed, full: pass.kind.names_all(), from: pass.from };
        let to = pass.source.node;
        self.send(to, Message::SyncPull(pull), effects);
    }

    fn watch_pass(&mut self, now: Now, effects: &mut Effects) {
        let Some(pass) = &self.pass else { return };
        let up = self.peers.get(&pass.source.node).is_some_and(|peer| peer.up);
        if !up || pass.asks > PULLS_MAX {
            self.pass = None;
        } else if now.monotonic.since(pass.asked_at) >= self.config.cluster.attempt_timeout {
            self.pull(now, effects);
        }
    }

    pub(super) fn finish_pass(&mut self, now: Now, horizon: Timestamp, effects: &mut Effects) {
        let (Some(replica), Some(pass)) = (&mut self.replica, self.pass.take()) else { return };
        let Some(before) = &pass.first else { return };
        if pass.kind == Kind::Missing && horizon > pass.covered_at_start && before.recovered {
            // Tombstones that this replica may never have had are gone at the source: absence must be named.
            self.begin_pass(now, pass.source.node, Kind::Full, effects);
            return;
        }
        let was_recovered = replica.recovered;
        replica.on_synced(pass.source, before, pass.kind);
        let recovered = replica.recovered;
        let entries = replica.table().live();
        let (from, received, dropped) = (pass.source.node, pass.entries, pass.dropped);
        effects.push(Effect::Event(Event::SyncDone { from, entries: received, dropped }));
        if recovered && !was_recovered {
            effects.push(Effect::Event(Event::Recovered { entries }));
        }
        self.close_lives(effects);
        self.seek_recovery(now, effects);
    }
}
