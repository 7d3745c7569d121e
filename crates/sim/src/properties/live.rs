//! Rule 7: what can be served is served, and who may wait for what it knows is let wait. Which requests must succeed is decided when they are made.

use precede_core::wire::request::{Outcome, Refusal};

/// Why a request must succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Must {
    /// It need not.
    Not,
    /// There are no faults, or none that concern it.
    Healthy,
    /// It is a write, asked of a replica that has met its shard.
    WriteAtReplica,
    /// All faults are over, and the cluster had time to mend.
    AtRest,
}

/// Judges an answer.
///
/// # Errors
/// Says why the request should have succeeded.
pub fn answer(must: Must, outcome: &Outcome) -> Result<(), String> {
    let refusal = match outcome {
        Outcome::Refused(refusal) => refusal,
        Outcome::Unstable(missing) if must == Must::AtRest => {
            return Err(format!("at rest, and not stable: {missing:?}"));
        }
        _ => return Ok(()),
    };
    let excused = match must {
        Must::Not => true,
        Must::Healthy | Must::AtRest => false,
        // A bound is a reason, and so is a context that this node's clock cannot judge yet.
        Must::WriteAtReplica => matches!(refusal, Refusal::Overloaded { .. } | Refusal::ContextFromTheFuture { .. }),
    };
    if excused { Ok(()) } else { Err(format!("{must:?}, and it was refused: {refusal}")) }
}

/// Judges how soon a read is refused whose context could not be satisfied: it may wait for `wait`, or until just before its deadline,
/// wherever it is asked (design 7.2). All times in microseconds.
///
/// # Errors
/// Says how long it took.
pub fn patience(outcome: &Outcome, took: u64, wait: u64, deadline: u64) -> Result<(), String> {
    // An answer comes a tenth of the deadline before it, and at most 50 ms; clocks drift by less than a thousandth.
    let least = wait.min(deadline - (deadline / 10).min(50_000));
    let least = least - least / 1_000;
    match outcome {
        Outcome::Refused(Refusal::Unsatisfied) if took < least => {
            Err(format!("refused after {took} us, though it may wait for {least}"))
        }
        _ => Ok(()),
    }
}
