//! The way of spans to the collector: in batches, by OTLP over HTTP. A collector that is slow or away costs spans, and no request
//! waits for it.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};

use crate::http::reply::JSON;
use crate::trace::SpanCounts;
use crate::trace::span::{self, Attribute, Span};

/// Spans that wait for the collector: some MB at worst.
pub(crate) const QUEUE_SPANS_MAX: usize = 4096;
/// Spans in one request.
const BATCH_SPANS_MAX: usize = 512;
/// How long a span waits for others to go with it.
const GATHERING: Duration = Duration::from_millis(500);
/// For one request to the collector.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The pauses before a batch is sent again; then it is dropped.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// Bytes of an answer that are read, so that the connection can be used again.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Sends spans to the collector.
pub(crate) struct Export {
    client: Client<HttpConnector, Full<Bytes>>,
    collector: Uri,
    node: Vec<Attribute>,
    spans: mpsc::Receiver<Span>,
    counts: Arc<SpanCounts>,
    closing: Arc<Notify>,
    is_failing: bool,
}

/// Why the collector has not taken a batch.
struct Refused {
    why: String,
    /// Whether it may take it later.
    for_now: bool,
}

impl Export {
    /// Sends what comes by `spans` until `closing` is notified.
    pub(crate) fn new(
        collector: Uri,
        node: &str,
        spans: mpsc::Receiver<Span>,
        counts: Arc<SpanCounts>,
        closing: Arc<Notify>,
    ) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(TIMEOUT));
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let node = vec![
            span::text("service.name", "precede"),
            span::text("service.instance.id", node.to_owned()),
            span::text("service.version", env!("CARGO_PKG_VERSION")),
        ];
        Self { client, collector, node, spans, counts, closing, is_failing: false }
    }

    /// Sends spans until all is to end.
    pub(crate) async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH_SPANS_MAX);
        let mut is_last = false;
        while !is_last {
            is_last = self.gather(&mut batch).await;
            self.send(&batch, is_last).await;
            batch.clear();
        }
        while let Ok(span) = self.spans.try_recv() {
            batch.push(span);
        }
        for batch in batch.chunks(BATCH_SPANS_MAX) {
            self.send(batch, true).await;
        }
    }

    /// Gathers a batch: the first span that comes, and what comes soon after it. Returns whether all is to end.
    async fn gather(&mut self, batch: &mut Vec<Span>) -> bool {
        let mut patience = None;
        while batch.len() < BATCH_SPANS_MAX {
            let room = BATCH_SPANS_MAX - batch.len();
            let tired = async {
                match &mut patience {
                    Some(patience) => std::pin::Pin::as_mut(patience).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.closing.notified() => return true,
                () = tired => return false,
                count = self.spans.recv_many(batch, room) => if count == 0 { return true },
            }
            patience.get_or_insert_with(|| Box::pin(sleep(GATHERING)));
        }
        false
    }

    /// Sends a batch, more than once if need be, but not at the end.
    async fn send(&mut self, batch: &[Span], at_once: bool) {
        if batch.is_empty() {
            return;
        }
        let body = Bytes::from(span::export(&self.node, batch));
        let mut pauses = PAUSES.iter().filter(|_| !at_once);
        let count = batch.len() as u64;
        loop {
            let refused = match timeout(TIMEOUT, self.post(body.clone())).await {
                Ok(Ok(())) => {
                    self.counts.exported.fetch_add(count, Ordering::Relaxed);
                    if std::mem::take(&mut self.is_failing) {
                        tracing::info!(collector = %self.collector, "the collector takes spans again");
                    }
                    return;
                }
                Ok(Err(refused)) => refused,
                Err(_) => Refused { why: "no answer in time".to_owned(), for_now: true },
            };
            match pauses.next() {
                Some(pause) if refused.for_now => sleep(*pause).await,
                Some(_) | None => {
                    self.counts.dropped.fetch_add(count, Ordering::Relaxed);
                    if !std::mem::replace(&mut self.is_failing, true) {
                        let why = refused.why;
                        tracing::warn!(collector = %self.collector, why, "the collector does not take spans: they are dropped (OTLP_ENDPOINT)");
                    }
                    return;
                }
            }
        }
    }

    async fn post(&self, body: Bytes) -> Result<(), Refused> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.collector.clone();
        request.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(JSON));
        let response = self.client.request(request).await.map_err(|error| {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            Refused { why: format!("{error}{cause}"), for_now: true }
        })?;
        let status = response.status();
        // What it says besides is for nobody.
        let _ = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        match status {
            status if status.is_success() => Ok(()),
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Err(Refused { why: status.to_string(), for_now: true }),
            status => Err(Refused { why: status.to_string(), for_now: false }),
        }
    }
}
