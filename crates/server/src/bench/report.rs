//! What is printed in the end.

use std::fmt::Write;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::bench::args::{BenchArgs, Concern, Switch};
use crate::bench::tally::Tally;

/// The figures, and what they were measured with.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    nodes: Vec<String>,
    tls: bool,
    mix: String,
    connections: u32,
    pipeline: u32,
    /// Requests per second that were to be sent; none for as many as were answered.
    rate: Option<u64>,
    seconds: u64,
    keys: u64,
    distribution: String,
    value_bytes: u32,
    contexts: bool,
    /// As asked for; none for that of the nodes.
    write_concern: Option<&'static str>,
    /// Requests that were answered as they should be.
    pub(crate) requests: u64,
    requests_per_second: f64,
    errors: u64,
    first_error: Option<String>,
    not_found: u64,
    /// The mean size of a response's body.
    body_bytes: u64,
    /// The size of a response's context as a header, which 99 of a hundred do not exceed.
    token_bytes_p99: u64,
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
            nodes: args.nodes.iter().map(ToString::to_string).collect(),
            tls: args.credentials.speak_tls(),
            mix: args.mix.to_string(),
            connections: args.connections,
            pipeline: args.pipeline,
            rate: args.rate,
            seconds: args.seconds,
            keys: args.keys,
            distribution: args.distribution.to_string(),
            value_bytes: args.value_bytes,
            contexts: args.contexts == Switch::On,
            write_concern: args.write_concern.map(Concern::name),
            requests,
            requests_per_second: requests as f64 / args.seconds as f64,
            errors: tally.errors,
            first_error: tally.first_error.clone(),
            not_found: tally.not_found,
            body_bytes: tally.body_bytes.checked_div(requests).unwrap_or_default(),
            token_bytes_p99: tally.token_bytes.value_at_quantile(0.99),
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
        let tls = if self.tls { " by TLS" } else { "" };
        let contexts = if self.contexts { "carried" } else { "not carried" };
        let rate = self.rate.map_or("as many as are answered".to_owned(), |rate| format!("{rate}/s wanted"));
        let concern = self.write_concern.map_or_else(String::new, |concern| format!(", write concern {concern}"));
        let mut text = format!(
            "{} on {}{tls}: {} connections, {} requests under way on each, {rate}, {} s\n\
             {} keys, {}, values of {} bytes, contexts {contexts}{concern}\n\
             {:.0} requests/s ({} requests, {} errors, {} not found), contexts of {} bytes at p99\n\
             latency (ms) {:>10} {:>10} {:>10} {:>10}",
            self.mix,
            self.nodes.join(", "),
            self.connections,
            self.pipeline,
            self.seconds,
            self.keys,
            self.distribution,
            self.value_bytes,
            self.requests_per_second,
            self.requests,
            self.errors,
            self.not_found,
            self.token_bytes_p99,
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
