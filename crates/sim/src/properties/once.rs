//! ADR 4: a write whose answer does not say that it may have been repeated takes effect once.

use crate::oracle::Oracle;
use crate::past::WriteIx;

/// Counts what a put came to whose client was told that it was made once. A copy whose holders all crashed is gone, also where a
/// greater version stands in its place; of deletes
/// it cannot be told which tombstone is whose.
///
/// # Errors
/// Names two versions of it.
pub fn check(oracle: &Oracle, issue: usize) -> Result<(), String> {
    let asked = &oracle.issues[issue];
    if asked.delete || !asked.told_once {
        return Ok(());
    }
    let is_copy = |write: &WriteIx| {
        let record = &oracle.writes[write.at()];
        record.issue == Some(issue) && !record.lost && !record.alone
    };
    let mut copies = oracle.of_key(asked.key).iter().copied().filter(is_copy);
    match (copies.next(), copies.next()) {
        (Some(one), Some(other)) => Err(format!(
            "{} was told to be made once, and is there as {} too",
            oracle.describe(one),
            oracle.describe(other)
        )),
        (Some(_) | None, _) => Ok(()),
    }
}
