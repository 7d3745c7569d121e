//! The two clocks of a simulated node. They drift, the wall clock is wrong, and both are read from virtual time.

use precede_core::time::{Instant, Now, WallTime};

/// Virtual time 0 in wall time: some day in 2026, in milliseconds since the Unix epoch.
const EPOCH_MS: i64 = 1_780_000_000_000;

/// When clusters that are to be old become so. A fresh cluster's timestamps are ahead of the wall clock by twice the allowed
/// drift; an old one's are not.
const AGED_AT: u64 = 1_500_000;

const MILLION: u64 = 1_000_000;

/// One process's clocks. All times of the world are in virtual microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// When the process started.
    started: u64,
    /// What the monotonic clock said then.
    offset: u64,
    /// By how much it is faster than the world, in millionths.
    drift_ppm: u64,
    /// By how much the wall clock is wrong.
    pub skew_ms: i64,
    /// By how much all wall clocks rise at [`AGED_AT`].
    aged_by_ms: i64,
}

impl Clock {
    /// Clocks with which nothing is wrong but this.
    #[must_use]
    pub fn new(skew_ms: i64, aged_by_ms: i64) -> Self {
        Self { started: 0, offset: 0, drift_ppm: 0, skew_ms, aged_by_ms }
    }

    /// The clocks of a process that starts now on the same machine.
    #[must_use]
    pub fn restarted(&self, started: u64, offset: u64, drift_ppm: u64, skew_ms: Option<i64>) -> Self {
        Self { started, offset, drift_ppm, skew_ms: skew_ms.unwrap_or(self.skew_ms), aged_by_ms: self.aged_by_ms }
    }

    /// What the process reads at a virtual time.
    #[must_use]
    pub fn read(&self, time: u64) -> Now {
        let elapsed = time.saturating_sub(self.started);
        let monotonic = self.offset + elapsed + elapsed * self.drift_ppm / MILLION;
        let aged = if time < AGED_AT { 0 } else { self.aged_by_ms };
        let wall = EPOCH_MS + i64::try_from(time / 1000).unwrap_or(i64::MAX / 2) + self.skew_ms + aged;
        Now { monotonic: Instant(monotonic), wall: WallTime(u64::try_from(wall).unwrap_or(0)) }
    }

    /// The first virtual time at which the monotonic clock shows at least `deadline`.
    #[must_use]
    pub fn time_of(&self, deadline: Instant) -> u64 {
        let target = deadline.0.saturating_sub(self.offset);
        let mut elapsed = u128::from(target) * u128::from(MILLION) / u128::from(MILLION + self.drift_ppm);
        while elapsed + elapsed * u128::from(self.drift_ppm) / u128::from(MILLION) < u128::from(target) {
            elapsed += 1;
        }
        self.started.saturating_add(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_reached_exactly_when_the_world_says_so() {
        for drift in [0, 1, 150, 300] {
            let clock = Clock::new(-5, 0).restarted(12_345, 999, drift, None);
            for deadline in [1_000, 50_999, 3_000_001, 59_999_999] {
                let time = clock.time_of(Instant(deadline));
                assert!(clock.read(time).monotonic >= Instant(deadline));
                assert!(time == 12_345 || clock.read(time - 1).monotonic < Instant(deadline));
            }
        }
    }
}
