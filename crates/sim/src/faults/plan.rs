//! Draws the schedule of a mix.

use crate::dice::Dice;
use crate::faults::Fault;
use crate::mix::Mix;
use crate::network::Quality;
use crate::shape::Shape;

const SECOND: u64 = 1_000_000;

/// Draws all faults between `start` and `end`, by time. What has not ended by then is ended by the world.
#[must_use]
pub fn plan(mix: Mix, shape: &Shape, start: u64, end: u64, dice: &mut Dice) -> Vec<(u64, Fault)> {
    let mut plan = Plan { shape, start, end, dice, faults: Vec::new() };
    match mix {
        Mix::Calm | Mix::Single => {}
        Mix::Partitions => plan.every(4 * SECOND, Plan::partition),
        Mix::Pauses => plan.every(4 * SECOND, Plan::pause),
        Mix::Loss => plan.every(3 * SECOND, Plan::disturb),
        Mix::Crash => plan.every(4 * SECOND, Plan::crash),
        Mix::Clocks => {
            plan.every(3 * SECOND, Plan::jump);
            plan.every(8 * SECOND, Plan::crash);
        }
        Mix::TinyWindow => {
            plan.every(4 * SECOND, Plan::partition);
            plan.every(8 * SECOND, Plan::pause);
        }
        Mix::OneWayHeld => plan.one_way_held(),
        Mix::TotalLoss => {
            plan.every(12 * SECOND, Plan::lose_shard);
            plan.every(15 * SECOND, Plan::crash);
        }
        Mix::Everything => {
            plan.every(6 * SECOND, Plan::partition);
            plan.every(6 * SECOND, Plan::crash);
            plan.every(9 * SECOND, Plan::pause);
            plan.every(7 * SECOND, Plan::disturb);
            plan.every(9 * SECOND, Plan::jump);
            if plan.dice.chance(150) {
                plan.every(30 * SECOND, Plan::lose_shard);
            }
        }
    }
    let mut faults = plan.faults;
    faults.sort_by_key(|(time, _)| *time);
    faults
}

struct Plan<'a> {
    shape: &'a Shape,
    start: u64,
    end: u64,
    dice: &'a mut Dice,
    faults: Vec<(u64, Fault)>,
}

impl Plan<'_> {
    fn every(&mut self, mean: u64, mut draw: impl FnMut(&mut Self, u64)) {
        let mut at = self.start + self.dice.below(mean);
        while at < self.end {
            draw(self, at);
            at += self.dice.wait(mean).max(1);
        }
    }

    fn add(&mut self, at: u64, fault: Fault) {
        if at < self.end {
            self.faults.push((at, fault));
        }
    }

    fn node(&mut self) -> usize {
        self.dice.index(self.shape.addresses.len())
    }

    /// A crash, often followed by another while the node or its peers are still at mending the first.
    fn crash(&mut self, at: u64) {
        let node = self.dice.index(self.shape.members);
        let mut back = self.crash_once(at, node);
        while self.dice.chance(350) {
            let again = back + self.dice.between(1_000, 400_000);
            let node = if self.dice.chance(500) { node } else { self.peer_of(node) };
            back = self.crash_once(again, node);
        }
    }

    fn crash_once(&mut self, at: u64, node: usize) -> u64 {
        let down = if self.dice.chance(250) { self.dice.between(1_000, 60_000) } else { self.dice.wait(2 * SECOND) };
        let skew_ms = self.dice.chance(300).then(|| self.dice.around(self.shape.skew_ms_max));
        self.add(at, Fault::Crash(node));
        self.add(at + down, Fault::Restart { node, skew_ms });
        at + down
    }

    /// Some node of the same shard.
    fn peer_of(&mut self, node: usize) -> usize {
        let peers = self.shard_of(node);
        *self.dice.pick(&peers)
    }

    fn shard_of(&self, node: usize) -> Vec<usize> {
        let view = &self.shape.view;
        let shard = view.shard_of_member(self.shape.addresses[node].node_id());
        let of = |at: &usize| view.shard_of_member(self.shape.addresses[*at].node_id()) == shard;
        (0..self.shape.members).filter(of).collect()
    }

    fn lose_shard(&mut self, at: u64) {
        let some = self.dice.index(self.shape.members);
        for node in self.shard_of(some) {
            let crash = at + self.dice.below(300_000);
            let back = at + 300_000 + self.dice.wait(SECOND);
            let skew_ms = self.dice.chance(200).then(|| self.dice.around(self.shape.skew_ms_max));
            self.add(crash, Fault::Crash(node));
            self.add(back, Fault::Restart { node, skew_ms });
        }
    }

    fn pause(&mut self, at: u64) {
        let node = self.node();
        let length = if self.dice.chance(100) { 30 * SECOND } else { self.dice.wait(1_500_000) };
        self.add(at, Fault::Pause(node));
        self.add(at + length, Fault::Resume(node));
    }

    fn jump(&mut self, at: u64) {
        let (node, far) = (self.node(), self.shape.skew_ms_max);
        let by_ms = if self.dice.chance(500) { self.dice.around(far) } else { self.dice.around(far / 100) };
        self.add(at, Fault::Jump { node, by_ms });
    }

    fn partition(&mut self, at: u64) {
        let nodes = self.shape.addresses.len();
        let length = self.dice.wait(3 * SECOND);
        let hold = self.dice.chance(400);
        let shape = self.dice.below(5);
        let (one, other) = (self.node(), self.node());
        let side = self.dice.any();
        let in_side = |node: usize| side >> node & 1 == 1;
        for from in 0..nodes {
            for to in (0..nodes).filter(|to| *to != from) {
                let cut = match shape {
                    0 => in_side(from) != in_side(to),
                    1 => from == one || to == one,
                    2 => in_side(from) && !in_side(to),
                    3 => (from, to) == (one, other) || ((from, to) == (other, one) && side & 1 == 0),
                    _ => (from + 1) % nodes != to && (to + 1) % nodes != from,
                };
                if cut {
                    let jitter = self.dice.below(5_000);
                    self.add(at + jitter, Fault::Cut { from, to, hold });
                    self.add(at + length + jitter, Fault::Mend { from, to });
                }
            }
        }
    }

    fn disturb(&mut self, at: u64) {
        let nodes = self.shape.addresses.len();
        let length = self.dice.wait(3 * SECOND);
        let node = self.node();
        let all = self.dice.chance(300);
        let slow =
            if self.dice.chance(300) { self.dice.between(20_000, 500_000) } else { self.dice.between(100, 20_000) };
        let quality = Quality {
            delay_min: slow,
            delay_max: slow + self.dice.below(100_000),
            loss: self.dice.below(400),
            repeat: self.dice.below(400),
            late: self.dice.below(50),
            reorder: true,
        };
        for from in 0..nodes {
            for to in (0..nodes).filter(|to| *to != from) {
                if all || from == node || to == node {
                    self.add(at, Fault::Disturb { from, to, quality });
                    self.add(at + length, Fault::Settle { from, to });
                }
            }
        }
    }

    /// Cuts one direction between two members, in two of three cases of one shard, and never ends it.
    fn one_way_held(&mut self) {
        let from = self.dice.index(self.shape.members);
        let mut others = if self.dice.chance(667) { self.shard_of(from) } else { (0..self.shape.members).collect() };
        others.retain(|to| *to != from);
        if others.is_empty() {
            others = (0..self.shape.members).filter(|to| *to != from).collect();
        }
        let to = *self.dice.pick(&others);
        let at = self.start + self.dice.below(2 * SECOND);
        self.add(at, Fault::Cut { from, to, hold: false });
    }
}
