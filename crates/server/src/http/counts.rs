//! Counts of requests, cheap enough for the hot path: every thread adds to cache lines of its own, and whoever wants to know sums up.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use http::{Method, StatusCode};

use crate::http::routes::{KINDS, Kind};

/// Groups of counters. More threads than these share them, and only lose time.
const SLOTS: usize = 16;

/// The methods that are told apart: the label `method`. The first three are the operations on keys.
pub(crate) const METHODS: [&str; 4] = ["GET", "PUT", "DELETE", "other"];

/// The statuses that are told apart: the label `status`. A key that does not exist is an ordinary answer, so 404 stands for itself.
pub(crate) const STATUSES: [&str; 5] = ["1xx", "2xx", "404", "4xx", "5xx"];

/// The operations on keys, of which latencies are kept.
pub(crate) const OPERATIONS: usize = 3;

/// The upper ends of the latency histogram's buckets, in microseconds. What takes longer falls into one more.
pub(crate) const BUCKETS_MICROS: [u64; 16] = [
    25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
];

/// Counters of all requests since the start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    slots: [Slot; SLOTS],
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Slot {
    requests: [[[AtomicU64; STATUSES.len()]; METHODS.len()]; KINDS.len()],
    latencies: [[AtomicU64; BUCKETS_MICROS.len() + 1]; OPERATIONS],
    micros: [AtomicU64; OPERATIONS],
    contexts: AtomicU64,
    context_bytes: AtomicU64,
}

/// The sums.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals {
    /// Requests by route, method and status, as [`KINDS`], [`METHODS`] and [`STATUSES`] have them.
    pub(crate) requests: [[[u64; STATUSES.len()]; METHODS.len()]; KINDS.len()],
    /// Latencies of the operations on keys, by bucket.
    pub(crate) latencies: [[u64; BUCKETS_MICROS.len() + 1]; OPERATIONS],
    /// Sums of these latencies in microseconds.
    pub(crate) micros: [u64; OPERATIONS],
    /// Contexts given out with keys.
    pub(crate) contexts: u64,
    /// Bytes of them.
    pub(crate) context_bytes: u64,
}

impl Counts {
    /// A request was answered, and took so long.
    pub(crate) fn on_answer(&self, kind: Kind, method: &Method, status: StatusCode, micros: u64) {
        let slot = self.slot();
        let (kind, method) = (kind as usize, method_of(method));
        add(&slot.requests[kind][method][status_of(status)], 1);
        if kind == Kind::Keys as usize && method < OPERATIONS {
            let bucket = BUCKETS_MICROS.iter().position(|end| micros <= *end).unwrap_or(BUCKETS_MICROS.len());
            add(&slot.latencies[method][bucket], 1);
            add(&slot.micros[method], micros);
        }
    }

    /// A context of so many bytes was given out with a key.
    pub(crate) fn on_context(&self, bytes: usize) {
        let slot = self.slot();
        add(&slot.contexts, 1);
        add(&slot.context_bytes, bytes as u64);
    }

    /// The sums of all threads, now.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for slot in &self.slots {
            let requests = slot.requests.iter().flatten().flatten();
            sum(totals.requests.as_flattened_mut().as_flattened_mut(), requests);
            sum(totals.latencies.as_flattened_mut(), slot.latencies.iter().flatten());
            sum(&mut totals.micros, &slot.micros);
            sum(std::slice::from_mut(&mut totals.contexts), [&slot.contexts]);
            sum(std::slice::from_mut(&mut totals.context_bytes), [&slot.context_bytes]);
        }
        totals
    }

    fn slot(&self) -> &Slot {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! { static SLOT: usize = THREADS.fetch_add(1, Ordering::Relaxed) % SLOTS; }
        &self.slots[SLOT.with(|slot| *slot)]
    }
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

fn sum<'a>(sums: &mut [u64], counters: impl IntoIterator<Item = &'a AtomicU64>) {
    sums.iter_mut().zip(counters).for_each(|(sum, counter)| *sum += counter.load(Ordering::Relaxed));
}

fn method_of(method: &Method) -> usize {
    match *method {
        Method::GET => 0,
        Method::PUT => 1,
        Method::DELETE => 2,
        _ => 3,
    }
}

fn status_of(status: StatusCode) -> usize {
    match status.as_u16() {
        404 => 2,
        100..200 => 0,
        200..400 => 1,
        400..500 => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_count_is_summed() {
        let counts = Counts::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * SLOTS {
                scope.spawn(|| {
                    counts.on_answer(Kind::Keys, &Method::PUT, StatusCode::CREATED, 26);
                    counts.on_answer(Kind::Keys, &Method::GET, StatusCode::NOT_FOUND, 3_000_000);
                    counts.on_answer(Kind::Unknown, &Method::POST, StatusCode::NOT_FOUND, 1);
                    counts.on_context(10);
                });
            }
        });
        let (totals, threads) = (counts.totals(), 2 * SLOTS as u64);
        assert_eq!(
            (totals.requests[0][1][1], totals.requests[0][0][2], totals.requests[Kind::Unknown as usize][3][2]),
            (threads, threads, threads)
        );
        assert_eq!((totals.latencies[1][1], totals.latencies[0][BUCKETS_MICROS.len()]), (threads, threads));
        assert_eq!((totals.micros[1], totals.contexts, totals.context_bytes), (26 * threads, threads, 10 * threads));
        assert_eq!(totals.requests.iter().flatten().flatten().sum::<u64>(), 3 * threads);
    }
}
