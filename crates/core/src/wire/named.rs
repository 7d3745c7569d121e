//! Names that clients give to writes (`Idempotency-Key`), as they travel: with requests, and from replica to replica with the writes
//! that they name (design 7.6). Names and what they stand for are told by their hashes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use crate::causality::version::Version;
use crate::id::NodeId;
use crate::wire::request::Action;

/// The hash of a name and of the key that is written under it: names of different keys never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name(pub [u8; 16]);

/// A name, and what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The name.
    pub name: Name,
    /// The hash of what is done: the value with its type, or that the key is deleted.
    pub content: u64,
}

/// What a named write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Made {
    /// A PUT of a key that was not visible.
    Added,
    /// A PUT of one that was.
    Replaced,
    /// A DELETE of one that was, or may have been.
    Deleted,
}

/// A named write, as its stream tells it; its version is the stream's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedWrite {
    /// Its name.
    pub named: Named,
    /// What it did.
    pub made: Made,
    /// For how long it is remembered yet.
    pub left: Duration,
}

/// The same, as syncs tell it, whatever has become of the key since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownName {
    /// The hash of its key: its place in the order of a walk.
    pub key_hash: u64,
    /// Its version.
    pub version: Version,
    /// The rest.
    pub write: NamedWrite,
}

impl Named {
    /// What an action is called if its client calls it `text`. None for what writes nothing.
    #[must_use]
    pub fn of(action: &Action, text: &[u8]) -> Option<Self> {
        let (key, value) = match action {
            Action::Put { key, value } => (key, Some(value)),
            Action::Delete { key } => (key, None),
            Action::Get { .. } | Action::Count { .. } | Action::ChangeView(_) | Action::Barrier => return None,
        };
        let mut name = Xxh3::new();
        add(&mut name, key);
        add(&mut name, text);
        let mut content = Xxh3::new();
        if let Some(value) = value {
            add(&mut content, &value.bytes);
            value.content_type.iter().for_each(|text| add(&mut content, text.as_bytes()));
        }
        Some(Self { name: Name(name.digest128().to_le_bytes()), content: content.digest() })
    }
}

/// Adds a part that no other parts can be mistaken for.
fn add(hash: &mut Xxh3, part: &[u8]) {
    hash.update(&(part.len() as u64).to_le_bytes());
    hash.update(part);
}

impl Name {
    /// The place of a node among those that a write of this name may be sent to: every router has the same order.
    #[must_use]
    pub fn place(&self, node: NodeId) -> u64 {
        xxh3_64_with_seed(&self.0, node.0)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::table::value::Value;

    #[test]
    fn other_keys_have_other_names_and_other_values_other_contents() {
        let put = |key: &'static str, value: Value| Action::Put { key: Bytes::from(key), value };
        let of = |action: &Action, text: &str| Named::of(action, text.as_bytes()).unwrap();
        let bytes = |kind: &str| Value { content_type: Some(kind.to_owned()), bytes: Bytes::from_static(b"1") };
        let first = of(&put("k", Value::json("1")), "n");
        assert_eq!(of(&put("k", Value::json("1")), "n"), first);
        for other in [of(&put("kn", Value::json("1")), ""), of(&put("k", Value::json("1")), "m")] {
            assert_ne!(other.name, first.name);
        }
        let deleted = Action::Delete { key: Bytes::from_static(b"k") };
        for other in [put("k", Value::json("2")), put("k", bytes("a")), put("k", Value::json("")), deleted] {
            assert_eq!(of(&other, "n").name, first.name);
            assert_ne!(of(&other, "n").content, first.content, "{other:?}");
        }
        assert_ne!(of(&put("k", bytes("a")), "n").content, of(&put("k", bytes("b")), "n").content);
        assert_eq!(Named::of(&Action::Barrier, b"n"), None);
    }
}
