//! A table entry: one allocation that holds version, key and value.

use triomphe::{Arc, ThinArc};

use crate::causality::hlc::Timestamp;
use crate::table::origins::OriginRef;
use crate::table::value::ValueRef;

/// What the allocation holds in front of the header: how many share it, and how long it is.
const COUNT_AND_LENGTH_BYTES: usize = 2 * size_of::<usize>();

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tombstone,
    Json,
    Raw,
}

#[derive(Debug)]
struct Header {
    timestamp: Timestamp,
    origin: OriginRef,
    key_bytes: u16,
    content_type_bytes: u8,
    kind: Kind,
}

/// A version of a key. Immutable; a clone shares the allocation, so the window and readers cost no copy.
#[derive(Debug, Clone)]
pub struct Entry(ThinArc<Header, u8>);

/// Equal contents; the short name of the origin has no part in it.
impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.timestamp(), self.key(), self.value()) == (other.timestamp(), other.key(), other.value())
    }
}

impl Eq for Entry {}

impl Entry {
    /// Builds an entry. The key and the content type are within the limits.
    #[must_use]
    pub fn new(key: &[u8], timestamp: Timestamp, origin: OriginRef, value: Option<ValueRef<'_>>) -> Self {
        let content_type = value.and_then(|value| value.content_type);
        let kind = match value {
            None => Kind::Tombstone,
            Some(ValueRef { content_type: None, .. }) => Kind::Json,
            Some(ValueRef { content_type: Some(_), .. }) => Kind::Raw,
        };
        let content_type = content_type.unwrap_or_default();
        let bytes = value.map_or(&[][..], |value| value.bytes);
        let mut content = Vec::with_capacity(key.len() + content_type.len() + bytes.len());
        content.extend_from_slice(key);
        content.extend_from_slice(content_type.as_bytes());
        content.extend_from_slice(bytes);
        let header = Header {
            timestamp,
            origin,
            key_bytes: u16::try_from(key.len()).expect("keys are at most KEY_BYTES_MAX long"),
            content_type_bytes: u8::try_from(content_type.len()).expect("content types are at most 255 bytes long"),
            kind,
        };
        Self(ThinArc::from_header_and_slice(header, &content))
    }

    /// Gives the origin another short name, in place unless the allocation is shared.
    pub fn set_origin(&mut self, origin: OriginRef) {
        if self.origin() == origin {
            return;
        }
        let set = self.0.with_arc_mut(|entry| Arc::get_mut(entry).map(|entry| entry.header_mut().origin = origin));
        if set.is_none() {
            *self = Self::new(self.key(), self.timestamp(), origin, self.value());
        }
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.0.slice[..usize::from(self.0.header.header.key_bytes)]
    }

    /// The value; none for a tombstone.
    #[must_use]
    pub fn value(&self) -> Option<ValueRef<'_>> {
        let header = &self.0.header.header;
        let rest = &self.0.slice[usize::from(header.key_bytes)..];
        let (content_type, bytes) = rest.split_at(usize::from(header.content_type_bytes));
        match header.kind {
            Kind::Tombstone => None,
            Kind::Json => Some(ValueRef { content_type: None, bytes }),
            Kind::Raw => Some(ValueRef {
                content_type: Some(std::str::from_utf8(content_type).expect("it was built from a str")),
                bytes,
            }),
        }
    }

    /// Whether this is the version that a delete left.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.0.header.header.kind == Kind::Tombstone
    }

    /// The version's timestamp.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.0.header.header.timestamp
    }

    /// The version's origin, by its short name.
    #[must_use]
    pub fn origin(&self) -> OriginRef {
        self.0.header.header.origin
    }

    /// Bytes of key, type and value.
    #[must_use]
    pub fn content_bytes(&self) -> usize {
        self.0.slice.len()
    }

    /// Bytes of the allocation of an entry.
    #[must_use]
    pub fn allocation_bytes(key: &[u8], value: Option<ValueRef<'_>>) -> usize {
        let content_type = value.and_then(|value| value.content_type).unwrap_or_default();
        let value = value.map_or(0, |value| value.bytes.len());
        COUNT_AND_LENGTH_BYTES + size_of::<Header>() + key.len() + content_type.len() + value
    }
}
