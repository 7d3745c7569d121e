//! Requests as they go on the wire: method, path, query and body; no context and no node yet.

use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::HeaderValue;
use http::uri::PathAndQuery;
use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::value::JSON;
use crate::{Error, ReadOptions, Value, WriteOptions};

/// What a key's bytes must not appear as in a path: all but the unreserved characters of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const VIEW_CHANGE: &str = "/kv-store/view-change";
const BARRIER: &str = "/kv-store/barrier";

/// Characters of an idempotency key.
const IDEMPOTENCY_KEY_MAX: usize = 255;

/// How much longer than the node's own wait an attempt lasts at least, for the way there and back.
const BEYOND_WAIT: Duration = Duration::from_millis(250);

/// One request, to be sent to any node.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) target: PathAndQuery,
    /// The key that it is about, to find the nodes that hold it.
    pub(crate) key: Option<String>,
    pub(crate) content_type: Option<HeaderValue>,
    pub(crate) body: Bytes,
    /// What a write is called, so that a repeat is recognised.
    pub(crate) idempotency_key: Option<HeaderValue>,
    /// Whether it may be sent again although a node may have acted on it.
    pub(crate) repeatable: bool,
    /// Whether it changes anything, so that acting on it without an answer leaves the outcome unknown.
    pub(crate) writes: bool,
    /// How long an attempt must last at least to make sense.
    pub(crate) attempt_min: Duration,
}

impl Request {
    /// Reads a key. The answer's body is the value itself, JSON or raw, and its content type tells which.
    pub(crate) fn get(key: &str, options: &ReadOptions) -> Result<Self, Error> {
        let mut query = Query::default();
        query.flag("raw");
        query.wait(options.wait);
        Self::on_key(Method::GET, key, &query, options.wait)
    }

    /// Writes a key.
    pub(crate) fn put(key: &str, value: Value, options: &WriteOptions) -> Result<Self, Error> {
        let mut query = Query::default();
        query.write(options);
        // Said always: bytes with some content types, such as those of JSON, would be taken for a JSON request without
        // it.
        if !value.is_json() {
            query.flag("raw");
        }
        let content_type = if value.is_json() {
            HeaderValue::from_static(JSON)
        } else {
            HeaderValue::from_str(value.content_type()).map_err(|_| Error::BadRequest {
                message: format!("\"{}\" is not a content type", value.content_type().escape_default()),
            })?
        };
        let body = if value.is_json() { enveloped(value.as_bytes()) } else { value.into_bytes() };
        let request = Self::on_key(Method::PUT, key, &query, options.wait)?;
        Ok(Self { content_type: Some(content_type), body, ..request.writing(options)? })
    }

    /// Deletes a key.
    pub(crate) fn delete(key: &str, options: &WriteOptions) -> Result<Self, Error> {
        let mut query = Query::default();
        query.write(options);
        Self::on_key(Method::DELETE, key, &query, options.wait)?.writing(options)
    }

    /// A request that is a write: one that may be repeated has a name.
    fn writing(self, options: &WriteOptions) -> Result<Self, Error> {
        let given = options.idempotency_key.as_deref().map(named).transpose()?;
        let idempotency_key = given.or_else(|| options.retry_unknown.then(drawn));
        Ok(Self { writes: true, repeatable: options.retry_unknown, idempotency_key, ..self })
    }

    /// Waits until all that the context names is on every replica. Asking again does no harm.
    pub(crate) fn barrier(options: &ReadOptions) -> Self {
        let mut query = Query::default();
        query.wait(options.wait);
        let target = format!("{BARRIER}{}", query.0).parse().expect("digits make a valid query");
        let attempt_min = attempt_min(options.wait);
        Self { attempt_min, ..Self::read(Method::POST, target) }
    }

    /// Asks for the ids of all shards.
    pub(crate) fn shards() -> Self {
        Self::read(Method::GET, PathAndQuery::from_static("/kv-store/shards"))
    }

    /// Asks for one shard's replicas.
    pub(crate) fn shard(id: u32) -> Self {
        let target = format!("/kv-store/shards/{id}").parse().expect("digits make a valid path");
        Self::read(Method::GET, target)
    }

    /// Asks for the view and its progress.
    pub(crate) fn view() -> Self {
        Self::read(Method::GET, PathAndQuery::from_static(VIEW_CHANGE))
    }

    /// Asks for the state of the cluster, or of the node alone.
    pub(crate) fn status(of_node: bool) -> Self {
        let target = if of_node { "/kv-store/status?scope=node" } else { "/kv-store/status" };
        Self::read(Method::GET, PathAndQuery::from_static(target))
    }

    /// Asks for another view. It may be asked for again: the view that is asked for may already be the current one.
    /// `writes`: it is more than a plan.
    pub(crate) fn change_view(body: Vec<u8>, attempt_min: Duration, writes: bool) -> Self {
        let content_type = Some(HeaderValue::from_static(JSON));
        let request = Self::read(Method::PUT, PathAndQuery::from_static(VIEW_CHANGE));
        Self { body: body.into(), content_type, attempt_min, writes, ..request }
    }

    fn on_key(method: Method, key: &str, query: &Query, wait: Option<Duration>) -> Result<Self, Error> {
        let text = format!("/kv-store/keys/{}{}", utf8_percent_encode(key, ESCAPED), query.0);
        let target = text
            .parse()
            .map_err(|_| Error::BadRequest { message: format!("a key of {} bytes is too long", key.len()) })?;
        Ok(Self { key: Some(key.to_owned()), attempt_min: attempt_min(wait), ..Self::read(method, target) })
    }

