//! Rule 2: a session that carries its context reads its own writes, never reads less than it has read, and writes above both
//! (read-your-writes, monotonic reads, monotonic writes, writes-follow-reads; Terry et al., 1994).
//!
//! All of it follows from rule 1, and is judged without it: from what the session itself has done, and from nothing that others
//! depended on.

use precede_core::causality::version::Version;

use crate::oracle::Oracle;
use crate::past::Past;
use crate::properties::causal::{self, Shown};

/// Judges a read against what the session itself has read and written, and adds it to that.
///
/// # Errors
/// Says what the session had seen and what it was shown instead.
pub fn read(oracle: &Oracle, own: &mut Past, key: usize, shown: Shown) -> Result<(), String> {
    causal::against(oracle, own, key, shown)?;
    if let Shown::Write(write) = shown {
        own.add(key, write, |write| oracle.version(write));
    }
    Ok(())
}

/// Judges the version of a write: it lies above all that the session has read and written.
///
/// # Errors
/// Names what is not below it.
pub fn write(oracle: &Oracle, own: &mut Past, key: usize, version: &Version) -> Result<(), String> {
    causal::write(oracle, own, version)?;
    if let Some(write) = oracle.find(version) {
        own.add(key, write, |write| oracle.version(write));
    }
    Ok(())
}
