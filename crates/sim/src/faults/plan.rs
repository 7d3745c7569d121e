//! Draws the schedule of a mix.

use crate::dice::Dice;
use crate::faults::{Ambush, Fault};
use crate::mix::Mix;
use crate::network::Quality;
use crate::shape::Shape;

pub(super) const SECOND: u64 = 1_000_000;

/// A fault that is to come.
#[derive(Debug, Clone, Copy)]
pub struct Planned {
    /// When.
    pub at: u64,
    /// What was drawn together has one number.
    pub stroke: usize,
    /// What.
    pub fault: Fault,
}

/// Draws all faults between `start` and `end`, by time. What has not ended by then is ended by the world.
#[must_use]
pub fn plan(mix: Mix, shape: &Shape, start: u64, end: u64, dice: &mut Dice) -> Vec<Planned> {
    let mut plan = Plan { shape, start, end, dice, faults: Vec::new(), stroke: 0 };
    match mix {
        Mix::Calm | Mix::Single => {}
        Mix::Partitions => {
            plan.every(4 * SECOND, Plan::partition);
            plan.every(10 * SECOND, Plan::part_two);
            plan.every(10 * SECOND, Plan::slow);
        }
        Mix::Pauses => plan.every(4 * SECOND, Plan::pause),
        Mix::Loss => plan.every(3 * SECOND, Plan::disturb),
        Mix::Crash => {
            plan.every(4 * SECOND, Plan::crash);
            plan.every(20 * SECOND, Plan::strand);
        }
        Mix::Clocks => {
            plan.every(3 * SECOND, Plan::jump);
            plan.every(8 * SECOND, Plan::crash);
        }
        Mix::TinyWindow => {
            plan.every(4 * SECOND, Plan::partition);
            plan.every(8 * SECOND, Plan::pause);
        }
        Mix::Views | Mix::ViewSingle => plan.every(7 * SECOND, Plan::change_view),
        Mix::ViewFaults => {
            plan.every(5 * SECOND, Plan::change_view);
            plan.every(5 * SECOND, Plan::ambush);
            plan.every(9 * SECOND, Plan::partition);
            plan.every(9 * SECOND, Plan::pause);
            plan.every(10 * SECOND, Plan::crash);
        }
        Mix::ViewLags => {
            plan.every(4 * SECOND, Plan::change_behind_a_lag);
            plan.every(4 * SECOND, Plan::miss_a_delete);
        }
        Mix::ViewSplits => {
            plan.every(8 * SECOND, Plan::change_on_both_sides);
            plan.every(9 * SECOND, Plan::change_view);
            plan.every(15 * SECOND, Plan::crash);
        }
        Mix::OneWayHeld => plan.one_way_held(),
        Mix::Held => plan.held(),
        Mix::Comebacks => {
            plan.every(6 * SECOND, Plan::strand);
            plan.every(3 * SECOND, Plan::return_to_old_news);
            plan.every(6 * SECOND, Plan::fall_silent);
        }
        Mix::TotalLoss => {
            plan.every(12 * SECOND, Plan::lose_shard);
            plan.every(15 * SECOND, Plan::crash);
        }
        Mix::Everything => {
            plan.every(6 * SECOND, Plan::partition);
            plan.every(6 * SECOND, Plan::crash);
            plan.every(15 * SECOND, Plan::strand);
            plan.every(15 * SECOND, Plan::return_to_old_news);
            plan.every(15 * SECOND, Plan::fall_silent);
            plan.every(9 * SECOND, Plan::pause);
            plan.every(7 * SECOND, Plan::disturb);
            plan.every(9 * SECOND, Plan::jump);
            if plan.dice.chance(500) {
                plan.every(10 * SECOND, Plan::change_view);
                plan.every(10 * SECOND, Plan::ambush);
            }
            if plan.dice.chance(150) {
                plan.every(30 * SECOND, Plan::lose_shard);
            }
        }
    }
    let mut faults = plan.faults;
    faults.sort_by_key(|planned| planned.at);
    faults
}

