//! Versions: the identity and the order of writes.

use serde::{Deserialize, Serialize};

use crate::causality::hlc::Timestamp;
use crate::id::Origin;

/// Identifies a write (its *dot*) and orders it among all writes of its key: timestamp, then origin. The order is
/// total and the same everywhere, and it extends causality because a write's timestamp is greater than every
/// timestamp in its context (design 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    /// When, by the hybrid logical clock of the origin.
    pub timestamp: Timestamp,
    /// By whom.
    pub origin: Origin,
}
