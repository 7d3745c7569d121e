//! Rule 1: no answer contradicts its client's causal past.

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
    against(oracle, past, key, shown)?;
    if let Shown::Write(write) = shown {
        oracle.extend(past, write);
    }
    Ok(())
}

/// Judges what is shown of a key against what is known of it. Where absence stands for a tombstone, that is known from then on.
///
/// # Errors
/// Says what was known and what was shown instead.
pub fn against(oracle: &Oracle, known: &mut Past, key: usize, shown: Shown) -> Result<(), String> {
    let Some(required) = oracle.required(known, key) else { return Ok(()) };
    match shown {
        Shown::Write(write)
            if oracle.version(write) < oracle.version(required) && !one_request(oracle, write, required) =>
        {
            Err(format!("known was {}, shown was {}", oracle.describe(required), oracle.describe(write)))
        }
        Shown::Write(_) => Ok(()),
        Shown::Nothing => match oracle.tombstone_from(key, required) {
            // Some tombstone at or above this one was read, no lesser one: later reads must not fall below it.
            Some(tombstone) => {
                known.add(key, tombstone, |write| oracle.version(write));
                Ok(())
            }
            None => Err(format!("known was {}, shown was absence", oracle.describe(required))),
        },
    }
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