    fn read(method: Method, target: PathAndQuery) -> Self {
        Self {
            method,
            target,
            key: None,
            content_type: None,
            body: Bytes::new(),
            idempotency_key: None,
            repeatable: true,
            writes: false,
            attempt_min: Duration::ZERO,
        }
    }
}

/// A name for a write, if it can be one.
fn named(name: &str) -> Result<HeaderValue, Error> {
    let is_name = (1..=IDEMPOTENCY_KEY_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    let value = HeaderValue::from_str(name).ok().filter(|_| is_name);
    value.ok_or_else(|| Error::BadRequest {
        message: format!(
            "\"{}\" is no idempotency key: 1 to {IDEMPOTENCY_KEY_MAX} visible ASCII characters without spaces",
            name.escape_default()
        ),
    })
}

/// A name that nobody else has.
fn drawn() -> HeaderValue {
    let half = || RandomState::new().hash_one(());
    HeaderValue::from_str(&format!("{:016x}{:016x}", half(), half())).expect("digits are visible")
}

/// How long an attempt must last in which the node may wait for so long.
fn attempt_min(wait: Option<Duration>) -> Duration {
    wait.map_or(Duration::ZERO, |wait| wait.saturating_add(BEYOND_WAIT))
}

/// The request body that carries a JSON value.
fn enveloped(text: &[u8]) -> Bytes {
    const START: &[u8] = b"{\"value\":";
    let mut body = BytesMut::with_capacity(START.len() + text.len() + 1);
    body.put_slice(START);
    body.put_slice(text);
    body.put_u8(b'}');
    body.freeze()
}

/// A query string in the making, with its `?` once there is anything.
#[derive(Debug, Default)]
struct Query(String);

impl Query {
    fn flag(&mut self, name: &str) {
        self.0.push(if self.0.is_empty() { '?' } else { '&' });
        self.0.push_str(name);
    }

    fn wait(&mut self, wait: Option<Duration>) {
        if let Some(wait) = wait {
            self.flag("wait=");
            write!(self.0, "{}", wait.as_millis()).expect("a String takes any text");
        }
    }

    fn write(&mut self, options: &WriteOptions) {
        self.wait(options.wait);
        if let Some(concern) = options.concern {
            self.flag("w=");
            self.0.push_str(concern.as_str());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WriteConcern;

    fn target(key: &str) -> String {
        Request::delete(key, &WriteOptions::new()).unwrap().target.to_string()
    }

    #[test]
    fn keys_are_percent_encoded() {
        assert_eq!(target("user:1"), "/kv-store/keys/user%3A1");
        assert_eq!(target("a/b c?d#e%"), "/kv-store/keys/a%2Fb%20c%3Fd%23e%25");
        assert_eq!(target("ö-._~"), "/kv-store/keys/%C3%B6-._~");
        assert_eq!(target(""), "/kv-store/keys/");
    }

    #[test]
    fn options_travel_in_the_query() {
        let options = WriteOptions::new().wait(Duration::from_millis(70)).concern(WriteConcern::Majority);
        let put = Request::put("k", Value::raw("{", "application/json"), &options).unwrap();
        assert_eq!(put.target, "/kv-store/keys/k?wait=70&w=majority&raw");
        assert_eq!(put.attempt_min, Duration::from_millis(320));
        let get = Request::get("k", &ReadOptions::new().wait(Duration::ZERO)).unwrap();
        assert_eq!(get.target, "/kv-store/keys/k?raw&wait=0");
    }

    #[test]
    fn json_values_travel_in_an_envelope_and_raw_ones_as_they_are() {
        let put = |value| Request::put("k", value, &WriteOptions::new()).unwrap();
        assert_eq!(put(Value::json(&1).unwrap()).body, "{\"value\":1}");
        let raw = put(Value::raw("1", "text/plain"));
        assert_eq!((&raw.body[..], raw.content_type.unwrap().to_str().unwrap()), (&b"1"[..], "text/plain"));
    }

    #[test]
    fn what_may_be_repeated_has_a_name_of_its_own() {
        let name = |options: &WriteOptions| Request::delete("k", options).unwrap().idempotency_key;
        let repeatable = WriteOptions::new().retry_unknown(true);
        assert_eq!(name(&WriteOptions::new()), None);
        assert!(name(&repeatable).is_some_and(|drawn| drawn.len() == 32 && Some(drawn) != name(&repeatable)));
        assert_eq!(name(&repeatable.idempotency_key("a-1")).unwrap(), "a-1");
        for wrong in ["", "a b", "\u{e4}", &"x".repeat(256)] {
            let wrong = Request::delete("k", &WriteOptions::new().idempotency_key(wrong));
            assert!(matches!(wrong, Err(Error::BadRequest { .. })), "{wrong:?}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_the_callers_fault() {
        let options = WriteOptions::new();
        let bad_type = Request::put("k", Value::raw("", "a\nb"), &options).unwrap_err();
        let long_key = Request::delete(&"x".repeat(70_000), &options).unwrap_err();
        assert!(matches!(bad_type, Error::BadRequest { .. }));
        assert!(matches!(long_key, Error::BadRequest { .. }));
    }
}
