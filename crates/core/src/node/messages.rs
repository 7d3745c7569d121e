//! Messages: who may speak, and what each message changes.

use crate::causality::hlc::Timestamp;
use crate::effect::{Effect, Effects};
use crate::event::Event;
use crate::id::{Life, NodeId, ViewId};
use crate::limits::NODES_MAX;
use crate::node::Node;
use crate::node::recover::MISMATCHES;
use crate::planted::{self, Planted};
use crate::replication::lives::Standing;
use crate::replication::stream::Outgoing;
use crate::replication::sync::Kind;
use crate::time::Now;
use crate::wire::message::{Ack, Envelope, Frame, Message, Status, SyncChunk, SyncPull};

impl Node {
    pub(super) fn on_message(&mut self, now: Now, envelope: Envelope, effects: &mut Effects) {
        let Envelope { cluster, view, from, life, clock, body } = envelope;
        if !self.is_known(now, cluster, view, from, &body) {
            self.decline(now, cluster, view, from, &body, effects);
            self.refuse_stranger(now, cluster, view, from, effects);
            return;
        }
        if cluster != self.cluster && matches!(body, Message::ViewAsk) {
            self.call_back(from, effects);
            return;
        }
        // Whoever is heard can be reached again, whatever the transport has said before: its word is a hint.
        self.disconnected.remove(&from);
        self.hear_clock(now, from, clock, effects);
        if !self.admit(now, from, life, view, effects) {
            return;
        }
        let same_view = self.compare_views(from, view, effects);
        if same_view && self.views.current().shard_of_member(from).is_some() {
            self.heard.insert(from, now.monotonic);
            if matches!(body, Message::Views(_)) {
                self.told.insert(from, clock);
            }
        }
        let is_former = planted::is(Planted::FormerViewAccepted) && matches!(&body, Message::Frame(_));
        if !same_view && !crosses_views(&body) && !is_former {
            return;
        }
        match body {
            Message::Hello { boot, .. } => self.on_hello(from, boot, same_view, effects),
            Message::Welcome { boot, recovered, known_life } => {
                self.on_welcome(now, from, boot, recovered, known_life, effects);
            }
            Message::Frame(frame) => self.on_frame(now, from, life, &frame, effects),
            Message::Ack(ack) => self.on_ack(now, from, &ack),
            Message::Status(status) => self.on_status(now, from, life, status, effects),
            Message::Gossip { wall, former, settled, late, adopted, covered } => {
                for life in late {
                    self.views.hear_late(life);
                }
                let adopted: Vec<NodeId> = adopted.into_iter().filter(|node| self.is_of_views(*node)).collect();
                self.adopted.extend(adopted);
                self.hear_settled(now, &settled, effects);
                self.hear_former_reports(now, from, &former, effects);
                if self.is_of_views(from) {
                    self.walls.insert(from, wall.0.cast_signed() - now.wall.0.cast_signed());
                }
                for (node, covered) in covered {
                    self.stability.hear(node, covered);
                }
            }
            Message::SyncPull(pull) => self.on_sync_pull(now, from, &pull, effects),
            Message::SyncChunk(mut chunk) => self.on_sync_chunk(now, from, life, &mut chunk, effects),
            Message::Forward(forward) => {
                // Who is behind its router cannot know what is its own.
                let is_behind = view > self.views.current().id;
                self.on_forward(now, from, forward, is_behind, effects);
            }
            Message::ForwardReply { id, reply } => self.on_forward_reply(now, from, id, reply, effects),
            Message::Swim(packet) => {
                if self.membership.on_packet(now.monotonic, &packet).is_err() {
                    effects.push(Effect::Event(Event::BadMessage { node: from, what: "failure detector packet" }));
                }
            }
            Message::Superseded { by } => self.on_superseded(by, effects),
            Message::ViewAsk => self.offer_views(from, effects),
            Message::Views(news) => self.on_news(now, cluster, from, *news, effects),
            // One that was sent before the view that came of it holds no other coordinator up.
            Message::Prepare(_) if view < self.views.current().id && self.views.current().id.epoch > 0 => {}
            Message::Prepare(asked) => self.on_prepare(now, from, cluster, asked, effects),
            Message::Prepared(answer) => self.on_prepared(now, from, view, answer, effects),
            Message::Release { change } => self.on_release(from, change),
            Message::Fetch { id, view, key, name } => self.on_fetch(now, from, (id, view), (&key, name), effects),
            Message::Fetched(answer) => self.on_fetched(now, from, *answer, effects),
            Message::Confirm { round, entries } => self.on_confirm(from, round, &entries, effects),
            Message::Confirmed { round, has } => {
                if let Some(life) = life {
                    self.on_confirmed(now, from, life, (round, has), effects);
                }
            }
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
    fn admit(&mut self, now: Now, from: NodeId, life: Option<Timestamp>, view: ViewId, effects: &mut Effects) -> bool {
        let Some(start) = life else { return true };
        if !self.peers.contains_key(&from) {
            let is_new = !self.lives.contains_key(&from);
            if is_new && self.lives.len() >= NODES_MAX && !self.is_of_views(from) {
                return true;
            }
            let known = self.lives.entry(from).or_insert(start);
            let is_former = start < *known;
            *known = start.max(*known);
            let by = *known;
            if is_former {
                self.supersede(from, view, by, effects);
            }
            return !is_former;
        }
        let life = Life { node: from, start };
        match self.learn(life, effects) {
            Standing::Former if planted::is(Planted::FormerLifeAccepted) => {}
            Standing::Former => {
                effects.push(Effect::Event(Event::FormerLifeRefused(life)));
                let by = self.replica.as_ref().and_then(|replica| replica.lives.newest(from)).unwrap_or(start);
                self.supersede(from, view, by, effects);
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

    /// Answers a life that is over. One that is in an older view may just have started with nothing else and with a clock that
    /// was set back: it is told of the view, and begins again there.
    fn supersede(&mut self, from: NodeId, view: ViewId, by: Timestamp, effects: &mut Effects) {
        if view < self.views.current().id {
            self.offer_views(from, effects);
        } else {
            self.send(from, Message::Superseded { by }, effects);
        }
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
        let known = self.lives.entry(life.node).or_insert(life.start);
        *known = life.start.max(*known);
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
        let Some(start) = self.life else { return };
        if by > start {
            effects.push(Effect::Event(Event::Superseded(Life { node: self.me, start: by })));
            effects.push(Effect::Stop);
            self.stopped = true;
        }
    }

    fn on_hello(&mut self, from: NodeId, boot: u64, same_view: bool, effects: &mut Effects) {
        if !same_view {
            return;
        }
        let recovered = self.replica.as_ref().is_some_and(|replica| replica.recovered);
        let known_life = self.lives.get(&from).copied();
        self.send(from, Message::Welcome { boot, recovered, known_life }, effects);
    }

    fn on_frame(&mut self, now: Now, from: NodeId, life: Option<Timestamp>, frame: &Frame, effects: &mut Effects) {
        let Some(replica) = &mut self.replica else { return };
        let sound = frame.origin.node == from
            && Some(frame.origin.start) == life
            && (frame.origin.view == self.views.current().id || planted::is(Planted::FormerViewAccepted));
        if !sound {
            effects.push(Effect::Event(Event::BadMessage { node: from, what: "frame of a strange origin" }));
            return;
        }
        let (Some(_), Some(peer)) = (replica.origin, self.peers.get_mut(&from)) else { return };
        let full = self.pass.as_ref().filter(|pass| pass.kind == Kind::Full && pass.legacy.is_none());
        let ack = replica.on_frame(now.monotonic, frame, full.and_then(|pass| pass.first.as_ref()));
        for write in &frame.writes {
            if let Some(id) = write.write_id {
                let version = crate::causality::version::Version { timestamp: write.timestamp, origin: frame.origin };
                self.write_ids.insert(now.monotonic, id, version);
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
        let Some(replica) = self.replica.as_ref().filter(|replica| replica.lives.are_open()) else { return };
        let statuses = self.statuses();
        let mine = replica.status(&statuses, self.held_reports());
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
            && replica.held.is_empty()
            && status.held.is_empty()
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

    fn on_sync_pull(&mut self, now: Now, from: NodeId, pull: &SyncPull, effects: &mut Effects) {
        if pull.legacy.is_some() {
            match self.legacy_chunk(now, pull, from) {
                Some(chunk) => self.send(from, Message::SyncChunk(chunk), effects),
                // It may not have heard yet that the view is settled.
                None => self.send(from, self.news(now), effects),
            }
            return;
        }
        let Some(replica) = &self.replica else { return };
        if replica.origin.is_none() || !self.peers.contains_key(&from) {
            return;
        }
        let chunk =
            replica.sync_chunk(now.monotonic, pull, &self.stability, &self.views, self.held_reports(), |_| true);
        self.send(from, Message::SyncChunk(chunk), effects);
    }

    pub(super) fn on_sync_chunk(
        &mut self,
        now: Now,
        from: NodeId,
        life: Option<Timestamp>,
        chunk: &mut SyncChunk,
        effects: &mut Effects,
    ) {
        let Some(pass) = &self.pass else { return };
        if !pass.awaits(from, life, chunk) {
            return;
        }
        for (node, covered) in &chunk.covered {
            self.stability.hear(*node, *covered);
        }
        for (view, least) in &chunk.former {
            self.stability.hear_former(view, *least);
        }
        // What the source knows of settlement comes first (design 8.3).
        self.hear_settled(now, &chunk.settled, effects);
        let (Some(replica), Some(pass)) = (&mut self.replica, &mut self.pass) else { return };
        let (kind, legacy) = (pass.kind, pass.legacy);
        let before = pass.note_first(chunk).clone();
        let lost_from_legacy = planted::is(Planted::LegacyChunkLost) && pass.legacy.is_some() && from != self.me;
        let lost = (planted::is(Planted::HandOffLoses) && chunk.from > 0 || lost_from_legacy) && chunk.next.is_none();
        let source = legacy.map(|id| (id, from));
        let dropped = if lost { 0 } else { replica.on_sync_chunk(now.monotonic, chunk, kind, source, &before) };
        for entry in &chunk.entries {
            if let Some(id) = entry.payload.as_ref().and_then(|payload| payload.write_id) {
                self.write_ids.insert(now.monotonic, id, entry.version);
            }
        }
        if pass.legacy.is_some() && from != self.me {
            self.received.0 += chunk.entries.len() as u64;
            self.received.1 += chunk.entries.iter().map(|entry| entry.entry.content_bytes()).sum::<usize>() as u64;
        }
        pass.entries += chunk.entries.len() as u64;
        pass.dropped += dropped;
        if dropped > 0 {
            self.broken.clear();
        }
        self.progress = true;
        match chunk.next {
            Some(next) => {
                pass.from = next;
                pass.asks = 0;
                let resume_at = self.rest(now);
                match resume_at > now.monotonic {
                    true => self.pause_pass(resume_at),
                    false => self.pull(now, effects),
                }
            }
            None => self.finish_pass(now, chunk.horizon, effects),
        }
    }
}

/// Whether a message means the same whatever views its sender and its receiver are in.
fn crosses_views(body: &Message) -> bool {
    match body {
        Message::Forward(_)
        | Message::ForwardReply { .. }
        | Message::Swim(_)
        | Message::Superseded { .. }
        | Message::ViewAsk
        | Message::Views(_)
        | Message::Prepare(_)
        | Message::Prepared(_)
        | Message::Release { .. } => true,
        Message::Hello { .. }
        | Message::Welcome { .. }
        | Message::Frame(_)
        | Message::Ack(_)
        | Message::Status(_)
        | Message::Gossip { .. }
        | Message::SyncPull(_)
        | Message::SyncChunk(_)
        | Message::Fetch { .. }
        | Message::Fetched(_)
        | Message::Confirm { .. }
        | Message::Confirmed { .. } => false,
    }
}
