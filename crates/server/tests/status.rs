//! What nodes tell of themselves and of one another: the status, and the command that shows it.
#![allow(missing_docs, clippy::unwrap_used)]

mod cluster;

use cluster::{Cluster, Connection, Response, precede, request, wait_for};
use precede_client::{ClusterStatus, Health, MemberStatus, NodeStatus};
use serde_json::{Value, json};

fn status(cluster: &Cluster, node: usize) -> ClusterStatus {
    told(&cluster.request(node, "GET", "/kv-store/status", ""))
}

fn told(response: &Response) -> ClusterStatus {
    assert_eq!(response.status, 200, "{response:?}");
    let body = response.json();
    assert_eq!(body["message"], json!("Status retrieved successfully"));
    serde_json::from_value(body).unwrap()
}

fn of<'a>(status: &'a ClusterStatus, address: &str) -> &'a MemberStatus {
    status.members.iter().find(|member| member.node == address).unwrap()
}

/// Runs `precede status`; returns its exit code and what it printed.
fn run(node: &str, more: &[&str]) -> (i32, String) {
    let output = precede().args(["status", "--node", node]).args(more).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn any_node_tells_of_all() {
    let cluster = Cluster::start(4, 2);
    for key in 0..100 {
        let put =
            cluster.request(key % 4, "PUT", &format!("/kv-store/keys/k{key}?w=all"), r#"{"value": "0123456789"}"#);
        assert_eq!(put.status, 201);
    }
    for node in 0..4 {
        let status = status(&cluster, node);
        assert_eq!(status.node, cluster.address(node));
        assert_eq!((status.view.epoch, status.view.repl_factor, status.view.settled), (0, 2, true));
        assert_eq!((status.shards.len(), status.members.len()), (2, 4));
        assert_eq!(status.shards.iter().map(|shard| shard.keys.unwrap()).sum::<u64>(), 100);
        for shard in &status.shards {
            assert_eq!((shard.ready, shard.settled, shard.replicas.len()), (2, true, 2), "{shard:?}");
            // A value of twelve bytes, and a key of two or three.
            let (keys, bytes) = (shard.keys.unwrap(), shard.bytes.unwrap());
            assert!((14 * keys..=15 * keys).contains(&bytes), "{shard:?}");
        }
        for member in &status.members {
            let own = member.status.as_ref().unwrap();
            assert_eq!((member.health, member.up, &own.node), (Health::Ready, true, &member.node), "{member:?}");
            assert_eq!((own.shard_id, own.version.as_str()), (member.shard_id, env!("CARGO_PKG_VERSION")));
            assert_eq!((own.requests.puts, own.peers.len()), (25, 1), "{own:?}");
            assert_eq!(
                own.keys,
                status.shards.iter().find(|s| Some(s.shard_id) == own.shard_id).unwrap().keys.unwrap()
            );
            assert!(own.memory_bytes > Some(1 << 20) && own.cpu_ms.is_some() && own.window.bytes_max > 0, "{own:?}");
            assert_eq!(member.heard_ms.is_none(), member.node == cluster.address(node), "{member:?}");
            assert!(member.lag_ms.is_some(), "{member:?}");
        }
    }
    let told = cluster.request(0, "GET", "/kv-store/status?scope=node", "").json();
    let own: NodeStatus = serde_json::from_value(told["status"].clone()).unwrap();
    assert_eq!((own.node.as_str(), own.requests.gets, own.requests.client_errors), (cluster.address(0), 0, 0));
    assert!(own.requests.contexts >= 25 && own.requests.context_bytes > own.requests.contexts, "{own:?}");
}

#[test]
fn a_request_for_the_status_that_makes_no_sense_is_refused() {
    let cluster = Cluster::single(&[]);
    let response = cluster.request(0, "GET", "/kv-store/status?scope=world", "");
    let error = "Parameter scope is \"world\": it must be cluster or node";
    assert_eq!((response.status, response.json()), (400, json!({ "error": error, "message": "Error in GET" })));
    let response = cluster.request(0, "PUT", "/kv-store/status", "");
    assert_eq!((response.status, response.header("allow")), (405, "GET"));
    // The context of a request comes back, as everywhere.
    let context = cluster.request(0, "PUT", "/kv-store/keys/k", r#"{"value": 1}"#).context().to_owned();
    assert_eq!(cluster.request_after(0, "GET", "/kv-store/status", &context, "").context(), context);
}

#[test]
fn one_that_stands_still_is_told_of_as_silent() {
    let cluster = Cluster::start(4, 2);
    cluster.pause(3);
    let silent = cluster.address(3);
    let status = wait_for("the pause is noticed", || {
        let member = |status: &ClusterStatus| of(status, silent).clone();
        Some(status(&cluster, 0))
            .filter(|told| member(told).health == Health::Silent && member(told).lag_ms > Some(1000))
    });
    let member = of(&status, silent);
    assert!(member.status.is_none() && member.error.is_some() && member.heard_ms.is_some(), "{member:?}");
    let others = status.members.iter().filter(|member| member.node != silent);
    assert_eq!(others.filter(|member| member.health == Health::Ready).count(), 3);
    let shard = status.shards.iter().find(|shard| Some(shard.shard_id) == member.shard_id).unwrap();
    assert_eq!((shard.ready, shard.keys), (1, Some(0)), "the other replica tells");
    let (code, table) = run(cluster.address(0), &[]);
    assert_eq!(code, 1, "{table}");
    let line = table.lines().find(|line| line.trim().starts_with(silent)).unwrap();
    assert!(line.contains("silent") && line.contains("last heard"), "{table}");

    cluster.resume(3);
    let is_well = || run(cluster.address(0), &["--json"]).0 == 0;
    wait_for("the pause is over", || is_well().then_some(()));
}

#[test]
fn a_view_change_is_told_of() {
    let mut cluster = Cluster::start(2, 2);
    for key in 0..50 {
        assert_eq!(cluster.request(0, "PUT", &format!("/kv-store/keys/k{key}"), r#"{"value": 1}"#).status, 201);
    }
    let members = cluster.addresses(&[0, 1]);
    for _ in 0..2 {
        cluster.add(&members, 2);
    }
    cluster.wait_spares(&[2, 3]);
    let spare = status(&cluster, 2);
    assert_eq!((of(&spare, cluster.address(2)).shard_id, spare.members.len()), (None, 3));
    assert_eq!(of(&spare, cluster.address(2)).health, Health::NotReady);
    let (code, table) = run(cluster.address(2), &[]);
    assert!(code == 0 && table.contains("spare"), "{table}");

    let change = json!({ "view": cluster.addresses(&[0, 1, 2, 3]), "timeout-ms": 0 }).to_string();
    assert_eq!(cluster.request(0, "PUT", "/kv-store/view-change", &change).status, 202);
    let under_way = status(&cluster, 0).view;
    assert!(under_way.settled || under_way.hand_offs_done <= under_way.hand_offs_required, "{under_way:?}");
    let done = wait_for("the view is settled", || Some(status(&cluster, 0)).filter(|status| status.view.settled));
    assert_eq!((done.view.epoch, done.shards.len(), done.members.len()), (1, 2, 4));
    assert!(done.view.received_keys >= 50, "{:?}", done.view);
    assert_eq!(done.shards.iter().map(|shard| shard.keys.unwrap()).sum::<u64>(), 50);
}

#[test]
fn the_command_tells_in_json_what_the_node_told_and_by_its_code_how_it_is() {
    let cluster = Cluster::start(2, 2);
    let (code, text) = run(cluster.address(0), &["--json"]);
    let status: ClusterStatus = serde_json::from_str(&text).unwrap();
    assert_eq!((code, status.members.len(), status.node.as_str()), (0, 2, cluster.address(0)));
    let (code, table) = run(cluster.address(0), &[]);
    assert!(code == 0 && table.starts_with("epoch 0: 1 shards, 2 replicas of each at least; 0 keys"), "{table}");
    assert!(!table.contains('\x1b'), "no colours where it is no terminal: {table}");
    assert_eq!(run("127.0.0.1:1", &[]).0, 3);
    assert_eq!(run("nowhere", &[]).0, 2);
}

#[test]
fn a_busy_node_tells_of_itself_all_the_same() {
    let cluster = Cluster::single(&["--max-concurrent-requests", "1"]);
    let mut slow = Connection::open(cluster.address(0)).unwrap();
    slow.send_bytes(b"PUT /kv-store/keys/k HTTP/1.1\r\nHost: node\r\nContent-Length: 12\r\n\r\n{").unwrap();
    // Asked for what is served in any case: another request might be the one that is under way, and this one refused.
    wait_for("the one that may be under way is", || {
        let own: Value = cluster.request(0, "GET", "/kv-store/status?scope=node", "").json();
        (own["status"]["work"]["requests"] == json!(1)).then_some(())
    });
    assert_eq!(cluster.request(0, "GET", "/kv-store/keys/k", "").status, 503);
    let own: Value = cluster.request(0, "GET", "/kv-store/status?scope=node", "").json();
    assert!(own["status"]["requests"]["server-errors"].as_u64() >= Some(1), "{own}");
    assert_eq!(own["status"]["work"]["requests"], json!(1), "{own}");
    assert_eq!(request(cluster.address(0), "GET", "/metrics", &[], b"").status, 200);
}

#[test]
fn the_dashboard_comes_whole_from_the_node() {
    let cluster = Cluster::single(&[]);
    for (path, kind) in [
        ("/", "text/html"),
        ("/assets/dashboard.css", "text/css"),
        ("/assets/dashboard.js", "text/javascript"),
        ("/assets/keys.js", "text/javascript"),
        ("/assets/page.js", "text/javascript"),
        ("/assets/icon.svg", "image/svg+xml"),
    ] {
        let response = cluster.request(0, "GET", path, "");
        assert!(response.status == 200 && response.header("content-type").starts_with(kind), "{path}: {response:?}");
        let policy = response.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(response.header("x-content-type-options"), "nosniff");
        assert_eq!(cluster.request(0, "POST", path, "").status, 405);
    }
    assert_eq!(cluster.request(0, "GET", "/assets/none.js", "").status, 404);
}
