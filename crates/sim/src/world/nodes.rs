//! Processes: starting them, giving them inputs, doing what they want done, waking them.

use bytes::Bytes;
use precede_core::causality::hlc::Timestamp;
use precede_core::config::{ClusterConfig, Config};
use precede_core::effect::Effect;
use precede_core::event::Event as NodeEvent;
use precede_core::id::{Life, NodeId};
use precede_core::input::Input;
use precede_core::node::Node;
use precede_core::recovery::Met;
use precede_core::wire::codec;
use precede_core::wire::message::{Envelope, Message};
use precede_core::wire::request::Reply;

use crate::faults::Moment;
use crate::machine::Waiting;
use crate::queue::Event;
use crate::trace::{letter, sketch};
use crate::violation::Rule;
use crate::world::strays::STRAY_REQUESTS;
use crate::world::{MILLISECOND, SECOND, World};

/// The drift that clusters allow clients: no mix sets clocks back by more, but for one.
pub(super) const DRIFT_MS: i64 = 60_000;

impl World {
    /// Starts a process where none runs.
    pub(super) fn boot(&mut self, at: usize, skew_ms: Option<i64>) {
        if self.machines[at].node.is_some() {
            return;
        }
        let (offset, drift, seed) = (self.dice.below(1 << 40), self.dice.below(300), self.dice.any());
        let machine = &mut self.machines[at];
        machine.boots += 1;
        machine.life = None;
        machine.claimed = Default::default();
        machine.clock = machine.clock.restarted(self.now, offset, drift, skew_ms);
        self.skew_ms_high = self.skew_ms_high.max(machine.clock.skew_ms);
        let view = self.environment(at);
        self.machines[at].views = [(view.id, self.now)].into();
        let mut config = Config::new(self.machines[at].address.clone(), view, seed);
        if let Some(bytes) = self.shape.window_bytes_max {
            config.window_bytes_max = bytes;
        }
        if let Some(entries) = self.shape.sync_chunk_entries {
            config.sync_chunk_entries = entries;
        }
        if let Some(entries) = self.shape.context_entries_max {
            config.context_entries_max = entries;
        }
        let machine = &mut self.machines[at];
        machine.node = Some(Node::new(config, machine.clock.read(self.now)));
        machine.wakes_at = Some(self.now);
        machine.generation += 1;
        self.queue.push(self.now, Event::Wake { node: at, generation: machine.generation });
        if self.trace.is_on() {
            let skew = self.machines[at].clock.skew_ms;
            self.trace.line(self.now, format_args!("** {} starts, skew {skew} ms", letter(at)));
        }
        self.hint_all(at, true, 700);
    }

    /// Tells both ends of a node's links, with some chance and delay, that a connection is made or lost.
    pub(super) fn hint_all(&mut self, at: usize, up: bool, chance: u64) {
        for peer in (0..self.machines.len()).filter(|peer| *peer != at) {
            for (at, peer) in [(at, peer), (peer, at)] {
                if self.dice.chance(chance) {
                    let delay = self.dice.below(50 * MILLISECOND);
                    self.queue.push(self.now + delay, Event::Hint { at, peer, up });
                }
            }
        }
    }

    pub(super) fn hint(&mut self, at: usize, peer: usize, up: bool) {
        if self.machines[at].is_running() {
            let peer = self.machines[peer].id;
            self.step(at, if up { Input::Connected(peer) } else { Input::Disconnected(peer) });
        }
    }

    pub(super) fn deliver(&mut self, from: usize, to: usize, bytes: Bytes) {
        let machine = &mut self.machines[to];
        if machine.node.is_none() {
            return;
        }
        if machine.paused {
            machine.keep(Waiting::Message(from, bytes));
            return;
        }
        match codec::decode(&bytes) {
            Ok(envelope) => self.step(to, Input::Message(Box::new(envelope))),
            Err(error) => self.object(Rule::Sound, format!("a message does not decode: {error}")),
        }
    }

    pub(super) fn wake(&mut self, at: usize, generation: u64) {
        let machine = &mut self.machines[at];
        if machine.generation != generation || !machine.is_running() {
            return;
        }
        machine.wakes_at = None;
        let due = machine.node.as_ref().and_then(Node::next_deadline);
        let due = due.map(|deadline| machine.clock.time_of(deadline));
        // The first step of a process comes before it has said when it wants to be woken.
        if generation > 1 && due.is_some_and(|due| due > self.now) {
            self.schedule(at);
            return;
        }
        if machine.may_wake(self.now) {
            self.step(at, Input::Tick);
        } else {
            let machine = &mut self.machines[at];
            machine.woken_in = 0;
            let now = machine.clock.read(self.now);
            let due = machine.node.as_ref().and_then(Node::next_deadline);
            let report = machine.node.as_ref().map(|node| node.report(now));
            let what = format!("{} wakes without end: now {now:?}, due {due:?}, {report:?}", letter(at));
            self.object(Rule::Bounded, what);
        }
    }

