//! The hybrid logical clock.
//!
//! Kulkarni, Demirbas, Madappa, Avva and Leone, *Logical Physical Clocks and Consistent Snapshots in Globally
//! Distributed Databases* (2014). 64 bits: 48 bits of milliseconds, 16 bits logical; logical overflow carries into
//! the milliseconds. The clock never waits.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::planted::{self, Planted};
use crate::time::WallTime;

const LOGICAL_BITS: u32 = 16;

/// A reading of a hybrid logical clock: milliseconds since the Unix epoch in the upper 48 bits, a counter below.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Below every timestamp that a clock gives.
    pub const ZERO: Self = Self(0);

    /// The first timestamp of a millisecond.
    #[must_use]
    pub fn from_wall(wall: WallTime) -> Self {
        Self(wall.0.min(u64::MAX >> LOGICAL_BITS) << LOGICAL_BITS)
    }

    /// The millisecond part.
    #[must_use]
    pub fn millis(self) -> u64 {
        self.0 >> LOGICAL_BITS
    }

    /// The timestamp `by` later; saturates at the greatest.
    #[must_use]
    pub fn later_by(self, by: Duration) -> Self {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis.min(u64::MAX >> LOGICAL_BITS) << LOGICAL_BITS))
    }

    /// A timestamp of the same millisecond, at a place within it that `bits` choose.
    #[must_use]
    pub fn in_millisecond(self, bits: u64) -> Self {
        const LOGICAL: u64 = (1 << LOGICAL_BITS) - 1;
        Self((self.0 & !LOGICAL) | (bits & LOGICAL))
    }

    /// The next greater timestamp.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.millis(), self.0 & ((1 << LOGICAL_BITS) - 1))
    }
}

/// One node's clock. Invariant: what it returns only rises.
#[derive(Debug, Clone, Default)]
pub struct Hlc {
    last: Timestamp,
}

impl Hlc {
    /// The greatest timestamp given or received.
    #[must_use]
    pub fn last(&self) -> Timestamp {
        self.last
    }

    /// A new timestamp, greater than every one given or received before.
    pub fn tick(&mut self, wall: WallTime) -> Timestamp {
        self.last = self.last.next().max(Timestamp::from_wall(wall));
        self.last
    }

    /// Follows the wall clock without giving a timestamp away; returns the reading.
    pub fn follow(&mut self, wall: WallTime) -> Timestamp {
        self.last = self.last.max(Timestamp::from_wall(wall));
        self.last
    }

    /// A life begins here, above all that was heard.
    pub fn begin(&mut self, start: Timestamp) {
        self.last = self.last.max(start);
    }

    /// Takes note of a timestamp from elsewhere.
    pub fn receive(&mut self, timestamp: Timestamp) {
        if planted::is(Planted::WallClockOrder) {
            return;
        }
        self.last = self.last.max(timestamp);
    }

    /// The greatest timestamp that a client may name: one drift above where a clock that started without memory stands
    /// (the wall clock plus twice the drift), or what the cluster itself has reached. Measured against the wall clock,
    /// so that requests cannot ratchet clocks forward (design 15.2).
    #[must_use]
    pub fn acceptable(&self, wall: WallTime, drift_max: Duration) -> Timestamp {
        self.last.max(Timestamp::from_wall(wall).later_by(drift_max * 3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_rise_whatever_the_wall_clock_does() {
        let mut clock = Hlc::default();
        let mut last = Timestamp::ZERO;
        for wall in [5, 5, 3, 0, 9, 2, 9] {
            let next = clock.tick(WallTime(wall));
            assert!(next > last);
            last = next;
        }
        clock.receive(Timestamp::from_wall(WallTime(100)));
        assert!(clock.tick(WallTime(10)) > Timestamp::from_wall(WallTime(100)));
    }

    #[test]
    fn logical_overflow_carries_into_the_milliseconds() {
        let mut clock = Hlc::default();
        clock.receive(Timestamp((7 << 16) | 0xffff));
        assert_eq!(clock.tick(WallTime(1)), Timestamp(8 << 16));
    }

    #[test]
    fn requests_cannot_ratchet_the_clock() {
        let mut clock = Hlc::default();
        let drift = Duration::from_secs(60);
        let wall = WallTime(1_000_000);
        for _ in 0..1000 {
            let greatest = clock.acceptable(wall, drift);
            clock.receive(greatest);
        }
        assert_eq!(clock.last(), Timestamp::from_wall(wall).later_by(drift * 3));
    }
}
