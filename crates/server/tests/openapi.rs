//! The OpenAPI document against real nodes: every route and every status that it describes is provoked, and each response is what the
//! document says, with no field and no header besides.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod cluster;
#[path = "openapi/forms.rs"]
mod forms;
#[path = "openapi/interface.rs"]
mod interface;

use cluster::{Cluster, Connection, Response, free_port, precede, request, wait_for};
use interface::Interface;
use precede_core::causality::context::Context;
use precede_core::causality::hlc::Timestamp;
use precede_core::causality::token;
use precede_core::config::Config;
use precede_core::id::Address;
use precede_core::placement::view::View;
use serde_json::{Value, json};

const KEY: &str = "/kv-store/keys/k";
const VIEW: &str = "/kv-store/view-change";
const BARRIER: &str = "/kv-store/barrier";

/// Every route with each of its methods, the key's and the view's with a body that is good, unless it is sent to break something.
const REQUESTS: [(&str, &str, &str); 15] = [
    ("PUT", KEY, r#"{"value": 1}"#),
    ("GET", KEY, ""),
    ("DELETE", KEY, ""),
    ("GET", "/kv-store/key-count", ""),
    ("GET", "/kv-store/shards", ""),
    ("GET", "/kv-store/shards/1", ""),
    ("GET", VIEW, ""),
    ("PUT", VIEW, r#"{"repl-factor": 1}"#),
    ("POST", BARRIER, ""),
    ("GET", "/openapi.json", ""),
    ("GET", "/readyz", ""),
    ("GET", "/kv-store/status", ""),
    ("GET", "/metrics", ""),
    ("GET", "/", ""),
    ("GET", "/assets/page.js", ""),
];

/// Paths that are answered however busy the node is, and without a context.
const OPEN: [&str; 5] = ["/readyz", "/kv-store/status", "/metrics", "/", "/assets/page.js"];

/// Asks a node, and holds the answer against the document.
fn ask(
    interface: &mut Interface,
    node: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let response = request(node, method, path, headers, body);
    interface.check(method, path, &response);
    response
}

#[test]
fn the_document_is_what_nodes_do() {
    let cluster = Cluster::single(&[]);
    let served = cluster.request(0, "GET", "/openapi.json", "");
    let printed = precede().arg("openapi").output().unwrap();
    let mut interface = Interface::of(&served);
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(printed, interface.document, "the command prints what is served");

    keys(&mut interface, cluster.address(0));
    views(&mut interface, cluster.address(0));
    wrong_requests(&mut interface);
    busy(&mut interface);
    other_nodes(&mut interface);
    few_replicas(&mut interface);
    silent_replica(&mut interface);
    lost_view(&mut interface);
    unready(&mut interface);
    full(&mut interface);
    guarded(&mut interface);
    moving(&mut interface);
    assert_eq!(interface.unseen(), [], "what is described happens");
}

fn keys(interface: &mut Interface, node: &str) {
    for (method, path, body) in REQUESTS {
        ask(interface, node, method, path, &[], body.as_bytes());
    }
    ask(interface, node, "GET", "/healthz", &[], b"");
    assert_eq!(ask(interface, node, "GET", "/kv-store/status?scope=node", &[], b"").status, 200);
    assert_eq!(ask(interface, node, "GET", "/kv-store/status?scope=all", &[], b"").status, 400);
    assert_eq!(ask(interface, node, "GET", "/assets/none", &[], b"").status, 404);
    for body in [r#"{"value": 1}"#, r#"{"value": "grüß"}"#] {
        let context = ask(interface, node, "PUT", KEY, &[], body.as_bytes()).context().to_owned();
        let got = ask(interface, node, "GET", KEY, &[("Causal-Context", &context)], b"");
        assert_eq!(got.status, 200);
    }
    ask(interface, node, "PUT", KEY, &[("Content-Type", "image/png")], b"\xff\x00");
    ask(interface, node, "GET", KEY, &[], b"");
    ask(interface, node, "GET", KEY, &[("Accept", "image/*")], b"");
    ask(interface, node, "PUT", "/kv-store/keys/json", &[], br#"{"value": [null]}"#);
    assert_eq!(ask(interface, node, "GET", "/kv-store/keys/json?raw", &[], b"").body, b"[null]");
    for (method, body, status) in
        [("PUT", r#"{"value": 1}"#, 200), ("PUT", r#"{"value": 2}"#, 422), ("DELETE", "", 422)]
    {
        let response = ask(interface, node, method, KEY, &[("Idempotency-Key", "n-1")], body.as_bytes());
        assert_eq!(response.status, status, "{response:?}");
    }
    assert_eq!(ask(interface, node, "DELETE", KEY, &[], b"").status, 200);
    assert_eq!(ask(interface, node, "DELETE", KEY, &[], b"").status, 404);
    assert_eq!(ask(interface, node, "GET", KEY, &[], b"").status, 404);
    assert_eq!(ask(interface, node, "GET", "/kv-store/shards/7", &[], b"").status, 404);
}

fn views(interface: &mut Interface, node: &str) {
    let mut change = |body: Value| ask(interface, node, "PUT", VIEW, &[], body.to_string().as_bytes()).status;
    let stranger = format!("127.0.0.1:{}", free_port());
    assert_eq!(change(json!({ "view": [node], "dry-run": true })), 200);
    assert_eq!(change(json!({ "view": [node] })), 200);
    assert_eq!(change(json!({ "view": 5 })), 400);
    assert_eq!(change(json!({ "view": [stranger], "expected-epoch": 7 })), 409);
    assert_eq!(change(json!({ "view": [node, stranger], "timeout-ms": 100 })), 400, "nobody answers there");
}

/// What is too large, too slow or malformed.
fn wrong_requests(interface: &mut Interface) {
    let limits = ["--max-body-bytes", "1000", "--max-header-bytes", "1024", "--body-timeout-ms", "200"];
    let cluster = Cluster::single(&limits);
    let node = cluster.address(0);
    for (method, path, _) in REQUESTS.into_iter().chain([("GET", "/healthz", "")]) {
        let filler = "x".repeat(2000);
        assert_eq!(ask(interface, node, method, path, &[("X", &filler)], b"").status, 431);
        if path.ends_with('z') || OPEN.contains(&path) || path == "/openapi.json" {
            continue;
        }
        let large = format!("{{\"value\": \"{filler}\"}}");
        assert_eq!(ask(interface, node, method, path, &[], large.as_bytes()).status, 413);
        for (headers, body) in [(&[("Causal-Context", "damaged")][..], ""), (&[][..], "[")] {
            assert_eq!(ask(interface, node, method, path, headers, body.as_bytes()).status, 400);
        }
        let mut connection = Connection::open(node).unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: n\r\nContent-Length: 10\r\n\r\n{{");
        connection.send_bytes(head.as_bytes()).unwrap();
        let response = connection.receive().unwrap();
        assert_eq!(response.status, 408);
        interface.check(method, path, &response);
    }
}

/// A node that has as much to do as it may.
fn busy(interface: &mut Interface) {
    let cluster = Cluster::single(&["--max-concurrent-requests", "1"]);
    let node = cluster.address(0);
    let mut slow = Connection::open(node).unwrap();
    slow.send_bytes(b"PUT /kv-store/keys/k HTTP/1.1\r\nHost: n\r\nContent-Length: 10\r\n\r\n{").unwrap();
    // Asked for what is served in any case: another request might be the one that is under way, and the slow one refused.
    wait_for("the slow request is in progress", || {
        let own = request(node, "GET", "/kv-store/status?scope=node", &[], b"").json();
        (own["status"]["work"]["requests"] == json!(1)).then_some(())
    });
    for (method, path, body) in REQUESTS {
        let response = ask(interface, node, method, path, &[], body.as_bytes());
        assert_eq!(response.status, if OPEN.contains(&path) { 200 } else { 503 }, "{method} {path}");
    }
}

/// The path of a key that the second node holds, and the first does not.
fn key_elsewhere(cluster: &Cluster) -> String {
    let mut keys = (0..).map(|at| format!("/kv-store/keys/{at}"));
    keys.find(|key| cluster.request(0, "GET", key, "").header("precede-node") == cluster.address(1)).unwrap()
}

/// The address of whoever served.
fn other_nodes(interface: &mut Interface) {
    let cluster = Cluster::start(2, 1);
    let node = cluster.address(0);
    let key = key_elsewhere(&cluster);
    for (method, status) in [("GET", 404), ("PUT", 201), ("PUT", 200), ("GET", 200), ("DELETE", 200), ("DELETE", 404)] {
        let body = if method == "PUT" { r#"{"value": [1]}"# } else { "" };
        let response = ask(interface, node, method, &key, &[], body.as_bytes());
        assert_eq!((response.status, response.json()["address"].as_str()), (status, Some(cluster.address(1))));
    }
    ask(interface, node, "GET", "/kv-store/shards/2", &[], b"");
}

/// Fewer replicas than `w` asks for, and than a barrier waits for.
fn few_replicas(interface: &mut Interface) {
    let mut cluster = Cluster::start(2, 2);
    cluster.kill(1);
    let node = cluster.address(0);
    let context = cluster.request(0, "PUT", KEY, r#"{"value": 1}"#).context().to_owned();
    let path = format!("{BARRIER}?wait=100");
    assert_eq!(ask(interface, node, "POST", &path, &[("Causal-Context", &context)], b"").status, 202);
    for method in ["PUT", "PUT", "DELETE"] {
        let body = if method == "PUT" { r#"{"value": 1}"# } else { "" };
        let path = format!("{KEY}?w=all");
        assert_eq!(ask(interface, node, method, &path, &[], body.as_bytes()).status, 202);
    }
}

/// A replica that was sent a write and says nothing.
fn silent_replica(interface: &mut Interface) {
    let cluster = Cluster::start(2, 1);
    let node = cluster.address(0);
    let key = key_elsewhere(&cluster);
    for (method, body) in [("PUT", r#"{"value": 1}"#), ("DELETE", "")] {
        wait_for("the replica falls silent before it answers, and after the write was sent to it", || {
            cluster.pause(1);
            let status = ask(interface, node, method, &key, &[], body.as_bytes()).status;
            cluster.resume(1);
            wait_for("they have met again", || (cluster.request(0, "GET", &key, "").status < 500).then_some(()));
            (status == 504).then_some(())
        });
    }
}

/// A context of a view that a node gave up when it heard of its cluster.
fn lost_view(interface: &mut Interface) {
    let mut cluster = Cluster::start(1, 1);
    let alone = cluster.add(&[], 1);
    // As it would have issued it when it was alone.
    let own = Address::parse(cluster.address(alone), None).unwrap();
    let config = Config::new(own.clone(), View::bootstrap(&[own], 1).unwrap(), 0);
    let context = Context { stable: Timestamp(5), ..Context::default() };
    let context = token::encode(&context, config.cluster.fingerprint());
    let view = json!({ "view": cluster.addresses(&[0, alone]) }).to_string();
    wait_for("the node is taken in", || (cluster.request(0, "PUT", VIEW, &view).status == 200).then_some(()));
    let node = cluster.address(alone);
    for (method, path, body) in REQUESTS {
        let response = ask(interface, node, method, path, &[("Causal-Context", &context)], body.as_bytes());
        let reads_contexts = !OPEN.contains(&path) && path != "/openapi.json";
        assert_eq!(response.status, if reads_contexts { 410 } else { 200 }, "{method} {path}");
    }
}

/// A spare is no node for clients.
fn unready(interface: &mut Interface) {
    let mut cluster = Cluster::start(1, 1);
    let spare = cluster.add(&[format!("127.0.0.1:{}", free_port())], 1);
    let node = cluster.address(spare);
    assert_eq!(ask(interface, node, "GET", "/readyz", &[], b"").status, 503);
    assert_eq!(ask(interface, node, "GET", "/kv-store/key-count", &[], b"").status, 503);
    assert_eq!(ask(interface, node, "POST", BARRIER, &[], b"").status, 503);
}

/// A node that holds as much as it may.
fn full(interface: &mut Interface) {
    let cluster = Cluster::single(&["--max-memory-bytes", "4194304"]);
    let body = json!({ "value": "v".repeat(5 << 20) }).to_string();
    assert_eq!(ask(interface, cluster.address(0), "PUT", KEY, &[], body.as_bytes()).status, 507);
}

/// A node that asks for tokens.
fn guarded(interface: &mut Interface) {
    let made = precede().args(["token", "new", "--role", "read", "--name", "looker"]).output().unwrap();
    let made = String::from_utf8(made.stdout).unwrap();
    let field = |name| made.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), field("line: ")).unwrap();
    let cluster = Cluster::single(&["--tokens-file", file.path().to_str().unwrap()]);
    let shown = format!("Bearer {}", field("token: "));
    for (method, path, body) in REQUESTS {
        let asks = !OPEN.contains(&path) || ["/kv-store/status", "/metrics"].contains(&path);
        let status = ask(interface, cluster.address(0), method, path, &[], body.as_bytes()).status;
        assert_eq!(status == 401, asks, "{method} {path}: {status}");
        let headers = [("Authorization", shown.as_str())];
        let status = ask(interface, cluster.address(0), method, path, &headers, body.as_bytes()).status;
        assert_eq!(status == 403, method != "GET" && path != BARRIER, "{method} {path}: {status}");
    }
}

/// A change that is not done when it is answered.
fn moving(interface: &mut Interface) {
    let value = "v".repeat(1 << 20);
    let status = wait_for("an answer before everything has moved", || {
        let mut cluster = Cluster::start(1, 1);
        let new = cluster.add(&cluster.addresses(&[0]), 1);
        cluster.wait_spares(&[new]);
        for key in 0..16 {
            let body = json!({ "value": value }).to_string();
            assert_eq!(cluster.request(0, "PUT", &format!("/kv-store/keys/{key}"), &body).status, 201);
        }
        let body = json!({ "view": [cluster.address(new)], "timeout-ms": 1 }).to_string();
        let response = ask(interface, cluster.address(0), "PUT", VIEW, &[], body.as_bytes());
        (response.status == 202).then_some(response.status)
    });
    assert_eq!(status, 202);
}
