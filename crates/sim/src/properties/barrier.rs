//! Design 7.7: what a context names is on every replica once a barrier says so.
//!
//! A replica that has started again and has not recovered need not have it: it gets it from any of the others. Nor is anything asked of
//! what all who had it have lost.

use precede_core::causality::context::Context;

use crate::oracle::Oracle;
use crate::past::Past;
use crate::properties::Holding;

/// Judges a barrier that was passed by a context of a client with this past: for each key the replicas of its shard that have recovered.
/// What the context has left out has been on every replica, and is there where none has lost anything: `is_lossless`.
///
/// # Errors
/// Names a write that one of them lacks.
pub fn check<'a>(
    oracle: &Oracle,
    past: &Past,
    context: &Context,
    is_lossless: bool,
    replicas: impl Fn(usize) -> Vec<(char, &'a Holding)>,
) -> Result<(), String> {
    for write in past.iter() {
        let record = &oracle.writes[write.at()];
        let is_named = context.entries.get(&record.version.origin) >= record.version.timestamp;
        let is_left_out = is_lossless && record.version.timestamp <= context.stable;
        if !(is_named || is_left_out) || record.lost {
            continue;
        }
        let lacks = |(_, holding): &(char, &Holding)| !holding.reflects(oracle, write);
        if let Some((replica, _)) = replicas(record.key).into_iter().find(lacks) {
            return Err(format!("all is said to be on every replica, and {replica} lacks {}", oracle.describe(write)));
        }
    }
    Ok(())
}
