//! Rule 7: what can be served is served. Which requests must succeed is decided when they are made.

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
    let Outcome::Refused(refusal) = outcome else { return Ok(()) };
    let excused = match must {
        Must::Not => true,
        Must::Healthy | Must::AtRest => false,
        // A bound is a reason, and so is a context that this node's clock cannot judge yet.
        Must::WriteAtReplica => matches!(refusal, Refusal::Overloaded { .. } | Refusal::ContextFromTheFuture { .. }),
    };
    if excused { Ok(()) } else { Err(format!("{must:?}, and it was refused: {refusal}")) }
}
