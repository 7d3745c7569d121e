//! TLS: between clients and nodes, and with certificates on both sides between nodes.
#![allow(missing_docs, clippy::unwrap_used)]

mod cluster;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use cluster::{Cluster, precede, try_request, wait_for};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

/// A directory with an authority and certificates.
struct Authority(PathBuf);

impl Authority {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("tls-{name}-{}", std::process::id()));
        let authority = Self(path);
        authority.make(&["ca"]);
        authority
    }

    fn make(&self, what: &[&str]) {
        let output = precede().arg("cert").args(what).arg("--dir").arg(&self.0).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn path(&self, file: &str) -> String {
        self.0.join(file).to_str().unwrap().to_owned()
    }

    fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.0.join(file)).unwrap()
    }

    /// Makes a certificate for a host, and the arguments of a node that has it.
    fn node(&self, host: &str) -> Vec<String> {
        self.make(&["node", host]);
        let (certificate, key) = (self.path(&format!("{host}.pem")), self.path(&format!("{host}-key.pem")));
        ["--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-ca-file", &self.path("ca.pem")]
            .map(str::to_owned)
            .into()
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn texts(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// Runs a command against a node; its exit code and all that it prints.
fn run(arguments: &[&str], node: &str, authorities: &str) -> (i32, String) {
    let output = precede().args(arguments).args(["--node", node, "--ca-file", authorities]).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

fn is_well(node: &str, authorities: &str) -> bool {
    run(&["health"], node, authorities).0 == 0
}

/// What a node answers to a request on the path of nodes, by TLS with or without a certificate.
fn knock(node: &str, from: &str, authority: &Authority, host: Option<&str>) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&authority.read("ca.pem")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let config = match host {
        None => config.with_no_client_auth(),
        Some(host) => {
            let chain = vec![CertificateDer::from_pem_slice(&authority.read(&format!("{host}.pem"))).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(&authority.read(&format!("{host}-key.pem"))).unwrap();
            config.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let connection = ClientConnection::new(Arc::new(config), ServerName::try_from("127.0.0.1").unwrap()).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(node).unwrap());
    let request = format!(
        "GET /precede/peer HTTP/1.1\r\nHost: {node}\r\nConnection: upgrade\r\nUpgrade: precede-peer/1\r\n\
         Precede-Cluster: 1\r\nPrecede-Epoch: 0\r\nPrecede-Address: {from}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    // A node that refuses ends the connection; how, does not matter.
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn clients_and_nodes_speak_tls_and_nothing_else() {
    let authority = Authority::new("all");
    let (arguments, ca) = (authority.node("127.0.0.1"), authority.path("ca.pem"));
    let cluster = Cluster::start_unready(2, 2, &texts(&arguments));
    let node = cluster.address(0);
    for at in [0, 1] {
        wait_for("the node is ready", || is_well(cluster.address(at), &ca).then_some(()));
    }
    wait_for("a write comes to both", || {
        let (code, text) = run(&["put", "k", "1"], node, &ca);
        (code == 0 && text.contains("(2 replicas)")).then_some(())
    });
    assert_eq!(run(&["get", "k"], cluster.address(1), &ca), (0, "1\n".to_owned()));
    let large = "x".repeat(100_000);
    assert_eq!(run(&["put", "large", &large], node, &ca).0, 0);
    assert_eq!(run(&["get", "large"], cluster.address(1), &ca), (0, format!("\"{large}\"\n")));
    assert!(run(&["view"], node, &ca).1.contains("2 replicas per shard"));
    assert!(try_request(node, "GET", "/healthz", &[], b"").is_err(), "without TLS there is no answer");
    let health = |command: &mut Command| {
        let output = command.args(["health", "--node", node]).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(health(precede().env("PRECEDE_CA_FILE", &ca)).0, 0);
    let (code, text) = health(&mut precede());
    assert!(code == 3 && text.contains("is asked with --ca-file"), "{code} {text}");
    let stranger = Authority::new("stranger");
    let (code, text) = run(&["get", "k"], node, &stranger.path("ca.pem"));
    assert!(code == 3 && text.contains("certificate"), "{code} {text}");
}

#[test]
fn bench_loads_nodes_that_speak_tls_and_ask_for_a_token() {
    let (authority, stranger) = (Authority::new("bench"), Authority::new("bench-stranger"));
    let made = precede().args(["token", "new", "--role", "write", "--name", "load"]).output().unwrap();
    let made = String::from_utf8(made.stdout).unwrap();
    let field = |name| made.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let (token, tokens) = (authority.path("token"), authority.path("tokens"));
    std::fs::write(&token, field("token: ")).unwrap();
    std::fs::write(&tokens, field("line: ")).unwrap();
    let mut arguments = authority.node("127.0.0.1");
    arguments.extend(["--tokens-file".to_owned(), tokens]);
    let cluster = Cluster::start_unready(2, 2, &texts(&arguments));
    let (node, ca) = (cluster.address(0), authority.path("ca.pem"));
    for at in [0, 1] {
        wait_for("the node is ready", || is_well(cluster.address(at), &ca).then_some(()));
    }
    let load = ["bench", "--json", "--seconds", "1", "--connections", "4", "--pipeline", "8", "--keys", "50"];
    // A value of more than one record of TLS.
    let load = [&load[..], &["--value-bytes", "40000", "--mix", "mixed:50"]].concat();
    let (code, text) =
        run(&[&load[..], &["--token-file", &token]].concat(), &cluster.addresses(&[0, 1]).join(","), &ca);
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(
        (code, &report["tls"], &report["errors"], &report["not_found"]),
        (0, &json!(true), &json!(0), &json!(0))
    );
    assert!(report["reads"]["p50"].is_number() && report["writes"]["p50"].is_number(), "{report}");
    // What is wrong is said.
    let (code, text) = run(&load, node, &ca);
    assert!(code == 1 && text.contains("status 401 to a PUT"), "{code} {text}");
    let (code, text) = run(&load, node, &stranger.path("ca.pem"));
    assert!(code == 1 && text.contains("certificate"), "{code} {text}");
    let (code, text) = run(&load, node, &token);
    assert!(code == 2 && text.contains("--ca-file: it has no certificate in PEM"), "{code} {text}");
    let (code, text) = run(&load, &format!("https://{node}"), &ca);
    assert!(code == 2 && text.contains("without a scheme: TLS is spoken where authorities are given"), "{code} {text}");
}

#[test]
fn only_nodes_with_a_certificate_of_their_own_are_let_in() {
    let authority = Authority::new("peers");
    let (arguments, ca) = (authority.node("127.0.0.1"), authority.path("ca.pem"));
    let cluster = Cluster::start_unready(2, 2, &texts(&arguments));
    let (node, member) = (cluster.address(0), cluster.address(1));
    wait_for("the node is ready", || is_well(node, &ca).then_some(()));
    authority.make(&["node", "10.1.1.1"]);
    for host in [None, Some("10.1.1.1")] {
        let answer = knock(node, member, &authority, host);
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("TLS_CA_FILE"), "{host:?}: {answer}");
    }
    let answer = knock(node, member, &authority, Some("127.0.0.1"));
    assert!(answer.starts_with("HTTP/1.1 101 "), "a node is let in: {answer}");
}

#[test]
fn certificates_change_while_the_node_runs() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let arguments = old.node("127.0.0.1");
    new.node("127.0.0.1");
    let cluster = Cluster::start_unready(1, 1, &texts(&arguments));
    let node = cluster.address(0);
    wait_for("the node is ready", || is_well(node, &old.path("ca.pem")).then_some(()));
    assert!(!is_well(node, &new.path("ca.pem")));
    std::fs::write(old.path("127.0.0.1.pem"), "nonsense").unwrap();
    wait_for("the mistake is told", || cluster.log(0).contains("cannot be read again").then_some(()));
    assert!(is_well(node, &old.path("ca.pem")), "what was in force stays in force");
    for file in ["127.0.0.1.pem", "127.0.0.1-key.pem"] {
        std::fs::write(old.path(file), new.read(file)).unwrap();
    }
    wait_for("the new certificate is shown", || is_well(node, &new.path("ca.pem")).then_some(()));
}

#[test]
fn files_that_are_missing_are_named() {
    let authority = Authority::new("missing");
    let arguments = authority.node("n1");
    let refused = |arguments: &[String], told: &str| {
        let output = precede().args(["serve", "--port", "0"]).args(arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && error.contains(told), "{error}");
    };
    refused(&arguments[..4], "n1.pem\" needs TLS_CA_FILE besides");
    refused(&arguments[4..], "ca.pem\" needs TLS_CERT_FILE and TLS_KEY_FILE besides");
    let mut elsewhere = arguments.clone();
    elsewhere[3] = authority.path("nothing.pem");
    refused(&elsewhere, &format!("--tls-key-file: {}: No such file", elsewhere[3]));
    let again = precede().args(["cert", "node", "n1", "--dir"]).arg(&authority.0).output().unwrap();
    assert_eq!(again.status.code(), Some(1), "nothing is written over");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(authority.path("n1-key.pem")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}
