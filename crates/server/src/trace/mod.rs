//! Requests that can be followed: by the name that their client gave them (`X-Request-Id`), and as part of a trace (W3C Trace Context),
//! through this node and the one that serves them, in log lines and as spans that a collector is sent.
//!
//! Nothing of this happens to a request of which nobody wants it: its headers are walked anyway, and that is where it is seen.
//!
//! | module | responsibility |
//! |---|---|
//! | `context` | `traceparent`, `tracestate` and `X-Request-Id`, as clients send them |
//! | `ids` | new ids, without asking the system for them |
//! | `answered` | what is told of a request that was answered here |
//! | `serving` | requests that other nodes forwarded to this one |
//! | `span`, `export` | spans in the form of OTLP, and their way to the collector |

pub(crate) mod answered;
pub(crate) mod context;
mod export;
mod ids;
pub(crate) mod serving;
mod span;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{Extensions, HeaderMap, Uri};
use precede_core::wire::mark::{Mark, Trace};
use tokio::sync::{Notify, mpsc};

use crate::access::secret::hex;
use crate::trace::context::FRESH;
use crate::trace::export::{Export, QUEUE_SPANS_MAX};
use crate::trace::span::Span;

/// The target of the log lines about single requests.
pub(crate) const LOG_TARGET: &str = "precede::request";

/// Of so many requests the share that is sampled is said.
pub(crate) const MILLION: u32 = 1_000_000;

/// Where spans go, as it was said.
#[derive(Debug, Clone)]
pub(crate) struct TraceSettings {
    /// Where the collector takes traces.
    pub(crate) collector: Uri,
    /// How many of a million requests are sampled that come without a trace.
    pub(crate) per_million: u32,
}

/// What has become of spans since the start.
#[derive(Debug, Default)]
pub(crate) struct SpanCounts {
    /// The collector has taken them.
    pub(crate) exported: AtomicU64,
    /// There was no room for them, or the collector did not take them.
    pub(crate) dropped: AtomicU64,
}

/// What decides which requests are followed, and takes what is told of them. The default follows those that are marked, and exports
/// nothing.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    per_million: u32,
    /// What has become of spans.
    pub(crate) counts: Arc<SpanCounts>,
    queue: Option<mpsc::Sender<Span>>,
    closing: Arc<Notify>,
    failures: answered::Rate,
}

/// A request that is followed; it is among the extensions of its head.
#[derive(Debug, Clone)]
pub(crate) struct Followed {
    /// What it is known by here, and at the node that serves it: its span is the one made here.
    pub(crate) mark: Mark,
    /// The client's span.
    parent: Option<[u8; 8]>,
}

impl Followed {
    /// The mark of the request with these extensions, if it is followed.
    pub(crate) fn mark_of(extensions: &Extensions) -> Option<Box<Mark>> {
        extensions.get::<Self>().map(|followed| Box::new(followed.mark.clone()))
    }
}

impl Traces {
    /// Follows requests; and what sends their spans to the collector, if there is one. `node` is this node's address.
    pub(crate) fn new(settings: Option<TraceSettings>, node: &str) -> (Self, Option<Export>) {
        let Some(settings) = settings else { return (Self::default(), None) };
        let (queue, spans) = mpsc::channel(QUEUE_SPANS_MAX);
        let traces = Self { per_million: settings.per_million, queue: Some(queue), ..Self::default() };
        let (counts, closing) = (Arc::clone(&traces.counts), Arc::clone(&traces.closing));
        (traces, Some(Export::new(settings.collector, node, spans, counts, closing)))
    }

    /// Whether a request is sampled that comes without a trace. Where nothing was said of it, that is one comparison.
    pub(crate) fn samples(&self) -> bool {
        self.per_million > 0 && ids::below(MILLION) < self.per_million
    }

    /// Begins to follow a request that is marked, or sampled here.
    #[cold]
    pub(crate) fn follow(&self, headers: &HeaderMap, is_sampled: bool) -> Followed {
        let parent = context::parent(headers);
        let trace = match &parent {
            Some(parent) => Some((parent.trace, parent.flags, context::state(headers))),
            None => is_sampled.then(|| (ids::trace(), Trace::SAMPLED | FRESH, String::new())),
        };
        let trace = trace.map(|(id, flags, state)| Trace { id, span: ids::span(), flags, state });
        let made = || hex(&trace.as_ref().map_or_else(ids::span, |trace| trace.span));
        let request_id = context::request_id(headers).map_or_else(made, str::to_owned);
        Followed { mark: Mark { request_id, trace }, parent: parent.map(|parent| parent.span) }
    }

    /// Takes a span that is complete. Never waits: what there is no room for is counted.
    fn record(&self, span: Span) {
        if let Some(queue) = &self.queue
            && queue.try_send(span).is_err()
        {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether the span of this trace is to be recorded.
    fn wants(&self, trace: Option<&Trace>) -> bool {
        self.queue.is_some() && trace.is_some_and(Trace::is_sampled)
    }

    /// What is recorded already is sent now; then the export ends.
    pub(crate) fn close(&self) {
        self.closing.notify_one();
    }
}
