//! Short names for origins, so that a table entry is lean.

use std::collections::BTreeMap;

use parking_lot::RwLock;

use crate::id::Origin;

/// Index of an origin in [`Origins`]. Means nothing outside this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OriginRef(u32);

#[derive(Debug, Default)]
struct Inner {
    by_ref: Vec<Origin>,
    by_origin: BTreeMap<Origin, u32>,
}

/// Every origin that this process has met, for all its tables. Grows by one per life of a member and view.
#[derive(Debug, Default)]
pub struct Origins {
    inner: RwLock<Inner>,
}

impl Origins {
    /// The short name of an origin.
    pub fn intern(&self, origin: &Origin) -> OriginRef {
        if let Some(&at) = self.inner.read().by_origin.get(origin) {
            return OriginRef(at);
        }
        let mut inner = self.inner.write();
        if let Some(&at) = inner.by_origin.get(origin) {
            return OriginRef(at);
        }
        let at = u32::try_from(inner.by_ref.len()).expect("a process meets fewer than 2^32 lives");
        inner.by_ref.push(*origin);
        inner.by_origin.insert(*origin, at);
        OriginRef(at)
    }

    /// The origin with this short name.
    #[must_use]
    pub fn resolve(&self, at: OriginRef) -> Origin {
        self.inner.read().by_ref[at.0 as usize]
    }
}
