//! Clients that are slow, and clients that are many: on real sockets, while another client's requests go on.
#![allow(missing_docs, clippy::unwrap_used)]

mod cluster;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use cluster::{Cluster, Connection, DEADLINE, wait_for};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use precede_core::config::Config;
use precede_core::id::Address;
use precede_core::placement::view::View;
use serde_json::json;

const KEY: &str = "/kv-store/keys/k";

/// A value of a key, as all these clients want it.
fn store(cluster: &Cluster, value: &str) {
    let body = json!({ "value": value }).to_string();
    assert_eq!(cluster.request(0, "PUT", KEY, &body).status, 201);
}

/// A client that has done nothing wrong: all its requests are answered as ever.
fn others_go_on(cluster: &Cluster, rounds: usize) {
    let mut connection = Connection::open(cluster.address(0)).unwrap();
    for round in 0..rounds {
        for (method, path, body, status) in [
            ("GET", "/kv-store/keys/k?raw", "", 200),
            ("PUT", "/kv-store/keys/healthy", r#"{"value": 1}"#, 200),
            ("GET", "/kv-store/keys/none", "", 404),
        ] {
            connection.send(method, path, &[], body.as_bytes()).unwrap();
            let answered = connection.receive().unwrap().status;
            assert!(
                answered == status || (status, answered) == (200, 201),
                "{method} {path}: {answered} in round {round}"
            );
        }
        if round % 10 == 9 {
            connection = Connection::open(cluster.address(0)).unwrap();
        }
    }
}

/// The value of a metric of the only node, over all of its labels that contain this.
fn metric(cluster: &Cluster, name: &str, labels: &str) -> u64 {
    let text = String::from_utf8(cluster.request(0, "GET", "/metrics", "").body).unwrap();
    let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(labels));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Memory of the only node, at its peak, in KiB.
fn peak(cluster: &Cluster) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", cluster.nodes[0].pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// All that comes until the connection ends.
fn rest(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    // An end is an end, whichever way.
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "it does not end");
    }
    bytes
}

#[test]
fn slow_clients_are_ended_and_others_go_on() {
    let limits = ["--header-timeout-ms", "3000", "--body-timeout-ms", "3000", "--idle-timeout-ms", "3000"];
    let cluster = Cluster::single(&limits);
    store(&cluster, &"v".repeat(4 << 20));
    let open = |count: usize, said: &str| -> Vec<TcpStream> {
        let begin = |_| {
            let mut stream = TcpStream::connect(cluster.address(0)).unwrap();
            stream.write_all(said.as_bytes()).unwrap();
            stream
        };
        (0..count).map(begin).collect()
    };
    let heads = open(500, "GET /kv-store/keys/k HTTP/1.1\r\nHost: n\r\nX-Slow: ");
    let bodies = open(200, "PUT /kv-store/keys/slow HTTP/1.1\r\nHost: n\r\nContent-Length: 100\r\n\r\n{\"value\"");
    let readers = open(20, &"GET /kv-store/keys/k HTTP/1.1\r\nHost: n\r\n\r\n".repeat(8));
    let idle = open(500, "GET /healthz HTTP/1.1\r\nHost: n\r\n\r\n");
    let silent = open(500, "");
    others_go_on(&cluster, 30);
    // What they read now is what was on its way: a reader that reads again need not hold its node to the end of all answers.
    wait_for("nobody slow is left", || (metric(&cluster, "precede_connections", "") <= 2).then_some(()));
    for (kind, streams, said) in
        [("head", &heads, "HTTP/1.1 408"), ("body", &bodies, "HTTP/1.1 408"), ("idle", &idle, "HTTP/1.1 200")]
    {
        for stream in streams {
            let answer = rest(stream);
            assert!(answer.starts_with(said.as_bytes()), "{kind}: {:?}", String::from_utf8_lossy(&answer));
        }
    }
    for stream in &silent {
        assert!(rest(stream).is_empty(), "without a word");
    }
    for stream in &readers {
        let got = rest(stream).len();
        assert!(got < 8 * (4 << 20), "it was given up before it had read all: {got}");
    }
    others_go_on(&cluster, 3);
    assert_eq!(metric(&cluster, "precede_requests_total", "status=\"5xx\""), 0);
}

