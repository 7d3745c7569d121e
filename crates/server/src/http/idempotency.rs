//! `Idempotency-Key`: what a client calls a write, so that a repeat of it is recognised (design 7.6).

use http::{HeaderMap, HeaderName};
use precede_core::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use precede_core::wire::named::Named;
use precede_core::wire::request::Action;

use crate::http::errors::Failure;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The name that the headers give to an action, if it is a write and they do.
///
/// # Errors
/// If it is none, or if there are several.
pub(crate) fn named(headers: &HeaderMap, action: &Action) -> Result<Option<Box<Named>>, Failure> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY).filter(|_| action.is_write()) else { return Ok(None) };
    let text = value.as_bytes();
    let wrong = if headers.get_all(IDEMPOTENCY_KEY).iter().nth(1).is_some() {
        "is there more than once".to_owned()
    } else if text.is_empty() || text.len() > IDEMPOTENCY_KEY_BYTES_MAX {
        format!("has {} characters", text.len())
    } else if !text.iter().all(u8::is_ascii_graphic) {
        "has a character that is not visible ASCII".to_owned()
    } else {
        return Ok(Named::of(action, text).map(Box::new));
    };
    let rule = format!("send one, of 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible ASCII characters without spaces");
    Err(Failure::bad(format!("Idempotency-Key {wrong}: {rule}")))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_name_is_one_word_of_visible_characters() {
        let delete = Action::Delete { key: Bytes::from_static(b"k") };
        let of = |values: &[&[u8]]| {
            let value = |bytes: &&[u8]| (IDEMPOTENCY_KEY, HeaderValue::from_bytes(bytes).unwrap());
            named(&values.iter().map(value).collect::<HeaderMap>(), &delete)
        };
        let long = [b'x'; IDEMPOTENCY_KEY_BYTES_MAX + 1];
        assert_eq!(of(&[]), Ok(None));
        for good in [&b"a"[..], b"\"8e03978e-40d5\"", &long[1..]] {
            assert_eq!(of(&[good]), Ok(Named::of(&delete, good).map(Box::new)));
        }
        for (wrong, why) in [
            (&[&b""[..]][..], "Idempotency-Key has 0 characters: "),
            (&[&long[..]][..], "Idempotency-Key has 256 characters: "),
            (&[&b"a b"[..]][..], "Idempotency-Key has a character "),
            (&[&b"\xff"[..]][..], "Idempotency-Key has a character "),
            (&[&b"a"[..], b"a"][..], "Idempotency-Key is there more than once: "),
        ] {
            let failure = of(wrong).unwrap_err();
            assert!(failure.status == 400 && failure.error.starts_with(why), "{}", failure.error);
        }
    }

    #[test]
    fn what_writes_nothing_has_no_name() {
        let headers = HeaderMap::from_iter([(IDEMPOTENCY_KEY, HeaderValue::from_static("a b"))]);
        assert_eq!(named(&headers, &Action::Get { key: Bytes::from_static(b"k") }), Ok(None));
    }
}
