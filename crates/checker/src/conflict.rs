//! The bad pattern CyclicCF: no single order of the writes agrees with causality and with what the reads returned.
//!
//! A read that follows two writes of its key and returned the one proves that the other is older. The paper has this
//! *conflict order* for all writes before a read; here only the last one of each chain is related, since the earlier
//! ones precede it, which leaves the cycles what they are and the graph sparse.

use crate::Case;
use crate::absence::successors;
use crate::cycles::Components;
use crate::explain;
use crate::report::{Findings, Pattern};

/// A proof that of two writes of a key one is older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Conflict {
    pub(crate) earlier: usize,
    pub(crate) later: usize,
    /// The read that follows both and returned the later one.
    pub(crate) read: usize,
}

/// Why one write is older than another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// This read follows both and returned the newer one.
    Read(usize),
    /// All replicas have both and hold the newer one.
    AtRest,
}

/// Causality together with the order of writes that is proven; both must hold in any single order of the writes.
pub(crate) struct Arbitration<'c> {
    successors: Vec<Vec<usize>>,
    conflicts: &'c [Conflict],
}

impl<'c> Arbitration<'c> {
    /// Relates causality, these conflicts, and for pairs of writes `at_rest` that the first is older.
    pub(crate) fn new(case: &Case<'_>, conflicts: &'c [Conflict], at_rest: &[(usize, usize)]) -> Self {
        let mut successors = successors(&case.order.into);
        let proven = conflicts.iter().map(|conflict| (conflict.earlier, conflict.later));
        for (earlier, later) in proven.chain(at_rest.iter().copied()) {
            successors[earlier].push(later);
        }
        Self { successors, conflicts }
    }

    /// Why one write that leads to another here is the older one, where causality does not say so.
    pub(crate) fn proof(&self, earlier: usize, later: usize) -> Proof {
        let read = self.conflicts.iter().find(|conflict| (conflict.earlier, conflict.later) == (earlier, later));
        read.map_or(Proof::AtRest, |conflict| Proof::Read(conflict.read))
    }

    /// For each tangle of cycles that contains one of the `starts`, a short cycle; the last node leads to the first by
    /// such a start.
    pub(crate) fn cycles(&self, starts: impl IntoIterator<Item = (usize, usize)>) -> Vec<Vec<usize>> {
        let components = Components::of(&self.successors);
        if components.is_acyclic() {
            return Vec::new();
        }
        components.short_cycles(&self.successors, starts)
    }
}

/// Reports cycles of causality and conflict order.
pub(crate) fn cycles(case: &Case<'_>, conflicts: &[Conflict], findings: &mut Findings) {
    let arbitration = Arbitration::new(case, conflicts, &[]);
    // Causality alone has no cycle, so each contains a conflict.
    let starts = conflicts.iter().map(|conflict| (conflict.earlier, conflict.later));
    for cycle in arbitration.cycles(starts) {
        findings.add(Pattern::CyclicCf, || {
            let words = "no single order of these writes agrees with what was read:";
            explain::arbitration_cycle(case, &arbitration, &cycle, words)
        });
    }
}
