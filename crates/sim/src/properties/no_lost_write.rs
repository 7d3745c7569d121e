//! Rule 5: what was written and had a holder that lived is still there, or something greater.

use precede_core::id::ShardId;

use crate::oracle::Oracle;
use crate::past::WriteIx;
use crate::properties::Holding;

/// Marks the writes of a shard that no survivor of a crash reflects as lost.
///
/// # Errors
/// Names one of them that was acknowledged on two replicas, if `single`: one crash must not lose it.
pub fn mark_lost(oracle: &mut Oracle, shard: ShardId, survivors: &[Holding], single: bool) -> Result<(), String> {
    let mut objection = Ok(());
    for at in 0..oracle.writes.len() {
        let write = WriteIx::new(at);
        let record = &oracle.writes[at];
        if record.lost || oracle.keys[record.key].shard != shard {
            continue;
        }
        if survivors.iter().any(|survivor| survivor.reflects(oracle, write)) {
            continue;
        }
        if single && record.acks >= 2 && !oracle.is_repeated(write) {
            let acks = record.acks;
            objection = Err(format!("{} was on {acks} replicas, and one crash lost it", oracle.describe(write)));
        }
        oracle.writes[at].lost = true;
    }
    objection
}

/// Looks for puts that are gone at the end.
///
/// # Errors
/// Names one.
pub fn at_end(oracle: &Oracle, shard: ShardId, holding: &Holding) -> Result<(), String> {
    match missing(oracle, shard, holding, false) {
        Some(write) => Err(format!("{} is gone without a trace", oracle.describe(write))),
        None => Ok(()),
    }
}

/// A write of a shard, tombstone or put, that had a holder that lived, and that a replica at rest does not reflect.
pub(super) fn missing(oracle: &Oracle, shard: ShardId, holding: &Holding, tombstone: bool) -> Option<WriteIx> {
    let of_shard = (0..oracle.keys.len()).filter(|key| oracle.keys[*key].shard == shard);
    of_shard.flat_map(|key| oracle.of_key(key).iter().copied()).find(|&write| {
        let record = &oracle.writes[write.at()];
        record.tombstone == tombstone && !record.lost && !oracle.is_repeated(write) && {
            match holding.entries.get(&oracle.keys[record.key].name) {
                Some((version, _)) => *version < record.version,
                None => oracle.tombstone_from(record.key, write).is_none(),
            }
        }
    })
}
