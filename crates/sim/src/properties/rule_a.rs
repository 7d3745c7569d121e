//! Rule 3, rule A of design 6.2: a replica's table reflects every write that its vectors claim.

use precede_core::causality::version::Version;
use precede_core::causality::version_vector::VersionVector;

use crate::oracle::Oracle;
use crate::properties::Holding;

/// Holds the vectors of a table, of its view and of former ones, against what it has of these keys.
///
/// # Errors
/// Names a write that is claimed and not there.
pub fn check(oracle: &Oracle, keys: &[usize], claims: &[&VersionVector], holding: &Holding) -> Result<(), String> {
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
            dropped |= held.is_none() && record.tombstone && record.version.timestamp <= holding.horizon;
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
