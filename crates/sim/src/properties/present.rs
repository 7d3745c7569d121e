//! Design 11.4: a key that is there is never said to be absent, in transit least of all.
//!
//! Rule 1 says nothing of a client without a past. But once a put is stable every replica of its shard has it, and every
//! later owner must get it before it answers.

use precede_core::causality::hlc::Timestamp;

use crate::oracle::{Fate, Oracle};

/// Judges that a key was said to be absent to whom a node was asked that knew all up to `stable` to be everywhere.
///
/// # Errors
/// Names the put that is everywhere, if nobody may have deleted the key.
pub fn absence(oracle: &Oracle, key: usize, stable: Timestamp) -> Result<(), String> {
    let mut deletes = oracle.issues.iter().filter(|issue| issue.key == key && issue.delete);
    if deletes.any(|issue| issue.fate != Fate::Refused) {
        return Ok(());
    }
    let everywhere = oracle.of_key(key).iter().find(|write| oracle.version(**write).timestamp <= stable);
    match everywhere {
        Some(write) => Err(format!("{} is said to be absent, stable is {stable}", oracle.describe(*write))),
        None => Ok(()),
    }
}
