//! Faults take effect, and end.

use precede_checker::Outcome as Learnt;
use precede_core::causality::version::Version;
use precede_core::id::Life;
use precede_core::node::{Node, TableReport};

use crate::faults::{Fault, Planned};
use crate::machine::Waiting;
use crate::properties::live::Must;
use crate::properties::no_lost_write;
use crate::queue::Event;
use crate::trace::letter;
use crate::violation::Rule;
use crate::world::views::{Table, is_held};
use crate::world::{MILLISECOND, SECOND, SLACK, World};

impl World {
    /// A planned fault takes effect.
    pub(super) fn strike(&mut self, planned: Planned) {
        if self.trace.is_on() {
            self.trace.line(self.now, format_args!("** fault {}: {:?}", planned.stroke, planned.fault));
        }
        self.enact(planned.fault);
    }

    pub(super) fn enact(&mut self, fault: Fault) {
        match fault {
            Fault::Crash(node) => self.crash(node),
            Fault::Restart { node, skew_ms } => self.boot(node, skew_ms),
            Fault::Pause(node) => self.pause(node),
            Fault::Resume(node) => self.resume(node),
            Fault::Cut { from, to, hold } => {
                self.network.cut(from, to, hold);
                self.hint_link(from, to, false);
            }
            Fault::Mend { from, to } => {
                let held = self.network.mend(from, to);
                self.deliver_late(from, to, held);
                self.hint_link(from, to, true);
            }
            Fault::Disturb { from, to, quality } => {
                self.network.set(from, to, Some(quality));
                self.hint_link(from, to, false);
                self.hint_link(from, to, true);
            }
            Fault::Ambush(ambush) => self.ambush = Some(ambush),
            Fault::ChangeView { by, draw } => self.ask_change(by, draw),
            Fault::Settle { from, to } => self.network.set(from, to, None),
            Fault::Jump { node, by_ms } => {
                let clock = &mut self.machines[node].clock;
                clock.skew_ms = (clock.skew_ms + by_ms).clamp(-self.shape.skew_ms_max, self.shape.skew_ms_max);
                self.skew_ms_high = self.skew_ms_high.max(clock.skew_ms);
            }
        }
    }

    /// What a cut link kept comes after its mending, some of it twice.
    fn deliver_late(&mut self, from: usize, to: usize, held: Vec<bytes::Bytes>) {
        for bytes in held {
            let copies = if self.dice.chance(200) { 2 } else { 1 };
            for _ in 0..copies {
                let at = self.now + self.dice.below(500 * MILLISECOND);
                self.queue.push(at, Event::Deliver { from, to, bytes: bytes.clone() });
            }
        }
    }

    fn hint_link(&mut self, from: usize, to: usize, up: bool) {
        if self.dice.chance(300) {
            let at = self.now + self.dice.below(if up { 500 * MILLISECOND } else { SECOND });
            let (at_node, peer) = if self.dice.chance(500) { (from, to) } else { (to, from) };
            self.queue.push(at, Event::Hint { at: at_node, peer, up });
        }
    }

    pub(super) fn crash(&mut self, at: usize) {
        let machine = &mut self.machines[at];
        let node = machine.node.take();
        // Answers that it has given may still be under way.
        self.stable_reached = self.stable_reached.max(node.as_ref().map(Node::stable).unwrap_or_default());
        if node.is_none() {
            return;
        }
        machine.paused = false;
        let life = machine.life.take();
        machine.wakes_at = None;
        machine.generation += 1;
        machine.take_backlog();
        let asked: Vec<u64> =
            self.pending.iter().filter(|(_, pending)| pending.node == at).map(|(id, _)| *id).collect();
        for id in asked {
            if let Some(pending) = self.pending.remove(&id) {
                self.break_off(id, &pending);
            }
        }
        self.note_loss();
        self.note_alone(life);
        self.bury_but(&self.asked_holders(), at, "crashed");
        self.hint_all(at, false, 600);
    }

