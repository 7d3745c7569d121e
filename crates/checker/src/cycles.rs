//! Strongly connected components and short cycles of a directed graph. Knows nothing of operations.

use std::collections::VecDeque;

/// How many of a component's edges are tried as the start of a short cycle.
const STARTS_MAX: usize = 32;

const UNVISITED: usize = usize::MAX;

/// The components of a graph.
pub(crate) struct Components {
    /// The component of each node.
    pub(crate) of: Vec<usize>,
    /// The nodes such that every edge between components leads forward.
    pub(crate) topological: Vec<usize>,
    /// How many nodes each component has.
    pub(crate) sizes: Vec<usize>,
}

impl Components {
    /// Finds them by the algorithm of Tarjan, *Depth-First Search and Linear Graph Algorithms* (1972), with the
    /// recursion on the heap. No node may have an edge to itself.
    pub(crate) fn of(successors: &[Vec<usize>]) -> Self {
        let n = successors.len();
        let mut visits = vec![UNVISITED; n];
        let mut low = vec![0; n];
        let mut of = vec![UNVISITED; n];
        let (mut open, mut calls) = (Vec::new(), Vec::new());
        let (mut sizes, mut topological) = (Vec::new(), Vec::with_capacity(n));
        let mut clock = 0;
        for root in 0..n {
            if visits[root] == UNVISITED {
                calls.push((root, 0));
            }
            while let Some((node, next)) = calls.pop() {
                if next == 0 {
                    (visits[node], low[node]) = (clock, clock);
                    clock += 1;
                    open.push(node);
                }
                if let Some(&successor) = successors[node].get(next) {
                    calls.push((node, next + 1));
                    if visits[successor] == UNVISITED {
                        calls.push((successor, 0));
                    } else if of[successor] == UNVISITED {
                        low[node] = low[node].min(visits[successor]);
                    }
                    continue;
                }
                if low[node] == visits[node] {
                    let members = open.split_off(open.iter().rposition(|&o| o == node).unwrap_or(0));
                    members.iter().for_each(|&member| of[member] = sizes.len());
                    sizes.push(members.len());
                    topological.extend(members);
                }
                if let Some(&(caller, _)) = calls.last() {
                    low[caller] = low[caller].min(low[node]);
                }
            }
        }
        topological.reverse();
        Self { of, topological, sizes }
    }

    /// Whether there is no cycle.
    pub(crate) fn is_acyclic(&self) -> bool {
        self.sizes.len() == self.of.len()
    }

    /// Whether this edge lies on a cycle.
    pub(crate) fn joins(&self, from: usize, to: usize) -> bool {
        self.of[from] == self.of[to]
    }

    /// For each component with a cycle, a short one: its nodes, of which the last leads to the first by one of
    /// `starts`.
    ///
    /// Every cycle must contain one of the `starts`, which are edges `(from, to)`.
    pub(crate) fn short_cycles(
        &self,
        successors: &[Vec<usize>],
        starts: impl IntoIterator<Item = (usize, usize)>,
    ) -> Vec<Vec<usize>> {
        let mut tried = vec![0; self.sizes.len()];
        let mut shortest: Vec<Option<Vec<usize>>> = vec![None; self.sizes.len()];
        let mut parents = vec![UNVISITED; successors.len()];
        for (from, to) in starts {
            let component = self.of[from];
            if !self.joins(from, to) || tried[component] == STARTS_MAX {
                continue;
            }
            tried[component] += 1;
            let cycle = self.path(successors, to, from, &mut parents);
            let best = &mut shortest[component];
            if best.as_ref().is_none_or(|b| cycle.len() < b.len()) {
                *best = Some(cycle);
            }
        }
        shortest.into_iter().flatten().collect()
    }

    /// The nodes of a shortest path within one component. `parents` is scratch space, all unvisited before and after.
    fn path(&self, successors: &[Vec<usize>], from: usize, to: usize, parents: &mut [usize]) -> Vec<usize> {
        let mut queue = VecDeque::from([from]);
        let mut seen = vec![from];
        parents[from] = from;
        while let Some(node) = queue.pop_front() {
            if node == to {
                break;
            }
            for &next in &successors[node] {
                if self.joins(from, next) && parents[next] == UNVISITED {
                    parents[next] = node;
                    seen.push(next);
                    queue.push_back(next);
                }
            }
        }
        let mut path = vec![to];
        let mut node = to;
        while node != from && parents[node] != UNVISITED {
            node = parents[node];
            path.push(node);
        }
        path.reverse();
        seen.iter().for_each(|&node| parents[node] = UNVISITED);
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_without_cycles_is_sorted() {
        let successors = vec![vec![2], vec![0, 3], vec![3], vec![], vec![1]];
        let components = Components::of(&successors);
        assert!(components.is_acyclic());
        assert_eq!(components.topological, [4, 1, 0, 2, 3]);
    }

    #[test]
    fn the_shorter_of_two_cycles_is_given() {
        let successors = vec![vec![1], vec![2], vec![0, 3], vec![2], vec![0]];
        let components = Components::of(&successors);
        assert_eq!(components.sizes.iter().max(), Some(&4));
        let starts = [(2, 0), (3, 2), (4, 0)];
        assert_eq!(components.short_cycles(&successors, starts), [vec![2, 3]]);
    }

    #[test]
    fn long_chains_do_not_overflow_the_stack() {
        let n = 200_000;
        let mut successors: Vec<_> = (1..n).map(|next| vec![next]).collect();
        successors.push(vec![0]);
        assert_eq!(Components::of(&successors).sizes, [n]);
    }
}