#[test]
fn ten_thousand_connections_are_served() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    // As many as the system allows, with some to spare for whatever else is open.
    let count = usize::try_from(hard.saturating_sub(3000)).unwrap().min(10_000);
    let cluster = Cluster::single(&[]);
    store(&cluster, "v");
    let mut connections: Vec<Connection> = Vec::new();
    let ask = |connection: &mut Connection| {
        connection.send("GET", "/kv-store/keys/k?raw", &[], b"").unwrap();
        let response = connection.receive().unwrap();
        assert_eq!((response.status, &response.body[..]), (200, &b"\"v\""[..]));
    };
    for _ in 0..count {
        let mut connection = Connection::open(cluster.address(0)).unwrap();
        ask(&mut connection);
        connections.push(connection);
    }
    assert!(metric(&cluster, "precede_connections", "") >= count as u64, "all of them are open");
    others_go_on(&cluster, 30);
    // All ask at once, and all are answered.
    for connection in &mut connections {
        connection.send("GET", "/kv-store/keys/k?raw", &[], b"").unwrap();
    }
    for connection in connections.iter_mut().rev() {
        assert_eq!(connection.receive().unwrap().status, 200);
    }
}

#[test]
fn a_flood_of_requests_leaves_others_their_answers() {
    const FLOODS: usize = 16;
    const PIPELINE: usize = 64;

    let cluster = Cluster::single(&[]);
    store(&cluster, "v");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let floods: Vec<_> = (0..FLOODS)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = Connection::open(cluster.address(0)).unwrap();
                    let request = "GET /kv-store/keys/k HTTP/1.1\r\nHost: n\r\n\r\n".repeat(PIPELINE);
                    let mut answered = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        connection.send_bytes(request.as_bytes()).unwrap();
                        for _ in 0..PIPELINE {
                            assert_eq!(connection.receive().unwrap().status, 200, "a flood is answered, too");
                        }
                        answered += PIPELINE;
                    }
                    answered
                })
            })
            .collect();
        others_go_on(&cluster, 100);
        is_over.store(true, Ordering::Relaxed);
        let answered: usize = floods.into_iter().map(|flood| flood.join().unwrap()).sum();
        assert!(answered >= FLOODS * PIPELINE, "they were at it");
    });
    assert_eq!(metric(&cluster, "precede_requests_total", "status=\"5xx\""), 0);
}

#[test]
fn a_client_that_asks_and_never_reads_holds_up_nobody_and_fills_no_memory() {
    const GROWTH_KIB_MAX: u64 = 64 << 10;

    let cluster = Cluster::single(&["--idle-timeout-ms", "3000"]);
    store(&cluster, &"v".repeat(64 << 10));
    let before = peak(&cluster);
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                let mut stream = TcpStream::connect(cluster.address(0)).unwrap();
                stream.set_write_timeout(Some(DEADLINE)).unwrap();
                let request = "GET /kv-store/keys/k HTTP/1.1\r\nHost: n\r\n\r\n".repeat(1000);
                // It is not read from any more when its answers do not leave, and then it is ended.
                let ended = (0..10_000).find_map(|_| stream.write_all(request.as_bytes()).err()).unwrap();
                assert!(matches!(ended.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{ended}");
            });
        }
        others_go_on(&cluster, 100);
    });
    let grown = peak(&cluster) - before;
    assert!(grown <= GROWTH_KIB_MAX, "{grown} KiB");
}

