//! Views made on both sides of a cut: neither coordinator hears of the other (design 11.7).

use crate::faults::Fault;
use crate::faults::plan::{Plan, SECOND};

impl Plan<'_> {
    /// Cuts the cluster in two, in most cases so that each side has some of every shard, and asks for a view on each side. Who asks
    /// on one side may ask just when the cut comes, or just when it ends.
    pub(super) fn change_on_both_sides(&mut self, at: u64) {
        let nodes = self.shape.addresses.len();
        let side: Vec<bool> = match self.dice.chance(700) {
            // Addresses of one shard are neighbours in the first view.
            true => (0..nodes).map(|node| node % 2 == 0).collect(),
            false => (0..nodes).map(|_| self.dice.chance(500)).collect(),
        };
        let hold = self.dice.chance(400);
        let length = self.dice.between(SECOND, 6 * SECOND);
        for from in 0..nodes {
            for to in (0..nodes).filter(|to| side[from] != side[*to]) {
                let jitter = self.dice.below(5_000);
                self.add(at + jitter, Fault::Cut { from, to, hold });
                self.add(at + length + jitter, Fault::Mend { from, to });
            }
        }
        for which in [false, true] {
            let of_side: Vec<usize> = (0..nodes).filter(|node| side[*node] == which).collect();
            if of_side.is_empty() {
                continue;
            }
            let by = *self.dice.pick(&of_side);
            let draw = self.dice.any();
            let asked = match self.dice.chance(300) {
                true => self.dice.below(300_000),
                false => self.dice.below(length),
            };
            self.add(at + asked, Fault::ChangeView { by, draw });
        }
    }
}
