//! Faults: a schedule of them, drawn from the seed before the run begins, so that it does not depend on what the nodes do.

mod lags;
mod plan;
mod splits;

pub use plan::{Planned, plan};

use crate::network::Quality;

/// A point of a view change, at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A coordinator asks for a lease.
    Asked,
    /// A member grants it.
    Promised,
    /// Somebody tells of the view.
    Told,
    /// A member adopts it.
    Adopted,
    /// A new owner asks an old one for its legacy.
    Pulled,
    /// An old owner gives some of it.
    Given,
    /// A new owner has got all of it.
    HandedOver,
    /// A node drops its legacy.
    Settled,
}

impl Moment {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Asked,
        Self::Promised,
        Self::Told,
        Self::Adopted,
        Self::Pulled,
        Self::Given,
        Self::HandedOver,
        Self::Settled,
    ];
}

/// What an ambush does to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// It dies.
    Crash,
    /// It stands still.
    Pause,
    /// It hears nobody and nobody hears it.
    CutOff {
        /// Whether messages sent meanwhile come after the end of the cut.
        hold: bool,
    },
}

/// A fault that waits for a view change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ambush {
    /// When it strikes.
    pub moment: Moment,
    /// What it does.
    pub blow: Blow,
    /// Whether the node at the other end of the message is struck, not the one that is at that point.
    pub other: bool,
    /// Microseconds from the blow to its end.
    pub lasts: u64,
}

/// Something that befalls nodes or links. Every one that begins has one that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A node dies and forgets everything.
    Crash(usize),
    /// A dead node starts, empty.
    Restart {
        /// Which.
        node: usize,
        /// Its wall clock from now on; none: as before.
        skew_ms: Option<i64>,
    },
    /// A node stands still; what it is sent queues up.
    Pause(usize),
    /// It goes on.
    Resume(usize),
    /// One direction of a link is cut.
    Cut {
        /// The sender.
        from: usize,
        /// The receiver.
        to: usize,
        /// Whether messages sent meanwhile come after the end of the cut.
        hold: bool,
    },
    /// The end of it.
    Mend {
        /// The sender.
        from: usize,
        /// The receiver.
        to: usize,
    },
    /// A link treats messages differently.
    Disturb {
        /// The sender.
        from: usize,
        /// The receiver.
        to: usize,
        /// How.
        quality: Quality,
    },
    /// A link is as usual.
    Settle {
        /// The sender.
        from: usize,
        /// The receiver.
        to: usize,
    },
    /// A client asks for another view.
    ChangeView {
        /// Whom.
        by: usize,
        /// What the new view is drawn from.
        draw: u64,
    },
    /// Something befalls who takes part in a view change, the next time that one comes to a certain point.
    Ambush(Ambush),
    /// A wall clock jumps.
    Jump {
        /// Whose.
        node: usize,
        /// By how much.
        by_ms: i64,
    },
}
