//! Limits, and what is sent to break them.
#![allow(missing_docs, clippy::unwrap_used)]

mod cluster;
#[path = "limits/memory.rs"]
mod memory;

use std::io::{Read, Write};
use std::net::TcpStream;

use cluster::{Cluster, Connection, request, wait_for};
use serde_json::json;

#[test]
fn what_is_too_large_is_refused_before_it_is_read() {
    let cluster = Cluster::single(&["--max-body-bytes", "1000", "--max-value-bytes", "500"]);
    let path = "/kv-store/keys/k";
    let mut connection = Connection::open(cluster.address(0)).unwrap();
    connection.send_bytes(b"PUT /kv-store/keys/k HTTP/1.1\r\nHost: n\r\nContent-Length: 1000000000\r\n\r\n").unwrap();
    let response = connection.receive().unwrap();
    let told = json!({ "error": "Request body is too large: the limit is 1000 bytes", "message": "Error in PUT" });
    assert_eq!((response.status, response.json()), (413, told.clone()));

    let mut connection = Connection::open(cluster.address(0)).unwrap();
    connection.send_bytes(b"PUT /kv-store/keys/k HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    let chunk = format!("258\r\n{}\r\n", "x".repeat(600));
    connection.send_bytes(chunk.as_bytes()).unwrap();
    connection.send_bytes(chunk.as_bytes()).unwrap();
    let response = connection.receive().unwrap();
    assert_eq!((response.status, response.json()), (413, told));

    let value = "x".repeat(499);
    let response = cluster.request(0, "PUT", path, &format!("{{\"value\": \"{value}\"}}"));
    let told = json!({ "error": "Value is too large: the limit is 500 bytes", "message": "Error in PUT" });
    assert_eq!((response.status, response.json()), (413, told));
    assert_eq!(cluster.request(0, "PUT", path, &format!("{{\"value\": \"{}\"}}", &value[1..])).status, 201);
}

#[test]
fn a_large_head_is_refused() {
    let cluster = Cluster::single(&[]);
    let filler = "x".repeat(17 << 10);
    let response = request(cluster.address(0), "GET", "/kv-store/keys/k", &[("X", &filler)], b"");
    assert_eq!(response.status, 431);
    assert_eq!(response.json()["error"], json!("Request header is too large: the limit is 16384 bytes"));
    let long = "k".repeat(20_000);
    for path in [format!("/{long}"), format!("/kv-store/shards/{long}"), format!("/kv-store/keys/k?{long}")] {
        let response = cluster.request(0, "GET", &path, "");
        assert_eq!(response.status, 431, "the request line counts");
        assert_eq!(response.json()["error"], json!("Request header is too large: the limit is 16384 bytes"));
    }
    // A key has a limit of its own.
    let response = cluster.request(0, "GET", &format!("/kv-store/keys/{long}"), "");
    assert_eq!((response.status, response.json()["error"].clone()), (400, json!("Key is too long")));
}

#[test]
fn a_long_key_fits_where_it_is_allowed() {
    let cluster = Cluster::single(&["--max-key-bytes", "20000"]);
    let path = format!("/kv-store/keys/{}", "k".repeat(20_000));
    assert_eq!(cluster.request(0, "PUT", &path, r#"{"value": 1}"#).status, 201);
    assert_eq!(cluster.request(0, "GET", &path, "").json()["value"], json!(1));
}

#[test]
fn a_large_value_is_stored_whole() {
    let cluster = Cluster::start(2, 1);
    let value = "x".repeat(8 * 1000 * 1000);
    for at in 0..4 {
        let path = format!("/kv-store/keys/large-{at}");
        assert_eq!(cluster.request(0, "PUT", &path, &format!("{{\"value\": \"{value}\"}}")).status, 201);
        assert_eq!(cluster.request(1, "GET", &path, "").json()["value"], json!(value));
    }
}

#[test]
fn slow_requests_are_ended() {
    let cluster =
        Cluster::single(&["--header-timeout-ms", "300", "--body-timeout-ms", "300", "--idle-timeout-ms", "3000"]);
    let open = || Connection::open(cluster.address(0)).unwrap();
    let (mut silent, mut head, mut body, mut idle) = (open(), open(), open(), open());
    head.send_bytes(b"GET /kv-store/keys/k HTTP/1.1\r\nHost").unwrap();
    body.send_bytes(b"PUT /kv-store/keys/k HTTP/1.1\r\nHost: n\r\nContent-Length: 10\r\n\r\n{").unwrap();
    idle.send("GET", "/healthz", &[], b"").unwrap();
    assert_eq!(idle.receive().unwrap().status, 200);
    assert_eq!(head.receive().unwrap().status, 408);
    assert_eq!(body.receive().unwrap().status, 408);
    assert!(silent.has_ended(), "without a word, which the next request on it would take for its answer");
    idle.send("GET", "/healthz", &[], b"").unwrap();
    assert_eq!(idle.receive().unwrap().status, 200, "it was idle for less than its limit");
    assert!(idle.has_ended(), "and then for longer");
}

#[test]
fn connections_beyond_the_limit_are_told_to_come_back() {
    let cluster = Cluster::single(&["--max-connections", "2"]);
    let open = || Connection::open(cluster.address(0)).unwrap();
    let ask = |connection: &mut Connection, path: &str| {
        connection.send("GET", path, &[], b"").unwrap();
        connection.receive().unwrap()
    };
    // The probes of the start may still be open for a moment.
    let mut held = wait_for("two connections are served", || {
        let mut held = [open(), open()];
        let statuses = held.each_mut().map(|connection| ask(connection, "/kv-store/shards").status);
        (statuses == [200, 200]).then_some(held)
    });
    let response = ask(&mut open(), "/kv-store/shards");
    assert_eq!(response.status, 503);
    assert_eq!(response.json(), json!({ "error": "Unable to satisfy request", "message": "Error in GET" }));
    assert_eq!(response.header("retry-after"), "1");
    assert_eq!(ask(&mut open(), "/healthz").status, 200, "probes have a budget of their own");
    assert_eq!(ask(&mut held[0], "/kv-store/shards").status, 200);
}

#[test]
fn requests_may_follow_each_other_without_waiting() {
    let cluster = Cluster::start(2, 1);
    let mut connection = Connection::open(cluster.address(0)).unwrap();
    for at in 0..50 {
        let body = format!("{{\"value\": {at}}}");
        connection.send("PUT", &format!("/kv-store/keys/{at}"), &[], body.as_bytes()).unwrap();
        connection.send("GET", &format!("/kv-store/keys/{at}"), &[], b"").unwrap();
    }
    for at in 0..50 {
        assert_eq!(connection.receive().unwrap().status, 201);
        assert_eq!(connection.receive().unwrap().json()["value"], json!(at));
    }
}

#[test]
fn nonsense_is_no_danger() {
    let cluster = Cluster::single(&[]);
    for bytes in [
        &b"\x00\x01\x02\x03\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /kv-store/keys/k HTTP/1.1\r\nHost: n\r\nContent-Length: x\r\n\r\n",
        b"PUT /kv-store/keys/k HTTP/1.1\r\nHost: n\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n{}  ",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"GET /precede/peer HTTP/1.1\r\nHost: n\r\nConnection: upgrade\r\nUpgrade: precede-peer/1\r\n\r\n",
    ] {
        let mut connection = Connection::open(cluster.address(0)).unwrap();
        connection.send_bytes(bytes).unwrap();
        if let Ok(response) = connection.receive() {
            assert!((400..500).contains(&response.status), "{response:?}");
            assert!(response.json()["error"].is_string(), "{response:?}");
        }
    }
    let heads = [
        format!("GET / HTTP/1.1\r\nX: {}\r\n", "x".repeat(100 << 10)),
        format!("GET / HTTP/1.1\r\n{}", "X: x\r\n".repeat(200)),
        format!("GET /kv-store/keys/{} HTTP/1.1\r\n", "k".repeat(100 << 10)),
    ];
    for head in heads {
        let mut connection = Connection::open(cluster.address(0)).unwrap();
        // It may end the connection before it has read everything.
        let _ = connection.send_bytes(format!("{head}\r\n").as_bytes());
        if let Ok(response) = connection.receive() {
            assert_eq!(response.status, 431);
            assert_eq!(response.json()["message"], json!("Request error"));
        }
    }
    let mut connection = Connection::open(cluster.address(0)).unwrap();
    connection.send_bytes(b"GET /healthz HTTP/1.1\r\nHost: n\r\n\r\nGET\r\n\r\n").unwrap();
    assert_eq!(connection.receive().unwrap().status, 200);
    let response = connection.receive().unwrap();
    assert_eq!((response.status, &response.json()["error"]), (400, &json!("Malformed HTTP request")));
    let nested = format!("{{\"value\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(cluster.request(0, "PUT", "/kv-store/keys/k", &nested).status, 400);
    assert_eq!(cluster.request(0, "GET", "/kv-store/key-count", "").json()["key-count"], json!(0));
}

#[test]
fn strangers_are_refused_on_the_peer_path() {
    // A node alone that holds nothing, and has no name of its own, may be invited by any cluster.
    let cluster = Cluster::single(&["--cluster", "mine"]);
    let peer = |cluster_name: &str, protocol: &str| {
        let headers = [
            ("Connection", "upgrade"),
            ("Upgrade", protocol),
            ("Precede-Cluster", cluster_name),
            ("Precede-Address", "10.0.0.9:80"),
        ];
        request(cluster.address(0), "GET", "/precede/peer", &headers, b"").status
    };
    assert_eq!(peer("0123456789abcdef", "precede-peer/1"), 403);
    assert_eq!(peer("0123456789abcdef", "precede-peer/9, precede-peer/1"), 403);
    assert_eq!(peer("0123456789abcdef", "precede-peer/9"), 426);
    assert_eq!(cluster.request(0, "GET", "/precede/peer", "").status, 426);
}

#[tokio::test]
async fn http2_is_spoken_with_prior_knowledge() {
    use http_body_util::{BodyExt, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let cluster = Cluster::single(&[]);
    let stream = tokio::net::TcpStream::connect(cluster.address(0)).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for (method, body, status) in
        [("PUT", r#"{"value": 1}"#, 201), ("GET", "", 200), ("DELETE", "", 200), ("GET", "", 404)]
    {
        let uri = format!("http://{}/kv-store/keys/k", cluster.address(0));
        let body = Full::new(bytes::Bytes::from(body));
        let response = client.send_request(http::Request::builder().method(method).uri(uri).body(body).unwrap());
        let response = response.await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        assert_ne!(response.headers()["causal-context"], "");
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice::<serde_json::Value>(&bytes).unwrap();
    }
}

#[test]
fn an_http2_connection_without_a_request_ends_in_its_own_protocol() {
    let cluster = Cluster::single(&["--header-timeout-ms", "200", "--idle-timeout-ms", "400"]);
    let mut stream = TcpStream::connect(cluster.address(0)).unwrap();
    // The preface, and empty settings.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00").unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).unwrap();
    assert_eq!(said.get(3), Some(&4), "settings come first: {said:?}");
    assert!(!said.windows(8).any(|bytes| bytes == b"HTTP/1.1"), "{:?}", String::from_utf8_lossy(&said));
}

#[test]
fn uploads_without_end_do_not_fill_the_memory() {
    const GROWTH_KIB_MAX: u64 = 64 << 10;

    let cluster = Cluster::single(&[]);
    let peak = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", cluster.nodes[0].pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let before = peak();
    let chunk = [&b"10000\r\n"[..], &[b'x'; 0x10000], b"\r\n"].concat();
    std::thread::scope(|scope| {
        for at in 0..100 {
            let (chunk, cluster) = (&chunk, &cluster);
            scope.spawn(move || {
                let mut connection = Connection::open(cluster.address(0)).unwrap();
                let head =
                    format!("PUT /kv-store/keys/{at}?raw HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n");
                connection.send_bytes(head.as_bytes()).unwrap();
                // A gibibyte, unless the node ends it.
                let sent = (0..16 << 10).take_while(|_| connection.send_bytes(chunk).is_ok()).count();
                assert!(sent < 16 << 10, "it was told to stop");
            });
        }
    });
    let grown = peak() - before;
    assert!(grown <= GROWTH_KIB_MAX, "{grown} KiB");
}
