//! The metrics: their form, and that the list of them, the alerts and the dashboard for Grafana name what there is.
#![allow(missing_docs, clippy::unwrap_used)]

mod cluster;

use std::collections::{BTreeMap, BTreeSet};

use cluster::{Cluster, wait_for};

const LIST: &str = include_str!("../../../docs/metrics.md");
const ALERTS: &str = include_str!("../../../deploy/prometheus/alerts.yaml");
const GRAFANA: &str = include_str!("../../../deploy/grafana/precede.json");

/// One family as it was served.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    meaning: String,
    /// Name and labels, in order, with the value.
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

/// Parses the text format of Prometheus, version 0.0.4, strictly: every sample belongs to the family whose head stands before it.
fn parse(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    assert!(text.ends_with('\n'), "the last line has an end");
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# HELP ") {
            let (name, meaning) = head.split_once(' ').unwrap();
            assert!(is_name(name) && !meaning.is_empty() && !meaning.contains('\\'), "{line}");
            let family = Family { meaning: meaning.to_owned(), ..Family::default() };
            assert!(families.insert(name.to_owned(), family).is_none(), "{name} comes twice");
            current = name.to_owned();
            continue;
        }
        let family = families.get_mut(&current).unwrap();
        if let Some(head) = line.strip_prefix("# TYPE ") {
            let (name, kind) = head.split_once(' ').unwrap();
            assert!(name == current && family.kind.is_empty() && family.samples.is_empty(), "{line}");
            assert!(["counter", "gauge", "histogram", "summary"].contains(&kind), "{line}");
            family.kind = kind.to_owned();
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = match sample.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
            None => (sample, ""),
        };
        let suffix = name.strip_prefix(&current).unwrap_or_else(|| panic!("{line} under {current}"));
        let is_known = match family.kind.as_str() {
            "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
            "summary" => ["_sum", "_count"].contains(&suffix),
            _ => suffix.is_empty(),
        };
        assert!(is_known, "{line}");
        let value: f64 = value.parse().unwrap();
        assert!(value.is_finite() && (value >= 0.0 || family.kind == "gauge"), "{line}");
        let labels: BTreeMap<String, String> = labels.split(',').filter(|label| !label.is_empty()).map(label).collect();
        let is_new = family.samples.iter().all(|(other, theirs, _)| (other.as_str(), theirs) != (name, &labels));
        assert!(is_new, "{line} comes twice");
        family.samples.push((name.to_owned(), labels, value));
    }
    families
}

fn label(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap();
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap();
    assert!(is_name(name) && !value.contains(['"', '\\']), "{text}");
    (name.to_owned(), value.to_owned())
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn scrape(cluster: &Cluster, node: usize) -> BTreeMap<String, Family> {
    let response = cluster.request(node, "GET", "/metrics", "");
    assert_eq!((response.status, response.header("content-type")), (200, "text/plain; version=0.0.4; charset=utf-8"));
    parse(std::str::from_utf8(&response.body).unwrap())
}

/// The value of the only sample, or of the one with this label.
fn value(families: &BTreeMap<String, Family>, name: &str, labels: &[(&str, &str)]) -> f64 {
    let has = |theirs: &BTreeMap<String, String>| {
        labels.iter().all(|(name, value)| theirs.get(*name).is_some_and(|own| own == value))
    };
    let family = families.iter().find(|(family, _)| name.starts_with(family.as_str())).unwrap().1;
    let found: Vec<f64> =
        family.samples.iter().filter(|(own, theirs, _)| own == name && has(theirs)).map(|sample| sample.2).collect();
    assert_eq!(found.len(), 1, "{name} {labels:?}: {family:?}");
    found[0]
}

#[test]
fn the_list_is_what_is_served() {
    let cluster = Cluster::single(&[]);
    let served = scrape(&cluster, 0);
    let served: BTreeSet<(&str, &str, &str)> =
        served.iter().map(|(name, family)| (&name[..], &family.kind[..], &family.meaning[..])).collect();
    let rows = LIST.lines().filter(|line| line.starts_with("| `precede_"));
    let listed: BTreeSet<(&str, &str, &str)> = rows
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            (cells[0].trim_matches('`'), cells[1], cells[2])
        })
        .collect();
    assert_eq!(listed, served);
}

