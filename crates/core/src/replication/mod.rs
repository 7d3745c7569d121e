//! Replication: streams, the window, stability, lives, and the one bulk mechanism, sync.

pub mod age;
pub mod claims;
pub mod held;
pub mod lives;
pub mod names;
pub mod passes;
pub mod reading;
pub mod replica;
pub mod stability;
pub mod stream;
pub mod sync;
pub mod window;

use std::collections::BTreeMap;

use parking_lot::RwLock;

use crate::causality::context::Context;
use crate::causality::hlc::Timestamp;
use crate::causality::version_vector::VersionVector;
use crate::id::{NodeId, Origin, ShardId};
use crate::placement::view::View;
use crate::planted::{self, Planted};
use crate::table::Table;
use crate::wire::message::ClosedLives;

/// What the node and its concurrent readers share.
#[derive(Debug)]
pub struct Shared {
    /// The view.
    pub view: View,
    /// The shard that this replica holds.
    pub shard: ShardId,
    /// The table.
    pub table: Table,
    /// What may be answered.
    pub visible: RwLock<Visible>,
}

/// What a replica may answer. Published by the node after each step that changes it; a reader that sees an older one
/// only answers less. The horizon is published before what lies below it is removed. It has cache lines of its own, since it
/// changes all the time.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Visible {
    /// Whether the replica may answer by the table at all.
    pub serving: bool,
    /// Rule A: the table reflects every write of an origin up to here (design 6.2).
    pub applied: VersionVector,
    /// Closed lives; empty while unrecovered.
    pub closed: BTreeMap<NodeId, ClosedLives>,
    /// The replica has everything of its shard at or below it (design 6.4).
    pub covered: Timestamp,
    /// The cluster's stable timestamp, as far as known here.
    pub stable: Timestamp,
    /// Tombstones at or below it may be gone (design 9).
    pub horizon: Timestamp,
    /// The node's clock.
    pub clock: Timestamp,
}

impl Visible {
    /// Design 7.2, the whole safety argument: the table has every write of this shard that the context names, and
    /// everything at or below the context's `stable`. One that has met a greater view names what this one may never hear of (5.4).
    #[must_use]
    pub fn satisfies(&self, context: &Context, view: &View, shard: ShardId) -> bool {
        if planted::is(Planted::ContextUnchecked) {
            return true;
        }
        context.view.is_none_or(|met| met <= view.id)
            && (self.covered >= context.stable || planted::is(Planted::OwnCoveredUnchecked))
            && context.entries.iter().all(|(origin, timestamp)| {
                !belongs(origin, view, shard)
                    || self.applied.get(origin) >= timestamp
                    || is_closed(&self.closed, origin)
            })
    }
}

/// Whether an origin's writes belong to this shard of this view.
#[must_use]
pub fn belongs(origin: &Origin, view: &View, shard: ShardId) -> bool {
    origin.view == view.id && view.shard_of_member(origin.node) == Some(shard)
}

/// Whether the life behind an origin is closed.
#[must_use]
pub fn is_closed(closed: &BTreeMap<NodeId, ClosedLives>, origin: &Origin) -> bool {
    closed.get(&origin.node).is_some_and(|closed| origin.start < closed.before)
}
