//! A table entry: one allocation that holds version, key and value, packed: there are as many as there are keys.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the kind, and how wide the following fields are |
//! | 8 | the timestamp |
//! | 1 or 4 | the short name of the origin |
//! | 1 or 2 | the length of the key |
//! | 1, raw values only | the length of the content type |
//! | | key, content type, value |

use triomphe::{Arc, ThinArc};

use crate::causality::hlc::Timestamp;
use crate::table::origins::OriginRef;
use crate::table::value::ValueRef;

/// What the allocation holds in front of the bytes: how many share it, and how many bytes there are.
const COUNT_AND_LENGTH_BYTES: usize = 2 * size_of::<usize>();

const TOMBSTONE: u8 = 0;
const JSON: u8 = 1;
const RAW: u8 = 2;
const KIND: u8 = 3;
/// The length of the key has two bytes.
const LONG_KEY: u8 = 4;
/// The name of the origin has four bytes.
const LONG_ORIGIN: u8 = 8;

const TIMESTAMP_AT: usize = 1;
/// The width of a short name that is small.
const ORIGIN_WIDTH_MIN: usize = 1;
const ORIGIN_AT: usize = TIMESTAMP_AT + size_of::<u64>();

/// A version of a key. Immutable; a clone shares the allocation, so the window and readers cost no copy.
#[derive(Debug, Clone)]
pub struct Entry(ThinArc<(), u8>);

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
        let flags = flags(key.len(), origin, value.map(|value| value.content_type));
        let bytes = value.map_or(&[][..], |value| value.bytes);
        let content_bytes = key.len() + content_type.map_or(0, str::len) + bytes.len();
        let mut packed = Vec::with_capacity(head_bytes(flags) + content_bytes);
        packed.push(flags);
        packed.extend_from_slice(&timestamp.0.to_le_bytes());
        packed.extend_from_slice(&origin.to_bytes()[..origin_width(flags)]);
        let key_bytes = u16::try_from(key.len()).expect("keys are at most KEY_BYTES_MAX long");
        packed.extend_from_slice(&key_bytes.to_le_bytes()[..key_width(flags)]);
        if let Some(content_type) = content_type {
            packed.push(u8::try_from(content_type.len()).expect("content types are at most 255 bytes long"));
        }
        packed.extend_from_slice(key);
        packed.extend_from_slice(content_type.unwrap_or_default().as_bytes());
        packed.extend_from_slice(bytes);
        Self(ThinArc::from_header_and_slice((), &packed))
    }

    /// Gives the origin another short name, in place unless the allocation is shared or the name needs more room.
    pub fn set_origin(&mut self, origin: OriginRef) {
        if self.origin() == origin {
            return;
        }
        let width = origin_width(self.flags());
        if width == origin_width(flags(self.key().len(), origin, None)) {
            let name = origin.to_bytes();
            let set = self.0.with_arc_mut(|entry| {
                let entry = Arc::get_mut(entry)?;
                entry.slice_mut()[ORIGIN_AT..ORIGIN_AT + width].copy_from_slice(&name[..width]);
                Some(())
            });
            if set.is_some() {
                return;
            }
        }
        *self = Self::new(self.key(), self.timestamp(), origin, self.value());
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        let start = head_bytes(self.flags());
        &self.0.slice[start..start + self.key_bytes()]
    }

    /// The value; none for a tombstone.
    #[must_use]
    pub fn value(&self) -> Option<ValueRef<'_>> {
        let flags = self.flags();
        let start = head_bytes(flags) + self.key_bytes();
        match flags & KIND {
            TOMBSTONE => None,
            RAW => {
                let (content_type, bytes) =
                    self.0.slice[start..].split_at(usize::from(self.0.slice[head_bytes(flags) - 1]));
                let content_type = std::str::from_utf8(content_type).expect("it was built from a str");
                Some(ValueRef { content_type: Some(content_type), bytes })
            }
            _ => Some(ValueRef { content_type: None, bytes: &self.0.slice[start..] }),
        }
    }

    /// Whether this is the version that a delete left.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.flags() & KIND == TOMBSTONE
    }

    /// The version's timestamp.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        let bytes = self.0.slice[TIMESTAMP_AT..ORIGIN_AT].try_into().expect("these are eight bytes");
        Timestamp(u64::from_le_bytes(bytes))
    }

    /// The version's origin, by its short name.
    #[must_use]
    pub fn origin(&self) -> OriginRef {
        match self.flags() & LONG_ORIGIN {
            0 => OriginRef::from_bytes([self.0.slice[ORIGIN_AT], 0, 0, 0]),
            _ => {
                OriginRef::from_bytes(self.0.slice[ORIGIN_AT..ORIGIN_AT + 4].try_into().expect("these are four bytes"))
            }
        }
    }

    /// Bytes of key, type and value.
    #[must_use]
    pub fn content_bytes(&self) -> usize {
        self.0.slice.len() - head_bytes(self.flags())
    }

    /// Bytes of the allocation of an entry with this key and value, if the name of its origin is short.
    #[must_use]
    pub fn allocation_bytes(key: &[u8], value: Option<ValueRef<'_>>) -> usize {
        let flags = flags(key.len(), OriginRef::default(), value.map(|value| value.content_type));
        let content_type = value.and_then(|value| value.content_type).unwrap_or_default();
        let value = value.map_or(0, |value| value.bytes.len());
        COUNT_AND_LENGTH_BYTES + head_bytes(flags) + key.len() + content_type.len() + value
    }

    /// [`Entry::allocation_bytes`] of its key and value.
    #[must_use]
    pub fn own_bytes(&self) -> usize {
        let origin_width = origin_width(self.flags());
        COUNT_AND_LENGTH_BYTES + self.0.slice.len() + ORIGIN_WIDTH_MIN - origin_width
    }

    fn flags(&self) -> u8 {
        self.0.slice[0]
    }

    fn key_bytes(&self) -> usize {
        let at = ORIGIN_AT + origin_width(self.flags());
        match self.flags() & LONG_KEY {
            0 => usize::from(self.0.slice[at]),
            _ => usize::from(u16::from_le_bytes([self.0.slice[at], self.0.slice[at + 1]])),
        }
    }
}

