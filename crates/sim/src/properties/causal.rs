//! Rules 1 and 2: no answer contradicts its client's causal past. The session guarantees are the parts of it that concern
//! a client's own reads and writes, which are in its past.

use precede_core::causality::context::Context;
use precede_core::causality::version::Version;

use crate::oracle::Oracle;
use crate::past::{Past, WriteIx};

/// What an answer shows of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// A version: a value, or a tombstone that is named.
    Write(WriteIx),
    /// Absence without a version: the key never was, or its tombstone is everywhere and has been dropped.
    Nothing,
}

/// Judges a read and adds what was read to the client's past.
///
/// # Errors
/// Says what the client knew and what it was shown instead.
pub fn read(oracle: &Oracle, past: &mut Past, key: usize, shown: Shown) -> Result<(), String> {
    let required = oracle.required(past, key);
    match (shown, required) {
        (Shown::Write(write), required) => {
            if let Some(required) = required
                && oracle.version(write) < oracle.version(required)
                && !one_request(oracle, write, required)
            {
                return Err(format!(
                    "the past has {}, shown was {}",
                    oracle.describe(required),
                    oracle.describe(write)
                ));
            }
            oracle.extend(past, write);
        }
        (Shown::Nothing, None) => {}
        (Shown::Nothing, Some(required)) => match oracle.tombstone_from(key, required) {
            // Some tombstone at or above this one was read, no lesser one: later reads must not fall below it.
            Some(tombstone) => past.add(key, tombstone, |write| oracle.version(write)),
            None => return Err(format!("the past has {}, shown was absence", oracle.describe(required))),
        },
    }
    Ok(())
}

/// Judges the version of a write: it must lie above all that its writer knew (design 4.3).
///
/// # Errors
/// Names a write of the past that is not below it.
pub fn write(oracle: &Oracle, past: &Past, version: &Version) -> Result<(), String> {
    match past.iter().find(|known| oracle.version(*known).timestamp >= version.timestamp) {
        Some(known) => Err(format!("written as {version:?}, though the past has {}", oracle.describe(known))),
        None => Ok(()),
    }
}

/// Judges what became of a context: nothing of the request's may be missing from the response's, unless `stable` stands
/// for it.
///
/// # Errors
/// Names what is missing.
pub fn context(asked: &Context, answered: &Context) -> Result<(), String> {
    if answered.stable < asked.stable || answered.view < asked.view {
        return Err(format!("the context went back from {asked:?} to {answered:?}"));
    }
    for (origin, timestamp) in asked.entries.iter() {
        if answered.entries.get(origin) < timestamp && answered.stable < timestamp {
            return Err(format!("the context lost ({origin:?}, {timestamp}): {answered:?}"));
        }
    }
    Ok(())
}

fn one_request(oracle: &Oracle, one: WriteIx, other: WriteIx) -> bool {
    let issue = |write: WriteIx| oracle.writes[write.at()].issue;
    issue(one).is_some() && issue(one) == issue(other)
}
