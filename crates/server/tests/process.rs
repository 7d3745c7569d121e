//! The process: its start, its end, its restarts, and the other subcommands.
#![allow(missing_docs, clippy::unwrap_used)]

mod cluster;

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use cluster::{Cluster, Connection, Response, free_port, free_ports, precede, request, try_request, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

#[test]
fn a_wrong_configuration_is_named_and_ends_with_2() {
    for (variable, value, remedy) in [
        ("PORT", "http", "0 to 65535"),
        ("REPL_FACTOR", "2", "lower the replication factor"),
        ("VIEW", "a:1,a:1", "named twice"),
        ("ADDRESS", "a b", "host:port"),
        ("MAX_KEY_BYTES", "-1", "1 to 60000"),
        ("BIND", "nowhere", "0.0.0.0"),
    ] {
        let output = precede().arg("serve").env(variable, value).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(&format!("{variable}=\"{value}\"")) && error.contains(remedy), "{error}");
    }
    assert_eq!(precede().args(["serve", "--no-such-flag"]).output().unwrap().status.code(), Some(2));
}

#[test]
fn the_environment_names_the_node_and_flags_go_before_it() {
    let port = free_port();
    let mut command = precede();
    command.args(["serve", "--repl-factor", "1"]).env("ADDRESS", "localhost").env("PORT", port.to_string());
    command.env("VIEW", "localhost").env("REPL_FACTOR", "7").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, format!("listening on localhost:{port}\n"));
    let told = request(&format!("127.0.0.1:{port}"), "GET", "/kv-store/shards/1", &[], b"").json();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(told["replicas"], json!([format!("localhost:{port}")]));
}

