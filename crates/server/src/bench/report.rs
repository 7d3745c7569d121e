//! What is printed in the end.

use std::fmt::Write;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::bench::args::{BenchArgs, Switch};
use crate::bench::tally::Tally;

/// The figures, and what they were measured with.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    node: String,
    mix: String,
    connections: u32,
    seconds: u64,
    keys: u64,
    value_bytes: u32,
    contexts: bool,
    /// Requests that were answered as they should be.
    pub(crate) requests: u64,
    requests_per_second: f64,
    errors: u64,
    first_error: Option<String>,
    not_found: u64,
    /// The mean size of a response's body.
    body_bytes: u64,
    reads: Option<Latencies>,
    writes: Option<Latencies>,
}

/// Latencies in milliseconds.
#[derive(Debug, Serialize)]
struct Latencies {
    p50: f64,
    p99: f64,
    p99_9: f64,
    max: f64,
}

impl Report {
    /// The report of a run.
    pub(crate) fn new(args: &BenchArgs, tally: &Tally) -> Self {
        let requests = tally.reads.len() + tally.writes.len();
        Self {
            node: args.node.clone(),
            mix: args.mix.to_string(),
            connections: args.connections,
            seconds: args.seconds,
            keys: args.keys,
            value_bytes: args.value_bytes,
            contexts: args.contexts == Switch::On,
            requests,
            requests_per_second: requests as f64 / args.seconds as f64,
            errors: tally.errors,
            first_error: tally.first_error.clone(),
            not_found: tally.not_found,
            body_bytes: tally.body_bytes.checked_div(requests).unwrap_or_default(),
            reads: Latencies::of(&tally.reads),
            writes: Latencies::of(&tally.writes),
        }
    }

    /// As a JSON object on one line.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let contexts = if self.contexts { "carried" } else { "not carried" };
        let mut text = format!(
            "{} on {}: {} connections, {} s, {} keys, values of {} bytes, contexts {contexts}\n\
             {:.0} requests/s ({} requests, {} errors, {} not found)\n\
             latency (ms) {:>10} {:>10} {:>10} {:>10}",
            self.mix,
            self.node,
            self.connections,
            self.seconds,
            self.keys,
            self.value_bytes,
            self.requests_per_second,
            self.requests,
            self.errors,
            self.not_found,
            "p50",
            "p99",
            "p99.9",
            "max",
        );
        for (name, latencies) in [("reads", &self.reads), ("writes", &self.writes)] {
            if let Some(Latencies { p50, p99, p99_9, max }) = latencies {
                // Writing to a text cannot fail.
                let _ = write!(text, "\n{name:<12} {p50:>10.3} {p99:>10.3} {p99_9:>10.3} {max:>10.3}");
            }
        }
        if let Some(error) = &self.first_error {
            let _ = write!(text, "\nthe first error: {error}");
        }
        text
    }
}

impl Latencies {
    fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let at = |quantile| milliseconds(histogram.value_at_quantile(quantile));
        (!histogram.is_empty()).then(|| Self {
            p50: at(0.5),
            p99: at(0.99),
            p99_9: at(0.999),
            max: milliseconds(histogram.max()),
        })
    }
}

fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}
