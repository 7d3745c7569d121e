//! Requests that are followed: by their names, and as spans that a collector receives from real nodes.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod cluster;
#[path = "traces/collector.rs"]
mod collector;

use std::net::TcpListener;

use cluster::{Cluster, Connection, Response, request, wait_for};
use collector::{Collector, Span};
use serde_json::Value;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT: &str = "00f067aa0ba902b7";
/// Logs single requests, too.
const FILTER: &str = "info,precede::request=debug";

fn traceparent(trace: &str, flags: &str) -> String {
    format!("00-{trace}-{CLIENT}-{flags}")
}

/// A GET with these headers.
fn get(cluster: &Cluster, path: &str, headers: &[(&str, &str)]) -> Response {
    request(cluster.address(0), "GET", path, headers, b"")
}

/// The lines of a node's log about a request.
fn lines(cluster: &Cluster, node: usize, request_id: &str) -> Vec<Value> {
    let log = cluster.log(node);
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["request_id"] == request_id).collect()
}

fn metric(cluster: &Cluster, name: &str) -> u64 {
    let text = String::from_utf8(cluster.request(0, "GET", "/metrics", "").body).unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn is_made(id: &str) -> bool {
    id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[test]
fn a_request_is_followed_through_both_nodes() {
    let collector = Collector::start();
    let cluster = Cluster::start_logging(FILTER, 2, 1, &["--otlp-endpoint", &collector.endpoint]);
    let path = |at: usize| format!("/kv-store/keys/k{at}");
    let elsewhere = (0..64).find(|at| {
        let response = cluster.request(0, "PUT", &path(*at), r#"{"value": 1}"#);
        assert_eq!(response.header("x-request-id"), "", "nobody wants to follow it");
        response.header("precede-node") == cluster.address(1)
    });
    let parent = traceparent(TRACE, "01");
    let headers = [("traceparent", parent.as_str()), ("tracestate", "shop=7"), ("X-Request-Id", "order-7")];
    let response = get(&cluster, &path(elsewhere.unwrap()), &headers);
    assert_eq!((response.status, response.header("x-request-id")), (200, "order-7"));
    assert_eq!(response.header("precede-node"), cluster.address(1), "it was forwarded");

    let spans = collector.wait_for_spans("both nodes tell of it", |spans| spans.len() >= 2);
    let of = |node: usize| -> &Span { spans.iter().find(|span| span.node == cluster.address(node)).unwrap() };
    let (asked, served) = (of(0), of(1));
    assert_eq!(spans.len(), 2, "of requests that nobody sampled there are none: {spans:?}");
    for span in [asked, served] {
        assert_eq!((span.text("traceId"), span.text("traceState")), (TRACE, "shop=7"));
        assert_eq!((span.attribute("precede.request_id"), span.attribute("precede.outcome")), ("order-7", "done"));
        assert_eq!((span.service.as_str(), span.json["kind"].as_u64()), ("precede", Some(2)));
        assert!(
            span.nanos("startTimeUnixNano") > 0 && span.nanos("endTimeUnixNano") >= span.nanos("startTimeUnixNano")
        );
    }
    assert_eq!((asked.text("name"), asked.text("parentSpanId")), ("GET /kv-store/keys/{key}", CLIENT));
    assert_eq!((served.text("name"), served.text("parentSpanId")), ("forwarded GET", asked.text("spanId")));
    assert_ne!(served.text("spanId"), asked.text("spanId"));
    assert_eq!(asked.attribute("http.route"), "/kv-store/keys/{key}");
    assert_eq!(asked.attribute("http.request.method"), "GET");
    assert_eq!(asked.attribute("http.response.status_code"), "200");
    assert_eq!(asked.attribute("precede.served_by"), cluster.address(1));
    assert_eq!(served.attribute("precede.forwarded_by"), cluster.address(0));
    assert_eq!(asked.attribute("precede.shard"), served.attribute("precede.shard"));
    wait_for("it counts", || (metric(&cluster, "precede_spans_exported_total") == 1).then_some(()));

    for (node, message) in [(0, "answered"), (1, "served for another node")] {
        let told = wait_for("the log tells of it", || lines(&cluster, node, "order-7").pop());
        assert_eq!((told["message"].as_str(), told["trace_id"].as_str()), (Some(message), Some(TRACE)));
    }
}

#[test]
fn who_is_not_a_client_of_a_trace_begins_one_where_that_is_asked_for() {
    let collector = Collector::start();
    let cluster = Cluster::single(&["--otlp-endpoint", &collector.endpoint, "--trace-sample-per-million", "1000000"]);
    let is_ours = |span: &Span| span.attribute("http.route") == "/kv-store/key-count";
    let ask =
        |headers: &[(&str, &str)]| get(&cluster, "/kv-store/key-count", headers).header("x-request-id").to_owned();
    let good = traceparent(TRACE, "01");
    let mut made = Vec::new();
    for malformed in
        ["", "00", &good.to_uppercase(), &good.replacen("00", "ff", 1), &traceparent(&"0".repeat(32), "01")]
    {
        made.push(ask(&[("traceparent", malformed), ("tracestate", "shop=7")]));
    }
    made.push(ask(&[("traceparent", &good), ("traceparent", &good)]));
    let unsampled = ask(&[("traceparent", &traceparent(TRACE, "00"))]);
    made.push(ask(&[]));
    // Spans come in the order of their requests: after the last one nothing is to come of those before it.
    let last = made.last().unwrap().clone();
    let spans = collector.wait_for_spans("the last one", |spans| spans.iter().any(|span| span.text("spanId") == last));
    let spans: Vec<&Span> = spans.iter().filter(|span| is_ours(span)).collect();
    let ids: Vec<&str> = spans.iter().map(|span| span.text("spanId")).collect();
    assert_eq!(ids, made, "a request without a name is called as its span is");
    for span in &spans {
        assert_eq!((span.text("parentSpanId"), span.text("traceState")), ("", ""));
        assert!(span.text("traceId") != TRACE && span.text("traceId").len() == 32, "{span:?}");
    }
    assert!(is_made(&unsampled) && !made.contains(&unsampled), "it is part of a trace, which nobody records");
}

#[test]
fn what_was_told_is_sent_before_the_end() {
    let collector = Collector::start();
    let mut cluster = Cluster::single(&["--otlp-endpoint", &collector.endpoint]);
    assert_eq!(get(&cluster, "/kv-store/keys/k", &[("traceparent", &traceparent(TRACE, "01"))]).status, 404);
    assert!(cluster.terminate(0).success());
    let spans = collector.spans();
    assert_eq!(spans.iter().map(|span| span.attribute("precede.outcome")).collect::<Vec<_>>(), ["absent"]);
}

#[test]
fn a_collector_that_does_not_answer_costs_spans_and_no_request() {
    // Connections are made, and nobody reads.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let cluster = Cluster::single(&["--otlp-endpoint", &endpoint]);
    let (rounds, pipelined, parent) = (80, 100, traceparent(TRACE, "01"));
    let mut connection = Connection::open(cluster.address(0)).unwrap();
    for _ in 0..rounds {
        for _ in 0..pipelined {
            connection.send("GET", "/kv-store/keys/k", &[("traceparent", &parent)], b"").unwrap();
        }
        for _ in 0..pipelined {
            assert_eq!(connection.receive().unwrap().status, 404);
        }
    }
    // The queue has room for half of them.
    let dropped = metric(&cluster, "precede_spans_dropped_total");
    assert!((rounds * pipelined / 4..rounds * pipelined).contains(&dropped), "{dropped}");
    assert_eq!(metric(&cluster, "precede_spans_exported_total"), 0);
}

#[test]
fn a_collector_that_is_away_for_a_while_gets_what_waits() {
    let (collector, turned_away) = Collector::start_refusing(1);
    let cluster = Cluster::single(&["--otlp-endpoint", &collector.endpoint]);
    get(&cluster, "/kv-store/keys/k", &[("traceparent", &traceparent(TRACE, "01"))]);
    wait_for("it is refused", || (turned_away() == 1).then_some(()));
    collector.wait_for_spans("it is sent again", |spans| spans.len() == 1);
    wait_for("it counts", || (metric(&cluster, "precede_spans_exported_total") == 1).then_some(()));
    assert_eq!(metric(&cluster, "precede_spans_dropped_total"), 0);
}

#[test]
fn requests_have_the_names_that_clients_give_them() {
    let cluster = Cluster::start_logging(FILTER, 1, 1, &[]);
    let name = |id: &str| get(&cluster, "/kv-store/keys/k", &[("X-Request-Id", id)]).header("x-request-id").to_owned();
    let longest = "~".repeat(128);
    for good in ["a", "7b8e/order:5", &longest] {
        assert_eq!(name(good), good);
        assert_eq!(lines(&cluster, 0, good).len(), 1);
    }
    for wrong in ["two words", "", "ä", &format!("{longest}~")] {
        let made = name(wrong);
        assert!(is_made(&made), "{wrong:?} is replaced: {made:?}");
        assert_eq!(lines(&cluster, 0, &made).len(), 1);
    }
    assert_eq!(get(&cluster, "/kv-store/keys/k", &[]).header("x-request-id"), "");
    assert_eq!(get(&cluster, "/nowhere", &[]).header("x-request-id"), "", "a client's mistake is told in full");
}

#[test]
fn a_failure_has_a_name_which_the_log_tells() {
    let mut cluster = Cluster::start(1, 1);
    let members = cluster.addresses(&[0]);
    let spare = cluster.add(&members, 1);
    let failed = cluster.request(spare, "GET", "/kv-store/key-count", "");
    let id = failed.header("x-request-id");
    assert!(failed.status == 503 && is_made(id), "{failed:?}");
    let told = wait_for("the log tells of it", || lines(&cluster, spare, id).pop());
    assert_eq!((told["level"].as_str(), told["status"].as_u64()), (Some("WARN"), Some(503)));
    assert_eq!(told["reason"].as_str(), Some(failed.header("precede-reason")));
    let probe = cluster.request(spare, "GET", "/readyz", "");
    let id = probe.header("x-request-id").to_owned();
    assert!(probe.status == 503 && is_made(&id), "{probe:?}");
    assert_eq!(lines(&cluster, spare, &id).len(), 0, "probes would fill the log");
}
