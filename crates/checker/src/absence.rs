//! Which delete a read of absence has read, as far as this can be known; and the causal order that follows.
//!
//! Absence is the initial state or any delete of the key. A delete can explain a read unless it follows the read, or
//! another write that precedes the read has overwritten it. The initial state can explain it unless any write precedes
//! it. If exactly one delete remains, the read has read it: this is one more causal edge, which may settle other reads,
//! so it is repeated until nothing changes. Since edges only rule explanations out, stopping early would be sound as
//! well.

use crate::Case;
use crate::cycles::Components;
use crate::evidence::{Evidence, Source};
use crate::explain;
use crate::ledger::Ledger;
use crate::order::{Edge, EdgeKind, Order};
use crate::report::{Findings, Pattern};

/// How often the order is built again. Each round settles at least one read; real histories need few.
const ROUNDS_MAX: usize = 16;

/// What can explain a read of absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Explanation {
    /// Nothing: the read is wrong.
    Nothing,
    /// This delete only.
    Delete(usize),
    /// The initial state, or one of several deletes.
    Open,
}

/// Builds the causal order, reports its cycles, and resolves reads of absence in it.
pub(crate) fn settle<'h>(mut evidence: Evidence<'h>, findings: &mut Findings) -> Case<'h> {
    let mut into = evidence.edges();
    for round in 1.. {
        let topological = break_cycles(&evidence, &mut into, findings);
        let order = Order::new(into, &topological);
        let ledger = Ledger::new(&evidence, &order);
        let settled = match round < ROUNDS_MAX {
            true => newly_settled(&evidence, &order, &ledger),
            false => Vec::new(),
        };
        if settled.is_empty() {
            return Case { evidence, order, ledger };
        }
        into = order.into;
        for (read, delete) in settled {
            evidence.sources[read] = Source::Write(delete);
            into[read].push(Edge { from: delete, kind: EdgeKind::ReadsFrom });
        }
    }
    unreachable!("the last round settles nothing")
}

fn newly_settled(evidence: &Evidence<'_>, order: &Order, ledger: &Ledger) -> Vec<(usize, usize)> {
    let reads = (0..evidence.sources.len()).filter(|&read| evidence.sources[read] == Source::Absent);
    let explained = reads.filter_map(|read| match explain_absence(evidence, order, ledger, read) {
        Explanation::Delete(delete) => Some((read, delete)),
        Explanation::Nothing | Explanation::Open => None,
    });
    explained.collect()
}

/// What can explain this read of absence in this order.
pub(crate) fn explain_absence(evidence: &Evidence<'_>, order: &Order, ledger: &Ledger, read: usize) -> Explanation {
    let key = evidence.key_of[read];
    let past = ledger.past(order, key, read);
    if past.is_empty() {
        return Explanation::Open;
    }
    let newest = past
        .iter()
        .copied()
        .filter(|&write| evidence.is_delete(write) && !past.iter().any(|&other| order.precedes(write, other)));
    let mut candidates = newest.chain(ledger.concurrent_deletes(order, evidence, key, read));
    match (candidates.next(), candidates.next()) {
        (None, _) => Explanation::Nothing,
        (Some(delete), None) => Explanation::Delete(delete),
        (Some(_), Some(_)) => Explanation::Open,
    }
}

/// Sorts the operations topologically. Where causality is cyclic, this is reported, and the judgement goes on with the
/// edges of the cycle that are session order, which are certain to be acyclic.
fn break_cycles(evidence: &Evidence<'_>, into: &mut [Vec<Edge>], findings: &mut Findings) -> Vec<usize> {
    let mut successors = successors(into);
    let mut components = Components::of(&successors);
    if !components.is_acyclic() {
        let crossing = |(node, edges): (usize, &Vec<Edge>)| {
            let others = edges.iter().filter(|e| e.kind != EdgeKind::Session);
            others.map(|e| (e.from, node)).collect::<Vec<_>>()
        };
        let starts = into.iter().enumerate().flat_map(crossing);
        for cycle in components.short_cycles(&successors, starts) {
            findings.add(Pattern::CyclicCo, || explain::causal_cycle(evidence.history, into, &cycle));
        }
        for (node, edges) in into.iter_mut().enumerate() {
            edges.retain(|e| e.kind == EdgeKind::Session || !components.joins(e.from, node));
        }
        successors = self::successors(into);
        components = Components::of(&successors);
    }
    components.topological
}

/// The causal edges, out of each operation.
pub(crate) fn successors(into: &[Vec<Edge>]) -> Vec<Vec<usize>> {
    let mut successors = vec![Vec::new(); into.len()];
    for (node, edges) in into.iter().enumerate() {
        for edge in edges {
            successors[edge.from].push(node);
        }
    }
    successors
}
