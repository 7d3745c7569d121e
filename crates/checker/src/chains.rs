//! Decomposition of the causal order into chains, which are what clocks have one entry for.
//!
//! A session is a chain. A session that starts from a context handed to it goes on with the chain of the giver, if the
//! giver's session ends there; so clients that pass contexts by hand, and have no sessions in this sense, still form
//! few chains. Operations that are alone get no clock entry: the `order` module treats such *loose* ones apart, which
//! keeps the clocks small when many requests carry no context.

use crate::order::{Edge, EdgeKind};

/// A position in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The chain.
    pub(crate) column: usize,
    /// Ascending along the causal order, from 0 without gaps.
    pub(crate) index: u32,
}

/// Gives every operation its place, or none if it is loose. Returns the number of chains, at most `columns_max`.
pub(crate) fn decompose(into: &[Vec<Edge>], topological: &[usize], columns_max: usize) -> (Vec<Option<Place>>, usize) {
    let followed = followed_in_session(into);
    let mut chain_of = vec![usize::MAX; into.len()];
    let mut chains: Vec<Vec<usize>> = Vec::new();
    for &node in topological {
        let is_tail = |from: usize| {
            let chain = chain_of[from];
            chain != usize::MAX && chains[chain].last() == Some(&from)
        };
        let session = into[node].iter().find(|e| e.kind == EdgeKind::Session && is_tail(e.from));
        let handed = || {
            let mut edges = into[node].iter();
            edges.find(|e| e.kind == EdgeKind::Received && !followed[e.from] && is_tail(e.from))
        };
        let chain = match session.or_else(handed) {
            Some(edge) => chain_of[edge.from],
            None => {
                chains.push(Vec::new());
                chains.len() - 1
            }
        };
        chain_of[node] = chain;
        chains[chain].push(node);
    }
    chains.retain(|chain| chain.len() > 1);
    chains.sort_by_key(|chain| std::cmp::Reverse(chain.len()));
    chains.truncate(columns_max);
    let mut places = vec![None; into.len()];
    for (column, chain) in chains.iter().enumerate() {
        for (&node, index) in chain.iter().zip(0..) {
            places[node] = Some(Place { column, index });
        }
    }
    (places, chains.len())
}

/// Whether an operation follows each in its session.
fn followed_in_session(into: &[Vec<Edge>]) -> Vec<bool> {
    let mut followed = vec![false; into.len()];
    for edge in into.iter().flatten().filter(|e| e.kind == EdgeKind::Session) {
        followed[edge.from] = true;
    }
    followed
}
