//! Barriers under way: which replicas have confirmed that they hold what a context names (design 7.7).
//!
//! Replicas are asked in two rounds. All that have confirmed in the first, and confirm again in the second in the same life, held it
//! together at the moment between the two. From then on whoever loses its memory gets it back from any of the others. One round would
//! not do: one that has confirmed may start again, and recover from another that has not got it yet.

use std::collections::BTreeMap;

use crate::causality::hlc::Timestamp;
use crate::causality::version_vector::VersionVector;
use crate::id::NodeId;
use crate::time::Instant;

/// What a barrier needs of whom: per replica the entries of its shard.
pub type Needed = BTreeMap<NodeId, VersionVector>;

/// One barrier.
#[derive(Debug, Default)]
pub struct Barrier {
    /// Names the round.
    pub round: u64,
    /// When those who have not confirmed are asked again.
    pub ask_at: Instant,
    /// Who has confirmed in this round, in which life.
    confirmed: BTreeMap<NodeId, Timestamp>,
    /// The same of the first round, if this is the second.
    first: Option<BTreeMap<NodeId, Timestamp>>,
}

/// How far a barrier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Some have not confirmed.
    Waiting,
    /// All have: they are asked once more.
    AskAgain,
    /// All have held it at one moment.
    Passed,
}

impl Barrier {
    /// Takes an answer to the present round: a replica has what is needed, in this life, or it lacks something.
    pub fn on_answer(&mut self, node: NodeId, life: Timestamp, has: bool) {
        let is_another = self.first.as_ref().is_some_and(|first| first.get(&node) != Some(&life));
        if !has || is_another {
            // What it had confirmed went with its former life.
            self.first = None;
        }
        if has {
            self.confirmed.insert(node, life);
        } else {
            self.confirmed.remove(&node);
        }
    }

    /// Those of whom something is needed and who have not confirmed in this round.
    pub fn unconfirmed(&self, needed: &Needed) -> impl Iterator<Item = NodeId> {
        needed.keys().filter(|node| !self.confirmed.contains_key(node)).copied()
    }

    /// Goes on to the second round, or to the end, when all have confirmed.
    pub fn advance(&mut self, needed: &Needed) -> Progress {
        if self.unconfirmed(needed).next().is_some() {
            return Progress::Waiting;
        }
        if self.first.is_some() {
            return Progress::Passed;
        }
        self.first = Some(std::mem::take(&mut self.confirmed));
        if needed.is_empty() { Progress::Passed } else { Progress::AskAgain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Timestamp = Timestamp(5);

    fn needed() -> Needed {
        [1, 2].map(|node| (NodeId(node), VersionVector::default())).into()
    }

    fn confirm(barrier: &mut Barrier, node: u64, life: Timestamp) {
        barrier.on_answer(NodeId(node), life, true);
    }

    #[test]
    fn all_confirm_twice() {
        let mut barrier = Barrier::default();
        confirm(&mut barrier, 1, LIFE);
        assert_eq!(barrier.advance(&needed()), Progress::Waiting);
        confirm(&mut barrier, 2, LIFE);
        assert_eq!(barrier.advance(&needed()), Progress::AskAgain);
        confirm(&mut barrier, 1, LIFE);
        assert_eq!(barrier.advance(&needed()), Progress::Waiting);
        confirm(&mut barrier, 2, LIFE);
        assert_eq!(barrier.advance(&needed()), Progress::Passed);
    }

    #[test]
    fn one_that_has_started_again_begins_both_rounds_anew() {
        let mut barrier = Barrier::default();
        for life in [LIFE, Timestamp(6)] {
            confirm(&mut barrier, 1, life);
            confirm(&mut barrier, 2, LIFE);
            assert_eq!(barrier.advance(&needed()), Progress::AskAgain, "{life:?}");
        }
        barrier.on_answer(NodeId(1), Timestamp(7), false);
        confirm(&mut barrier, 2, LIFE);
        assert_eq!(barrier.advance(&needed()), Progress::Waiting);
    }
}
