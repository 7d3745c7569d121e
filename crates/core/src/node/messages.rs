//! Messages: who may speak, and what each message changes.

use crate::causality::hlc::Timestamp;
use crate::effect::{Effect, Effects};
use crate::event::Event;
use crate::id::{Life, NodeId};
use crate::node::Node;
use crate::node::recover::MISMATCHES;
use crate::planted::{self, Planted};
use crate::replication::lives::Standing;
use crate::replication::stream::Outgoing;
use crate::time::Now;
use crate::wire::message::{Ack, Envelope, Frame, Message, Status, SyncChunk, SyncPull};

impl Node {
    pub(super) fn on_message(&mut self, now: Now, envelope: Envelope, effects: &mut Effects) {
        let Envelope { cluster, view, from, life, clock, body } = envelope;
        if cluster != self.cluster || view != self.view.id || from == self.me {
            effects.push(Effect::Event(Event::StrangerRefused(from)));
            return;
        }
        // Whoever is heard can be reached again, whatever the transport has said before: its word is a hint.
        self.disconnected.remove(&from);
        self.hear_clock(now, from, clock, effects);
        if !self.admit(now, from, life, effects) {
            return;
        }
        match body {
            Message::Hello { boot } => self.on_hello(from, boot, effects),
            Message::Welcome { boot, recovered, known_life } => {
                self.on_welcome(now, from, boot, recovered, known_life, effects);
            }
            Message::Frame(frame) => self.on_frame(now, from, life, &frame, effects),
            Message::Ack(ack) => self.on_ack(now, from, &ack),
            Message::Status(status) => self.on_status(now, from, life, status, effects),
            Message::Gossip { wall, covered } => {
                self.walls.insert(from, wall.0.cast_signed() - now.wall.0.cast_signed());
                for (node, covered) in covered {
                    self.stability.hear(node, covered);
                }
            }
            Message::SyncPull(pull) => self.on_sync_pull(from, &pull, effects),
            Message::SyncChunk(chunk) => self.on_sync_chunk(now, from, life, &chunk, effects),
            Message::Forward(forward) => self.on_forward(now, from, forward, effects),
            Message::ForwardReply { id, reply } => self.on_forward_reply(now, from, id, reply, effects),
            Message::Swim(packet) => {
                if self.membership.on_packet(now.monotonic, &packet).is_err() {
                    effects.push(Effect::Event(Event::BadMessage { node: from, what: "failure detector packet" }));
                }
            }
            Message::Superseded { by } => self.on_superseded(by, effects),
        }
    }

    /// Takes over a peer's clock, and reports one that is far ahead (design 4.2).
    fn hear_clock(&mut self, now: Now, from: NodeId, clock: Timestamp, effects: &mut Effects) {
        let here = self.clock.follow(now.wall);
        let met = self.replica.as_ref().is_some_and(|replica| replica.origin.is_some());
        if met && clock > here.later_by(self.config.cluster.clock_drift_max) {
            if self.ahead.insert(from) {
                let ahead_ms = clock.millis() - here.millis();
                effects.push(Effect::Event(Event::ClockAhead { node: from, ahead_ms }));
            }
        } else {
            self.ahead.remove(&from);
        }
        self.clock.receive(clock);
    }

    /// Takes note of the sender's life. A node that knows a newer life takes nothing more from an older one.
    fn admit(&mut self, now: Now, from: NodeId, life: Option<Timestamp>, effects: &mut Effects) -> bool {
        let Some(start) = life else { return true };
        if !self.peers.contains_key(&from) {
            return true;
        }
        let life = Life { node: from, start };
        match self.learn(life, effects) {
            Standing::Former if planted::is(Planted::FormerLifeAccepted) => {}
            Standing::Former => {
                effects.push(Effect::Event(Event::FormerLifeRefused(life)));
                let by = self.replica.as_ref().and_then(|replica| replica.lives.newest(from)).unwrap_or(start);
                self.send(from, Message::Superseded { by }, effects);
                return false;
            }
            Standing::Newest | Standing::New => {}
        }
        let peer = self.peers.get_mut(&from).expect("it was just found");
        peer.heard_at = Some(now.monotonic);
        if !peer.up {
            peer.up = true;
            effects.push(Effect::Event(Event::PeerUp(from)));
        }
        true
    }

