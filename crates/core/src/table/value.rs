//! Values: any JSON value but null, kept as its text, or raw bytes with their type.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// An owned value, as it enters and leaves a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// The type of raw bytes; none for JSON text.
    pub content_type: Option<String>,
    /// The text or the bytes.
    pub bytes: Bytes,
}

/// A value as it lies in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueRef<'a> {
    /// The type of raw bytes; none for JSON text.
    pub content_type: Option<&'a str>,
    /// The text or the bytes.
    pub bytes: &'a [u8],
}

impl Value {
    /// A JSON value, as its text.
    #[must_use]
    pub fn json(text: impl Into<Bytes>) -> Self {
        Self { content_type: None, bytes: text.into() }
    }

    /// Borrows.
    #[must_use]
    pub fn as_ref(&self) -> ValueRef<'_> {
        ValueRef { content_type: self.content_type.as_deref(), bytes: &self.bytes }
    }
}

impl ValueRef<'_> {
    /// Copies: a slice of a table entry or a request buffer must not outlive its use.
    #[must_use]
    pub fn to_owned(&self) -> Value {
        Value { content_type: self.content_type.map(str::to_owned), bytes: Bytes::copy_from_slice(self.bytes) }
    }
}
