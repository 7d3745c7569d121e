//! How old a timestamp is that follows this node's clock: for people, never for the protocol.

use std::time::Duration;

use crate::causality::hlc::Timestamp;
use crate::time::Instant;

/// How long ago this node's clock was where a timestamp, which rises, is now. Measured by the monotonic clock: the logical one may stand
/// still for two minutes after a start, and be set by others.
///
/// It looks at one reading of the clock at a time, so what it tells is the age or, at most, that and once more the time between two
/// looks that found the reading reached.
#[derive(Debug, Clone, Copy)]
pub struct Age {
    /// When the clock had the last reading that was reached.
    reached_at: Instant,
    /// The reading that is waited for, and when the clock had it.
    mark: (Timestamp, Instant),
}

impl Age {
    /// Of a timestamp that is looked at from now on: no age yet.
    #[must_use]
    pub fn new(now: Instant, clock: Timestamp) -> Self {
        Self { reached_at: now, mark: (clock, now) }
    }

    /// Looks at the timestamp, at a reading of the clock.
    pub fn look(&mut self, now: Instant, clock: Timestamp, timestamp: Timestamp) {
        if timestamp >= self.mark.0 {
            self.reached_at = self.mark.1;
            self.mark = (clock, now);
        }
    }

    /// The age.
    #[must_use]
    pub fn at(&self, now: Instant) -> Duration {
        now.since(self.reached_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(millis: u64) -> Instant {
        Instant(millis * 1000)
    }

    #[test]
    fn a_timestamp_that_follows_has_the_age_of_its_delay() {
        let mut age = Age::new(after(0), Timestamp(0));
        for at in 1..100 {
            // It is 30 ms behind the clock, and looked at every 10 ms.
            age.look(after(10 * at), Timestamp(10 * at), Timestamp((10 * at).saturating_sub(30)));
            assert!(age.at(after(10 * at)) <= Duration::from_millis(70), "at {at}");
        }
        assert!(age.at(after(990)) >= Duration::from_millis(30));
    }

    #[test]
    fn a_timestamp_that_stands_grows_old_and_one_that_comes_back_is_young() {
        let mut age = Age::new(after(0), Timestamp(0));
        for at in 1..100 {
            age.look(after(10 * at), Timestamp(10 * at), Timestamp(0));
        }
        assert!(age.at(after(990)) >= Duration::from_millis(980));
        for at in 100..104 {
            age.look(after(10 * at), Timestamp(10 * at), Timestamp(10 * at));
        }
        assert!(age.at(after(1030)) <= Duration::from_millis(20));
    }

    #[test]
    fn nothing_is_old_while_the_clock_stands() {
        let mut age = Age::new(after(0), Timestamp(7));
        for at in 1..100 {
            age.look(after(10 * at), Timestamp(7), Timestamp(7));
        }
        assert_eq!(age.at(after(990)), Duration::from_millis(10));
    }
}
