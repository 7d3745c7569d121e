//! Short names for origins, so that a table entry is lean.

use std::collections::BTreeMap;

use parking_lot::RwLock;

use crate::id::Origin;

/// Index of an origin in [`Origins`]. Means nothing outside this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OriginRef(u32);

impl OriginRef {
    /// As bytes; the first one is enough for a small index.
    #[must_use]
    pub(super) fn to_bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }

    /// The name with these bytes.
    #[must_use]
    pub(super) fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(bytes))
    }
}

/// Every origin that this process has met, for all its tables. Grows by one per life of a member and view. Who reads takes no
/// lock.
#[derive(Debug, Default)]
pub struct Origins {
    by_ref: boxcar::Vec<Origin>,
    by_origin: RwLock<BTreeMap<Origin, OriginRef>>,
}

impl Origins {
    /// The short name of an origin.
    pub fn intern(&self, origin: &Origin) -> OriginRef {
        if let Some(&at) = self.by_origin.read().get(origin) {
            return at;
        }
        *self.by_origin.write().entry(*origin).or_insert_with(|| {
            OriginRef(u32::try_from(self.by_ref.push(*origin)).expect("a process meets fewer than 2^32 lives"))
        })
    }

    /// The origin with this short name.
    #[must_use]
    pub fn resolve(&self, at: OriginRef) -> Origin {
        self.by_ref[at.0 as usize]
    }
}