#[test]
fn alerts_and_dashboards_name_what_there_is() {
    let cluster = Cluster::single(&[]);
    let served = scrape(&cluster, 0);
    let exists = |name: &str| {
        served.iter().any(|(family, told)| match name.strip_prefix(family.as_str()) {
            Some("") => !["histogram", "summary"].contains(&told.kind.as_str()),
            Some("_bucket") => told.kind == "histogram",
            Some("_sum" | "_count") => ["histogram", "summary"].contains(&told.kind.as_str()),
            Some(_) | None => false,
        })
    };
    for (file, text) in [("alerts.yaml", ALERTS), ("precede.json", GRAFANA)] {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let names: BTreeSet<&str> = words.filter(|word| word.starts_with("precede_")).collect();
        assert!(names.len() >= 5, "{file} names {names:?}");
        for name in names {
            assert!(exists(name), "{file} names {name}, which is not served");
        }
    }
    serde_json::from_str::<serde_json::Value>(GRAFANA).unwrap();
}

#[test]
fn requests_are_counted_by_route_method_and_status() {
    let cluster = Cluster::start(2, 2);
    let before = scrape(&cluster, 0);
    let key = |method| [("route", "keys"), ("method", method)];
    let with = |status, method| [key(method).as_slice(), &[("status", status)]].concat();
    assert_eq!(value(&before, "precede_requests_total", &with("2xx", "PUT")), 0.0, "there before the first one");
    for at in 0..30 {
        let path = format!("/kv-store/keys/k{at}");
        assert_eq!(cluster.request(0, "PUT", &path, r#"{"value": 1}"#).status, 201);
        assert_eq!(cluster.request(0, "GET", &path, "").status, 200);
    }
    assert_eq!(cluster.request(0, "GET", "/kv-store/keys/none", "").status, 404);
    assert_eq!(cluster.request(0, "PUT", "/kv-store/keys/k", "{").status, 400);
    assert_eq!(cluster.request(0, "POST", "/kv-store/keys/k", "").status, 405);
    assert_eq!(cluster.request(0, "GET", "/nowhere", "").status, 404);
    let after = scrape(&cluster, 0);
    for (status, method, count) in
        [("2xx", "PUT", 30.0), ("2xx", "GET", 30.0), ("404", "GET", 1.0), ("4xx", "PUT", 1.0), ("4xx", "other", 1.0)]
    {
        assert_eq!(value(&after, "precede_requests_total", &with(status, method)), count, "{status} {method}");
    }
    let unknown = [("route", "unknown"), ("method", "GET"), ("status", "404")];
    assert_eq!(value(&after, "precede_requests_total", &unknown), 1.0);
    assert_eq!(value(&after, "precede_request_duration_seconds_count", &[("method", "GET")]), 31.0);
    let slowest = [("method", "PUT"), ("le", "+Inf")];
    assert_eq!(value(&after, "precede_request_duration_seconds_bucket", &slowest), 31.0);
    assert!(value(&after, "precede_request_duration_seconds_sum", &[("method", "PUT")]) > 0.0);
    assert_eq!(value(&after, "precede_context_bytes_count", &[]), 61.0);
    assert_eq!(value(&after, "precede_keys", &[]), 30.0);
    let buckets = &after["precede_request_duration_seconds"].samples;
    let of_get: Vec<f64> =
        buckets.iter().filter(|s| s.0.ends_with("_bucket") && s.1["method"] == "GET").map(|s| s.2).collect();
    assert!(of_get.is_sorted() && of_get.len() == 17, "{of_get:?}");
}

#[test]
fn a_peer_that_stands_still_is_seen_in_the_metrics() {
    let cluster = Cluster::start(2, 2);
    let peer = [("peer", cluster.address(1))];
    assert_eq!(value(&scrape(&cluster, 0), "precede_peer_up", &peer), 1.0);
    cluster.pause(1);
    let paused = wait_for("the pause is noticed", || {
        assert_eq!(cluster.request(0, "PUT", "/kv-store/keys/k?w=1", r#"{"value": 1}"#).status / 100, 2);
        Some(scrape(&cluster, 0)).filter(|told| {
            value(told, "precede_stable_age_seconds", &[]) > 1.0 && value(told, "precede_peer_lag_seconds", &peer) > 1.0
        })
    });
    assert_eq!(value(&paused, "precede_peer_up", &peer), 0.0);
    assert_eq!(value(&paused, "precede_members_down", &[]), 1.0);
    assert_eq!(value(&paused, "precede_events_total", &[("event", "peer-down")]), 1.0);
    cluster.resume(1);
}