    /// Gives a node one input and does what it wants done.
    pub(super) fn step(&mut self, at: usize, input: Input) {
        self.note_input(at, &input);
        let machine = &mut self.machines[at];
        let now = machine.clock.read(self.now);
        let Some(node) = machine.node.as_mut() else { return };
        let mut effects = std::mem::take(&mut self.effects);
        node.step(now, input, &mut effects);
        node.check_invariants();
        self.steps += 1;
        self.check_named(at);
        for effect in effects.drain(..) {
            self.carry_out(at, effect);
        }
        self.effects = effects;
        self.check_claims(at);
        self.schedule(at);
    }

    /// Sees to it that a node is woken at its deadline.
    fn schedule(&mut self, at: usize) {
        let machine = &mut self.machines[at];
        let Some(deadline) = machine.node.as_ref().and_then(Node::next_deadline) else { return };
        let time = machine.clock.time_of(deadline).max(self.now);
        if machine.wakes_at.is_some_and(|wakes_at| wakes_at <= time) {
            return;
        }
        machine.generation += 1;
        machine.wakes_at = Some(time);
        self.queue.push(time, Event::Wake { node: at, generation: machine.generation });
    }

    fn carry_out(&mut self, at: usize, effect: Effect) {
        match effect {
            Effect::Send { to, envelope } => self.send(at, to, &envelope),
            Effect::Reply { id, .. } if id.0 >= STRAY_REQUESTS => {}
            Effect::Reply { id, reply } => {
                self.digest_reply(at, id.0, &reply);
                self.note_answer(at, (None, id.0));
                self.answer(at, id.0, *reply, false);
            }
            Effect::Event(event) => self.hear(at, &event),
            Effect::Reach(_) | Effect::Discard(_) => {}
            Effect::Stop => self.stop(at),
        }
    }

    fn send(&mut self, at: usize, to: NodeId, envelope: &Envelope) {
        let bytes = codec::encode(envelope);
        self.digest_bytes(at, 1, &bytes);
        let Some(&to) = self.index.get(&to) else {
            if self.machines[at].strayed {
                return;
            }
            self.object(Rule::Sound, format!("{} sends to {to:?}, which is nobody", letter(at)));
            return;
        };
        self.observe(at, to, envelope);
        if let Some(moment) = self.moment_of(&envelope.body) {
            self.pass(moment, at, to);
        }
        let arrivals = self.network.send(self.now, at, to, &bytes, &mut self.dice);
        if self.trace.is_on()
            && let Some(text) = sketch(envelope)
        {
            let arrival =
                arrivals[0].map_or("x".to_owned(), |time| format!("{}.{:06}", time / 1_000_000, time % 1_000_000));
            self.trace.line(self.now, format_args!("{}>{} {arrival} {text}", letter(at), letter(to)));
        }
        for time in arrivals.into_iter().flatten() {
            self.queue.push(time, Event::Deliver { from: at, to, bytes: bytes.clone() });
        }
    }

