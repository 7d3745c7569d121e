//! What clients send so that a request can be followed: `traceparent` and `tracestate` (W3C Trace Context), and `X-Request-Id`. What is
//! malformed, or there twice, counts as not there: no request fails for it.

use http::{HeaderMap, HeaderName};
use precede_core::wire::mark::{Mark, Trace};

/// The name of a request.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");

/// The flag of `traceparent` that says that the trace's id is random (W3C Trace Context, level 2).
pub(crate) const FRESH: u8 = 2;
/// What is kept of its flags: the others mean nothing yet, and must not be passed on.
const FLAGS: u8 = Trace::SAMPLED | FRESH;

/// A `traceparent` of version 00: version, trace, span and flags, in hexadecimal digits.
const PARENT_BYTES: usize = 2 + 1 + 32 + 1 + 16 + 1 + 2;

/// On whose behalf a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parent {
    /// The trace.
    pub(crate) trace: [u8; 16],
    /// The client's span.
    pub(crate) span: [u8; 8],
    /// Those flags that are known.
    pub(crate) flags: u8,
}

/// Whether a header field marks a request. This is asked of every field of every request.
pub(crate) fn is_mark(name: &str) -> bool {
    matches!(name, "traceparent" | "x-request-id")
}

/// The name that the client gave the request, if it is a good one.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<&str> {
    let id = only(headers, &REQUEST_ID).filter(|id| Mark::is_request_id(id))?;
    std::str::from_utf8(id).ok()
}

/// The client's place in a trace, if it is a good one.
pub(crate) fn parent(headers: &HeaderMap) -> Option<Parent> {
    only(headers, &TRACE_PARENT).and_then(parse)
}

/// The state of the trace, over all its fields. One that is too long is left out as a whole: of a part nothing could be told.
pub(crate) fn state(headers: &HeaderMap) -> String {
    let fields: Vec<&[u8]> = headers.get_all(TRACE_STATE).iter().map(http::HeaderValue::as_bytes).collect();
    let state = fields.join(&b","[..]);
    String::from_utf8(state).ok().filter(|state| Trace::is_state(state.as_bytes())).unwrap_or_default()
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then(|| first.as_bytes())
}

/// Parses a `traceparent`. A later version may go on behind what is known of it.
fn parse(text: &[u8]) -> Option<Parent> {
    let (known, more) = text.split_at_checked(PARENT_BYTES)?;
    let mut fields = known.split(|byte| *byte == b'-');
    let mut field = || fields.next();
    let (version, trace, span, flags) = (digits::<1>(field()?)?, digits(field()?)?, digits(field()?)?, field()?);
    let [flags] = digits(flags)?;
    let is_known = match version {
        [0] => more.is_empty(),
        [0xff] => false,
        [_] => more.is_empty() || more.starts_with(b"-"),
    };
    let is_good = is_known && field().is_none() && trace != [0; 16] && span != [0; 8];
    is_good.then_some(Parent { trace, span, flags: flags & FLAGS })
}

/// The bytes that so many hexadecimal digits stand for; capital letters are none.
fn digits<const BYTES: usize>(text: &[u8]) -> Option<[u8; BYTES]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; BYTES];
    if text.len() != 2 * BYTES {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_parent_is_taken_as_the_specification_has_it() {
        let parent = parse(GOOD.as_bytes()).unwrap();
        assert_eq!(parent.trace[..2], [0x4b, 0xf9]);
        assert_eq!((parent.span[7], parent.flags), (0xb7, 1));
        let flags = |flags: &str| parse(format!("{}{flags}", &GOOD[..53]).as_bytes()).map(|parent| parent.flags);
        assert_eq!([flags("00"), flags("ff"), flags("02")], [Some(0), Some(3), Some(2)]);
        for later in [
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what",
        ] {
            assert_eq!(parse(later.as_bytes()), Some(parent), "{later}");
        }
    }

    #[test]
    fn what_is_malformed_is_no_parent() {
        for wrong in [
            "",
            "00",
            &GOOD[..54],
            &format!("{GOOD}-more"),
            &format!("{GOOD}0"),
            &GOOD.to_uppercase(),
            &GOOD.replacen("00-", "ff-", 1),
            &GOOD.replacen("00-", "0g-", 1),
            &GOOD.replace('-', "_"),
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e47-3600f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0-",
        ] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_there_twice_is_not_there() {
        let mut headers = HeaderMap::new();
        headers.append(TRACE_PARENT, HeaderValue::from_static(GOOD));
        headers.append(REQUEST_ID, HeaderValue::from_static("r-1"));
        assert!(parent(&headers).is_some() && request_id(&headers) == Some("r-1"));
        headers.append(TRACE_PARENT, HeaderValue::from_static(GOOD));
        headers.append(REQUEST_ID, HeaderValue::from_static("r-1"));
        assert!(parent(&headers).is_none() && request_id(&headers).is_none());
    }

    #[test]
    fn the_fields_of_a_state_are_one_state() {
        let mut headers = HeaderMap::new();
        assert_eq!(state(&headers), "");
        headers.append(TRACE_STATE, HeaderValue::from_static("a=1,b=2"));
        headers.append(TRACE_STATE, HeaderValue::from_static("c=3"));
        assert_eq!(state(&headers), "a=1,b=2,c=3");
        headers.append(TRACE_STATE, HeaderValue::from_str(&"d".repeat(512)).unwrap());
        assert_eq!(state(&headers), "", "it is too long");
    }

    #[test]
    fn names_of_requests_are_short_and_visible() {
        let named = |id: &str| {
            let headers = HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_bytes(id.as_bytes()).unwrap())]);
            request_id(&headers).is_some()
        };
        assert!(named("a") && named(&"~".repeat(128)));
        for wrong in ["", "a b", "ä", &"a".repeat(129)] {
            assert!(!named(wrong), "{wrong}");
        }
    }
}
