//! A value as it is stored: JSON, or raw bytes with a content type.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::Error;

/// The content type of JSON values.
pub(crate) const JSON: &str = "application/json";
/// What raw bytes are if nobody said so.
const UNTYPED: &str = "application/octet-stream";

/// A value: a JSON text, kept exactly as it was written, or raw bytes with a content type. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    /// For JSON, one valid JSON text.
    bytes: Bytes,
    kind: Kind,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Json,
    Raw(String),
}

impl Value {
    /// The JSON form of `value`. The store refuses `null` and the empty string.
    ///
    /// # Errors
    ///
    /// [`Error::BadRequest`] if `value` has no JSON form.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        match serde_json::to_vec(value) {
            Ok(text) => Ok(Self { bytes: text.into(), kind: Kind::Json }),
            Err(error) => Err(Error::BadRequest { message: format!("the value has no JSON form: {error}") }),
        }
    }

    /// Raw bytes with their content type, such as `image/png`. No bytes at all are a legal value.
    ///
    /// Bytes that are valid JSON and are said to be `application/json` come back as a JSON value.
    pub fn raw(bytes: impl Into<Bytes>, content_type: impl Into<String>) -> Self {
        Self { bytes: bytes.into(), kind: Kind::Raw(content_type.into()) }
    }

    /// What a node returned. JSON is what says so and is so; anything else is raw bytes.
    pub(crate) fn received(bytes: Bytes, content_type: Option<&str>) -> Self {
        let content_type = content_type.unwrap_or(UNTYPED);
        if is_json(content_type) && serde_json::from_slice::<&RawValue>(&bytes).is_ok() {
            Self { bytes, kind: Kind::Json }
        } else {
            Self { bytes, kind: Kind::Raw(content_type.to_owned()) }
        }
    }

    /// Whether this is a JSON value.
    pub fn is_json(&self) -> bool {
        matches!(self.kind, Kind::Json)
    }

    /// The content type: `application/json` for a JSON value.
    pub fn content_type(&self) -> &str {
        match &self.kind {
            Kind::Json => JSON,
            Kind::Raw(content_type) => content_type,
        }
    }

    /// The JSON text, or the raw bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The JSON text, or the raw bytes, without a copy.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Reads the value as JSON into `T`, whatever its content type.
    ///
    /// # Errors
    ///
    /// If the value is not JSON, or not that of a `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.bytes)
    }
}

/// Whether a content type names JSON, parameters aside.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(JSON)
}

impl From<Box<RawValue>> for Value {
    fn from(text: Box<RawValue>) -> Self {
        Self { bytes: String::from(Box::<str>::from(text)).into(), kind: Kind::Json }
    }
}

impl From<&Value> for Value {
    fn from(value: &Value) -> Self {
        value.clone()
    }
}

/// The value as text; bytes that are not UTF-8 show as replacement characters.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.bytes))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({}, {:?})", self.content_type(), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_what_says_so_and_is_so() {
        let received = |bytes: &'static str, content_type| Value::received(Bytes::from(bytes), content_type);
        assert!(received("10", Some("application/json; charset=utf-8")).is_json());
        assert!(received("10", Some("Application/JSON")).is_json());
        assert!(!received("{oops", Some("application/json")).is_json());
        assert!(!received("10", Some("text/plain")).is_json());
        assert_eq!(received("10", None).content_type(), "application/octet-stream");
    }

    #[test]
    fn a_json_text_is_kept_as_it_was_written() {
        let text = RawValue::from_string("{\"a\": 1.50}".to_owned()).unwrap();
        let value = Value::from(text);
        assert_eq!(value.as_bytes(), b"{\"a\": 1.50}");
        assert_eq!(value.to_string(), "{\"a\": 1.50}");
    }

    #[test]
    fn decoding_reads_json_of_either_kind() {
        assert_eq!(Value::json(&[1, 2]).unwrap().decode::<Vec<u8>>().unwrap(), [1, 2]);
        assert_eq!(Value::raw("7", "text/plain").decode::<u8>().unwrap(), 7);
        assert!(Value::raw("x", "text/plain").decode::<u8>().is_err());
    }
}
