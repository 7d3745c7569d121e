//! The secret that nodes share: who is let in as a node, and whose contexts are taken.
#![allow(missing_docs, clippy::unwrap_used)]

mod cluster;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use cluster::{Connection, Response, free_port, precede, request, try_request, wait_for};
use serde_json::json;

const KEY: &str = "/kv-store/keys/k";
const ON_BOTH: &str = "/kv-store/keys/k?w=2";

/// A file of secrets.
struct File(PathBuf);

impl File {
    fn new(name: &str, lines: &[&str]) -> Self {
        let file = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("secret-{name}-{}", std::process::id())));
        file.write(lines);
        file
    }

    /// Replaced whole: no half of it is ever read.
    fn write(&self, lines: &[&str]) {
        let beside = self.0.with_extension("new");
        std::fs::write(&beside, lines.join("\n")).unwrap();
        std::fs::rename(beside, &self.0).unwrap();
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A node with a file of its own, or none.
struct Node {
    address: String,
    child: Child,
    log: PathBuf,
}

impl Node {
    /// Starts a node that listens on a port other than its address's if one is given.
    fn start(address: &str, view: &str, file: Option<&File>, port: Option<u16>) -> Self {
        let mut command = precede();
        command.args(["serve", "--address", address, "--view", view, "--repl-factor", "2"]);
        if let Some(file) = file {
            command.arg("--peer-secret-file").arg(&file.0);
        }
        if let Some(port) = port {
            command.args(["--port", &port.to_string()]);
        }
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("secrets-{}.log", address.replace(':', "-")));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(std::fs::File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("listening on "), "{}", std::fs::read_to_string(&log).unwrap());
        Self { address: address.to_owned(), child, log }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    fn put(&self, path: &str) -> Response {
        request(&self.address, "PUT", path, &[], br#"{"value": 1}"#)
    }

    fn is_ready(&self) -> bool {
        try_request(&self.address, "GET", "/readyz", &[], b"").is_ok_and(|response| response.status == 200)
    }

    /// Whether a write comes to both nodes.
    fn reaches_the_other(&self) -> bool {
        matches!(self.put(ON_BOTH).status, 200 | 201)
    }

    fn read_again(&self) -> usize {
        self.log().matches("read again").count()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two nodes that know each other.
fn pair(files: [Option<&File>; 2]) -> [Node; 2] {
    let addresses = [0, 1].map(|_| format!("127.0.0.1:{}", free_port()));
    let view = addresses.join(",");
    [0, 1].map(|at| Node::start(&addresses[at], &view, files[at], None))
}

fn wait_ready(nodes: &[Node]) {
    for node in nodes {
        wait_for("the node is ready", || node.is_ready().then_some(()));
    }
}

fn secret() -> String {
    let output = precede().arg("secret").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What a node answers to a request to upgrade with these headers besides.
fn knock(connection: &mut Connection, from: &str, more: &[(&str, &str)]) -> Response {
    let mut headers = vec![
        ("Connection", "upgrade"),
        ("Upgrade", "precede-peer/1"),
        ("Precede-Cluster", "0000000000000001"),
        ("Precede-Epoch", "0"),
        ("Precede-Address", from),
    ];
    headers.extend_from_slice(more);
    connection.send("GET", "/precede/peer", &headers, b"").unwrap();
    connection.receive().unwrap()
}

#[test]
fn strangers_are_refused_before_anything_is_kept_of_them() {
    let (ours, theirs) = (File::new("ours", &[&secret()]), File::new("theirs", &[&secret()]));
    let nodes = pair([Some(&ours), Some(&ours)]);
    wait_ready(&nodes);
    let node = &nodes[0];
    let open = || Connection::open(&node.address).unwrap();
    let (nonce, proof) = ("1".repeat(64), "2".repeat(64));
    let other = nodes[1].address.as_str();

    let refused = knock(&mut open(), other, &[]);
    assert_eq!(refused.status, 403);
    assert!(refused.json()["error"].as_str().unwrap().contains("PEER_SECRET_FILE"), "{refused:?}");

    let mut connection = open();
    let asked = knock(&mut connection, other, &[("Precede-Nonce", &nonce)]);
    let number = asked.header("precede-nonce").to_owned();
    assert_eq!((asked.status, number.len(), asked.header("www-authenticate")), (401, 64, "Precede-Peer"));
    let refused = knock(&mut connection, other, &[("Precede-Nonce", &nonce), ("Precede-Proof", &proof)]);
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(connection.has_ended());

    let refused = knock(&mut open(), other, &[("Precede-Nonce", &nonce), ("Precede-Proof", &proof)]);
    assert!(refused.status == 403 && refused.json()["error"].as_str().unwrap().contains("not asked"), "{refused:?}");
    let again = knock(&mut open(), other, &[("Precede-Nonce", &nonce)]);
    assert_ne!(again.header("precede-nonce"), number, "a number is used once");

    // A node with another secret, under the name of a member that has gone.
    let [node, gone] = nodes;
    let (address, view) = (gone.address.clone(), format!("{},{}", node.address, gone.address));
    drop(gone);
    let stranger = Node::start(&address, &view, Some(&theirs), None);
    wait_for("both tell of it", || {
        let told = stranger.log().contains("another secret") && node.log().contains("not by a secret of this cluster");
        told.then_some(())
    });
    assert!(!stranger.is_ready() && node.put(ON_BOTH).status == 202, "it gets nothing");
    let count = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["refused"].as_u64();
    assert!(node.log().lines().filter_map(count).max().unwrap() >= 4, "strangers are counted");
    drop(stranger);
    let member = Node::start(&address, &view, Some(&ours), None);
    wait_ready(std::slice::from_ref(&member));
    wait_for("the member is taken back", || node.reaches_the_other().then_some(()));
}

#[test]
fn a_node_without_a_secret_is_told_what_it_lacks() {
    let file = File::new("lacking", &[&secret()]);
    let nodes = pair([Some(&file), None]);
    wait_for("it is told", || nodes[1].log().contains("share a secret").then_some(()));
    wait_for("the other tells why it does not link", || nodes[0].log().contains("asked for no proof").then_some(()));
    assert!(!nodes[0].is_ready() && !nodes[1].is_ready());
}

/// Passes connections on to a port, and keeps the longest that is said on one that proves anything.
fn listening_in(listener: TcpListener, port: u16) -> Arc<Mutex<Vec<u8>>> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(near) = stream else { return };
            let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            let (mut back_from, mut back_to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut back_from, &mut back_to));
            let (kept, mut near, mut far) = (Arc::clone(&kept), near, far);
            std::thread::spawn(move || {
                let (mut buffer, mut said) = ([0; 4096], Vec::new());
                while let Ok(read @ 1..) = near.read(&mut buffer) {
                    said.extend_from_slice(&buffer[..read]);
                    let mut kept = kept.lock().unwrap();
                    let proves = String::from_utf8_lossy(&said).contains("precede-proof");
                    if proves && said.len() > kept.len() {
                        kept.clone_from(&said);
                    }
                    drop(kept);
                    if far.write_all(&buffer[..read]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    heard
}

#[test]
fn what_was_overheard_is_of_no_use() {
    let file = File::new("overheard", &[&secret()]);
    let listener = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let (near, far) = (listener.local_addr().unwrap(), free_port());
    let other = format!("127.0.0.1:{}", free_port());
    let view = format!("{near},{other}");
    let heard = listening_in(listener, far);
    let listened = Node::start(&near.to_string(), &view, Some(&file), Some(far));
    let speaking = Node::start(&other, &view, Some(&file), None);
    let nodes = [listened, speaking];
    wait_ready(&nodes);
    wait_for("a write is overheard", || nodes[1].reaches_the_other().then_some(()));
    let said = wait_for("frames are overheard", || {
        let heard = heard.lock().unwrap().clone();
        (heard.windows(4).filter(|end| end == b"\r\n\r\n").count() >= 2 && heard.len() > 1500).then_some(heard)
    });
    let ends: Vec<usize> =
        said.windows(4).enumerate().filter(|(_, end)| end == b"\r\n\r\n").map(|(at, _)| at + 4).collect();
    // Everything at once, and answer by answer.
    let target = format!("127.0.0.1:{far}");
    let mut connection = Connection::open(&target).unwrap();
    connection.send_bytes(&said).unwrap();
    assert_eq!(connection.receive().unwrap().status, 401);
    assert_eq!(connection.receive().unwrap().status, 403);
    let mut connection = Connection::open(&target).unwrap();
    connection.send_bytes(&said[..ends[0]]).unwrap();
    assert_eq!(connection.receive().unwrap().status, 401);
    connection.send_bytes(&said[ends[0]..ends[1]]).unwrap();
    assert_eq!(connection.receive().unwrap().status, 403);
    // The second request alone, whose number this connection does not know.
    let mut connection = Connection::open(&target).unwrap();
    connection.send_bytes(&said[ends[0]..]).unwrap();
    assert_eq!(connection.receive().unwrap().status, 403);
    // Passed on to another node, as a man in the middle would.
    let mut connection = Connection::open(&nodes[1].address).unwrap();
    connection.send_bytes(&said[..ends[1]]).unwrap();
    assert_eq!((connection.receive().unwrap().status, connection.receive().unwrap().status), (401, 403));
    assert!(nodes[1].reaches_the_other(), "the link itself goes on");
}

#[test]
fn the_secret_changes_while_the_cluster_works() {
    let (old, new) = (secret(), secret());
    let files = [File::new("rotate-0", &[&old]), File::new("rotate-1", &[&old])];
    let nodes = pair([Some(&files[0]), Some(&files[1])]);
    wait_ready(&nodes);
    let begun = nodes[0].put(KEY);
    let sealed = begun.context().to_owned();
    let get =
        |node: &Node, context: &str| request(&node.address, "GET", KEY, &[("Causal-Context", context)], b"").status;
    for lines in [vec![&old, &new], vec![&new, &old]] {
        for at in [0, 1] {
            let before = nodes[at].read_again();
            files[at].write(&lines.iter().map(|line| line.as_str()).collect::<Vec<_>>());
            wait_for("it is read again", || (nodes[at].read_again() > before).then_some(()));
            assert_eq!(nodes.each_ref().map(Node::reaches_the_other), [true, true], "no link is lost");
            let newest = nodes[at].put(KEY).context().to_owned();
            assert_eq!([get(&nodes[0], &newest), get(&nodes[1], &newest), get(&nodes[1], &sealed)], [200; 3]);
        }
    }
    let newest = nodes[0].put(KEY).context().to_owned();
    for at in [0, 1] {
        files[at].write(&[&new]);
    }
    wait_for("the old one is no longer taken", || (get(&nodes[0], &sealed) == 400).then_some(()));
    wait_for("links by the new one are there", || nodes.iter().all(Node::reaches_the_other).then_some(()));
    assert_eq!(get(&nodes[1], &newest), 200);
    // A link ends with the secret that it was made by.
    files[1].write(&[&old]);
    wait_for("the node is cut off", || (nodes[0].put(ON_BOTH).status == 202).then_some(()));
    files[1].write(&[&new]);
    wait_for("it is taken back", || nodes[0].reaches_the_other().then_some(()));
}

#[test]
fn a_running_cluster_is_given_a_secret_node_by_node() {
    let secret = secret();
    let files = [File::new("begin-0", &[&secret, "anyone"]), File::new("begin-1", &[&secret, "anyone"])];
    let addresses = [0, 1].map(|_| format!("127.0.0.1:{}", free_port()));
    let view = addresses.join(",");
    let first = Node::start(&addresses[0], &view, Some(&files[0]), None);
    let second = Node::start(&addresses[1], &view, None, None);
    let nodes = [first, second];
    wait_ready(&nodes);
    assert!(nodes.iter().all(Node::reaches_the_other), "one with, one without");
    let context = nodes[0].put(KEY).context().to_owned();
    let plain = nodes[1].put(KEY).context().to_owned();
    assert!(context.contains('.') && !plain.contains('.'));
    for (node, context) in [(0, &plain), (1, &context)] {
        let get = request(&nodes[node].address, "GET", KEY, &[("Causal-Context", context)], b"");
        assert_eq!(get.status, 200, "{get:?}");
    }
    let [first, second] = nodes;
    drop(second);
    let second = Node::start(&addresses[1], &view, Some(&files[1]), None);
    let nodes = [first, second];
    wait_ready(&nodes);
    for file in &files {
        file.write(&[&secret]);
    }
    wait_for("strangers are refused", || {
        let refused = knock(&mut Connection::open(&nodes[0].address).unwrap(), &addresses[1], &[]);
        (refused.status == 403).then_some(())
    });
    wait_for("the nodes know each other", || nodes.iter().all(Node::reaches_the_other).then_some(()));
    let get = request(&nodes[0].address, "GET", KEY, &[("Causal-Context", &plain)], b"");
    assert_eq!(get.status, 400, "what anyone could have made up is no longer taken");
}

#[test]
fn contexts_cannot_be_made_up_or_changed() {
    let file = File::new("contexts", &[&secret()]);
    let nodes = pair([Some(&file), Some(&file)]);
    wait_ready(&nodes);
    let put = nodes[0].put(KEY);
    let sealed = put.context().to_owned();
    let (token, seal) = sealed.split_once('.').unwrap();
    assert_eq!(seal.len(), 16);
    let get = |context: &str| request(&nodes[1].address, "GET", KEY, &[("Causal-Context", context)], b"");
    assert_eq!(get(&sealed).json()["value"], json!(1));
    let body = format!("{{\"causal-context\": {{\"token\": \"{sealed}\"}}}}");
    assert_eq!(request(&nodes[1].address, "GET", KEY, &[], body.as_bytes()).status, 200, "in a body too");
    let merged = get(&format!("{sealed},{}", nodes[1].put(KEY).context()));
    assert_eq!(merged.status, 200);
    let mut flipped = sealed.clone().into_bytes();
    flipped[3] ^= 1;
    let flipped = String::from_utf8(flipped).unwrap();
    for forged in [token, &flipped, &format!("{token}."), &format!("{token}.{}", "A".repeat(16)), &format!("{sealed}.")]
    {
        let refused = get(forged);
        assert_eq!(refused.status, 400, "{forged}");
        let told = refused.json()["error"].as_str().unwrap().to_owned();
        assert!(told.starts_with("Malformed causal-context: it was not issued by this cluster"), "{told}");
    }
}

#[test]
fn a_file_that_is_none_is_named_and_ends_with_2() {
    let file = File::new("wrong", &["sesame"]);
    let output = precede().args(["serve", "--port", "0"]).env("PEER_SECRET_FILE", &file.0).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(2) && error.contains("PEER_SECRET_FILE") && error.contains("line 1"),
        "{error}"
    );
    assert!(!error.contains("sesame"), "{error}");
}
