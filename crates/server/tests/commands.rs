//! Single operations and the view from the command line: what they print, and how they end.
#![allow(missing_docs, clippy::unwrap_used)]

mod cluster;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use cluster::{Cluster, precede, request};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Runs a command against a node; returns its exit code and what it printed.
fn run(node: &str, arguments: &[&str]) -> (i32, String) {
    let output = precede().args(arguments).args(["--node", node]).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn get_prints_json_values_as_they_were_written() {
    #[derive(serde::Deserialize)]
    struct Printed<'a> {
        #[serde(borrow)]
        value: &'a RawValue,
    }
    let cluster = Cluster::single(&[]);
    let node = cluster.address(0);
    for value in ["1e400", r#""\ud800""#, "123456789012345678901234567890", "1.50", r#"{"a":1,"a" : 2}"#, r#""Ada""#] {
        assert_eq!(run(node, &["put", "k", value]).0, 0, "{value}");
        assert_eq!(run(node, &["get", "k"]), (0, format!("{value}\n")));
        let (code, text) = run(node, &["get", "k", "--json"]);
        let printed: Printed<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!((code, printed.value.get()), (0, value));
    }
    let (_, text) = run(node, &["get", "k", "--json"]);
    let object: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&object["doesExist"], &object["content-type"]), (&json!(true), &json!("application/json")));
    assert_eq!(object["node"], json!(node));
}

#[test]
fn bench_asks_as_it_is_told() {
    let cluster = Cluster::start(2, 2);
    let nodes = [cluster.address(0), cluster.address(1)];
    let bench = |arguments: &[&str]| -> Value {
        let load = ["bench", "--json", "--seconds", "1", "--connections", "4", "--keys", "50", "--node"];
        let output = precede().args(load).arg(nodes.join(",")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let closed = bench(&["--mix", "mixed:50", "--pipeline", "8", "--distribution", "zipf:0.99"]);
    assert_eq!((&closed["errors"], &closed["not_found"]), (&json!(0), &json!(0)), "{closed}");
    assert_eq!((&closed["nodes"], &closed["rate"]), (&json!(nodes), &Value::Null));
    let open = bench(&["--loaded", "--rate", "100", "--contexts", "off"]);
    assert_eq!((&open["errors"], &open["not_found"], &open["rate"]), (&json!(0), &json!(0), &json!(100)), "{open}");
    // So many are due before the time is over, and no more are sent though the nodes could answer them.
    let requests = open["requests"].as_u64().unwrap();
    assert!((1..=100).contains(&requests), "{open}");
    let on_all = bench(&["--mix", "put", "--write-concern", "all"]);
    assert_eq!((&on_all["errors"], &on_all["write_concern"]), (&json!(0), &json!("all")), "{on_all}");
}

#[test]
fn bench_counts_writes_on_too_few_replicas_as_errors() {
    let cluster = Cluster::single(&[]);
    let load = ["bench", "--json", "--seconds", "1", "--connections", "1", "--mix", "put", "--write-concern", "2"];
    let (code, text) = run(cluster.address(0), &load);
    let object: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &object["requests"]), (1, &json!(0)), "{text}");
    assert_eq!(object["first_error"], json!("status 202 to a PUT"));
}

#[test]
fn get_prints_bytes_in_json_as_a_text_or_in_base64() {
    let cluster = Cluster::single(&[]);
    let node = cluster.address(0);
    for (bytes, field, printed) in
        [(&b"gr\xc3\xbc\xc3\x9f\""[..], "value", "grüß\""), (b"\xff\x00", "value-base64", "/wA=")]
    {
        request(node, "PUT", "/kv-store/keys/k", &[("Content-Type", "x/y")], bytes);
        let (code, text) = run(node, &["get", "k", "--json"]);
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((code, &object[field], &object["content-type"]), (0, &json!(printed), &json!("x/y")), "{text}");
    }
}

#[test]
fn an_absent_key_is_told_in_json_too() {
    let cluster = Cluster::single(&[]);
    for command in ["get", "delete"] {
        assert_eq!(run(cluster.address(0), &[command, "k", "--json"]), (1, "{\"doesExist\":false}\n".to_owned()));
        assert_eq!(run(cluster.address(0), &[command, "k"]), (1, String::new()));
    }
}

#[test]
fn view_prints_the_whole_view_in_json() {
    let cluster = Cluster::start(2, 2);
    let (code, text) = run(cluster.address(0), &["view", "--json"]);
    let view: Value = serde_json::from_str(&text).unwrap();
    let mut replicas = cluster.addresses(&[0, 1]);
    replicas.sort();
    let told = json!({
        "epoch": 0, "repl-factor": 2, "settled": true, "shards": [{ "shard-id": 1, "replicas": replicas }],
    });
    assert_eq!((code, view), (0, told));
}

/// `precede view change` against a coordinator of which this test plays the part.
struct Change {
    child: Child,
    requests: Receiver<Asked>,
}

/// A request, and the connection that waits for its answer: a client has as many as it likes.
struct Asked {
    line: String,
    body: Value,
    connection: TcpStream,
}

impl Change {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let node = listener.local_addr().unwrap().to_string();
        let (sender, requests) = channel();
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let sender = sender.clone();
                thread::spawn(move || {
                    let mut reader = BufReader::new(connection);
                    while let Some(asked) = read_request(&mut reader) {
                        if sender.send(asked).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        let mut command = precede();
        command.args(["view", "change", "a:1,b:1", "--node", &node]).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { child: command.spawn().unwrap(), requests }
    }

    /// The next request, once its body is here.
    fn next_request(&self) -> Asked {
        self.requests.recv().unwrap()
    }

    fn interrupt(self) -> Output {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGINT).unwrap();
        self.child.wait_with_output().unwrap()
    }
}

/// The next request of a connection; none when it has ended.
fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if let Some(told) = line.to_lowercase().strip_prefix("content-length:") {
            length = told.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    Some(Asked { line: first, body, connection: reader.get_ref().try_clone().unwrap() })
}

fn respond(asked: &mut Asked, status: &str, body: &Value) {
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncausal-context: \r\n");
    let response = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    asked.connection.write_all(response.as_bytes()).unwrap();
}

#[test]
fn an_interrupted_change_says_what_has_been_asked_for() {
    let shards = json!([{ "shard-id": 1, "replicas": ["a:1", "b:1"] }]);
    let plan = json!({ "message": "View change planned", "shards": shards, "moves": [] });
    let partial = json!({ "message": "Partial view change successful", "shards": shards, "outstanding": [1] });

    // While it plans.
    let change = Change::start();
    assert_eq!(change.next_request().body["dry-run"], json!(true));
    let output = change.interrupt();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains("nothing was changed"), "{error}");

    // While the change itself has no answer.
    let change = Change::start();
    respond(&mut change.next_request(), "200 OK", &plan);
    assert_eq!(change.next_request().body["dry-run"], json!(false));
    let output = change.interrupt();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains("no answer"), "{error}");

    // While keys are on their way.
    let change = Change::start();
    respond(&mut change.next_request(), "200 OK", &plan);
    respond(&mut change.next_request(), "202 Accepted", &partial);
    let line = change.next_request().line;
    assert!(line.starts_with("GET /kv-store/view-change "), "{line}");
    let output = change.interrupt();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains("the change goes on by itself"), "{error}");
}
