//! What a recorder writes down: operations as their clients saw them, and the reads taken after healing.
//!
//! Nothing in here comes from the server's own knowledge of order. The file form is in `jsonl`.

use serde::{Deserialize, Serialize};

/// What an operation asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Writes a value.
    Put {
        /// The value; no two puts of one key in a history may write the same.
        value: String,
    },
    /// Reads the key.
    Get,
    /// Writes "absent". Every delete is a write of its own, though reads cannot tell one from another.
    Delete,
}

/// What the client learnt of its operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A get was answered.
    Read {
        /// The value, or `None` for an answer of 404.
        value: Option<String>,
    },
    /// A put or delete was acknowledged.
    Written,
    /// A delete was answered with 404: it wrote nothing, and read absence.
    NotFound,
    /// The operation was surely not applied.
    Failed,
    /// The operation may or may not have been applied, now or later. A get of this outcome says nothing.
    Unknown,
}

/// One operation as its client saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// The session: a sequence of operations, ordered by `start` and, where that is equal, by position in the history.
    pub session: u64,
    /// The key.
    pub key: String,
    /// What was asked for.
    pub action: Action,
    /// When the request was sent, in microseconds on the recorder's clock. Orders a session, and judges nothing else.
    pub start: u64,
    /// When the response came, in microseconds on the same clock. For display only.
    pub end: u64,
    /// What the client learnt.
    pub outcome: Outcome,
    /// Positions in the history of operations, maybe of other sessions, whose response context was handed to this one.
    ///
    /// An operation that failed or is unknown had no response, so naming one adds nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub received_from: Vec<usize>,
    /// Whether the request carried its session's context. One that did not stands outside of its session's order: it
    /// neither follows its predecessors nor precedes its successors.
    #[serde(default = "carried", skip_serializing_if = "is_carried")]
    pub carries_context: bool,
}

fn carried() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_carried(carries_context: &bool) -> bool {
    *carries_context
}

impl Operation {
    /// Whether this is a put or delete that was acknowledged.
    pub(crate) fn is_written(&self) -> bool {
        self.outcome == Outcome::Written
    }

    /// Whether this is a put or delete that was applied or may have been.
    pub(crate) fn may_write(&self) -> bool {
        self.action != Action::Get && matches!(self.outcome, Outcome::Written | Outcome::Unknown)
    }

    /// Whether a response came that carried a context: the session goes on from it.
    pub(crate) fn has_response(&self) -> bool {
        match self.outcome {
            Outcome::Read { .. } | Outcome::Written | Outcome::NotFound => true,
            Outcome::Failed | Outcome::Unknown => false,
        }
    }

    pub(crate) fn is_delete(&self) -> bool {
        self.action == Action::Delete
    }
}

/// A read of one replica, taken when all faults were healed and replication had come to rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalRead {
    /// The replica that answered.
    pub replica: String,
    /// The key.
    pub key: String,
    /// The value, or `None` if the replica holds none.
    pub value: Option<String>,
}

/// A recorded run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// All operations; the position of one is its identity.
    pub operations: Vec<Operation>,
    /// Reads of every replica after healing; empty if none were taken.
    pub final_reads: Vec<FinalRead>,
}
