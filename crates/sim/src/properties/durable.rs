//! A write's answer says on how many replicas it is, and speaks the truth (design 7.5).

use precede_core::wire::request::WriteConcern;

use crate::oracle::Oracle;
use crate::past::WriteIx;

/// Judges the number of acknowledgements in an answer.
///
/// # Errors
/// Says why it cannot be.
pub fn answer(acks: u32, concern: Option<WriteConcern>, concern_met: bool, replicas: usize) -> Result<(), String> {
    let acks = usize::try_from(acks).unwrap_or(usize::MAX);
    if acks == 0 || acks > replicas {
        return Err(format!("{acks} acknowledgements of {replicas} replicas"));
    }
    let met = concern.is_none_or(|concern| acks >= concern.count(replicas));
    if met == concern_met {
        return Ok(());
    }
    Err(format!("{acks} of {replicas} replicas, asked for {concern:?}, and concern_met is {concern_met}"))
}

/// Judges an answer of a replica all of whose peers are well: as many as the default concern asks for have the write.
///
/// # Errors
/// Says how many there are.
pub fn in_health(acks: u32, replicas: usize) -> Result<(), String> {
    if usize::try_from(acks).unwrap_or(usize::MAX) >= replicas.min(2) {
        return Ok(());
    }
    Err(format!("{acks} acknowledgements of {replicas} replicas, all of which are well"))
}

/// Judges the number of acknowledgements in an answer against the number of nodes that hold the write when it is given, or something
/// greater. Only where no node forgets.
///
/// # Errors
/// Says how many do.
pub fn holders(oracle: &Oracle, write: WriteIx, acks: u32, holders: usize) -> Result<(), String> {
    if u32::try_from(holders).unwrap_or(u32::MAX) >= acks {
        return Ok(());
    }
    Err(format!("{} is said to be on {acks} replicas and is on {holders}", oracle.describe(write)))
}