pub(super) struct Plan<'a> {
    pub(super) shape: &'a Shape,
    start: u64,
    end: u64,
    pub(super) dice: &'a mut Dice,
    faults: Vec<Planned>,
    stroke: usize,
}

impl Plan<'_> {
    fn every(&mut self, mean: u64, mut draw: impl FnMut(&mut Self, u64)) {
        let mut at = self.start + self.dice.below(mean);
        while at < self.end {
            self.stroke += 1;
            draw(self, at);
            at += self.dice.wait(mean).max(1);
        }
    }

    pub(super) fn add(&mut self, at: u64, fault: Fault) {
        if at < self.end {
            self.faults.push(Planned { at, stroke: self.stroke, fault });
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

    pub(super) fn shard_of(&self, node: usize) -> Vec<usize> {
        let view = &self.shape.view;
        let shard = view.shard_of_member(self.shape.addresses[node].node_id());
        let of = |at: &usize| view.shard_of_member(self.shape.addresses[*at].node_id()) == shard;
        (0..self.shape.members).filter(of).collect()
    }

    /// A change of view, sometimes two at once.
    fn change_view(&mut self, at: u64) {
        let (draw, by) = (self.dice.any(), self.node_of_all());
        self.add(at, Fault::ChangeView { by, draw });
        if self.dice.chance(150) {
            let (again, draw) = (at + self.dice.below(SECOND / 2), self.dice.any());
            let by = self.node_of_all();
            self.add(again, Fault::ChangeView { by, draw });
        }
    }

    fn ambush(&mut self, at: u64) {
        let ambush = Ambush::draw(self.dice);
        self.add(at, Fault::Ambush(ambush));
    }

    fn node_of_all(&mut self) -> usize {
        self.dice.index(self.shape.addresses.len())
    }

    fn lose_shard(&mut self, at: u64) {
        let some = self.dice.index(self.shape.members);
        let lost = if self.dice.chance(150) { (0..self.shape.members).collect() } else { self.shard_of(some) };
        for node in lost {
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

    /// Two replicas of a shard do not hear one another; what one writes reaches the other through a third.
    fn part_two(&mut self, at: u64) {
        let (one, other) = self.pair();
        let length = self.dice.wait(4 * SECOND);
        let hold = self.dice.chance(400);
        for (from, to) in [(one, other), (other, one)] {
            self.add(at, Fault::Cut { from, to, hold });
            self.add(at + length, Fault::Mend { from, to });
        }
    }

    /// A node's links, or one of them, are slow; nothing is lost.
    fn slow(&mut self, at: u64) {
        let (one, other) = self.pair();
        let delay = *self.dice.pick(&[100_000, 500_000]);
        let length = self.dice.wait(4 * SECOND);
        let quality = Quality { delay_min: delay, delay_max: delay, loss: 0, repeat: 0, late: 0, reorder: false };
        let whole = self.dice.chance(500);
        for peer in (0..self.shape.addresses.len()).filter(|peer| *peer != one && (whole || *peer == other)) {
            for (from, to) in [(one, peer), (peer, one)] {
                self.add(at, Fault::Disturb { from, to, quality });
                self.add(at + length, Fault::Settle { from, to });
            }
        }
    }

    /// A node comes back empty and is cut off from its shard before, while or after it takes over what the shard holds; other
    /// shards still reach it.
    fn strand(&mut self, at: u64) {
        let node = self.dice.index(self.shape.members);
        let back = self.crash_once(at, node);
        let long = if self.dice.chance(200) { self.dice.between(10, 14) * SECOND } else { self.dice.wait(4 * SECOND) };
        let cut = match self.dice.chance(200) {
            true => at,
            false => back + self.dice.below(120_000),
        };
        self.cut_off(node, cut, back + long);
    }

    /// A replica does not hear the others of its shard, and mostly is not heard by them either.
    fn cut_off(&mut self, node: usize, cut: u64, mend: u64) {
        let hold = self.dice.chance(300);
        let both = self.dice.chance(700);
        for peer in self.shard_of(node).into_iter().filter(|peer| *peer != node) {
            let ways = [(peer, node), (node, peer)];
            for (from, to) in ways.into_iter().take(if both { 2 } else { 1 }) {
                self.add(cut, Fault::Cut { from, to, hold });
                self.add(mend, Fault::Mend { from, to });
            }
        }
    }

    /// One direction between two replicas is cut and keeps its messages; the receiver has crashed when it is mended, and
    /// comes back just when they arrive. What they tell of may have been deleted, and forgotten by all, meanwhile.
    fn return_to_old_news(&mut self, at: u64) {
        let (from, to) = self.pair();
        let length = self.dice.between(1_500_000, 5_000_000);
        let down = self.dice.between(1_000, 800_000);
        let back = at + length;
        let mend = (back + self.dice.below(150_000)).saturating_sub(self.dice.below(300_000));
        self.add(at, Fault::Cut { from, to, hold: true });
        self.add(back - down, Fault::Crash(to));
        self.add(back, Fault::Restart { node: to, skew_ms: None });
        self.add(mend.max(at), Fault::Mend { from, to });
        if self.dice.chance(400) {
            let (cut, long) = (back + self.dice.below(250_000), self.dice.between(2, 6) * SECOND);
            self.cut_off(to, cut, cut + long);
        }
    }

    /// A node dies while much of what it sends is lost: some replicas have writes of it beyond gaps that nobody can fill.
    fn fall_silent(&mut self, at: u64) {
        let node = self.dice.index(self.shape.members);
        let dies = at + self.dice.between(200_000, 1_500_000);
        let back = self.crash_once(dies, node);
        let delay = self.dice.between(500, 30_000);
        let loss = self.dice.between(300, 700);
        let quality = Quality { delay_min: delay, delay_max: delay + 5_000, loss, repeat: 0, late: 0, reorder: false };
        for to in self.shard_of(node).into_iter().filter(|to| *to != node) {
            self.add(at, Fault::Disturb { from: node, to, quality });
            self.add(back, Fault::Settle { from: node, to });
        }
    }

    /// Two replicas of one shard, or, where a node is alone in its shard, any two members.
    fn pair(&mut self) -> (usize, usize) {
        let one = self.dice.index(self.shape.members);
        let mut others = self.shard_of(one);
        others.retain(|other| *other != one);
        if others.is_empty() {
            others = (0..self.shape.addresses.len()).filter(|other| *other != one).collect();
        }
        (one, if others.is_empty() { one } else { *self.dice.pick(&others) })
    }

    /// One node is dead or stands still, or two replicas do not hear one another, to the end; then another may hear none.
    /// What the one is relayed may depend on what the other never gets.
    fn held(&mut self) {
        self.stroke += 1;
        let at = self.start + self.dice.below(SECOND);
        let (one, other) = self.pair();
        match self.dice.below(4) {
            0 => self.add(at, Fault::Crash(one)),
            1 => self.add(at, Fault::Pause(one)),
            _ => {
                for (from, to) in [(one, other), (other, one)] {
                    self.add(at, Fault::Cut { from, to, hold: false });
                }
                if self.dice.chance(600) {
                    let shard = self.shard_of(one);
                    let others: Vec<usize> = (0..self.shape.members).filter(|node| !shard.contains(node)).collect();
                    let node = if others.is_empty() { one } else { *self.dice.pick(&others) };
                    self.cut_off(node, at, u64::MAX);
                }
            }
        }
    }

    /// Cuts one direction between two members, in two of three cases of one shard, and never ends it.
    fn one_way_held(&mut self) {
        self.stroke += 1;
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
