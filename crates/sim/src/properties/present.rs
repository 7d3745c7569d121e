//! Design 11.4: a key that is there is never said to be absent, in transit least of all.
//!
//! Rule 1 says nothing of a client without a past. But once a put is stable every replica of its shard has it, and every
//! later owner must get it before it answers. And who holds a shard of a later view must not miss what two replicas of an
//! earlier one have acknowledged, whomever of them it has heard.

use std::collections::BTreeSet;

use precede_core::causality::hlc::Timestamp;
use precede_core::id::ViewId;

use crate::oracle::{Fate, Oracle};
use crate::past::WriteIx;

/// What there was of a key when a read of it was asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known {
    /// The greatest put of it that two replicas had acknowledged, none of which has lost its memory since.
    pub on_two: Option<WriteIx>,
    /// What the node asked knew to be stable, where that is judged.
    pub stable: Option<Timestamp>,
    /// How often memory had been lost.
    pub losses: u64,
}

/// Judges that a key was said to be absent to whom a node was asked that knew all up to `stable` to be everywhere.
///
/// # Errors
/// Names the put that is everywhere, if nobody may have deleted the key.
pub fn absence(oracle: &Oracle, key: usize, stable: Timestamp) -> Result<(), String> {
    let everywhere = oracle.of_key(key).iter().find(|write| oracle.version(**write).timestamp <= stable);
    match everywhere.filter(|_| !is_deleted_after(oracle, key, None)) {
        Some(write) => Err(format!("{} is said to be absent, stable is {stable}", oracle.describe(*write))),
        None => Ok(()),
    }
}

/// Judges that a replica under `view` said that a key is absent although a put of it was acknowledged on two replicas.
///
/// # Errors
/// Names the put, if it was made under an earlier view and nobody may have deleted the key since.
pub fn in_transit(oracle: &Oracle, put: WriteIx, view: ViewId) -> Result<(), String> {
    let record = &oracle.writes[put.at()];
    if record.version.origin.view >= view || record.lost || is_deleted_after(oracle, record.key, Some(put)) {
        return Ok(());
    }
    Err(format!("{} is said to be absent, and is on {} replicas", oracle.describe(put), record.acks))
}

/// Judges that a node said that a key is absent although its own table has this put of it: only a delete above it, which an old owner
/// has collected, can outdo that.
///
/// # Errors
/// Names the put, if nobody may have deleted the key since.
pub fn in_hand(oracle: &Oracle, put: WriteIx) -> Result<(), String> {
    match is_deleted_after(oracle, oracle.writes[put.at()].key, Some(put)) {
        true => Ok(()),
        false => Err(format!("{} is said to be absent by who has it", oracle.describe(put))),
    }
}

/// The greatest put of a key among those that two replicas have acknowledged.
#[must_use]
pub fn on_two(oracle: &Oracle, key: usize, acknowledged: &BTreeSet<WriteIx>) -> Option<WriteIx> {
    let is_put = |write: &&WriteIx| acknowledged.contains(*write) && !oracle.writes[write.at()].tombstone;
    oracle.of_key(key).iter().rev().find(is_put).copied()
}

/// Whether a delete of a key may have taken effect, above a put if one is named.
fn is_deleted_after(oracle: &Oracle, key: usize, put: Option<WriteIx>) -> bool {
    let is_below = |issue: usize| {
        let mut made =
            oracle.of_key(key).iter().filter(|write| oracle.writes[write.at()].issue == Some(issue)).peekable();
        let asked = &oracle.issues[issue];
        put.is_some_and(|put| {
            asked.fate == Fate::Done
                && !asked.repeated
                && made.peek().is_some()
                && made.all(|write| oracle.version(*write) < oracle.version(put))
        })
    };
    let deletes = oracle.issues.iter().enumerate().filter(|(_, issue)| issue.key == key && issue.delete);
    deletes.into_iter().any(|(number, issue)| issue.fate != Fate::Refused && !is_below(number))
}
