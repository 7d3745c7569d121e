//! Barriers over real sockets: what they answer when all is well, when a replica is gone, and on the command line.
#![allow(missing_docs, clippy::unwrap_used)]

mod cluster;

use std::time::{Duration, Instant};

use cluster::{Cluster, precede, request, wait_for};
use serde_json::{Value, json};

const PATH: &str = "/kv-store/barrier";

/// Writes a key of the first shard through a node; the context.
fn write(cluster: &Cluster, node: usize) -> String {
    let (status, served_by, context) = (0..)
        .map(|at| cluster.request(node, "PUT", &format!("/kv-store/keys/key-{at}"), r#"{"value": 1}"#))
        .map(|response| (response.status, response.header("precede-node").to_owned(), response.context().to_owned()))
        .find(|(_, served_by, _)| *served_by == cluster.address(0))
        .unwrap();
    assert!(status < 300, "{served_by} answered {status}");
    context
}

#[test]
fn a_barrier_tells_that_all_is_on_every_replica_and_shortens_the_context() {
    let cluster = Cluster::start(4, 2);
    let context = write(&cluster, 0);
    for node in 0..4 {
        let response = cluster.request_after(node, "POST", PATH, &context, "");
        assert_eq!((response.status, response.json()), (200, json!({ "message": "Barrier reached" })));
        assert_eq!(response.header("precede-node"), cluster.address(node));
    }
    let short = wait_for("the context names nothing any more", || {
        let response = cluster.request_after(3, "POST", PATH, &context, "");
        (response.context().len() < context.len()).then(|| response.context().to_owned())
    });
    // In the body, and merged with the header's.
    let body = json!({ "causal-context": { "token": context } }).to_string();
    assert_eq!(cluster.request_after(2, "POST", PATH, &short, &body).status, 200);
    assert_eq!(cluster.request(1, "POST", PATH, "").status, 200, "nothing is named");
}

#[test]
fn a_barrier_names_the_replica_that_is_gone_when_its_time_is_up() {
    let mut cluster = Cluster::start(4, 2);
    cluster.kill(1);
    let context = write(&cluster, 0);
    for node in [0, 2] {
        let begun = Instant::now();
        let response = cluster.request_after(node, "POST", &format!("{PATH}?wait=300"), &context, "");
        assert!(begun.elapsed() >= Duration::from_millis(300), "it waits as long as it was told");
        let missing = json!([{ "shard-id": 1, "address": cluster.address(1) }]);
        let told =
            json!({ "message": "Barrier not reached", "missing": missing, "outstanding": [], "view-known": true });
        assert_eq!((response.status, response.json()), (202, told));
        assert_eq!(response.context(), context, "nothing of it is everywhere");
    }
    cluster.restart(1);
    wait_for("the replica has it too", || {
        (cluster.request_after(2, "POST", PATH, &context, "").status == 200).then_some(())
    });
}

#[test]
fn a_node_outside_the_view_passes_a_barrier_on() {
    let mut cluster = Cluster::start(2, 2);
    let members: Vec<String> = (0..2).map(|node| cluster.address(node).to_owned()).collect();
    let spare = cluster.add(&members, 2);
    cluster.wait_spares(&[spare]);
    let context = write(&cluster, 0);
    let response = cluster.request_after(spare, "POST", PATH, &context, "");
    assert_eq!(response.status, 200, "{response:?}");
    let by = response.header("precede-node").to_owned();
    assert!(members.contains(&by));
    assert_eq!(response.json()["address"], json!(by));
}

#[test]
fn what_is_wrong_with_a_barrier_is_said() {
    let cluster = Cluster::single(&[]);
    let response = cluster.request(0, "GET", PATH, "");
    assert_eq!((response.status, response.header("allow")), (405, "POST"));
    let refused = |path: &str, body: &str| {
        let response = cluster.request(0, "POST", path, body);
        assert_eq!(response.status, 400, "{response:?}");
        response.json()["error"].as_str().unwrap().to_owned()
    };
    assert!(refused("/kv-store/barrier?wait=x", "").starts_with("Parameter wait "));
    assert!(refused(PATH, r#"{"causal-context": 1}"#).starts_with("Malformed causal-context: "));
    assert_eq!(refused(PATH, "{"), "Failed to parse request body");
    let response = request(cluster.address(0), "POST", PATH, &[("causal-context", "x")], b"");
    assert_eq!(response.status, 400);
}

#[test]
fn the_command_line_waits_for_a_session() {
    let mut cluster = Cluster::start(2, 2);
    let session = format!("{}/barrier-{}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    let run = |cluster: &Cluster, arguments: &[&str]| {
        let shared = ["--node", cluster.address(0), "--session", &session];
        let output = precede().args(arguments).args(shared).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(run(&cluster, &["put", "k", "1"]).0, 0);
    assert_eq!(run(&cluster, &["barrier"]), (0, "everything is on every replica\n".to_owned()));
    cluster.kill(1);
    assert_eq!(run(&cluster, &["put", "k", "2"]).0, 0);
    let (code, text) = run(&cluster, &["barrier", "--wait-ms", "300"]);
    assert_eq!(
        (code, text),
        (1, format!("{} of shard 1 does not have it all, or does not answer\n", cluster.address(1)))
    );
    let (code, text) = run(&cluster, &["barrier", "--wait-ms", "0", "--json"]);
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &told["reached"], &told["missing"][0]["shard-id"]), (1, &json!(false), &json!(1)), "{text}");
    std::fs::remove_file(&session).unwrap();
}
