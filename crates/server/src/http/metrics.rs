//! `/metrics`: what this node says of itself, for Prometheus. Every name is in `docs/metrics.md`.

use std::sync::atomic::Ordering;

use http::{HeaderValue, StatusCode};
use precede_client::NodeStatus;

use crate::driver::Snapshot;
use crate::http::App;
use crate::http::counts::{BUCKETS_MICROS, METHODS, OPERATIONS, STATUSES, Totals};
use crate::http::exposition::Exposition;
use crate::http::exposition::Kind::{Counter, Gauge, Histogram, Summary};
use crate::http::openapi::operation::Operation;
use crate::http::reply::{self, Response};
use crate::http::routes::KINDS;
use crate::status::of_node;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// How it is described.
pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("GET", "metrics", "What this node says of itself, for Prometheus")
            .about("The names are those of docs/metrics.md. It is served however busy the node is.")
            .answers_text(200, "The text format of Prometheus, version 0.0.4", "text/plain")
            .limited()
            .guarded(),
    ]
}

/// Answers.
pub(crate) fn answer(app: &App, token: &str) -> Response {
    let snapshot = app.driver.snapshot();
    let status = of_node(app, &snapshot);
    let mut text = Exposition::default();
    process(&mut text, &status);
    requests(&mut text, &app.counts.totals());
    work(&mut text, &status);
    data(&mut text, &status);
    replication(&mut text, &status, &snapshot);
    view(&mut text, &status, &snapshot);
    nodes(&mut text, app, &status);
    reply::with_type(StatusCode::OK, text.finish().into(), TEXT, reply::visible(token))
}

fn process(text: &mut Exposition, status: &NodeStatus) {
    text.family("precede_info", Gauge, "Always 1; the label `version` tells the release.");
    text.sample("precede_info", &[("version", &status.version)], 1);
    text.single("precede_uptime_seconds", Gauge, "Since the process started.", seconds(status.uptime_ms));
    let meaning = "1 if clients may be sent to the node, as `/readyz` says, else 0.";
    text.single("precede_ready", Gauge, meaning, u8::from(status.ready));
    let meaning = "1 if the node holds all that its shard held when it started, else 0.";
    text.single("precede_recovered", Gauge, meaning, u8::from(status.recovered));
    let meaning = "Memory that the process occupies; 0 where the system does not tell.";
    text.single("precede_memory_bytes", Gauge, meaning, status.memory_bytes.unwrap_or_default());
    let meaning = "Processor time of all threads; 0 where the system does not tell.";
    text.single("precede_cpu_seconds_total", Counter, meaning, seconds(status.cpu_ms.unwrap_or_default()));
}

fn requests(text: &mut Exposition, totals: &Totals) {
    let name = "precede_requests_total";
    text.family(name, Counter, "Requests answered, by `route`, `method` and `status`; 404 stands for itself.");
    for (kind, by_method) in totals.requests.iter().enumerate() {
        for (method, by_status) in by_method.iter().enumerate() {
            for (status, count) in by_status.iter().enumerate() {
                // Those of keys are there from the start, so that the first one is seen as an increase.
                let is_expected = kind == 0 && method < OPERATIONS && status > 0;
                if *count > 0 || is_expected {
                    let labels: [(&str, &dyn std::fmt::Display); 3] =
                        [("route", &KINDS[kind]), ("method", &METHODS[method]), ("status", &STATUSES[status])];
                    text.sample(name, &labels, count);
                }
            }
        }
    }
    text.family(
        "precede_request_duration_seconds",
        Histogram,
        "Time from the last byte of a request for a key to its response, by `method`.",
    );
    for (operation, buckets) in totals.latencies.iter().enumerate() {
        let method = &METHODS[operation];
        let mut sum = 0;
        for (count, end) in buckets.iter().zip(BUCKETS_MICROS.map(Some).into_iter().chain([None])) {
            sum += count;
            let end = end.map_or("+Inf".to_owned(), |micros| (micros as f64 / 1e6).to_string());
            text.sample("precede_request_duration_seconds_bucket", &[("method", method), ("le", &end)], sum);
        }
        let micros = totals.micros[operation] as f64 / 1e6;
        text.sample("precede_request_duration_seconds_sum", &[("method", method)], micros);
        text.sample("precede_request_duration_seconds_count", &[("method", method)], sum);
    }
    text.family("precede_context_bytes", Summary, "Contexts given out with keys, as headers carry them.");
    text.sample("precede_context_bytes_sum", &[], totals.context_bytes);
    text.sample("precede_context_bytes_count", &[], totals.contexts);
}

fn work(text: &mut Exposition, status: &NodeStatus) {
    let work = &status.work;
    text.single("precede_requests_in_progress", Gauge, "Requests that are being answered.", work.requests);
    text.single("precede_requests_waiting", Gauge, "Requests that wait for their context here.", work.waiting);
    text.single("precede_requests_forwarded", Gauge, "Requests that are tried at other nodes.", work.forwarded);
    let meaning = "Large answers that clients have not read yet.";
    text.single("precede_unread_bytes", Gauge, meaning, work.unread_bytes);
    let meaning = "Writes that wait for other replicas.";
    text.single("precede_writes_unacknowledged", Gauge, meaning, work.unacknowledged);
    text.single(
        "precede_connections",
        Gauge,
        "Connections that are open, links of other nodes included.",
        work.connections,
    );
}

