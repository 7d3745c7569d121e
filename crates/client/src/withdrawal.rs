//! A request body that can be withdrawn until the connection takes it: how the client knows that a request was surely
//! not sent.
//!
//! The HTTP machinery asks a body for its length before it writes the request's first byte, and never before it has a
//! connection. So a body that was not asked has not been sent; and one that is withdrawn first fails when it is asked,
//! which leaves the request incomplete for good, and no node acts on half a request. One atomic decides between the
//! two.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// The right to withdraw one request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Withdrawal(Arc<AtomicU8>);

impl Withdrawal {
    /// Withdraws the request. True if it was not sent and never will be.
    pub(crate) fn withdraw(&self) -> bool {
        self.settle(WITHDRAWN)
    }

    /// Marks the request as sent, as far as anyone can tell. False if it was withdrawn before.
    fn take(&self) -> bool {
        self.settle(TAKEN)
    }

    /// Moves from waiting to `state`, and tells whether that is the state now.
    fn settle(&self, state: u8) -> bool {
        match self.0.compare_exchange(WAITING, state, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(current) => current == state,
        }
    }
}

/// The body of a request, in one piece.
#[derive(Debug)]
pub(crate) struct RequestBody {
    bytes: Bytes,
    withdrawal: Withdrawal,
}

impl RequestBody {
    pub(crate) fn new(bytes: Bytes, withdrawal: Withdrawal) -> Self {
        Self { bytes, withdrawal }
    }
}

/// The request was withdrawn before it was sent.
#[derive(Debug, thiserror::Error)]
#[error("the request was withdrawn")]
pub(crate) struct Withdrawn;

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Withdrawn;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Withdrawn>>> {
        if !self.withdrawal.take() {
            return Poll::Ready(Some(Err(Withdrawn)));
        }
        let bytes = std::mem::take(&mut self.bytes);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.withdrawal.take() && self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        if self.withdrawal.take() { SizeHint::with_exact(self.bytes.len() as u64) } else { SizeHint::default() }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_body_that_was_asked_for_its_length_cannot_be_withdrawn() {
        let withdrawal = Withdrawal::default();
        let body = RequestBody::new(Bytes::from("x"), withdrawal.clone());
        assert_eq!(body.size_hint().exact(), Some(1));
        assert!(!withdrawal.withdraw());
        assert_eq!(body.collect().await.unwrap().to_bytes(), "x");
    }

    #[tokio::test]
    async fn a_withdrawn_body_never_ends_well() {
        for text in ["", "x"] {
            let withdrawal = Withdrawal::default();
            let body = RequestBody::new(Bytes::from(text), withdrawal.clone());
            assert!(withdrawal.withdraw());
            assert!(withdrawal.withdraw(), "withdrawing twice changes nothing");
            assert!(!body.is_end_stream());
            assert_eq!(body.size_hint().exact(), None);
            assert!(body.collect().await.is_err());
        }
    }
}
