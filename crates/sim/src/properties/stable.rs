//! Design 6.4: what lies at or below a stable timestamp is on every replica of its shard.
//!
//! Pruning, leaving the window and collecting tombstones rest on it, though 7.2 keeps reads correct even where it fails.
//! It counts the last words of lives that are over, so it can be checked only where no node forgets.

use precede_core::causality::hlc::Timestamp;

use crate::oracle::Oracle;
use crate::properties::Holding;

/// Holds a stable timestamp against the replicas of a shard.
///
/// # Errors
/// Names a write that some replica lacks.
pub fn check(oracle: &Oracle, keys: &[usize], stable: Timestamp, replicas: &[Holding]) -> Result<(), String> {
    for &key in keys {
        let below = |write: &&_| oracle.version(**write).timestamp <= stable;
        let Some(&greatest) = oracle.of_key(key).iter().rev().find(below) else { continue };
        if !replicas.iter().all(|replica| replica.reflects(oracle, greatest)) {
            return Err(format!("stable is {stable}, and a replica lacks {}", oracle.describe(greatest)));
        }
    }
    Ok(())
}

/// Judges the `stable` of an answer: nothing may be left out of a context that the cluster has not reached, or every replica would
/// have to wait for a time that may not come while another is dead (design 5.2, 5.3). `reached`: the greatest that any node has
/// known, or any client has brought along.
///
/// # Errors
/// Shows both.
pub fn issued(stable: Timestamp, reached: Timestamp) -> Result<(), String> {
    if stable <= reached {
        Ok(())
    } else {
        Err(format!("a context's stable is {stable}, the cluster has reached {reached}"))
    }
}
