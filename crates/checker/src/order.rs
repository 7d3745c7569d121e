//! The causal order: given direct edges without a cycle, answers whether one operation precedes another.
//!
//! Clocks have one entry for each chain of [`chains`](crate::chains), so that the answer takes constant time instead of
//! the square of the history in memory; compare *AWDIT: An Optimal Weak Database Isolation Tester* (PLDI 2025), whose
//! clocks are over sessions. Loose operations, on no chain, are answered by a reverse clock if the later one is on a
//! chain, and else by a search that passes only loose operations.

use std::collections::HashSet;

use crate::chains::{Place, decompose};

/// The bound on the entries of the clocks, of four bytes each. Histories that need more get columns for their longest
/// chains.
const CLOCK_ENTRIES_MAX: usize = 1 << 26;

/// Why one operation directly precedes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum EdgeKind {
    /// It is the next one of the session that got a response.
    Session,
    /// It is a write that got no response, whose request carried the context of this earlier one.
    Unanswered,
    /// It was handed the context of the other's response.
    Received,
    /// It read the other's write.
    ReadsFrom,
}

/// An edge, kept with the operation it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) from: usize,
    pub(crate) kind: EdgeKind,
}

/// The causal order of a history.
pub(crate) struct Order {
    /// The direct edges into each operation.
    pub(crate) into: Vec<Vec<Edge>>,
    places: Vec<Option<Place>>,
    columns: usize,
    /// For each operation and column, how many of the column are the operation or precede it.
    seen: Vec<u32>,
    /// For each operation and column, the first index that is the operation or follows it. Empty if nobody asks.
    reached: Vec<u32>,
    /// Whether anything follows the operation.
    is_followed: Vec<bool>,
}

impl Order {
    /// Orders operations by their direct edges, which `topological` shows to be acyclic.
    pub(crate) fn new(into: Vec<Vec<Edge>>, topological: &[usize]) -> Self {
        let columns_max = CLOCK_ENTRIES_MAX / into.len().max(1);
        Self::with_columns(into, topological, columns_max)
    }

    fn with_columns(into: Vec<Vec<Edge>>, topological: &[usize], columns_max: usize) -> Self {
        let (places, columns) = decompose(&into, topological, columns_max);
        let mut is_followed = vec![false; into.len()];
        for edge in into.iter().flatten() {
            is_followed[edge.from] = true;
        }
        let mut order =
            Self { seen: vec![0; into.len() * columns], reached: Vec::new(), into, places, columns, is_followed };
        order.look_back(topological);
        if (0..order.into.len()).any(|node| order.places[node].is_none() && order.is_followed[node]) {
            order.reached = vec![u32::MAX; order.seen.len()];
            order.look_ahead(topological);
        }
        order
    }

    fn look_back(&mut self, topological: &[usize]) {
        let width = self.columns;
        for &node in topological {
            for edge in &self.into[node] {
                let (own, before) = rows(&mut self.seen, width, node, edge.from);
                own.iter_mut().zip(before).for_each(|(own, before)| *own = (*own).max(*before));
            }
            if let Some(place) = self.places[node] {
                self.seen[node * width + place.column] = place.index + 1;
            }
        }
    }

    fn look_ahead(&mut self, topological: &[usize]) {
        let width = self.columns;
        for &node in topological.iter().rev() {
            if let Some(place) = self.places[node] {
                self.reached[node * width + place.column] = place.index;
            }
            for edge in &self.into[node] {
                let (own, before) = rows(&mut self.reached, width, node, edge.from);
                before.iter_mut().zip(own).for_each(|(before, own)| *before = (*before).min(*own));
            }
        }
    }

    pub(crate) fn place(&self, node: usize) -> Option<Place> {
        self.places[node]
    }

    /// How many operations of this column precede the given one, or are it.
    pub(crate) fn seen(&self, node: usize, column: usize) -> u32 {
        self.seen[node * self.columns + column]
    }

    /// Whether `earlier` causally precedes `later`. Irreflexive.
    pub(crate) fn precedes(&self, earlier: usize, later: usize) -> bool {
        if earlier == later || !self.is_followed[earlier] {
            return false;
        }
        match (self.places[earlier], self.places[later]) {
            (Some(place), _) => self.seen(later, place.column) > place.index,
            (None, Some(place)) => self.reaches(earlier, place),
            (None, None) => self.search(earlier, later),
        }
    }

    /// The columns that a loose operation precedes operations of, each with the first index that follows.
    pub(crate) fn reached(&self, loose: usize) -> impl Iterator<Item = (usize, u32)> + '_ {
        let all = match self.is_followed[loose] {
            true => &self.reached[loose * self.columns..(loose + 1) * self.columns],
            false => &[],
        };
        all.iter().copied().enumerate().filter(|&(_, index)| index != u32::MAX)
    }

    fn reaches(&self, loose: usize, place: Place) -> bool {
        self.reached[loose * self.columns + place.column] <= place.index
    }

    fn search(&self, earlier: usize, later: usize) -> bool {
        let mut open = vec![later];
        let mut known = HashSet::new();
        while let Some(node) = open.pop() {
            for edge in &self.into[node] {
                match self.places[edge.from] {
                    _ if edge.from == earlier => return true,
                    Some(place) if self.reaches(earlier, place) => return true,
                    None if !self.into[edge.from].is_empty() && known.insert(edge.from) => open.push(edge.from),
                    Some(_) | None => {}
                }
            }
        }
        false
    }
}

/// The clocks of two operations that are not the same.
fn rows(clocks: &mut [u32], width: usize, first: usize, second: usize) -> (&mut [u32], &mut [u32]) {
    let row = |node: usize| node * width..(node + 1) * width;
    let rows = clocks.get_disjoint_mut([row(first), row(second)]);
    let [first, second] = rows.expect("no edge leads from an operation to itself");
    (first, second)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Edges of a random graph: each node follows some before it, by session or otherwise, and at most one by session.
    fn graphs() -> impl Strategy<Value = Vec<Vec<Edge>>> {
        let edge = (0..1000_usize, 0..3_u8);
        proptest::collection::vec(proptest::collection::vec(edge, 0..4), 1..24).prop_map(|nodes| {
            let mut has_next = vec![false; nodes.len()];
            let mut into = Vec::new();
            for (node, edges) in nodes.iter().enumerate() {
                let mut own: Vec<Edge> = Vec::new();
                for &(from, kind) in edges.iter().filter(|_| node > 0) {
                    let from = from % node;
                    let kind = match kind {
                        0 if !has_next[from] && own.iter().all(|e| e.kind != EdgeKind::Session) => {
                            has_next[from] = true;
                            EdgeKind::Session
                        }
                        0 | 1 => EdgeKind::Received,
                        _ => EdgeKind::ReadsFrom,
                    };
                    own.push(Edge { from, kind });
                }
                into.push(own);
            }
            into
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn clocks_agree_with_the_transitive_closure(into in graphs(), columns_max in 0..6_usize) {
            let n = into.len();
            let mut closure = vec![vec![false; n]; n];
            for later in 0..n {
                for edge in &into[later] {
                    closure[edge.from][later] = true;
                    for row in &mut closure {
                        row[later] |= row[edge.from];
                    }
                }
            }
            let topological: Vec<usize> = (0..n).collect();
            let order = Order::with_columns(into, &topological, columns_max);
            for (earlier, row) in closure.iter().enumerate() {
                for (later, &precedes) in row.iter().enumerate() {
                    prop_assert_eq!(order.precedes(earlier, later), precedes, "{} {}", earlier, later);
                }
            }
        }
    }
}
