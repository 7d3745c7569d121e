//! Responses: a status, a body, and the headers that every response carries.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::Full;
use precede_core::causality::version::Version;
use precede_core::id::NodeId;

use crate::http::App;

/// A response, whole in memory.
pub(crate) type Response = http::Response<Full<Bytes>>;

/// The header that carries the context's token.
pub(crate) const CAUSAL_CONTEXT: HeaderName = HeaderName::from_static("causal-context");
/// The header that says why a request could not be satisfied.
pub(crate) const REASON: HeaderName = HeaderName::from_static("precede-reason");
const ACKS: HeaderName = HeaderName::from_static("precede-acks");
const VERSION: HeaderName = HeaderName::from_static("precede-version");
/// The header that says who served a request.
pub(crate) const NODE: HeaderName = HeaderName::from_static("precede-node");
const LOST: HeaderName = HeaderName::from_static("precede-lost");
const REPEAT: HeaderName = HeaderName::from_static("precede-repeat");

/// The type of all bodies but raw values.
pub(crate) const JSON: &str = "application/json";

/// Headers that a response usually has, hyper's own included: room is made for them once.
const HEADERS: usize = 8;

const HEX_DIGITS: usize = 16;

/// What the headers tell about a request that was served.
pub(crate) struct Served {
    /// Who served it.
    pub(crate) by: NodeId,
    /// The version read or written.
    pub(crate) version: Option<Version>,
    /// On how many replicas the write is; none for reads.
    pub(crate) acks: Option<u32>,
    /// The context named writes that are lost.
    pub(crate) lost: bool,
    /// The write may take effect twice.
    pub(crate) repeat_unconfirmed: bool,
}

/// A response without body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

/// A response with a body of JSON.
pub(crate) fn json(status: StatusCode, body: Bytes, token: &str) -> Response {
    with_type(status, body, HeaderValue::from_static(JSON), visible(token))
}

/// A response with a body of any type.
pub(crate) fn with_type(status: StatusCode, body: Bytes, content_type: HeaderValue, token: HeaderValue) -> Response {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(HEADERS);
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CAUSAL_CONTEXT, token);
    response
}

/// Adds the headers about the service.
pub(crate) fn add_served(app: &App, response: &mut Response, served: &Served) {
    let by_other = (served.by != app.driver.me).then(|| address(app, served.by));
    let headers = response.headers_mut();
    headers.insert(NODE, by_other.map_or_else(|| app.own_name.clone(), |address| visible(&address)));
    if let Some(version) = &served.version {
        headers.insert(VERSION, version_value(version));
    }
    if let Some(acks) = served.acks {
        headers.insert(ACKS, acks_value(acks));
    }
    if served.lost {
        headers.insert(LOST, HeaderValue::from_static("unconfirmed"));
    }
    if served.repeat_unconfirmed {
        headers.insert(REPEAT, HeaderValue::from_static("unconfirmed"));
    }
}

/// The address of a node; its short name should the view not know it.
pub(crate) fn address(app: &App, node: NodeId) -> String {
    app.driver.view().address(node).map_or_else(|| format!("{node:?}"), ToString::to_string)
}

/// A header value; what is not visible ASCII becomes a question mark.
pub(crate) fn visible(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| {
        let text: String = text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
        HeaderValue::from_str(&text).expect("it is visible ASCII now")
    })
}

/// A version as clients see it: opaque, equal for equal writes. Written by hand: it is on every response.
fn version_value(version: &Version) -> HeaderValue {
    let mut text = [b'-'; 2 * HEX_DIGITS + 1];
    write_hex(&mut text[..HEX_DIGITS], version.timestamp.0);
    write_hex(&mut text[HEX_DIGITS + 1..], version.origin.fingerprint());
    HeaderValue::from_bytes(&text).expect("hexadecimal digits are visible ASCII")
}

/// All hexadecimal digits of a number, zeros in front included.
fn write_hex(text: &mut [u8], mut number: u64) {
    for digit in text.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
    }
}

/// The number of replicas that a write is on.
fn acks_value(acks: u32) -> HeaderValue {
    match acks {
        1 => HeaderValue::from_static("1"),
        2 => HeaderValue::from_static("2"),
        3 => HeaderValue::from_static("3"),
        _ => HeaderValue::from(acks),
    }
}
