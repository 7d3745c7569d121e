//! What is worth a log line, but not each time: strangers knock several times in a second, for as long as they run.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use precede_core::limits::STRANGERS_MAX;

/// Between two log lines about one name.
const EVERY: Duration = Duration::from_secs(10);

/// What is kept of a name: an address fits.
const NAME_CHARS_MAX: usize = 300;

/// When names were told of last.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<HashMap<String, Instant>>);

impl Seldom {
    /// Whether it is time to tell of a name. Of those that there is no room for, nothing is told.
    pub(crate) fn is_time(&self, name: &str, now: Instant) -> bool {
        // A name is as long as whoever sends it likes.
        let name: String = name.chars().take(NAME_CHARS_MAX).collect();
        let mut told = self.0.lock();
        if told.len() >= STRANGERS_MAX {
            told.retain(|_, at| now.duration_since(*at) < EVERY);
        }
        let is_told = told.get(&name).is_some_and(|at| now.duration_since(*at) < EVERY);
        let has_room = told.len() < STRANGERS_MAX || told.contains_key(&name);
        let is_time = !is_told && has_room;
        if is_time {
            told.insert(name, now);
        }
        is_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_of_once_in_a_while() {
        let (seldom, start) = (Seldom::default(), Instant::now());
        assert!(seldom.is_time("a", start));
        assert!(!seldom.is_time("a", start + EVERY / 2));
        assert!(seldom.is_time("b", start + EVERY / 2));
        assert!(seldom.is_time("a", start + EVERY));
        for number in 0..2 * STRANGERS_MAX {
            seldom.is_time(&number.to_string(), start + EVERY);
        }
        assert!(seldom.0.lock().len() <= STRANGERS_MAX);
    }
}