fn data(text: &mut Exposition, status: &NodeStatus) {
    text.single("precede_keys", Gauge, "Live keys.", status.keys);
    text.single("precede_tombstones", Gauge, "Deleted keys that are still remembered.", status.tombstones);
    text.single("precede_data_bytes", Gauge, "Keys and values, deleted keys included.", status.bytes);
    text.single(
        "precede_window_writes",
        Gauge,
        "Writes that are not known to be everywhere yet.",
        status.window.writes,
    );
    let meaning = "What the window takes, dependencies of its writes included.";
    text.single("precede_window_bytes", Gauge, meaning, status.window.bytes);
    let meaning = "What the window may take before its oldest writes leave it.";
    text.single("precede_window_limit_bytes", Gauge, meaning, status.window.bytes_max);
}

fn replication(text: &mut Exposition, status: &NodeStatus, snapshot: &Snapshot) {
    let meaning = "How long ago everything that is known to be everywhere was written; a spare does not know.";
    text.family("precede_stable_age_seconds", Gauge, meaning);
    if let Some(age) = status.stable_age_ms {
        text.sample("precede_stable_age_seconds", &[], seconds(age));
    }
    let meaning = "How far the logical clock is ahead of the node's wall clock.";
    text.single("precede_clock_ahead_seconds", Gauge, meaning, seconds(status.clock_ahead_ms));
    let meaning = "How far the node's wall clock is ahead of most others'; 0 if too few were heard to tell.";
    text.single(
        "precede_wall_clock_ahead_seconds",
        Gauge,
        meaning,
        status.wall_ahead_ms.unwrap_or_default() as f64 / 1e3,
    );
    text.family("precede_peer_up", Gauge, "1 if the replica `peer` of the same shard is heard, else 0.");
    for peer in &status.peers {
        text.sample("precede_peer_up", &[("peer", &peer.node)], u8::from(peer.up));
    }
    text.family(
        "precede_peer_lag_seconds",
        Gauge,
        "How long ago the node wrote what the replica `peer` of the same shard is known to have of it.",
    );
    for peer in &status.peers {
        if let Some(lag) = peer.lag_ms {
            text.sample("precede_peer_lag_seconds", &[("peer", &peer.node)], seconds(lag));
        }
    }
    let down = snapshot.members.iter().filter(|member| !member.up).count();
    text.single("precede_members_down", Gauge, "Members that this node thinks are down.", down);
}

fn view(text: &mut Exposition, status: &NodeStatus, snapshot: &Snapshot) {
    let members = snapshot.view.members().count();
    text.single("precede_view_epoch", Gauge, "The epoch of the node's view.", status.epoch);
    text.single("precede_view_members", Gauge, "Members of the node's view.", members);
    let change = &status.view_change;
    let meaning = "Former views that are not settled: more than 0 while a view change goes on.";
    text.single("precede_views_unsettled", Gauge, meaning, change.former_epochs.len());
    let meaning = "Old members that have still to hand over to this node, over all unsettled views.";
    let outstanding = change.hand_offs_required.saturating_sub(change.hand_offs_done);
    text.single("precede_hand_offs_outstanding", Gauge, meaning, outstanding);
    text.single(
        "precede_handed_over_keys",
        Gauge,
        "Keys handed over to this node under its view.",
        change.received_keys,
    );
    let meaning = "Keys and values handed over to this node under its view.";
    text.single("precede_handed_over_bytes", Gauge, meaning, change.received_bytes);
}

fn nodes(text: &mut Exposition, app: &App, status: &NodeStatus) {
    text.single("precede_links", Gauge, "Links from other nodes.", status.work.links);
    let meaning = "Messages to other nodes that were dropped, having no room or no link.";
    text.single("precede_messages_dropped_total", Counter, meaning, app.driver.outboxes.dropped());
    let meaning = "Links that were refused to nodes of other clusters.";
    let refused = app.peers.strangers.load(Ordering::Relaxed);
    text.single("precede_links_refused_total", Counter, meaning, refused);
    let meaning = "Writes that left the window because it was full.";
    let evicted = app.driver.events().evicted_writes.load(Ordering::Relaxed);
    text.single("precede_window_evicted_writes_total", Counter, meaning, evicted);
    let spans = &app.driver.traces.counts;
    let meaning = "Spans that the collector of OTLP_ENDPOINT has taken.";
    text.single("precede_spans_exported_total", Counter, meaning, spans.exported.load(Ordering::Relaxed));
    let meaning = "Spans that there was no room for, or that the collector did not take.";
    text.single("precede_spans_dropped_total", Counter, meaning, spans.dropped.load(Ordering::Relaxed));
    text.family("precede_events_total", Counter, "What has happened, by `event`: the log tells more of each.");
    for (event, count) in app.driver.events().all() {
        text.sample("precede_events_total", &[("event", &event)], count);
    }
}

fn seconds(millis: u64) -> f64 {
    millis as f64 / 1e3
}
