//! Faults: a schedule of them, drawn from the seed before the run begins, so that it does not depend on what the nodes do.

mod plan;

pub use plan::{Planned, plan};

use crate::network::Quality;

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
    /// A wall clock jumps.
    Jump {
        /// Whose.
        node: usize,
        /// By how much.
        by_ms: i64,
    },
}
