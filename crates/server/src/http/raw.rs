//! Raw values: bytes with a type instead of JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use precede_core::limits::CONTENT_TYPE_BYTES_MAX;
use precede_core::table::value::ValueRef;

use crate::http::errors::Failure;
use crate::http::json::Object;

const OCTETS: &str = "application/octet-stream";
/// What tools send that were not told a type, with JSON in the body more often than not.
const FORM: &str = "application/x-www-form-urlencoded";

/// Whether the body of a PUT is a raw value: it says that it is something else than JSON. A form's type is what tools send
/// by default and counts as none.
pub(crate) fn is_raw_put(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let essence = essence(value.as_bytes());
        !is_json(essence) && !essence.eq_ignore_ascii_case(FORM.as_bytes())
    })
}

/// Whether a GET wants raw bytes: it does not accept JSON. Of the ranges that match JSON the most specific one decides.
pub(crate) fn is_raw_get(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(ACCEPT).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let (mut is_empty, mut decisive, mut accepted) = (true, 0, false);
    for range in ranges.map(<[u8]>::trim_ascii).filter(|range| !range.is_empty()) {
        is_empty = false;
        let specificity = specificity(essence(range));
        if specificity >= decisive.max(1) {
            // Where one is named twice, it is accepted if one of the two says so.
            accepted = is_acceptable(range) || (accepted && specificity == decisive);
            decisive = specificity;
        }
    }
    !is_empty && !accepted
}

/// How exactly a media range names JSON; 0 if not at all.
fn specificity(essence: &[u8]) -> u8 {
    match essence {
        b"*/*" => 1,
        _ if essence.eq_ignore_ascii_case(b"application/*") => 2,
        _ if essence.eq_ignore_ascii_case(b"application/json") => 4,
        _ if is_json(essence) => 3,
        _ => 0,
    }
}

/// Whether the weight of a media range is not 0 (`q=0`, `q=0.0`): what has none is not wanted.
fn is_acceptable(range: &[u8]) -> bool {
    let weight = range.split(|byte| *byte == b';').skip(1).find_map(|parameter| {
        let at = parameter.iter().position(|byte| *byte == b'=')?;
        parameter[..at].trim_ascii().eq_ignore_ascii_case(b"q").then(|| parameter[at + 1..].trim_ascii())
    });
    weight.is_none_or(|weight| weight.is_empty() || weight.iter().any(|byte| !matches!(byte, b'0' | b'.')))
}

/// The type of the raw value in a PUT.
pub(crate) fn content_type(headers: &HeaderMap) -> Result<String, Failure> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(OCTETS.to_owned()) };
    let text = value.to_str().map_err(|_| Failure::bad("Content-Type is not visible ASCII"))?;
    if text.len() > CONTENT_TYPE_BYTES_MAX {
        return Err(Failure::bad(format!("Content-Type is too long: the limit is {CONTENT_TYPE_BYTES_MAX} bytes")));
    }
    Ok(if text.is_empty() { OCTETS } else { text }.to_owned())
}

/// The type under which a value is returned as bytes.
pub(crate) fn type_of(value: &ValueRef<'_>) -> HeaderValue {
    match value.content_type {
        None => HeaderValue::from_static("application/json"),
        Some(text) => HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(OCTETS)),
    }
}

/// A value as a field of a JSON object: JSON as it came, raw bytes as a text, or in base64 if they are none.
pub(crate) fn write(object: Object, value: &ValueRef<'_>) -> Object {
    match (value.content_type, std::str::from_utf8(value.bytes)) {
        (None, _) => object.raw("value", value.bytes),
        (Some(_), Ok(text)) => object.text("value", text),
        (Some(_), Err(_)) => object.text("value-base64", &STANDARD.encode(value.bytes)),
    }
}

fn essence(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

fn is_json(essence: &[u8]) -> bool {
    let is = |name: &[u8]| essence.eq_ignore_ascii_case(name);
    let suffix = essence.len().checked_sub(b"+json".len()).map(|at| &essence[at..]);
    is(b"application/json") || is(b"text/json") || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: http::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn json_is_the_default_in_both_directions() {
        assert!(!is_raw_put(&HeaderMap::new()) && !is_raw_get(&HeaderMap::new()));
        for json in ["application/json", "Application/JSON; charset=utf-8", "application/problem+json", FORM] {
            assert!(!is_raw_put(&headers(CONTENT_TYPE, json)), "{json}");
        }
        for json in ["*/*", "application/json", "text/html, application/*;q=0.8", "text/html,*/*;q=0.1", "", " , "] {
            assert!(!is_raw_get(&headers(ACCEPT, json)), "{json}");
        }
        for raw in ["text/plain", "image/png", OCTETS] {
            assert!(is_raw_put(&headers(CONTENT_TYPE, raw)) && is_raw_get(&headers(ACCEPT, raw)), "{raw}");
        }
    }

    #[test]
    fn what_is_said_to_be_unwanted_is_not_accepted() {
        for json in ["*/*;q=0, application/json", "application/json; Q=0.001", "application/json;q=0, application/json"]
        {
            assert!(!is_raw_get(&headers(ACCEPT, json)), "{json}");
        }
        for raw in ["application/json;q=0", "application/json; q=0.000, */*", "*/*, application/*;q=0", "*/*; q = 0.0"]
        {
            assert!(is_raw_get(&headers(ACCEPT, raw)), "{raw}");
        }
    }

    #[test]
    fn a_raw_value_is_a_text_or_base64_in_json() {
        let value = |bytes| ValueRef { content_type: Some("x/y"), bytes };
        assert_eq!(write(Object::new(0), &value(b"a\"")).finish(), r#"{"value":"a\""}"#.as_bytes());
        assert_eq!(write(Object::new(0), &value(b"\xff")).finish(), r#"{"value-base64":"/w=="}"#.as_bytes());
    }
}
