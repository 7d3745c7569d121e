//! One entry of a sync. It holds the table's own allocation, so that a source copies nothing but into the message, a target
//! nothing but out of it, and a node that hands over to itself nothing at all.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::causality::context::Context;
use crate::causality::version::Version;
use crate::limits::{CONTENT_TYPE_BYTES_MAX, KEY_BYTES_MAX};
use crate::table::entry::Entry;
use crate::table::origins::OriginRef;
use crate::table::value::ValueRef;
use crate::wire::message::WriteId;

/// One entry of a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncEntry {
    /// The version.
    pub version: Version,
    /// Key and value. Its origin means nothing outside the table that it comes from: [`SyncEntry::version`] tells.
    pub entry: Entry,
    /// What else the target needs; none if it has the entry and only the key is told.
    pub payload: Option<SyncPayload>,
}

/// What a sync tells of an entry that the target lacks, besides the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncPayload {
    /// The dependencies; none once it is stable.
    pub dependencies: Option<Context>,
    /// Its name across tries.
    pub write_id: Option<WriteId>,
}

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    key: Raw<'a>,
    version: Version,
    #[serde(borrow)]
    payload: Option<(Option<WireValue<'a>>, SyncPayload)>,
}

#[derive(Serialize, Deserialize)]
struct WireValue<'a> {
    #[serde(borrow)]
    content_type: Option<&'a str>,
    #[serde(borrow)]
    bytes: Raw<'a>,
}

/// Bytes that are read where they lie.
struct Raw<'a>(&'a [u8]);

impl Serialize for SyncEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let payload = self.payload.clone().map(|payload| {
            let value = self.entry.value();
            (value.map(|value| WireValue { content_type: value.content_type, bytes: Raw(value.bytes) }), payload)
        });
        Wire { key: Raw(self.entry.key()), version: self.version, payload }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SyncEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { key: Raw(key), version, payload } = Wire::deserialize(deserializer)?;
        let (value, payload) = payload.map_or((None, None), |(value, payload)| (value, Some(payload)));
        let value = value.map(|value| ValueRef { content_type: value.content_type, bytes: value.bytes.0 });
        // The table counts on these.
        if key.len() > KEY_BYTES_MAX {
            return Err(D::Error::custom("a key is too long"));
        }
        if value.and_then(|value| value.content_type).is_some_and(|text| text.len() > CONTENT_TYPE_BYTES_MAX) {
            return Err(D::Error::custom("a content type is too long"));
        }
        let entry = Entry::new(key, version.timestamp, OriginRef::default(), value);
        Ok(Self { version, entry, payload })
    }
}

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed;

        impl<'de> Visitor<'de> for Borrowed {
            type Value = &'de [u8];

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("bytes")
            }

            fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(bytes)
            }
        }

        deserializer.deserialize_bytes(Borrowed).map(Raw)
    }
}
