//! Large answers that have not left the node yet, counted over all connections: clients that ask and do not read must not take its
//! memory.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Body;

use crate::http::reply::{CAUSAL_CONTEXT, Response};

/// Bodies up to this size are not counted. A connection of HTTP/1 writes one answer after the other, and keeps as much for itself.
const SMALL_BYTES: u64 = 32 << 10;
/// One of HTTP/2 may have hundreds of them.
const SMALL_BYTES_H2: u64 = 1 << 10;

/// How many bytes of large answers are in memory, and may be.
#[derive(Debug)]
pub(crate) struct Unread {
    bytes: Arc<AtomicUsize>,
    limit: usize,
}

/// An answer's body. Its bytes are counted until the last part of it is dropped.
struct Counted {
    body: Bytes,
    length: usize,
    bytes: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.bytes.fetch_sub(self.length, Ordering::Relaxed);
    }
}

/// Whether an answer is so large that it counts.
pub(crate) fn is_large(response: &Response, version: Version) -> bool {
    let body = response.body().size_hint().lower();
    match version {
        Version::HTTP_2 => body + token_bytes(response.headers()) as u64 > SMALL_BYTES_H2,
        _ => body > SMALL_BYTES,
    }
}

/// How long the context is in the head, which waits with the body.
fn token_bytes(headers: &HeaderMap) -> usize {
    headers.get(CAUSAL_CONTEXT).map_or(0, HeaderValue::len)
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

    /// Counts an answer until it has left. If there is no room for it and it may be refused, it is given back. A single one has room,
    /// however large.
    pub(crate) async fn hold(&self, response: Response, may_refuse: bool) -> Result<Response, Response> {
        let (head, body) = response.into_parts();
        let whole: Result<_, Infallible> = body.collect().await;
        let body = whole.unwrap_or_else(|never| match never {}).to_bytes();
        let length = body.len() + token_bytes(&head.headers);
        let with_it = |before: usize| {
            let after = before.saturating_add(length);
            (!may_refuse || before == 0 || after <= self.limit).then_some(after)
        };
        match self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, with_it) {
            Ok(_) => {
                let counted = Counted { body, length, bytes: Arc::clone(&self.bytes) };
                Ok(Response::from_parts(head, Full::new(Bytes::from_owner(counted))))
            }
            Err(_) => Err(Response::from_parts(head, Full::new(body))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_are_counted_until_the_last_part_has_left() {
        let unread = Unread::new(200 << 10);
        let answer = |bytes: usize| Response::new(Full::new(Bytes::from(vec![b'v'; bytes])));
        for (version, bytes) in [(Version::HTTP_11, 32 << 10), (Version::HTTP_2, 1 << 10)] {
            assert!(!is_large(&answer(bytes), version) && is_large(&answer(bytes + 1), version));
        }
        let first = unread.hold(answer(300 << 10), true).await.expect("a single one has room");
        assert_eq!(unread.bytes(), 300 << 10);
        let refused = unread.hold(answer(100 << 10), true).await.expect_err("there is none for another");
        assert_eq!(refused.body().size_hint().exact(), Some(100 << 10), "it is given back");
        assert_eq!(unread.bytes(), 300 << 10, "and not counted");
        let written = unread.hold(answer(100 << 10), false).await.expect("it must not be refused");
        assert_eq!(unread.bytes(), 400 << 10);
        drop(written);
        let mut body = first.into_body().collect().await.expect("it is whole").to_bytes();
        let part = body.split_to(10);
        drop(body);
        assert_eq!(unread.bytes(), 300 << 10);
        assert_eq!(&part[..], &[b'v'; 10]);
        drop(part);
        assert_eq!(unread.bytes(), 0);
        let both = (unread.hold(answer(100 << 10), true).await, unread.hold(answer(100 << 10), true).await);
        assert!(both.0.is_ok() && both.1.is_ok(), "up to the limit there is room");
    }
}
