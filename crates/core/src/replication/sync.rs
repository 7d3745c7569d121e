//! Sync: the one bulk mechanism, for catch-up, restart and the relay of a dead origin's writes (design 8.3).
//!
//! The target pulls chunk after chunk of a walk over the source's table; the source keeps no state, so a chunk can be
//! asked for again. The target keeps the vector of the first chunk and merges it at the end: every write that the
//! vector names was in the source's table before the walk began. A *full* pass names every key: what the vector covers
//! and the source does not name has been deleted and collected there, and is dropped here.

use std::time::Duration;

use crate::causality::hlc::Timestamp;
use crate::causality::version_vector::VersionVector;
use crate::id::{Life, NodeId, ViewId};
use crate::time::Instant;
use crate::wire::message::{ClosedLives, HeldReport, Past, SyncChunk};

/// What a pass brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What the target lacks.
    Missing,
    /// That, and every key is named: absence is told for all that the source's vector covers.
    Full,
    /// Everything, whatever the target's vector says: the net under a bug (design 8.4). The greater version stays, and
    /// absence is told only for what lies at or below the source's horizon, so that neither side can take from the
    /// other what it alone holds.
    Replacing,
}

impl Kind {
    /// Whether every key is named.
    #[must_use]
    pub fn names_all(self) -> bool {
        match self {
            Self::Missing => false,
            Self::Full | Self::Replacing => true,
        }
    }
}

/// A pass at its target.
#[derive(Debug, Clone)]
pub struct Pass {
    /// Names it.
    pub id: u64,
    /// The source's life; a pass does not survive it.
    pub source: Life,
    /// What it brings.
    pub kind: Kind,
    /// The former view whose legacy is handed over; none for a sync between replicas of the current view.
    pub legacy: Option<ViewId>,
    /// Where the next chunk begins.
    pub from: u64,
    /// When it was asked for.
    pub asked_at: Instant,
    /// When it will be asked for, if the pass pauses.
    pub resume_at: Option<Instant>,
    /// The rest that it has yet to take, for the chunks that it has had without one.
    pub owed: Duration,
    /// How often that chunk was asked for.
    pub asks: u32,
    /// What the source had before the walk began.
    pub first: Option<Before>,
    /// The target's `covered` when the pass began.
    pub covered_at_start: Timestamp,
    /// Whether anything of the former views, for a hand-off of the source's former shard, was here before.
    pub was_touched: bool,
    /// Entries received.
    pub entries: u64,
    /// Entries dropped because they were not named.
    pub dropped: u64,
}

/// What a source had before the walk began.
#[derive(Debug, Clone)]
pub struct Before {
    /// Its vector.
    pub vector: VersionVector,
    /// Its horizon.
    pub horizon: Timestamp,
    /// Its `seen`.
    pub seen: VersionVector,
    /// The lives that it had fenced.
    pub lives: Vec<Life>,
    /// The lives closed.
    pub closed: Vec<ClosedLives>,
    /// Whether it had recovered.
    pub recovered: bool,
    /// What it had of former views.
    pub held: Vec<HeldReport>,
    /// What it reflected of the views before its own.
    pub past: Past,
}

impl Pass {
    /// A pass that has not begun.
    #[must_use]
    pub fn new(id: u64, source: Life, kind: Kind, legacy: Option<ViewId>, covered: Timestamp, now: Instant) -> Self {
        Self {
            id,
            source,
            kind,
            legacy,
            from: 0,
            asked_at: now,
            resume_at: None,
            owed: Duration::ZERO,
            asks: 1,
            first: None,
            covered_at_start: covered,
            was_touched: false,
            entries: 0,
            dropped: 0,
        }
    }

    /// Whether a chunk is the one that this pass waits for.
    #[must_use]
    pub fn awaits(&self, from: NodeId, life: Option<Timestamp>, chunk: &SyncChunk) -> bool {
        self.source.node == from
            && Some(self.source.start) == life
            && self.id == chunk.pass
            && self.from == chunk.from
            && self.legacy == chunk.legacy
            && chunk.next.is_none_or(|next| next > chunk.from)
    }

    /// Keeps what the first chunk said.
    pub fn note_first(&mut self, chunk: &SyncChunk) -> &Before {
        self.first.get_or_insert_with(|| Before {
            vector: chunk.vector.clone(),
            horizon: chunk.horizon,
            seen: chunk.seen.clone(),
            lives: chunk.lives.clone(),
            closed: chunk.closed.clone(),
            recovered: chunk.recovered,
            held: chunk.held.clone(),
            past: chunk.past,
        })
    }
}
