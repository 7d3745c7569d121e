//! What a request is known by outside: the name that its client gave it, and its place in a trace (W3C Trace Context). It
//! travels with a forwarded request, so that both nodes tell of it under one name, and decides nothing.

use serde::{Deserialize, Serialize};

use crate::limits::{REQUEST_ID_BYTES_MAX, TRACE_STATE_BYTES_MAX};

/// The mark of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The request's name: 1 to [`REQUEST_ID_BYTES_MAX`] visible ASCII characters.
    pub request_id: String,
    /// Its place in a trace, if it is part of one.
    pub trace: Option<Trace>,
}

/// A place in a trace: what comes next is done on behalf of this span.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// Names the trace; not all zeros.
    pub id: [u8; 16],
    /// Names the span; not all zeros.
    pub span: [u8; 8],
    /// The flags of `traceparent`.
    pub flags: u8,
    /// The text of `tracestate`, for whoever reads it: at most [`TRACE_STATE_BYTES_MAX`] bytes of printable ASCII, or nothing.
    pub state: String,
}

impl Mark {
    /// Whether a text may be the name of a request.
    #[must_use]
    pub fn is_request_id(text: &[u8]) -> bool {
        (1..=REQUEST_ID_BYTES_MAX).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic)
    }

    /// Whether all of it is as it is said to be: what goes into logs must not be able to fake a line of them.
    #[must_use]
    pub fn is_within_limits(&self) -> bool {
        Self::is_request_id(self.request_id.as_bytes())
            && self.trace.as_ref().is_none_or(|trace| Trace::is_state(trace.state.as_bytes()))
    }
}

impl Trace {
    /// The flag of `traceparent` that says that the trace is recorded.
    pub const SAMPLED: u8 = 1;

    /// Whether somebody wants to see this trace.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & Self::SAMPLED != 0
    }

    /// Whether a text may be the state of a trace.
    #[must_use]
    pub fn is_state(text: &[u8]) -> bool {
        text.len() <= TRACE_STATE_BYTES_MAX && text.iter().all(|byte| (b' '..=b'~').contains(byte))
    }
}
