//! View changes just when one replica of a shard lacks what the others have: what it says and what it leaves out is then not all
//! there is to know.

use crate::faults::Fault;
use crate::faults::plan::{Plan, SECOND};
use crate::network::Quality;

impl Plan<'_> {
    /// What a shard writes comes to one of its replicas late, and to the others in good time; so the view changes. The other
    /// replicas' links are slower than its own, so that it is the first to hand over.
    pub(super) fn change_behind_a_lag(&mut self, at: u64) {
        let Some((lagging, _, others)) = self.three() else { return };
        let changes = at + self.dice.between(300_000, 900_000);
        let ends = changes + self.dice.between(300_000, 1_500_000);
        let usual = self.dice.between(30_000, 90_000);
        let slow = |delay| Quality { delay_min: delay, delay_max: delay, loss: 0, repeat: 0, late: 0, reorder: false };
        for from in others {
            for to in (0..self.shape.addresses.len()).filter(|to| *to != from) {
                let delay = if to == lagging { SECOND } else { usual };
                self.add(at, Fault::Disturb { from, to, quality: slow(delay) });
                self.add(ends, Fault::Settle { from, to });
            }
        }
        self.change_from_outside(changes, lagging);
    }

    /// A replica comes back from one that has not heard what was deleted meanwhile, and then hears nobody of its shard while the
    /// others forget the deletes; so the view changes. What it holds is all that is left of what was deleted.
    pub(super) fn miss_a_delete(&mut self, at: u64) {
        let Some((back, deaf, mut others)) = self.three() else { return };
        others.retain(|other| *other != deaf);
        let dies = at + self.dice.between(300_000, 1_200_000);
        let lives = dies + self.dice.between(1_000, 100_000);
        let heard = lives + self.dice.between(300_000, 1_000_000);
        let changes = heard + self.dice.between(500_000, 2_000_000);
        let ends = changes + self.dice.wait(400_000);
        let mut cut = |from, to, begin, end| {
            self.add(begin, Fault::Cut { from, to, hold: false });
            self.add(end, Fault::Mend { from, to });
        };
        cut(back, deaf, at, dies);
        cut(back, deaf, heard, ends);
        cut(deaf, back, heard, ends);
        for other in others {
            cut(other, deaf, at, heard);
            cut(other, back, dies, ends);
            cut(back, other, dies, ends);
        }
        self.add(dies, Fault::Crash(back));
        self.add(lives, Fault::Restart { node: back, skew_ms: None });
        self.change_from_outside(changes, back);
    }

    /// A shard of three replicas or more: two of them, and all but the first.
    fn three(&mut self) -> Option<(usize, usize, Vec<usize>)> {
        let one = self.dice.index(self.shape.members);
        let mut others = self.shard_of(one);
        others.retain(|other| *other != one);
        (others.len() >= 2).then(|| (one, *self.dice.pick(&others), others))
    }

    /// A node that is not of a shard changes the view, if there is one.
    fn change_from_outside(&mut self, at: u64, of: usize) {
        let shard = self.shard_of(of);
        let others: Vec<usize> = (0..self.shape.addresses.len()).filter(|node| !shard.contains(node)).collect();
        if !others.is_empty() {
            let (draw, by) = (self.dice.any(), *self.dice.pick(&others));
            self.add(at, Fault::ChangeView { by, draw });
        }
    }
}
