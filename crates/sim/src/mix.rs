//! Mixes: which faults a run meets, and what they excuse.

use std::fmt;
use std::str::FromStr;

use crate::dice::Dice;

/// A kind of run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mix {
    /// No faults; replication takes much longer than clients think.
    Calm,
    /// Cuts of all shapes, both ways and one way.
    Partitions,
    /// Nodes stop and go on.
    Pauses,
    /// Messages are lost, repeated, reordered, and very late.
    Loss,
    /// Nodes crash and come back empty, several at a time.
    Crash,
    /// One crash at a time, the next only when all is whole again.
    Single,
    /// Wall clocks are wrong by up to an hour, and jump; restarts with a wrong clock.
    Clocks,
    /// Windows of a few writes, under partitions.
    TinyWindow,
    /// One direction of one link is cut for the whole run.
    OneWayHeld,
    /// One node is dead or stands still, or two replicas do not hear one another, for the whole run.
    Held,
    /// Nodes come back empty in bad company: cut off from their shard, or met by old messages.
    Comebacks,
    /// All replicas of a shard lose their memory.
    TotalLoss,
    /// View changes, and nothing else: nothing is refused.
    Views,
    /// View changes with one crash at a time, the next only when all is whole again.
    ViewSingle,
    /// View changes with crashes, pauses and cuts, aimed at those under way.
    ViewFaults,
    /// View changes just when one replica of a shard lacks what the others have, or have deleted.
    ViewLags,
    /// Views made on both sides of a cut, so that two have one epoch.
    ViewSplits,
    /// All of it.
    Everything,
}

impl Mix {
    /// All mixes.
    pub const ALL: [Self; 18] = [
        Self::Calm,
        Self::Partitions,
        Self::Pauses,
        Self::Loss,
        Self::Crash,
        Self::Single,
        Self::Clocks,
        Self::TinyWindow,
        Self::OneWayHeld,
        Self::Held,
        Self::Comebacks,
        Self::TotalLoss,
        Self::Views,
        Self::ViewSingle,
        Self::ViewFaults,
        Self::ViewLags,
        Self::ViewSplits,
        Self::Everything,
    ];

    /// The mix that a seed stands for if none is named.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        *Dice::new(seed ^ 0x6d69_7865_7321).pick(&Self::ALL)
    }

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Partitions => "partitions",
            Self::Pauses => "pauses",
            Self::Loss => "loss",
            Self::Crash => "crash",
            Self::Single => "single",
            Self::Clocks => "clocks",
            Self::TinyWindow => "tiny-window",
            Self::OneWayHeld => "one-way-held",
            Self::Held => "held",
            Self::Comebacks => "comebacks",
            Self::TotalLoss => "total-loss",
            Self::Views => "views",
            Self::ViewSingle => "view-single",
            Self::ViewFaults => "view-faults",
            Self::ViewLags => "view-lags",
            Self::ViewSplits => "view-splits",
            Self::Everything => "everything",
        }
    }

    /// Whether any node may lose its memory in this mix. Where none does, no write is ever excused.
    #[must_use]
    pub fn has_crashes(self) -> bool {
        match self {
            Self::Crash
            | Self::Single
            | Self::Clocks
            | Self::Held
            | Self::Comebacks
            | Self::TotalLoss
            | Self::ViewSingle
            | Self::ViewFaults
            | Self::ViewLags
            | Self::ViewSplits
            | Self::Everything => true,
            Self::Calm
            | Self::Partitions
            | Self::Pauses
            | Self::Loss
            | Self::TinyWindow
            | Self::Views
            | Self::OneWayHeld => false,
        }
    }

    /// Whether the faults of this mix begin once and last for ever, so that the healthy rest must make progress.
    #[must_use]
    pub fn has_held_faults(self) -> bool {
        matches!(self, Self::OneWayHeld | Self::Held)
    }

    /// Whether crashes never overlap, so that a write acknowledged on two replicas is never excused.
    #[must_use]
    pub fn has_single_crashes_only(self) -> bool {
        matches!(self, Self::Single | Self::ViewSingle)
    }

    /// Whether views change.
    #[must_use]
    pub fn changes_views(self) -> bool {
        matches!(
            self,
            Self::Views | Self::ViewSingle | Self::ViewFaults | Self::ViewLags | Self::ViewSplits | Self::Everything
        )
    }

    /// Whether changes of views may give up what cannot be reached.
    #[must_use]
    pub fn forces_views(self) -> bool {
        matches!(self, Self::ViewFaults | Self::ViewSplits)
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|mix| mix.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|mix| mix.name()).collect();
            format!("`{text}` is no mix; there are {}", names.join(", "))
        })
    }
}