    fn hear(&mut self, at: usize, event: &NodeEvent) {
        self.digest_bytes(at, 3, format!("{event:?}").as_bytes());
        if self.trace.is_on() {
            self.trace.line(self.now, format_args!("{}! {event:?}", letter(at)));
        }
        match event {
            NodeEvent::Met { life, how } => self.begin_life(at, *life, *how),
            // A tombstone that went before the other view was heard of: the net under it is for that too.
            NodeEvent::DigestMismatch(_) if self.siblings || self.clock_lost => {}
            NodeEvent::DigestMismatch(peer) => {
                let difference = self.difference(at, *peer);
                let what = format!("{} and {peer:?} have equal vectors and different entries", letter(at));
                self.object(Rule::Convergent, format!("{what}: {difference}"));
            }
            NodeEvent::BadMessage { node, what } => {
                self.object(Rule::Sound, format!("{} got a bad message of {node:?}: {what}", letter(at)));
            }
            // What was sent under another name may come late.
            NodeEvent::StrangerRefused { node, .. }
                if [Some(&at), self.index.get(node)].into_iter().flatten().any(|at| self.machines[*at].strayed) => {}
            NodeEvent::StrangerRefused { node, .. } => {
                self.object(Rule::Sound, format!("{} takes {node:?} for a stranger", letter(at)));
            }
            // Where a life began below a former one, that one is the later.
            NodeEvent::Superseded(life)
                if (self.clock_lost || self.stale_start) && self.machines[at].starts.contains(&life.start) => {}
            NodeEvent::Superseded(life) => {
                self.object(Rule::Sound, format!("{} believes in a later life {life:?}", letter(at)));
            }
            NodeEvent::ViewAdopted(_) => {
                self.note_view(at);
                self.pass_by_chance(Moment::Adopted, at);
            }
            NodeEvent::Discarded { entries, .. } => {
                if *entries > 0 {
                    self.note_loss();
                    self.bury(at, "discarded what it held");
                }
            }
            // A shard of one replica may have said so and lost its memory since: nobody asks those for it who have not heard yet.
            NodeEvent::ViewSettled(id) => {
                self.settled.insert(*id);
                let holders = if self.mix.has_crashes() { self.asked_holders() } else { self.holders() };
                self.bury_but(&holders, at, "dropped its legacy");
                self.pass_by_chance(Moment::Settled, at);
            }
            NodeEvent::HandedOver { from, .. } => {
                let from = self.index.get(from).copied().unwrap_or(at);
                self.pass(Moment::HandedOver, at, from);
            }
            NodeEvent::LivesClosed { node, before } => self.check_closed(at, *node, *before),
            NodeEvent::Recovered { .. }
            | NodeEvent::ShardMemoryLost
            | NodeEvent::LegacyLost { .. }
            | NodeEvent::SyncStarted { .. }
            | NodeEvent::SyncDone { .. }
            | NodeEvent::PeerUp(_)
            | NodeEvent::PeerDown(_)
            | NodeEvent::WindowEvicted { .. }
            | NodeEvent::MemoryFull { .. }
            | NodeEvent::FormerLifeRefused(_)
            | NodeEvent::ClockAhead { .. } => {}
        }
    }

    /// A process ends by itself. Somebody starts it again.
    fn stop(&mut self, at: usize) {
        if !self.clock_lost && !self.stale_start {
            self.object(Rule::Sound, format!("{} stops, and no later life of it exists", letter(at)));
        }
        self.crash(at);
        self.queue.push(self.now + SECOND, Event::ComeBack(at));
    }

    /// A life begins. It must start above the former lives of its address, unless nobody in its shard remembers them and its
    /// clock lies behind theirs: then what names those is not to be satisfied ever.
    fn begin_life(&mut self, at: usize, life: Life, how: Met) {
        if self.is_stray(at) {
            self.machines[at].starts.push(life.start);
            return;
        }
        let skew_ms = self.machines[at].clock.skew_ms;
        let nobody = self.machines.iter().all(|machine| machine.life.is_none());
        let machine = &mut self.machines[at];
        machine.life = Some(life);
        let wall = Timestamp::from_wall(machine.clock.read(self.now).wall);
        let safe = wall.later_by(2 * ClusterConfig::default().clock_drift_max);
        let last = machine.starts.iter().max().copied().unwrap_or_default();
        machine.starts.push(life.start);
        let back = life.start <= last;
        machine.set_back |= back;
        // Where the wall clock lags by more than twice the drift, all that is promised is to be above what one peer tells.
        if back && how == Met::RecoveredReplica && safe >= last {
            self.object(Rule::Sound, format!("{} begins {life:?}, not above its former lives", letter(at)));
        }
        // All that a node knows of the cluster when it starts is its first view. If all members of that lost their memory
        // together, and nobody of the present view is among them, they cannot know that there is another.
        let view = self.machines[at].node.as_ref().map(|node| node.view().id);
        let behind = view.is_some_and(|view| view < self.view_now().id);
        self.stale_start |= behind && matches!(how, Met::FreshCluster | Met::Majority);
        // Nor can one whose peer was given up by a view that it has not heard of: what it takes is nobody's to hand over.
        self.stale_start |= behind && view.is_some_and(|view| self.settled.contains(&view));
        let set_back = self.shape.skew_ms_max > DRIFT_MS && skew_ms < self.skew_ms_high;
        let forgotten = nobody || how == Met::FreshCluster;
        self.clock_lost |= back || (forgotten && self.requests > 0 && set_back);
    }

    fn digest_bytes(&mut self, at: usize, kind: u8, bytes: &[u8]) {
        self.digest.update(&self.now.to_le_bytes());
        self.digest.update(&[u8::try_from(at).unwrap_or(u8::MAX), kind]);
        self.digest.update(bytes);
    }

    pub(super) fn digest_reply(&mut self, at: usize, id: u64, reply: &Reply) {
        let from = self.machines[at].id;
        let body = Message::ForwardReply { id, reply: reply.clone() };
        let (view, clock) = (self.shape.view.id, Timestamp::ZERO);
        let bytes = codec::encode(&Envelope { cluster: 0, view, from, life: None, clock, body });
        self.digest_bytes(at, 2, &bytes);
    }
}
