//! Rule 4: replicas of a shard that are at rest hold the same.

use crate::properties::Holding;

/// Compares two replicas of a shard.
///
/// # Errors
/// Names a key at which they differ.
pub fn check(one: &Holding, other: &Holding) -> Result<(), String> {
    for key in one.entries.keys().chain(other.entries.keys()) {
        let (mine, theirs) = (one.entries.get(key), other.entries.get(key));
        if mine != theirs {
            return Err(format!("{}: {mine:?} here, {theirs:?} there", String::from_utf8_lossy(key)));
        }
    }
    Ok(())
}
