//! Rule 5: what was written and had a holder that lived is still there, or something greater.

use crate::oracle::Oracle;
use crate::past::WriteIx;
use crate::properties::Holding;

/// Marks the writes that nobody holds after a crash as lost.
///
/// # Errors
/// Names one of them that was acknowledged on at least `kept_from` replicas, if there is such a bound.
pub fn mark_lost(
    oracle: &mut Oracle,
    is_held: impl Fn(&Oracle, WriteIx) -> bool,
    kept_from: Option<u32>,
) -> Result<(), String> {
    let mut objection = Ok(());
    for at in 0..oracle.writes.len() {
        let write = WriteIx::new(at);
        let record = &oracle.writes[at];
        if record.lost || is_held(oracle, write) {
            continue;
        }
        if kept_from.is_some_and(|acks| record.acks >= acks) {
            let acks = record.acks;
            objection = Err(format!("{} was on {acks} replicas, and is lost", oracle.describe(write)));
        }
        oracle.writes[at].lost = true;
    }
    objection
}

/// Looks for puts that are gone at the end.
///
/// # Errors
/// Names one.
pub fn at_end(oracle: &Oracle, keys: &[usize], holding: &Holding) -> Result<(), String> {
    match missing(oracle, keys, holding, false) {
        Some(write) => Err(format!("{} is gone without a trace", oracle.describe(write))),
        None => Ok(()),
    }
}

/// A write of a shard, tombstone or put, that had a holder that lived, and that a replica at rest does not reflect.
pub(super) fn missing(oracle: &Oracle, keys: &[usize], holding: &Holding, tombstone: bool) -> Option<WriteIx> {
    keys.iter().flat_map(|key| oracle.of_key(*key).iter().copied()).find(|&write| {
        let record = &oracle.writes[write.at()];
        record.tombstone == tombstone && !record.lost && {
            match holding.entries.get(&oracle.keys[record.key].name) {
                Some((version, _)) => *version < record.version,
                None => oracle.tombstone_from(record.key, write).is_none(),
            }
        }
    })
}
