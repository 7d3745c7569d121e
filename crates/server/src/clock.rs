//! The two clocks that the core is given. The only place that reads them for it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use precede_core::time::{self, Now, WallTime};

/// Clocks since the start of the process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts the monotonic clock. It does not start at 0, so that what lies before the start can be told.
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// What time it is. A wall clock before 1970 reads 0.
    pub(crate) fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_millis()).unwrap_or_default();
        Now { monotonic: self.monotonic(), wall: WallTime(u64::try_from(wall).unwrap_or(u64::MAX)) }
    }

    /// Since the start.
    pub(crate) fn uptime(&self) -> Duration {
        self.start.elapsed()
    }

    /// The monotonic clock alone.
    pub(crate) fn monotonic(&self) -> time::Instant {
        time::Instant(1_000_000 + u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }
}
