//! Bodies of requests: read within limits of size, time and memory, and parsed.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::http::errors::Failure;

/// Bytes of large bodies in memory at once, over all requests. What is sent beyond waits in the network, for a while.
const BUDGET_BYTES: usize = 24 << 20;
/// Bodies up to this size are not counted: large ones must not keep small ones waiting.
const SMALL_BYTES: usize = 32 << 10;
/// Large bodies are gathered in pieces of this size.
const PIECE_BYTES: usize = 64 << 10;
/// How long a body waits for room before it is refused with 503, and how often it looks.
const ROOM_TIMEOUT: Duration = Duration::from_secs(1);
const ROOM_INTERVAL: Duration = Duration::from_millis(20);
/// Nesting of a value. Deeper ones would break the parsers of those who read them.
const DEPTH_MAX: usize = 127;

/// Counts the bytes of bodies in memory.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct BodyBudget(AtomicUsize);

/// A body in memory. Its part of the budget is given back when it is dropped.
pub(crate) struct Held<'a> {
    /// The body.
    pub(crate) bytes: Bytes,
    budget: &'a BodyBudget,
    counted: usize,
}

impl Held<'_> {
    /// Makes room for so many bytes in all.
    async fn make_room(&mut self, bytes: usize) -> Result<(), Failure> {
        if bytes <= SMALL_BYTES.max(self.counted) {
            return Ok(());
        }
        let by = bytes - self.counted;
        let end = Instant::now() + ROOM_TIMEOUT;
        while self.budget.0.fetch_add(by, Ordering::Relaxed) + by > BUDGET_BYTES {
            self.budget.0.fetch_sub(by, Ordering::Relaxed);
            if Instant::now() >= end {
                return Err(Failure::unavailable("this node is receiving too much at once").closing());
            }
            sleep(ROOM_INTERVAL).await;
        }
        self.counted += by;
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.counted > 0 {
            self.budget.0.fetch_sub(self.counted, Ordering::Relaxed);
        }
    }
}

/// Reads a body. What its `Content-Length` admits to be too large is refused before a byte of it is read.
pub(crate) async fn read(
    budget: &BodyBudget,
    body: Incoming,
    version: Version,
    bytes_max: usize,
    time_max: Duration,
) -> Result<Held<'_>, Failure> {
    if body.is_end_stream() {
        return Ok(Held { bytes: Bytes::new(), budget, counted: 0 });
    }
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large(bytes_max));
    }
    let collect = collect(budget, body, bytes_max);
    let result = match version {
        Version::HTTP_2 => timeout(time_max, collect).await.ok(),
        _ => in_time(time_max, collect).await,
    };
    match result {
        Some(result) => result,
        None => Err(Failure::new(StatusCode::REQUEST_TIMEOUT, "The request's body did not arrive in time").closing()),
    }
}

/// A time-out for bodies of HTTP/1 that costs no timer where the body came along with the head: hyper hands it over
/// between the first poll and the second. Should there be no second, the connection's own watch, which polls it again in
/// good time, brings it about.
async fn in_time<T>(time_max: Duration, future: impl Future<Output = T>) -> Option<T> {
    let end = Instant::now() + time_max;
    let mut future = pin!(future);
    let (mut has_waited, mut timer) = (false, None);
    poll_fn(|cx| {
        if let Poll::Ready(result) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(result));
        }
        if !std::mem::replace(&mut has_waited, true) {
            return Poll::Pending;
        }
        let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        timer.as_mut().poll(cx).map(|()| None)
    })
    .await
}

async fn collect(budget: &BodyBudget, mut body: Incoming, bytes_max: usize) -> Result<Held<'_>, Failure> {
    let mut held = Held { bytes: Bytes::new(), budget, counted: 0 };
    // Pieces of one size, which the allocator gives out again and again: a growing buffer would leave holes behind.
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(mut data) = frame.map_err(|_| Failure::bad("Failed to parse request body").closing())?.into_data()
        else {
            continue;
        };
        length += data.len();
        if length > bytes_max {
            return Err(too_large(bytes_max));
        }
        // Most bodies come in one frame, which need not be copied.
        if length == data.len() {
            held.make_room(length).await?;
            held.bytes = data;
            continue;
        }
        if pieces.is_empty() {
            pieces.push(std::mem::take(&mut held.bytes).into());
        }
        while !data.is_empty() {
            let room = pieces.last().map_or(0, |piece| piece.capacity() - piece.len());
            if room == 0 {
                held.make_room((pieces.len() + 1) * PIECE_BYTES).await?;
                pieces.push(Vec::with_capacity(PIECE_BYTES));
                continue;
            }
            let part = data.split_to(room.min(data.len()));
            pieces.last_mut().expect("it has room").extend_from_slice(&part);
        }
    }
    if !pieces.is_empty() {
        held.make_room(pieces.len() * PIECE_BYTES + length).await?;
        held.bytes = pieces.concat().into();
    }
    Ok(held)
}

fn too_large(bytes_max: usize) -> Failure {
    let error = format!("Request body is too large: the limit is {bytes_max} bytes");
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, error).closing()
}

/// The fields of a body that the store looks at, as their texts. Others are ignored; of repeated ones the last counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields<'a> {
    /// `value`.
    pub(crate) value: Option<&'a str>,
    /// `causal-context`.
    pub(crate) context: Option<&'a str>,
}

/// Parses a body: a JSON object, or nothing.
pub(crate) fn parse(body: &[u8]) -> Result<Fields<'_>, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| unparsable())?;
    if text.trim_ascii().is_empty() {
        return Ok(Fields::default());
    }
    let fields: Fields<'_> = serde_json::from_str(text).map_err(|_| unparsable())?;
    match fields.value {
        Some(value) if depth(value) > DEPTH_MAX => Err(unparsable()),
        Some(_) | None => Ok(fields),
    }
}

fn unparsable() -> Failure {
    Failure::bad("Failed to parse request body")
}

/// How deep a JSON text is nested.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Fields::default();
                while let Some(Name(name)) = map.next_key()? {
                    match &*name {
                        "value" => fields.value = Some(map.next_value::<&RawValue>()?.get()),
                        "causal-context" => fields.context = Some(map.next_value::<&RawValue>()?.get()),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_text_and_others_are_ignored() {
        let body = br#" {"x": [1], "value": {"a" : 1.50}, "causal-context": {}, "\u0076alue": "z"} "#;
        assert_eq!(parse(body).unwrap(), Fields { value: Some("\"z\""), context: Some("{}") });
        assert_eq!(parse(br#"{"value": {"a" : 1.50}}"#).unwrap().value, Some(r#"{"a" : 1.50}"#));
        assert_eq!(parse(b" \n").unwrap(), Fields::default());
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for body in [&b"["[..], b"[]", b"1", b"null", b"{\"value\":}", b"{\"value\":1}x", b"{\"value\":\"\xff\"}"] {
            assert!(parse(body).is_err(), "{body:?}");
        }
        let nested = |depth| format!("{{\"value\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert!(parse(nested(DEPTH_MAX + 1).as_bytes()).is_err());
        assert!(parse(nested(1_000_000).as_bytes()).is_err());
        assert!(parse(format!("{{\"value\":\"{}\"}}", "[\\\"".repeat(1000)).as_bytes()).is_ok());
    }
}
