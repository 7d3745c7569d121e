//! A span, and its form in OTLP: the JSON mapping of the protocol's messages, in which ids are hexadecimal and 64-bit numbers are texts
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>). Written here: of the protocol's many messages one is sent.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use precede_core::wire::mark::Trace;
use serde::Serialize;

use crate::access::secret::hex;

/// A request was answered: the kind `SERVER`.
const SERVER: u8 = 2;
/// It went wrong: the code `ERROR`.
const ERROR: u8 = 2;
/// Flags of a span beyond those of `traceparent`: that its parent may be elsewhere is known, and that it is.
const PARENT_IS_REMOTE: u32 = 0x300;
/// The same, without a parent.
const NO_PARENT: u32 = 0;

/// What was done for a request at this node.
#[derive(Debug)]
pub(crate) struct Span {
    /// Its own place in the trace.
    pub(crate) trace: Trace,
    /// On whose behalf: the span of a client, or of another node.
    pub(crate) parent: Option<[u8; 8]>,
    /// What it is called.
    pub(crate) name: Cow<'static, str>,
    /// When it began.
    pub(crate) start: SystemTime,
    /// When it ended.
    pub(crate) end: SystemTime,
    /// More about it.
    pub(crate) attributes: Vec<Attribute>,
    /// Why it failed, if it did.
    pub(crate) error: Option<String>,
}

/// Something about a span, or about this node.
#[derive(Debug, Serialize)]
pub(crate) struct Attribute {
    key: &'static str,
    value: Value,
}

/// Its value.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Value {
    StringValue(Cow<'static, str>),
    /// A number, as a text.
    IntValue(String),
}

/// An attribute that is a text.
pub(crate) fn text(key: &'static str, value: impl Into<Cow<'static, str>>) -> Attribute {
    Attribute { key, value: Value::StringValue(value.into()) }
}

/// An attribute that is a number.
pub(crate) fn number(key: &'static str, value: impl Into<u32>) -> Attribute {
    Attribute { key, value: Value::IntValue(value.into().to_string()) }
}

/// The body of a request to the collector: these spans, of the node that these attributes tell of.
pub(crate) fn export(node: &[Attribute], spans: &[Span]) -> Vec<u8> {
    let spans = spans.iter().map(Written::of).collect();
    let scope = Scope { name: "precede", version: env!("CARGO_PKG_VERSION") };
    let of_scope = OfScope { scope, spans };
    let of_resource = OfResource { resource: Resource { attributes: node }, scope_spans: [of_scope] };
    serde_json::to_vec(&Message { resource_spans: [of_resource] }).expect("texts and lists can be written")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    resource_spans: [OfResource<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OfResource<'a> {
    resource: Resource<'a>,
    scope_spans: [OfScope<'a>; 1],
}

#[derive(Serialize)]
struct Resource<'a> {
    attributes: &'a [Attribute],
}

#[derive(Serialize)]
struct OfScope<'a> {
    scope: Scope,
    spans: Vec<Written<'a>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    trace_id: String,
    span_id: String,
    trace_state: &'a str,
    parent_span_id: String,
    flags: u32,
    name: &'a str,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: &'a [Attribute],
    status: Status<'a>,
}

#[derive(Serialize)]
struct Status<'a> {
    code: u8,
    message: &'a str,
}

impl<'a> Written<'a> {
    fn of(span: &'a Span) -> Self {
        let remote = if span.parent.is_some() { PARENT_IS_REMOTE } else { NO_PARENT };
        Self {
            trace_id: hex(&span.trace.id),
            span_id: hex(&span.trace.span),
            trace_state: &span.trace.state,
            parent_span_id: span.parent.map(|parent| hex(&parent)).unwrap_or_default(),
            flags: u32::from(span.trace.flags) | remote,
            name: &span.name,
            kind: SERVER,
            start_time_unix_nano: nanos(span.start),
            end_time_unix_nano: nanos(span.end),
            attributes: &span.attributes,
            status: Status {
                code: if span.error.is_some() { ERROR } else { 0 },
                message: span.error.as_deref().unwrap_or_default(),
            },
        }
    }
}

fn nanos(at: SystemTime) -> String {
    at.duration_since(UNIX_EPOCH).map(|since| since.as_nanos()).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_span_is_written_as_the_protocol_has_it() {
        let start = UNIX_EPOCH + Duration::from_nanos(1_700_000_000_000_000_001);
        let span = Span {
            trace: Trace { id: [0xab; 16], span: [0x01; 8], flags: 1, state: "a=b".to_owned() },
            parent: Some([0xcd; 8]),
            name: "GET /x".into(),
            start,
            end: start + Duration::from_nanos(5),
            attributes: vec![number("http.response.status_code", 503_u16)],
            error: Some("why".to_owned()),
        };
        let told: serde_json::Value =
            serde_json::from_slice(&export(&[text("service.name", "precede")], &[span])).unwrap();
        let expected = json!({ "resourceSpans": [{
            "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "precede" } }] },
            "scopeSpans": [{
                "scope": { "name": "precede", "version": env!("CARGO_PKG_VERSION") },
                "spans": [{
                    "traceId": "abababababababababababababababab",
                    "spanId": "0101010101010101",
                    "traceState": "a=b",
                    "parentSpanId": "cdcdcdcdcdcdcdcd",
                    "flags": 0x301,
                    "name": "GET /x",
                    "kind": 2,
                    "startTimeUnixNano": "1700000000000000001",
                    "endTimeUnixNano": "1700000000000000006",
                    "attributes": [{ "key": "http.response.status_code", "value": { "intValue": "503" } }],
                    "status": { "code": 2, "message": "why" },
                }],
            }],
        }] });
        assert_eq!(told, expected);
    }
}
