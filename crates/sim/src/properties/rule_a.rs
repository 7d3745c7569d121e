//! Rule 3, rule A of design 6.2: a replica's table reflects every write that its vectors claim. What is newly claimed is looked at after
//! every step, all of it now and then.

use precede_core::causality::version::Version;
use precede_core::causality::version_vector::VersionVector;
use precede_core::replication::replica::Replica;

use crate::oracle::Oracle;
use crate::past::WriteIx;
use crate::properties::{self, Holding};

/// How much of the rule can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All of it.
    All,
    /// Views were made side by side, or a first view began anew beside its successor: what was deleted and collected in one may come
    /// back from the other, and what is claimed of former views does not reflect that (design 11.7; ADR 9, what is not solved).
    BesideOthers,
}

/// Holds the vectors of a table, of its view and of former ones, against what it has of these keys.
///
/// # Errors
/// Names a write that is claimed and not there.
pub fn check(
    oracle: &Oracle,
    keys: &[usize],
    claims: &[&VersionVector],
    holding: &Holding,
    scope: Scope,
) -> Result<(), String> {
    let claimed = |version: &Version| claims.iter().any(|vector| vector.covers(version));
    for (number, key) in keys.iter().map(|number| (*number, &oracle.keys[*number])) {
        let held = holding.entries.get(&key.name).map(|(version, _)| *version);
        let mut dropped = false;
        for &write in oracle.of_key(number).iter().rev() {
            let record = &oracle.writes[write.at()];
            if held.is_some_and(|held| held >= record.version) {
                break;
            }
            // A tombstone that may have been dropped stands for everything below it, where the key is absent.
            let may_be_dropped = held.is_none() || scope == Scope::BesideOthers;
            dropped |= may_be_dropped && record.tombstone && record.version.timestamp <= holding.horizon;
            if !dropped && claimed(&record.version) {
                let held = held.map_or("nothing".to_owned(), |held| format!("{held:?}"));
                return Err(format!(
                    "applied covers {}, the table has {held}, the horizon is {}",
                    oracle.describe(write),
                    holding.horizon
                ));
            }
        }
    }
    Ok(())
}

/// Holds what a replica claims, since it claimed `claimed`, against its table, and notes the new claims. What it claimed before was
/// looked at then: this is cheap enough for every step.
///
/// # Errors
/// Names a write that is claimed and not there.
pub fn step(oracle: &Oracle, replica: &Replica, claimed: &mut VersionVector, scope: Scope) -> Result<(), String> {
    let former = replica.held.values().filter(|_| scope == Scope::All).map(|held| &held.vector);
    for (origin, now) in [&replica.applied].into_iter().chain(former).flat_map(VersionVector::iter) {
        let before = claimed.get(origin);
        if now <= before {
            continue;
        }
        for write in oracle.made(*origin, before.max(origin.start), now) {
            if is_of_shard(oracle, replica, write) && !reflects(oracle, replica, write, scope) {
                return Err(format!("now claims {}, which is not there", oracle.describe(write)));
            }
        }
        claimed.advance(*origin, now);
    }
    Ok(())
}

fn is_of_shard(oracle: &Oracle, replica: &Replica, write: WriteIx) -> bool {
    let hash = oracle.keys[oracle.writes[write.at()].key].hash;
    replica.shared.view.shard_of_hash(hash).id == replica.shared.shard
}

/// As [`Holding::reflects`], of the table itself.
fn reflects(oracle: &Oracle, replica: &Replica, write: WriteIx, scope: Scope) -> bool {
    let record = &oracle.writes[write.at()];
    let (key, table) = (&oracle.keys[record.key], &replica.shared.table);
    let held = table.get(&key.name, key.hash).map(|entry| table.version(&entry));
    let held = held.filter(|held| scope == Scope::All || *held >= record.version);
    properties::reflects(oracle, write, held, replica.horizon)
}
