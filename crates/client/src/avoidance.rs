//! Which nodes failed lately, to be asked last for a while.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::Address;

/// For how long a node is avoided after its first failure; doubled with each further failure in a row.
const AVOID_MIN: Duration = Duration::from_millis(500);
/// The longest time that a node is avoided.
const AVOID_MAX: Duration = Duration::from_secs(30);
/// How many failed nodes are remembered. Beyond it all are forgiven: costs attempts, loses nothing.
const REMEMBERED_MAX: usize = 1024;

/// The nodes that failed lately.
#[derive(Debug, Default)]
pub(crate) struct Avoidance {
    failed: Mutex<HashMap<Address, Failure>>,
}

#[derive(Debug, Clone, Copy)]
struct Failure {
    in_a_row: u32,
    avoided_until: Instant,
}

impl Avoidance {
    /// Hears that a node could not be reached or did not answer.
    pub(crate) fn on_failure(&self, node: &Address, now: Instant) {
        let mut failed = self.lock();
        if failed.len() >= REMEMBERED_MAX && !failed.contains_key(node) {
            failed.clear();
        }
        let in_a_row = failed.get(node).map_or(1, |failure| failure.in_a_row.saturating_add(1));
        let factor = 2u32.saturating_pow(in_a_row - 1);
        let avoided_until = now + AVOID_MIN.saturating_mul(factor).min(AVOID_MAX);
        failed.insert(node.clone(), Failure { in_a_row, avoided_until });
    }

    /// Hears that a node answered.
    pub(crate) fn on_answer(&self, node: &Address) {
        self.lock().remove(node);
    }

    /// Copies, without repeats and in order, at most `limit` of the `nodes`: those not avoided first.
    pub(crate) fn order<'a>(
        &self,
        nodes: &(impl Iterator<Item = &'a Address> + Clone),
        limit: usize,
        now: Instant,
    ) -> Vec<Address> {
        let failed = self.lock();
        let is_avoided = |node: &Address| failed.get(node).is_some_and(|failure| now < failure.avoided_until);
        let mut ordered: Vec<Address> = Vec::new();
        for avoided in [false, true] {
            for node in nodes.clone() {
                if ordered.len() == limit {
                    return ordered;
                }
                if is_avoided(node) == avoided && !ordered.contains(node) {
                    ordered.push(node.clone());
                }
            }
        }
        ordered
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Address, Failure>> {
        // A map of hints is never left in a state worth refusing.
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes() -> Vec<Address> {
        ["a:1", "b:1", "a:1", "c:1"].map(|text| text.parse().unwrap()).to_vec()
    }

    fn order(avoidance: &Avoidance, limit: usize, now: Instant) -> String {
        let ordered = avoidance.order(&nodes().iter(), limit, now);
        ordered.iter().map(|node| &node.as_str()[..1]).collect()
    }

    #[test]
    fn a_failed_node_comes_last_until_it_answers_or_time_passes() {
        let avoidance = Avoidance::default();
        let now = Instant::now();
        assert_eq!(order(&avoidance, 9, now), "abc");
        avoidance.on_failure(&nodes()[0], now);
        assert_eq!(order(&avoidance, 9, now), "bca");
        assert_eq!(order(&avoidance, 2, now), "bc");
        assert_eq!(order(&avoidance, 9, now + AVOID_MIN), "abc");
        avoidance.on_failure(&nodes()[0], now);
        assert_eq!(order(&avoidance, 9, now + AVOID_MIN), "bca", "doubled");
        avoidance.on_answer(&nodes()[0]);
        assert_eq!(order(&avoidance, 9, now), "abc");
    }

    #[test]
    fn failures_without_end_are_bounded_in_time_and_space() {
        let avoidance = Avoidance::default();
        let now = Instant::now();
        for _ in 0..100 {
            avoidance.on_failure(&nodes()[0], now);
        }
        assert_eq!(order(&avoidance, 9, now + AVOID_MAX), "abc");
        for port in 1..=3000 {
            avoidance.on_failure(&format!("n:{port}").parse().unwrap(), now);
        }
        assert!(avoidance.lock().len() <= REMEMBERED_MAX);
    }
}
