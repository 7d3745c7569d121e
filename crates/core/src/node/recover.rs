//! Start-up, recovery and catch-up: when to meet, from whom to sync (design 8.3, 8.4, 10).

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
use crate::wire::message::{HeldReport, Message, Past, Status, SyncPull};

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
        self.has_lived |= known_life.is_some();
        self.clock.receive(known_life.unwrap_or_default());
        self.try_to_meet(now, effects);
    }

    /// Begins this node's life if its shard is met (design 10.1).
    pub(super) fn try_to_meet(&mut self, now: Now, effects: &mut Effects) {
        let Some(boot) = &self.boot else { return };
        let timeout = self.config.cluster.bootstrap_timeout;
        let shard = self.views.current().shard_of_member(self.me);
        let Some(how) = boot.verdict(self.views.current(), self.me, shard, now.monotonic, timeout) else { return };
        // Whoever was heard may not know what this address issued in a life that only others heard of, or nobody.
        let start = self.begin_life(now);
        let start = if planted::is(Planted::OriginReused) { Timestamp(1) } else { start };
        self.boot = None;
        effects.push(Effect::Event(Event::Met { life: Life { node: self.me, start }, how }));
        let Some(replica) = &mut self.replica else { return };
        let origin = Origin { view: self.views.current().id, node: self.me, start };
        replica.begin(origin);
        for peer in self.peers.values_mut() {
            peer.out = Outgoing::new(start);
        }
        self.write_ids.forget_until(start);
        self.progress = true;
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
            true => {
                if !self.seek_hand_off(now, effects) {
                    self.seek_relay(now, effects);
                }
            }
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
        replica.has_lost = replica.shared.view.id.epoch > 0;
        self.progress = true;
        // That others have said how far the shard was may come late, or be overtaken by how far it is now; that this node
        // has lived is said before its life begins.
        let words = self.stability.words();
        let members = &replica.members;
        let activation = self.views.current().id.activation;
        let remembered = words.iter().any(|(node, covered)| members.contains(node) && *covered > activation);
        effects.push(Effect::Event(Event::Recovered { entries: replica.table().live() }));
        if remembered || self.has_lived {
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
            || status.held.iter().any(|theirs| self.needs_held(node, theirs))
    }

    /// Whether a peer holds something of a former view that no hand-off will bring.
    fn needs_held(&self, node: NodeId, theirs: &HeldReport) -> bool {
        let Some(replica) = &self.replica else { return false };
        let Some(mine) = replica.held.get(&theirs.view) else { return false };
        self.is_complete(&theirs.view)
            && theirs.complete
            && (theirs.vector.iter().any(|(origin, there)| there > mine.vector.get(origin))
                || mine.must_sync_from(node, &replica.lives.all(), theirs))
    }

    /// What this replica needs from a peer: everything if they differ where they must not; absence too if the peer may
    /// have collected tombstones that this replica never had. While a former view is known nobody collects any.
    fn needed(&self, node: NodeId) -> Option<Kind> {
        let (replica, peer) = (self.replica.as_ref()?, self.peers.get(&node)?);
        let settled = self.views.is_settled();
        let collected = |status: &Status| {
            settled && status.recovered && status.horizon > replica.covered && replica.horizon < status.horizon
        };
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
        let was_touched = replica.held.values().any(|held| !held.touched.is_empty());
        let pass = Pass::new(id, Life { node, start }, kind, None, replica.covered, now.monotonic);
        self.pass = Some(Pass { was_touched, ..pass });
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
        let Some(pass) = &mut self.pass else { return };
        pass.asked_at = now.monotonic;
        pass.asks += 1;
        let to = pass.source.node;
        if let Some(pull) = self.next_pull() {
            self.send(to, Message::SyncPull(pull), effects);
        }
    }

    /// The question for the chunk that the pass waits for.
    pub(super) fn next_pull(&self) -> Option<SyncPull> {
        let (replica, pass) = (self.replica.as_ref()?, self.pass.as_ref()?);
        let (have, closed) = match pass.kind {
            Kind::Replacing => Default::default(),
            Kind::Missing | Kind::Full => {
                let closed = replica.recovered.then(|| replica.lives.closed().values().copied().collect());
                (replica.applied.clone(), closed.unwrap_or_default())
            }
        };
        // Once one old member has handed over that had all of the views before its own, so has this replica.
        let has_older = match pass.legacy {
            None => replica.recovered && self.views.is_settled() && pass.kind != Kind::Replacing,
            Some(id) => replica.held.get(&id).is_some_and(|held| {
                held.view.shard_of_member(pass.source.node).is_some_and(|shard| held.has_older(shard, Past::Whole))
            }),
        };
        let held = if pass.kind == Kind::Replacing { Vec::new() } else { self.held_reports() };
        let (full, from, legacy) = (pass.kind.names_all(), pass.from, pass.legacy);
        Some(SyncPull { pass: pass.id, have, closed, full, legacy, held, has_older, from })
    }

    fn watch_pass(&mut self, now: Now, effects: &mut Effects) {
        let Some(pass) = &self.pass else { return };
        let source = pass.source.node;
        let up = match pass.legacy {
            None => self.peers.get(&source).is_some_and(|peer| peer.up),
            Some(_) => source == self.me || (self.is_up(source) && self.newest_life(source) <= Some(pass.source.start)),
        };
        if !up || pass.asks > PULLS_MAX {
            self.give_up_pass(now);
        } else if pass.resume_at.is_none() && now.monotonic.since(pass.asked_at) >= self.config.cluster.attempt_timeout
        {
            self.pull(now, effects);
        }
    }

    /// Gives a pass up. An old member that does not hand over is left alone for a while. What it has given counts when it goes on,
    /// but for one that tells of absence: what has come meanwhile was not held against it.
    pub(super) fn give_up_pass(&mut self, now: Now) {
        if let Some(pass) = self.pass.take()
            && let Some(legacy) = pass.legacy
        {
            self.unwilling.insert(pass.source.node, now.monotonic + self.config.cluster.attempt_timeout);
            if pass.kind == Kind::Missing {
                self.broken.insert((legacy, pass.source.node), pass);
            }
        }
    }

    pub(super) fn finish_pass(&mut self, now: Now, horizon: Timestamp, effects: &mut Effects) {
        let Some(pass) = self.pass.take() else { return };
        let Some(before) = &pass.first else { return };
        // A legacy's are those of its own view.
        for life in before.lives.iter().filter(|_| pass.legacy.is_none()) {
            self.learn(*life, effects);
        }
        let Some(replica) = self.replica.as_mut().filter(|_| !self.stopped) else { return };
        self.write_ids.on_synced(self.clock.last());
        if let Some(legacy) = pass.legacy {
            let lags = before.recovered && horizon > pass.covered_at_start && pass.was_touched;
            if pass.kind == Kind::Missing && lags && !planted::is(Planted::AbsenceNotHandedOver) {
                // Tombstones are gone there that this replica may never have had, nor what it has got so far.
                self.begin_hand_off(now, legacy, pass.source, Kind::Full, effects);
                return;
            }
            replica.on_handed_over(legacy, pass.source, before);
            self.views.hear_late(pass.source);
            effects.push(Effect::Event(Event::HandedOver { from: pass.source.node, entries: pass.entries }));
            self.progress = true;
            self.seek_recovery(now, effects);
            return;
        }
        let differs = self.views.is_settled() || pass.was_touched;
        if differs && pass.kind == Kind::Missing && horizon > pass.covered_at_start && before.recovered {
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
