//! What was counted.

use std::fmt::Display;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::bench::args::Operation;
use crate::bench::wire::Reply;

/// Longer latencies are counted as this.
const LATENCY_MAX: Duration = Duration::from_secs(100);

/// Counts of some connections or of all.
pub(crate) struct Tally {
    /// Latencies of reads, in nanoseconds.
    pub(crate) reads: Histogram<u64>,
    /// Latencies of writes, in nanoseconds.
    pub(crate) writes: Histogram<u64>,
    /// Requests that were not answered, or not as they should be.
    pub(crate) errors: u64,
    /// What was wrong first.
    pub(crate) first_error: Option<String>,
    /// Reads of keys that do not exist; they are no errors.
    pub(crate) not_found: u64,
    /// Bytes of the bodies of all responses.
    pub(crate) body_bytes: u64,
    /// Sizes of the contexts of all responses, in bytes.
    pub(crate) token_bytes: Histogram<u64>,
}

impl Tally {
    /// Nothing counted yet.
    pub(crate) fn new() -> Self {
        Self {
            reads: histogram(),
            writes: histogram(),
            errors: 0,
            first_error: None,
            not_found: 0,
            body_bytes: 0,
            token_bytes: histogram(),
        }
    }

    /// Counts a response.
    pub(crate) fn add_reply(&mut self, operation: Operation, reply: Reply, latency: Duration) {
        if !is_expected(operation, reply.status) {
            self.add_error(format_args!("status {} to a {}", reply.status, name(operation)));
            return;
        }
        let histogram = match operation {
            Operation::Get => &mut self.reads,
            Operation::Put => &mut self.writes,
        };
        histogram.saturating_record(nanoseconds(latency));
        self.not_found += u64::from(reply.status == 404);
        self.body_bytes += reply.body_bytes as u64;
        self.token_bytes.saturating_record(reply.token_bytes as u64);
    }

    /// Counts an error.
    pub(crate) fn add_error(&mut self, error: impl Display) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| error.to_string());
    }

    /// Adds what others counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        // All histograms have the same bounds, so that one can always be added to another.
        let _ = self.reads.add(&other.reads).and_then(|()| self.writes.add(&other.writes));
        let _ = self.token_bytes.add(&other.token_bytes);
        self.errors += other.errors;
        self.not_found += other.not_found;
        self.body_bytes += other.body_bytes;
        self.first_error = self.first_error.take().or_else(|| other.first_error.clone());
    }
}

/// Whether a status is one that the operation should have in a healthy cluster.
pub(crate) fn is_expected(operation: Operation, status: u16) -> bool {
    match operation {
        Operation::Get => matches!(status, 200 | 404),
        Operation::Put => matches!(status, 200 | 201),
    }
}

fn name(operation: Operation) -> &'static str {
    match operation {
        Operation::Get => "GET",
        Operation::Put => "PUT",
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, nanoseconds(LATENCY_MAX), 3).expect("the bounds are valid")
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_expected_statuses_count_as_requests() {
        let (mut all, mut one) = (Tally::new(), Tally::new());
        let reply = |status| Reply { status, body_bytes: 10, token_bytes: 5 };
        for status in [200, 404, 503] {
            one.add_reply(Operation::Get, reply(status), Duration::from_millis(1));
        }
        for status in [200, 201, 404] {
            one.add_reply(Operation::Put, reply(status), Duration::from_secs(1000));
        }
        all.merge(&one);
        assert_eq!((all.reads.len(), all.writes.len()), (2, 2));
        assert_eq!((all.errors, all.not_found, all.body_bytes), (2, 1, 40));
        assert_eq!(all.token_bytes.value_at_quantile(0.99), 5);
        assert_eq!(all.first_error.as_deref(), Some("status 503 to a GET"));
    }
}
