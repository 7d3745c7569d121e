//! Large answers that have not left the node yet, counted over all connections: clients that ask and do not read must not take its
//! memory.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Body;

use crate::http::reply::Response;

/// Bodies up to this size are not counted: they are no more than what a connection takes anyway.
const SMALL_BYTES: u64 = 32 << 10;

/// How many bytes of large answers are in memory, and may be.
#[derive(Debug)]
pub(crate) struct Unread {
    bytes: Arc<AtomicUsize>,
    limit: usize,
}

/// An answer's body. Its bytes are counted until the last part of it is dropped.
struct Counted {
    body: Bytes,
    bytes: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.bytes.fetch_sub(self.body.len(), Ordering::Relaxed);
    }
}

/// Whether an answer is so large that it counts.
pub(crate) fn is_large(response: &Response) -> bool {
    response.body().size_hint().lower() > SMALL_BYTES
}

impl Unread {
    /// None yet, and so many at most.
    pub(crate) fn new(limit: usize) -> Self {
        Self { bytes: Arc::default(), limit }
    }

    /// How many there are.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts a response until it has left; none if there is no room for it. A single one has room, however large.
    pub(crate) async fn hold(&self, response: Response) -> Option<Response> {
        let (head, body) = response.into_parts();
        let whole: Result<_, Infallible> = body.collect().await;
        let body = whole.unwrap_or_else(|never| match never {}).to_bytes();
        let before = self.bytes.fetch_add(body.len(), Ordering::Relaxed);
        let is_too_much = before > 0 && before + body.len() > self.limit;
        let counted = Counted { body, bytes: Arc::clone(&self.bytes) };
        (!is_too_much).then(|| Response::from_parts(head, Full::new(Bytes::from_owner(counted))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_are_counted_until_the_last_part_has_left() {
        let unread = Unread::new(200 << 10);
        let answer = |bytes: usize| Response::new(Full::new(Bytes::from(vec![b'v'; bytes])));
        assert!(!is_large(&answer(32 << 10)) && is_large(&answer((32 << 10) + 1)));
        let first = unread.hold(answer(300 << 10)).await.expect("a single one has room");
        assert_eq!(unread.bytes(), 300 << 10);
        assert!(unread.hold(answer(100 << 10)).await.is_none());
        assert_eq!(unread.bytes(), 300 << 10, "what is refused is not counted");
        let mut body = first.into_body().collect().await.expect("it is whole").to_bytes();
        let part = body.split_to(10);
        drop(body);
        assert_eq!(unread.bytes(), 300 << 10);
        assert_eq!(&part[..], &[b'v'; 10]);
        drop(part);
        assert_eq!(unread.bytes(), 0);
        let both = (unread.hold(answer(100 << 10)).await, unread.hold(answer(100 << 10)).await);
        assert!(both.0.is_some() && both.1.is_some(), "up to the limit there is room");
    }
}