    /// Takes note of a life of a shard member, from itself or by hearsay.
    pub(super) fn learn(&mut self, life: Life, effects: &mut Effects) -> Standing {
        if life.node == self.me {
            self.on_superseded(life.start, effects);
            return Standing::Newest;
        }
        let Some(replica) = &mut self.replica else { return Standing::Newest };
        if !self.peers.contains_key(&life.node) {
            return Standing::Newest;
        }
        let standing = replica.learn(life);
        if standing == Standing::New {
            let start = replica.origin.map_or(Timestamp::ZERO, |origin| origin.start);
            let peer = self.peers.get_mut(&life.node).expect("it was just found");
            peer.out = Outgoing::new(start);
            peer.status = None;
            peer.behind_since = None;
            peer.gap_since = None;
            if self.pass.as_ref().is_some_and(|pass| pass.source.node == life.node) {
                self.pass = None;
            }
            self.progress = true;
        }
        standing
    }

    fn on_superseded(&mut self, by: Timestamp, effects: &mut Effects) {
        let Some(origin) = self.replica.as_ref().and_then(|replica| replica.origin) else { return };
        if by > origin.start {
            effects.push(Effect::Event(Event::Superseded(Life { node: self.me, start: by })));
            effects.push(Effect::Stop);
            self.stopped = true;
        }
    }

    fn on_hello(&mut self, from: NodeId, boot: u64, effects: &mut Effects) {
        let recovered = self.replica.as_ref().is_some_and(|replica| replica.recovered);
        let known_life = self.replica.as_ref().and_then(|replica| replica.lives.newest(from));
        self.send(from, Message::Welcome { boot, recovered, known_life }, effects);
    }

    fn on_frame(&mut self, now: Now, from: NodeId, life: Option<Timestamp>, frame: &Frame, effects: &mut Effects) {
        let Some(replica) = &mut self.replica else { return };
        let sound = frame.origin.node == from && Some(frame.origin.start) == life && frame.origin.view == self.view.id;
        if !sound {
            effects.push(Effect::Event(Event::BadMessage { node: from, what: "frame of a strange origin" }));
            return;
        }
        let (Some(_), Some(peer)) = (replica.origin, self.peers.get_mut(&from)) else { return };
        let ack = replica.on_frame(frame);
        for write in &frame.writes {
            if let Some(id) = write.write_id {
                let version = crate::causality::version::Version { timestamp: write.timestamp, origin: frame.origin };
                self.write_ids.insert(id, version);
            }
        }
        peer.gap_since = if ack.gap { peer.gap_since.or(Some(now.monotonic)) } else { None };
        self.progress = true;
        if ack.gap || !frame.writes.is_empty() {
            self.send(from, Message::Ack(ack), effects);
        }
    }

    fn on_ack(&mut self, now: Now, from: NodeId, ack: &Ack) {
        let Some(replica) = &self.replica else { return };
        if replica.origin != Some(ack.origin) {
            return;
        }
        let pace = self.config.cluster.heartbeat;
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.out.on_ack(now.monotonic, ack, &replica.window, pace);
        self.acks.on_ack(from, ack);
    }