#[test]
fn a_node_that_is_asked_to_end_finishes_and_ends_with_0() {
    let mut cluster = Cluster::start(2, 2);
    for at in 0..100 {
        let path = format!("/kv-store/keys/{at}?w=1");
        assert_eq!(cluster.request(0, "PUT", &path, r#"{"value": 1}"#).status, 201);
    }
    assert_eq!(cluster.terminate(0).code(), Some(0));
    assert_eq!(cluster.request(1, "GET", "/kv-store/key-count", "").json()["key-count"], json!(100));
}

/// A node alone with so many keys, and the view changed to another one, to which all of them are to move.
fn moving(keys: usize, value: &str) -> Cluster {
    let mut cluster = Cluster::start(1, 1);
    let new = cluster.add(&cluster.addresses(&[0]), 1);
    cluster.wait_spares(&[new]);
    let mut connection = Connection::open(cluster.address(0)).unwrap();
    let body = json!({ "value": value }).to_string();
    for key in 0..keys {
        connection.send("PUT", &format!("/kv-store/keys/k{key}"), &[], body.as_bytes()).unwrap();
        assert_eq!(connection.receive().unwrap().status, 201);
    }
    let body = json!({ "view": [cluster.address(new)], "timeout-ms": 1 }).to_string();
    let response = cluster.request(0, "PUT", "/kv-store/view-change", &body);
    assert!([200, 202].contains(&response.status), "{response:?}");
    cluster
}

#[test]
fn a_node_that_is_asked_to_end_first_hands_over_what_it_held() {
    let mut cluster = moving(3000, "v");
    assert_eq!(cluster.terminate(0).code(), Some(0));
    let log = cluster.log(0);
    assert!(!log.contains("ERROR"), "{log}");
    assert_eq!(cluster.request(1, "GET", "/kv-store/key-count", "").json()["key-count"], json!(3000), "{log}");
    assert_eq!(cluster.request(1, "GET", "/kv-store/view-change", "").json()["settled"], json!(true));
}

#[test]
fn a_node_that_ends_with_what_it_has_not_handed_over_says_how_much() {
    let value = "v".repeat(1 << 20);
    let log = wait_for("the new member is paused before it has everything, and has said so", || {
        let mut cluster = moving(16, &value);
        cluster.pause(1);
        cluster.ask_to_end(0);
        // Until it has ended nodes and probes can connect, and clients are sent elsewhere.
        let ask = |path| try_request(cluster.address(0), "GET", path, &[], b"");
        let ended = |response: std::io::Result<Response>| {
            response.is_err() || response.is_ok_and(|r| r.status == 503 && r.header("connection") == "close")
        };
        wait_for("it is on its way to its end", || ended(ask("/readyz")).then_some(()));
        assert!(ended(ask("/kv-store/shards")));
        assert_eq!(cluster.nodes[0].wait().code(), Some(0));
        let log = cluster.log(0);
        (!log.contains("a former view is settled")).then_some(log)
    });
    let told = log.lines().any(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["level"] == json!("ERROR") && line["epoch"] == json!(0) && line["entries"] == json!(16)
    });
    assert!(told, "{log}");
}

#[test]
fn a_killed_node_comes_back_with_what_its_shard_holds() {
    let mut cluster = Cluster::start(2, 2);
    let context = cluster.request(1, "PUT", "/kv-store/keys/k", r#"{"value": 1}"#).context().to_owned();
    cluster.kill(1);
    let context = cluster.request_after(0, "PUT", "/kv-store/keys/k", &context, r#"{"value": 2}"#).context().to_owned();
    cluster.restart(1);
    cluster.wait_ready();
    let response = cluster.request_after(1, "GET", "/kv-store/keys/k", &context, "");
    assert_eq!(response.json()["value"], json!(2));
    assert_eq!(response.header("precede-node"), cluster.address(1));
}

#[test]
fn a_paused_node_does_not_stop_the_others_and_comes_back() {
    let cluster = Cluster::start(3, 3);
    cluster.pause(2);
    let mut context = String::new();
    for at in 0..50 {
        let body = format!("{{\"value\": {at}}}");
        let response = cluster.request_after(at % 2, "PUT", "/kv-store/keys/k", &context, &body);
        assert!(response.status < 202, "{response:?}");
        context = response.context().to_owned();
    }
    cluster.resume(2);
    wait_for("the paused node has caught up", || {
        let response = cluster.request_after(2, "GET", "/kv-store/keys/k", &context, "");
        (response.status == 200 && response.header("precede-node") == cluster.address(2)).then(|| {
            assert_eq!(response.json()["value"], json!(49));
        })
    });
}

#[test]
fn a_node_without_its_shard_is_not_ready_and_says_whom_it_waits_for() {
    let missing = format!("127.0.0.1:{}", free_port());
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let mut command = precede();
    command.args(["serve", "--address", &address, "--view", &format!("{address},{missing}"), "--repl-factor", "2"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let ready = request(&address, "GET", "/readyz", &[], b"");
    let put = request(&address, "PUT", "/kv-store/keys/k", &[], br#"{"value": 1}"#);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(ready.status, 503);
    assert!(ready.json()["reasons"].to_string().contains(&missing), "{ready:?}");
    assert_eq!(put.status, 503, "{put:?}");
}

#[test]
fn health_is_told_by_the_exit_code() {
    let cluster = Cluster::single(&[]);
    let port = cluster.address(0).rsplit(':').next().unwrap().to_owned();
    let code = |arguments: &[&str], port: &str| {
        let output = precede().arg("health").args(arguments).env("PORT", port).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (status, text) = code(&[], &port);
    assert!(status == 0 && text.contains("Ready"), "{status} {text}");
    assert_eq!(code(&["--alive", "--node", cluster.address(0)], "1").0, 0);
    assert_eq!(code(&[], &free_port().to_string()).0, 3);
    let mut pair = Cluster::start(2, 2);
    pair.kill(1);
    pair.kill(0);
    pair.restart(0);
    assert_eq!(code(&["--node", pair.address(0)], "1").0, 1);
    assert_eq!(code(&["--node", pair.address(0), "--alive"], "1").0, 0);
}

#[test]
fn a_spare_passes_requests_on() {
    let cluster = Cluster::start(2, 1);
    let view = format!("{},{}", cluster.address(0), cluster.address(1));
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = precede();
    command.args(["serve", "--address", &address, "--view", &view]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    wait_for("the spare is linked", || {
        (request(&address, "GET", "/kv-store/keys/k", &[], b"").status == 404).then_some(())
    });
    let put = request(&address, "PUT", "/kv-store/keys/k", &[], br#"{"value": 1}"#);
    let get = request(&address, "GET", "/kv-store/keys/k", &[], b"");
    let count = request(&address, "GET", "/kv-store/key-count", &[], b"");
    let ready = request(&address, "GET", "/readyz", &[], b"");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(put.status, 201, "{put:?}");
    assert_eq!(get.json()["value"], json!(1));
    assert_eq!((count.status, ready.status), (503, 503));
}

#[test]
fn single_operations_keep_a_session() {
    let cluster = Cluster::start(2, 2);
    let file = format!("{}/session-{}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    let run = |node: usize, arguments: &[&str]| {
        let mut command = precede();
        command.args(arguments).args(["--node", cluster.address(node), "--session", &file]);
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = run(0, &["put", "user:1", "Ada"]);
    assert!(code == 0 && text.starts_with("added on "), "{code} {text}");
    assert_eq!(run(1, &["get", "user:1"]), (0, "\"Ada\"\n".to_owned()));
    assert_eq!(run(1, &["get", "user:1", "--raw"]), (0, "\"Ada\"".to_owned()));
    let (code, text) = run(1, &["get", "user:1", "--json"]);
    let object: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, object["value"].clone()), (0, json!("Ada")));
    assert_eq!(run(0, &["delete", "user:1"]).0, 0);
    assert_eq!(run(1, &["get", "user:1"]).0, 1);
    assert_eq!(run(1, &["delete", "user:1"]).0, 1);
    std::fs::remove_file(&file).unwrap();
    let output = precede().args(["get", "k", "--node", "nowhere"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let nobody = format!("127.0.0.1:{}", free_port());
    let output = precede().args(["get", "k", "--node", &nobody]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
}

/// `precede dev`, which is ended with the test.
struct Dev(Child);

impl Dev {
    fn start(base: u16) -> Self {
        let mut command = precede();
        command.args(["dev", "--port-base", &base.to_string()]).stdout(Stdio::piped()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// Asks it to end, and waits until it has.
    fn end(&mut self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
        assert!(wait_for("dev ends", || self.0.try_wait().unwrap()).success());
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn dev_that_is_asked_to_end_while_it_starts_ends() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let base = free_ports(4);
        let mut dev = Dev::start(base);
        // The first node runs, so that dev hears signals; the others are about to.
        wait_for("a node listens", || std::net::TcpStream::connect(("127.0.0.1", base)).ok());
        dev.end(signal);
        assert!((base..base + 4).all(|port| std::net::TcpStream::connect(("127.0.0.1", port)).is_err()));
    }
}

#[test]
fn dev_says_which_settings_of_the_environment_it_leaves_out() {
    let base = free_ports(2);
    let mut command = precede();
    command.args(["dev", "--nodes", "1", "--repl-factor", "1", "--spares", "1", "--port-base", &base.to_string()]);
    for variable in ["TLS_CERT_FILE", "TOKENS_FILE", "PEER_SECRET_FILE", "PRECEDE_CA_FILE"] {
        command.env(variable, "/nowhere");
    }
    let mut dev = Dev(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let mut told = BufReader::new(dev.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let told = told.next().unwrap();
    assert!(told.contains("neither TLS nor tokens nor a secret"), "{told}");
    for variable in ["TLS_CERT_FILE", "TOKENS_FILE", "PEER_SECRET_FILE", "PRECEDE_CA_FILE"] {
        assert!(told.contains(variable), "{told}");
    }
    // What it tells to type works there too.
    let mut lines = BufReader::new(dev.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let grow = lines.find(|line| line.contains(" view change ")).unwrap();
    let mut words = grow.split_whitespace();
    assert_eq!(words.next(), Some("env"));
    let mut env = std::process::Command::new("env");
    let output = env.env("PRECEDE_CA_FILE", "/nowhere").args(words).output().unwrap();
    assert!(output.status.success(), "{grow}: {output:?}");
    dev.end(Signal::SIGTERM);
}

#[test]
fn dev_runs_a_cluster_that_survives_a_node() {
    let base = free_ports(4);
    let mut dev = Dev::start(base);
    let mut lines = BufReader::new(dev.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut told = Vec::new();
    for line in lines.by_ref() {
        let last = line.contains("Ctrl-C");
        told.push(line);
        if last {
            break;
        }
    }
    let told = told.join("\n");
    let (first, last) = (format!("127.0.0.1:{base}"), format!("127.0.0.1:{}", base + 3));
    let put = request(&first, "PUT", "/kv-store/keys/k", &[], br#"{"value": 1}"#);
    assert_eq!((put.status, put.header("precede-acks")), (201, "2"), "{told}");
    let curls = told.lines().filter(|line| line.contains("curl -s")).count();
    assert_eq!(curls, 3, "{told}");
    let row = told.lines().find(|line| line.trim_start().starts_with(&last)).unwrap();
    let pid: i32 = row.split_whitespace().last().unwrap().parse().unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    let again = lines.by_ref().find(|line| line.contains(" serve --address ")).unwrap();
    assert!(again.contains(&format!("--address {last} ")), "{again}");
    let get = request(&first, "GET", "/kv-store/keys/k", &[("Causal-Context", put.context())], b"");
    assert_eq!(get.json()["value"], json!(1));
    dev.end(Signal::SIGTERM);
    assert!(std::net::TcpStream::connect(&first).is_err(), "its nodes end with it");
    let mut rest = String::new();
    for line in lines {
        rest += &line;
    }
    assert!(rest.contains("stopping"));
}