    /// What only the life that is over had taken was on one replica.
    fn note_alone(&mut self, life: Option<Life>) {
        let tables = self.tables();
        let taken = |version: &Version| {
            let by = |table: &TableReport| {
                table.applied.covers(version) || table.held.iter().any(|(_, vector)| vector.covers(version))
            };
            tables.iter().any(|(_, table)| by(table))
        };
        let made = self.oracle.writes.iter_mut().filter(|write| Some(write.version.origin.life()) == life);
        for write in made {
            write.alone |= !taken(&write.version);
        }
    }

    /// What nobody holds any more is lost.
    pub(super) fn bury(&mut self, at: usize, why: &str) {
        self.bury_but(&self.holders(), at, why);
    }

    pub(super) fn bury_but(&mut self, tables: &[Table], at: usize, why: &str) {
        let kept_from = match (self.mix.has_crashes(), self.mix.has_single_crashes_only()) {
            (false, _) => Some(1),
            (true, true) => Some(2),
            (true, false) => None,
        };
        let is_held = |oracle: &crate::oracle::Oracle, write| is_held(oracle, tables, write);
        let judgement = no_lost_write::mark_lost(&mut self.oracle, is_held, kept_from);
        self.judge(Rule::NoLostWrite, judgement, || format!("{} {why}", letter(at)));
    }

    /// A client's connection breaks; its session goes on, unless it has given up waiting before.
    fn break_off(&mut self, id: u64, pending: &crate::world::Pending) {
        match pending.purpose {
            crate::world::Purpose::Session(session) if self.sessions[session].waiting == Some(id) => {
                self.forgo(pending, Learnt::Unknown);
            }
            crate::world::Purpose::Session(_)
            | crate::world::Purpose::Probe { .. }
            | crate::world::Purpose::Change
            | crate::world::Purpose::Barrier
            | crate::world::Purpose::Named => {}
        }
    }

    fn pause(&mut self, at: usize) {
        if self.machines[at].node.is_none() || self.machines[at].paused {
            return;
        }
        self.machines[at].paused = true;
        for pending in self.pending.values_mut().filter(|pending| pending.node == at) {
            pending.must = Must::Not;
        }
    }

    pub(super) fn resume(&mut self, at: usize) {
        let machine = &mut self.machines[at];
        if !machine.paused {
            return;
        }
        machine.paused = false;
        machine.wakes_at = None;
        let backlog = machine.take_backlog();
        for (id, pending) in self.pending.iter_mut().filter(|(_, pending)| pending.node == at) {
            let deadline = u64::try_from(pending.request.deadline.as_micros()).unwrap_or(u64::MAX);
            pending.due = pending.due.max(self.now + deadline + SLACK);
            self.queue.push(pending.due, Event::Overdue { request: *id });
        }
        // Timers may fire before or after what has queued up is read.
        if self.dice.chance(500) {
            self.step(at, precede_core::input::Input::Tick);
        }
        for waiting in backlog {
            match waiting {
                Waiting::Message(from, bytes) => self.deliver(from, at, bytes),
                Waiting::Request(id) => self.enter(id),
            }
        }
        self.step(at, precede_core::input::Input::Tick);
    }

    /// A crash of the mix in which the next comes only when all is whole again.
    pub(super) fn crash_single(&mut self, at: usize) {
        if self.trace.is_on() {
            self.trace.line(self.now, format_args!("** {} crashes", letter(at)));
        }
        self.enact(Fault::Crash(at));
        let down = self.dice.wait(2 * SECOND);
        self.queue.push(self.now + down, Event::ComeBack(at));
        self.crash_planned = false;
    }

    /// All faults end.
    pub(super) fn heal(&mut self) {
        if self.trace.is_on() {
            self.trace.line(self.now, format_args!("** all faults end, clients stop"));
        }
        self.plan.clear();
        let nodes = self.machines.len();
        for from in 0..nodes {
            for to in (0..nodes).filter(|to| *to != from) {
                let held = self.network.mend_all(from, to);
                self.deliver_late(from, to, held);
                let usual = self.network.usual(from, to);
                let quiet = crate::network::Quality { loss: 0, repeat: 0, late: 0, ..usual };
                self.network.set(from, to, Some(quiet));
            }
        }
        for at in 0..nodes {
            self.resume(at);
            self.boot(at, None);
        }
        for at in 0..nodes {
            self.hint_all(at, true, 300);
        }
    }
}