    fn on_status(&mut self, now: Now, from: NodeId, life: Option<Timestamp>, status: Status, effects: &mut Effects) {
        let Some(origin) = self.replica.as_ref().and_then(|replica| replica.origin) else { return };
        if life.is_none() || !self.peers.contains_key(&from) {
            return;
        }
        for life in &status.lives {
            self.learn(*life, effects);
        }
        if self.stopped {
            return;
        }
        self.stability.hear(from, status.covered);
        let applied = status.applied.get(&origin);
        self.on_ack(now, from, &Ack { origin, applied, beyond: Vec::new(), gap: false });
        let news = self.replica.as_mut().map(|replica| replica.merge_closed(&status.closed)).unwrap_or_default();
        self.tell_closed(&news, effects);
        self.note_digest(from, &status, effects);
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.status = Some(status);
        }
        self.close_lives(effects);
    }

    /// Closes the former lives that all agree on.
    pub(super) fn close_lives(&mut self, effects: &mut Effects) {
        let Some(replica) = &self.replica else { return };
        let statuses = self.statuses();
        let mine = replica.status(&statuses);
        let statuses: std::collections::BTreeMap<_, _> =
            statuses.into_iter().map(|(node, status)| (node, status.clone())).collect();
        let by_node = statuses.iter().map(|(node, status)| (*node, status)).collect();
        let Some(replica) = &mut self.replica else { return };
        let members = replica.members.clone();
        let news = replica.lives.close(self.me, &mine, &by_node, &members);
        replica.forget_closed();
        self.tell_closed(&news, effects);
    }

    fn tell_closed(&mut self, news: &[crate::wire::message::ClosedLives], effects: &mut Effects) {
        self.progress |= !news.is_empty();
        for closed in news {
            effects.push(Effect::Event(Event::LivesClosed { node: closed.node, before: closed.before }));
        }
    }

    /// Compares digests with a peer that has seen exactly the same writes (design 8.4). A difference that stays is a bug.
    fn note_digest(&mut self, from: NodeId, status: &Status, effects: &mut Effects) {
        let Some(replica) = &self.replica else { return };
        let whole = |seen: &crate::causality::version_vector::VersionVector,
                     applied: &crate::causality::version_vector::VersionVector| {
            seen.iter().all(|(origin, timestamp)| applied.get(origin) >= timestamp)
        };
        let comparable = replica.recovered
            && status.recovered
            && self.pass.is_none()
            && replica.seen == status.seen
            && replica.lives.closed().values().eq(status.closed.iter())
            && whole(&replica.seen, &replica.applied)
            && whole(&status.seen, &status.applied);
        let differs = comparable && replica.table().digest() != status.digest;
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.mismatches = if differs { peer.mismatches + 1 } else { 0 };
        if peer.mismatches == MISMATCHES {
            effects.push(Effect::Event(Event::DigestMismatch(from)));
        }
    }

    fn on_sync_pull(&mut self, from: NodeId, pull: &SyncPull, effects: &mut Effects) {
        let Some(replica) = &self.replica else { return };
        if replica.origin.is_none() || !self.peers.contains_key(&from) {
            return;
        }
        let chunk = replica.sync_chunk(pull, &self.stability);
        self.send(from, Message::SyncChunk(chunk), effects);
    }

    fn on_sync_chunk(
        &mut self,
        now: Now,
        from: NodeId,
        life: Option<Timestamp>,
        chunk: &SyncChunk,
        effects: &mut Effects,
    ) {
        let (Some(replica), Some(pass)) = (&mut self.replica, &mut self.pass) else { return };
        if !pass.awaits(from, life, chunk) {
            return;
        }
        for (node, covered) in &chunk.covered {
            self.stability.hear(*node, *covered);
        }
        let kind = pass.kind;
        let before = pass.note_first(chunk).clone();
        let lost = planted::is(Planted::HandOffLoses) && chunk.from > 0 && chunk.next.is_none();
        let dropped = if lost { 0 } else { replica.on_sync_chunk(chunk, kind, &before) };
        for entry in &chunk.entries {
            if let Some(id) = entry.payload.as_ref().and_then(|payload| payload.write_id) {
                self.write_ids.insert(id, entry.version);
            }
        }
        pass.entries += chunk.entries.len() as u64;
        pass.dropped += dropped;
        self.progress = true;
        match chunk.next {
            Some(next) => {
                pass.from = next;
                pass.asks = 0;
                self.pull(now, effects);
            }
            None => self.finish_pass(now, chunk.horizon, effects),
        }
    }
}
