//! Repeats of named writes over real sockets: at every node, after a restart, for raw values, and on the command line.
#![allow(missing_docs, clippy::unwrap_used)]

mod cluster;

use cluster::{Cluster, Response, precede, request, wait_for};
use serde_json::{Value, json};

const KEY: &str = "/kv-store/keys/k";

fn named(cluster: &Cluster, node: usize, method: &str, body: &str) -> Response {
    request(cluster.address(node), method, KEY, &[("Idempotency-Key", "n-1")], body.as_bytes())
}

fn is_repeat(response: &Response, first: &Response) -> bool {
    let told = |response: &Response| (response.status, response.header("precede-version").to_owned());
    told(response) == told(first)
}

#[test]
fn a_repeat_gets_the_first_outcome_at_every_node() {
    let mut cluster = Cluster::start(4, 2);
    let put = r#"{"value": 1}"#;
    let first = named(&cluster, 0, "PUT", put);
    assert_eq!((first.status, first.json()["replaced"].as_bool()), (201, Some(false)));
    wait_for("both replicas have heard of it", || {
        let barrier = cluster.request_after(0, "POST", "/kv-store/barrier", first.context(), "");
        (barrier.status == 200).then_some(())
    });
    let gone = cluster.request_after(1, "DELETE", KEY, first.context(), "");
    assert_eq!(gone.status, 200);
    for node in 0..4 {
        let repeat = named(&cluster, node, "PUT", put);
        assert!(is_repeat(&repeat, &first), "{repeat:?}");
        assert_eq!(repeat.json()["message"], "Added successfully");
        let read = cluster.request_after(node, "GET", KEY, gone.context(), "");
        assert_eq!(read.status, 404, "the repeat is not made");
        for (method, other) in [("PUT", r#"{"value": 2}"#), ("DELETE", "")] {
            let refused = named(&cluster, node, method, other);
            let error = "Idempotency-Key was used for another write of this key: choose a new one for each write";
            assert_eq!((refused.status, &refused.json()["error"]), (422, &json!(error)));
        }
    }
    let served_by = (0..4).find(|node| cluster.address(*node) == first.header("precede-node")).unwrap();
    cluster.kill(served_by);
    cluster.restart(served_by);
    cluster.wait_ready();
    assert!(is_repeat(&named(&cluster, served_by, "PUT", put), &first), "it has got the name back");
}

#[test]
fn the_type_of_raw_bytes_belongs_to_the_write() {
    let cluster = Cluster::single(&[]);
    let put = |kind: &str| {
        request(cluster.address(0), "PUT", KEY, &[("Idempotency-Key", "n-1"), ("Content-Type", kind)], b"1")
    };
    let first = put("text/plain");
    assert!(is_repeat(&put("text/plain"), &first));
    assert_eq!(put("text/html").status, 422);
    let bad = request(cluster.address(0), "PUT", KEY, &[("Idempotency-Key", "a b")], br#"{"value": 1}"#);
    assert_eq!(bad.status, 400);
    assert!(bad.json()["error"].as_str().unwrap().starts_with("Idempotency-Key has a character "));
}

#[test]
fn the_command_line_names_writes() {
    let cluster = Cluster::start(2, 2);
    let run = |arguments: &[&str]| {
        let shared = ["--node", cluster.address(0), "--json"];
        let output = precede().args(arguments).args(shared).output().unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code().unwrap(), told["version"].clone())
    };
    let named = ["--idempotency-key", "n-1"];
    let first = run(&[&["put", "k", "1"], &named[..]].concat());
    assert_eq!(first.0, 0);
    assert_ne!(run(&["put", "k", "1"]).1, first.1);
    assert_eq!(run(&[&["put", "k", "1"], &named[..]].concat()), first);
    assert_eq!(run(&[&["delete", "k"], &named[..]].concat()).0, 2, "the name is taken");
    assert_eq!(run(&["put", "k", "1", "--idempotency-key", "a b"]).0, 2);
}
