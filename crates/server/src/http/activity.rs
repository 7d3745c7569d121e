//! What happens on a connection, so that connections on which nothing happens can be ended.
//!
//! Hyper's own timer would cost one registration per request; this costs a clock reading and a store, and one timer per
//! connection that rarely fires.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::settings::HttpLimits;

/// How a connection of HTTP/2 begins (RFC 9113, 3.4), as far as it tells.
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// What happens on one connection.
#[derive(Debug)]
pub(crate) struct Activity {
    start: Instant,
    /// Requests being answered.
    busy: AtomicUsize,
    /// Microseconds from the start to the last byte read or written, or the last response.
    progress: AtomicU64,
    /// Whether the clock was just read for a response that is written next: then it need not be read again for that.
    is_just_read: AtomicBool,
    /// Microseconds from the start to the first byte of the head that is arriving, plus 1; 0 if none is.
    head: AtomicU64,
    /// Whether anything was read.
    has_spoken: AtomicBool,
    /// Whether it is HTTP/2, where bytes come without a head.
    is_h2: AtomicBool,
    /// Whether a response's body was a raw value, which may end in anything.
    has_raw: AtomicBool,
}

/// A request is being answered; dropped when it is.
pub(crate) struct Busy<'a> {
    activity: &'a Activity,
    since: u64,
}

/// What is to be done with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Look again after this time.
    Fine(Duration),
    /// The head of a request takes too long.
    HeadTooSlow,
    /// Nothing has ever come. Whoever has it in store for a request to come must not find an answer in it.
    Silent,
    /// Nothing happens.
    Idle,
}

impl Activity {
    /// A connection that has just begun: the head of its first request is due.
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            busy: AtomicUsize::new(0),
            progress: AtomicU64::new(0),
            is_just_read: AtomicBool::new(false),
            head: AtomicU64::new(1),
            has_spoken: AtomicBool::new(false),
            is_h2: AtomicBool::new(false),
            has_raw: AtomicBool::new(false),
        }
    }

    /// A request's head is here.
    pub(crate) fn begin_request(&self, is_h2: bool) -> Busy<'_> {
        self.busy.fetch_add(1, Ordering::Relaxed);
        self.head.store(0, Ordering::Relaxed);
        if is_h2 {
            self.is_h2.store(true, Ordering::Relaxed);
        }
        Busy { activity: self, since: self.progress.load(Ordering::Relaxed) }
    }

    /// A response is a raw value.
    pub(crate) fn on_raw(&self) {
        self.has_raw.store(true, Ordering::Relaxed);
    }

    /// Whether a response's body was a raw value.
    pub(crate) fn has_raw(&self) -> bool {
        self.has_raw.load(Ordering::Relaxed)
    }

    /// Judges the connection.
    pub(crate) fn judge(&self, limits: &HttpLimits) -> Verdict {
        let now = self.now();
        if self.busy.load(Ordering::Relaxed) > 0 {
            return Verdict::Fine(limits.header_timeout.min(limits.idle_timeout));
        }
        let head = self.head.load(Ordering::Relaxed);
        if head > 0 {
            let age = Duration::from_micros(now.saturating_sub(head - 1));
            return match limits.header_timeout.checked_sub(age) {
                Some(left) if !left.is_zero() => Verdict::Fine(left),
                Some(_) | None if self.has_spoken.load(Ordering::Relaxed) => Verdict::HeadTooSlow,
                Some(_) | None => Verdict::Silent,
            };
        }
        let age = Duration::from_micros(now.saturating_sub(self.progress.load(Ordering::Relaxed)));
        match limits.idle_timeout.checked_sub(age) {
            // A head may begin to arrive meanwhile, so it is looked at often enough for that.
            Some(left) if !left.is_zero() => Verdict::Fine(left.min(limits.header_timeout)),
            Some(_) | None => Verdict::Idle,
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Bytes were read.
    pub(crate) fn on_read(&self, bytes: &[u8]) {
        let now = self.now();
        self.progress.store(now, Ordering::Relaxed);
        self.has_spoken.store(true, Ordering::Relaxed);
        if bytes.starts_with(H2_PREFACE) {
            self.is_h2.store(true, Ordering::Relaxed);
            self.head.store(0, Ordering::Relaxed);
        }
        if self.busy.load(Ordering::Relaxed) == 0
            && self.head.load(Ordering::Relaxed) == 0
            && !self.is_h2.load(Ordering::Relaxed)
        {
            self.head.store(now + 1, Ordering::Relaxed);
        }
    }

    /// Bytes were taken from who writes. An attempt that comes to nothing is none: whoever does not read is idle.
    pub(crate) fn on_write(&self) {
        if self.head.load(Ordering::Relaxed) > 0 {
            // A head behind an answer that is leaving is not read on until that has left.
            self.head.store(self.now() + 1, Ordering::Relaxed);
        }
        if self.is_just_read.load(Ordering::Relaxed) {
            self.is_just_read.store(false, Ordering::Relaxed);
        } else {
            self.progress.store(self.now(), Ordering::Relaxed);
        }
    }
}

impl Busy<'_> {
    /// The response is there. Returns how many microseconds it took: since the last byte of the request was read, or, where it came
    /// behind others, since the answer before it.
    pub(crate) fn finish(&self) -> u64 {
        let now = self.activity.now();
        self.activity.progress.store(now, Ordering::Relaxed);
        self.activity.is_just_read.store(true, Ordering::Relaxed);
        now.saturating_sub(self.since)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.activity.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_waits_for_an_answer_before_it_to_leave_has_its_time_then() {
        let activity = Activity::new();
        activity.begin_request(false).finish();
        activity.on_read(b"GET / HTT");
        let begun = activity.head.load(Ordering::Relaxed);
        assert!(begun > 0, "a head arrives");
        while activity.now() < begun {
            std::hint::spin_loop();
        }
        activity.on_write();
        assert!(activity.head.load(Ordering::Relaxed) > begun);
        drop(activity.begin_request(false));
        activity.on_write();
        assert_eq!(activity.head.load(Ordering::Relaxed), 0, "none does");
    }
}