/// The first byte of an entry. `value`: the content type of its value, if it has one.
fn flags(key_bytes: usize, origin: OriginRef, value: Option<Option<&str>>) -> u8 {
    let kind = match value {
        None => TOMBSTONE,
        Some(None) => JSON,
        Some(Some(_)) => RAW,
    };
    let key = if key_bytes > usize::from(u8::MAX) { LONG_KEY } else { 0 };
    let origin = if origin.to_bytes()[1..] == [0; 3] { 0 } else { LONG_ORIGIN };
    kind | key | origin
}

/// Bytes in front of the key.
fn head_bytes(flags: u8) -> usize {
    ORIGIN_AT + origin_width(flags) + key_width(flags) + usize::from(flags & KIND == RAW)
}

fn origin_width(flags: u8) -> usize {
    if flags & LONG_ORIGIN == 0 { ORIGIN_WIDTH_MIN } else { size_of::<OriginRef>() }
}

fn key_width(flags: u8) -> usize {
    if flags & LONG_KEY == 0 { 1 } else { size_of::<u16>() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: u32) -> OriginRef {
        OriginRef::from_bytes(name.to_le_bytes())
    }

    fn value(content_type: Option<&'static str>, bytes: &'static [u8]) -> Option<ValueRef<'static>> {
        Some(ValueRef { content_type, bytes })
    }

    #[test]
    fn an_entry_gives_back_what_it_was_built_of() {
        let long_type = "t".repeat(255).leak();
        let values =
            [None, value(None, b"1"), value(None, b""), value(Some(""), b""), value(Some(long_type), b"bytes")];
        for value in values {
            for key_bytes in [0, 1, 255, 256, 60_000] {
                for name in [0, 1, 255, 256, u32::MAX] {
                    let (key, timestamp) = (vec![b'k'; key_bytes], Timestamp(u64::MAX - 7));
                    let entry = Entry::new(&key, timestamp, named(name), value);
                    assert_eq!((entry.key(), entry.timestamp(), entry.origin()), (&key[..], timestamp, named(name)));
                    assert_eq!((entry.value(), entry.is_tombstone()), (value, value.is_none()));
                    assert_eq!(entry.own_bytes(), Entry::allocation_bytes(&key, value));
                    let content_type = value.and_then(|value| value.content_type).map_or(0, str::len);
                    assert_eq!(
                        entry.content_bytes(),
                        key_bytes + content_type + value.map_or(0, |value| value.bytes.len())
                    );
                }
            }
        }
    }

    #[test]
    fn an_entry_with_a_short_key_takes_eleven_bytes_more_than_its_content() {
        let entry = Entry::new(b"key", Timestamp(1), named(255), value(None, b"value"));
        assert_eq!(entry.0.slice.len(), 11 + 8);
        assert_eq!(Entry::allocation_bytes(b"key", value(None, b"value")), 16 + 11 + 8);
    }

    #[test]
    fn another_name_of_the_origin_changes_nothing_for_who_shares_the_entry() {
        for (before, after) in [(1, 2), (1, 256), (256, 1), (256, 70_000)] {
            let mut entry = Entry::new(b"key", Timestamp(5), named(before), value(Some("a/b"), b"value"));
            entry.set_origin(named(after));
            let shared = entry.clone();
            assert_eq!((entry.origin(), &entry), (named(after), &shared));
            entry.set_origin(named(before));
            assert_eq!((entry.origin(), shared.origin(), &entry), (named(before), named(after), &shared));
        }
    }
}
