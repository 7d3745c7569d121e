//! Rule 6: what was deleted stays deleted until a later put.
//!
//! That a client whose past has the delete is never shown less is part of rule 1. Here is what must hold at the end.

use crate::oracle::Oracle;
use crate::properties::{Holding, no_lost_write};

/// Looks for keys that came back.
///
/// # Errors
/// Names the delete that is not reflected.
pub fn at_end(oracle: &Oracle, keys: &[usize], holding: &Holding) -> Result<(), String> {
    match no_lost_write::missing(oracle, keys, holding, true) {
        Some(write) => Err(format!("something below {} is back", oracle.describe(write))),
        None => Ok(()),
    }
}
