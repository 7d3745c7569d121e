//! What can go wrong with an operation: for each case, what happened to the data, and whose fault it is.

use std::time::Duration;

use crate::Address;

/// Why an operation did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A node refused the request as it stands (any 4xx answer but 400 and 410, such as 413 for a value that is too
    /// large, and 507, for a value that its memory limit leaves no room for). Nothing was changed; repeating the request is of no use.
    #[error("{node} refused the request with status {status}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The node's reason.
        message: String,
        /// The node that was asked.
        node: Address,
    },

    /// The request is not a valid one: the caller's fault. Nothing was changed. Found by a node (400), or by the client
    /// before anything was sent.
    #[error("bad request: {message}")]
    BadRequest {
        /// What is wrong with it.
        message: String,
    },

    /// No node could serve the request in time: the cluster's or the network's state, not the caller's fault. Nothing
    /// was changed, and a repeat may succeed.
    #[error("no node could serve the request within {timeout:?} ({attempts} attempts); at last {reason}")]
    Unavailable {
        /// The time that the operation had.
        timeout: Duration,
        /// How many times a node was asked.
        attempts: u32,
        /// What the last attempt ended with, and at which node.
        reason: String,
    },

    /// A write or a view change was sent, and no answer tells what became of it: it may have taken effect, may do so
    /// shortly, or never. Reads never end so.
    #[error("the outcome is unknown: the request was sent to {node}, then {reason}")]
    OutcomeUnknown {
        /// The node that may have acted on it.
        node: Address,
        /// What happened instead of an answer.
        reason: String,
    },

    /// No node knows the view that the session's context came from (410). Nothing was changed. What the session has
    /// seen cannot be guaranteed any more: accept that by [`Session::reset`](crate::Session::reset), then repeat.
    #[error(
        "the cluster no longer knows the view of this session's causal context; reset the session to go on without it"
    )]
    ContextLost,

    /// A node answered something that does not follow the protocol: a wrong address, an incompatible version, a proxy
    /// in between, or a defect. If the request was a write, its outcome is unknown.
    #[error("{node} gave an answer outside the protocol: {message}")]
    Protocol {
        /// The node that was asked.
        node: Address,
        /// What is wrong with the answer.
        message: String,
    },

    /// The text is not the address of a node: the caller's fault.
    #[error("invalid node address \"{address}\": {reason}")]
    InvalidAddress {
        /// The text given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
}