#[test]
fn what_many_clients_do_not_read_is_bounded() {
    const LIMIT: u64 = 4 << 20;
    const VALUE: usize = 1 << 20;
    // What a connection asks for is more than its two sockets take.
    const ASKED: usize = 64;

    let cluster = Cluster::single(&["--max-unread-bytes", &LIMIT.to_string(), "--max-value-bytes", &LIMIT.to_string()]);
    let value = json!({ "value": "v".repeat(VALUE) }).to_string();
    let context = cluster.request(0, "PUT", KEY, &value).context().to_owned();
    let unread = || metric(&cluster, "precede_unread_bytes", "");
    let request = "GET /kv-store/keys/k?raw HTTP/1.1\r\nHost: n\r\n";
    let last = format!("{request}Connection: close\r\n\r\n");
    let requests = format!("{request}\r\n").repeat(ASKED - 1) + &last;
    let mut silent = Vec::new();
    // One after the other, until what they leave unread is as much as may be.
    while cluster.request(0, "GET", KEY, "").status == 200 {
        assert!(silent.len() < 16, "so many hold {} bytes", unread());
        let mut stream = TcpStream::connect(cluster.address(0)).unwrap();
        stream.write_all(requests.as_bytes()).unwrap();
        silent.push(stream);
        wait_for("its answers wait", || (unread() >= (silent.len() * VALUE) as u64).then_some(()));
    }
    assert!(unread() <= LIMIT);
    let body = json!({ "causal-context": { "token": context } }).to_string();
    let refused = cluster.request(0, "GET", KEY, &body);
    assert_ne!(refused.context(), "", "it has the context, from wherever that came");
    let reason = refused.header("precede-reason");
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
    assert!(reason.contains("MAX_UNREAD_BYTES"), "{reason}");
    assert_eq!(cluster.request(0, "PUT", "/kv-store/keys/small", r#"{"value": 1}"#).status, 201);
    assert_eq!(cluster.request(0, "GET", "/kv-store/keys/small", "").status, 200);
    // Whoever reads after all gets an answer to each request.
    let answers = rest(&silent.swap_remove(0));
    let begun = answers.windows(9).filter(|window| *window == b"HTTP/1.1 ").count();
    assert_eq!(begun, ASKED);
    drop(silent);
    wait_for("there is room again", || (unread() == 0).then_some(()));
    assert_eq!(cluster.request(0, "GET", KEY, "").status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_one_connection_of_http2_does_not_read_is_bounded() {
    use http_body_util::Empty;
    use hyper_util::rt::{TokioExecutor, TokioIo};

    const LIMIT: u64 = 1 << 20;
    const VALUE: usize = 30 << 10;

    let cluster = Cluster::single(&["--max-unread-bytes", &LIMIT.to_string(), "--max-value-bytes", "65536"]);
    store(&cluster, &"v".repeat(VALUE));
    let unread = || metric(&cluster, "precede_unread_bytes", "");
    let stream = tokio::net::TcpStream::connect(cluster.address(0)).await.unwrap();
    // Of each answer it takes the head, and a byte.
    let mut unwilling = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut client, connection) =
        unwilling.initial_stream_window_size(1).handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let uri = format!("http://{}/kv-store/keys/k?raw", cluster.address(0));
    let mut held = Vec::new();
    loop {
        let request = http::Request::get(&uri).body(Empty::<bytes::Bytes>::new()).unwrap();
        let response = client.send_request(request).await.unwrap();
        if response.status().as_u16() == 503 {
            break;
        }
        assert_eq!(response.status().as_u16(), 200);
        held.push(response);
        assert!(held.len() as u64 <= LIMIT / VALUE as u64, "{} bytes are unread", unread());
    }
    assert!(!held.is_empty() && unread() <= LIMIT);
    drop((held, client));
    wait_for("there is room again", || (unread() == 0).then_some(()));
    assert_eq!(cluster.request(0, "GET", KEY, "").status, 200);
}

#[test]
fn what_is_beyond_the_limit_is_refused_and_taken_again_when_there_is_room() {
    const LIMIT: usize = 8;

    let cluster = Cluster::single(&["--max-concurrent-requests", &LIMIT.to_string()]);
    store(&cluster, "v");
    let mut held: Vec<Connection> = (0..LIMIT).map(|_| Connection::open(cluster.address(0)).unwrap()).collect();
    for connection in &mut held {
        connection.send_bytes(b"PUT /kv-store/keys/held HTTP/1.1\r\nHost: n\r\nContent-Length: 12\r\n\r\n{").unwrap();
    }
    wait_for("as much is in progress as may be", || {
        (metric(&cluster, "precede_requests_in_progress", "") >= LIMIT as u64).then_some(())
    });
    for _ in 0..200 {
        let refused = cluster.request(0, "GET", KEY, "");
        assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
        assert_eq!(refused.header("precede-reason"), "this node has reached its limit of concurrent requests");
    }
    assert_eq!(cluster.request(0, "GET", "/readyz", "").status, 200, "probes have a budget of their own");
    for connection in &mut held {
        connection.send_bytes(b"\"value\": 1}").unwrap();
        assert_eq!(connection.receive().unwrap().status / 100, 2, "what was let in is done");
    }
    others_go_on(&cluster, 10);
}

/// xorshift64 (Marsaglia 2003): the same garbage each time.
struct Garbage(u64);

impl Garbage {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..1 + self.next() % most).map(|_| (self.next() >> 32) as u8).collect()
    }
}

#[test]
fn garbage_is_refused_or_ended_and_is_no_failure() {
    let cluster = Cluster::start(1, 1);
    store(&cluster, "v");
    let beginnings: [&[u8]; 8] = [
        b"",
        b"GET /kv-store/keys/",
        b"PUT /kv-store/keys/g HTTP/1.1\r\n",
        b"PUT /kv-store/keys/g HTTP/1.1\r\nHost: n\r\nContent-Length: 9\r\n\r\n",
        b"PUT /kv-store/keys/g HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"PUT /kv-store/keys/g HTTP/1.1\r\nHost: n\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /precede/peer HTTP/1.1\r\nHost: n\r\nConnection: upgrade\r\nUpgrade: precede-peer/1\r\n",
    ];
    let mut garbage = Garbage(7);
    for round in 0..1600 {
        let beginning = beginnings[round % beginnings.len()];
        let mut stream = TcpStream::connect(cluster.address(0)).unwrap();
        // It may be ended before all is sent.
        let _ = stream.write_all(&[beginning, &garbage.bytes(600)].concat());
        let _ = stream.shutdown(Shutdown::Write);
        let answer = rest(&stream);
        if let Some(status) = answer.strip_prefix(b"HTTP/1.1 ") {
            assert!(status.starts_with(b"4"), "round {round}: {:?}", String::from_utf8_lossy(&answer));
        }
        if round % 100 == 0 {
            others_go_on(&cluster, 1);
        }
    }
    assert_eq!(metric(&cluster, "precede_requests_total", "status=\"5xx\""), 0);
    assert_eq!(metric(&cluster, "precede_keys", ""), 2, "nothing was written");
    assert!(!cluster.log(0).contains("panicked"), "{}", cluster.log(0));
}

#[test]
fn a_frame_that_is_too_long_ends_its_link_and_takes_no_memory() {
    const GROWTH_KIB_MAX: u64 = 16 << 10;

    let cluster = Cluster::single(&["--cluster", "mine"]);
    store(&cluster, "v");
    let own = Address::parse(cluster.address(0), None).unwrap();
    let mut config = Config::new(own.clone(), View::bootstrap(&[own], 1).unwrap(), 0);
    "mine".clone_into(&mut config.cluster.name);
    config.cluster.is_derived = false;
    let head = format!(
        "GET /precede/peer HTTP/1.1\r\nHost: n\r\nConnection: upgrade\r\nUpgrade: precede-peer/1\r\n\
         Precede-Cluster: {:016x}\r\nPrecede-Epoch: 0\r\nPrecede-Address: 127.0.0.1:9\r\n\r\n",
        config.cluster.fingerprint()
    );
    let before = peak(&cluster);
    let mut garbage = Garbage(11);
    for round in 0..50 {
        let mut connection = Connection::open(cluster.address(0)).unwrap();
        connection.send_bytes(head.as_bytes()).unwrap();
        assert_eq!(connection.receive().unwrap().status, 101, "it knows the cluster's name");
        // A length beyond the limit, or a short frame that is no message.
        let frame = match round % 2 {
            0 => vec![0xff; 64],
            _ => [&[0, 0, 2, 0][..], &[0xff; 8], &garbage.bytes(1)].concat().into_iter().chain([0xff; 512]).collect(),
        };
        let _ = connection.send_bytes(&frame);
        assert!(connection.has_ended(), "round {round}");
    }
    others_go_on(&cluster, 3);
    let grown = peak(&cluster) - before;
    assert!(grown <= GROWTH_KIB_MAX, "{grown} KiB");
}
