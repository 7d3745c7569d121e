//! Real processes for tests: a cluster of nodes that can be killed, paused and started again, and a plain HTTP client
//! that shows responses as they are. Everything has a deadline.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// For whatever a test waits for.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The binary, without the settings of the environment that the test runs in.
pub fn precede() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_precede"));
    for variable in precede::fuzzing::environment() {
        command.env_remove(variable);
    }
    command
}

/// Waits until `condition` gives something.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < end, "waited {DEADLINE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A port that nobody listens on, below the range from which the system takes ports of outgoing connections.
pub fn free_port() -> u16 {
    free_ports(1)
}

/// The first of so many such ports in a row.
pub fn free_ports(count: u16) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = u16::try_from(std::process::id() % 1200).unwrap() * 10;
    wait_for("free ports", || {
        let first = 20_000 + (base + NEXT.fetch_add(count, Ordering::Relaxed)) % 12_000;
        (first..first + count).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()).then_some(first)
    })
}

/// One node.
pub struct Node {
    pub address: String,
    /// What runs it, each time that it is started.
    command: Command,
    child: Option<Child>,
}

/// What nodes log, unless a test asks for more.
const FILTER: &str = "info";

impl Node {
    /// A node that is not started yet; it is told `more` behind `precede serve`.
    fn told(address: &str, filter: &str, more: &[&str]) -> Self {
        let mut command = precede();
        command.arg("serve").args(more).env("RUST_LOG", filter);
        Self { address: address.to_owned(), command, child: None }
    }

    fn start(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log = File::create(self.log_path()).unwrap();
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = self.command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("listening on "), "it did not start: {line}{}", self.log());
        self.address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        self.child = Some(child);
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.as_ref().unwrap().id()).unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits until the process has ended.
    pub fn wait(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        wait_for("the process ends", || child.try_wait().unwrap())
    }

    /// What it has logged since it was started last.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap()
    }

    /// Where it logs to, since it was started last.
    fn log_path(&self) -> String {
        format!("{}/node-{}.log", env!("CARGO_TARGET_TMPDIR"), self.address.replace(':', "-"))
    }

    pub fn is_ready(&self) -> bool {
        try_request(&self.address, "GET", "/readyz", &[], b"").is_ok_and(|response| response.status == 200)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Several nodes of one view.
#[derive(Default)]
pub struct Cluster {
    pub nodes: Vec<Node>,
}

impl Cluster {
    /// Starts `nodes` nodes and waits until all are ready.
    pub fn start(nodes: usize, repl_factor: usize) -> Self {
        Self::start_with(nodes, repl_factor, &[])
    }

    /// The same, with more arguments of `precede serve`.
    pub fn start_with(nodes: usize, repl_factor: usize, more: &[&str]) -> Self {
        Self::start_logging(FILTER, nodes, repl_factor, more)
    }

    /// The same, with a filter of what is logged.
    pub fn start_logging(filter: &str, nodes: usize, repl_factor: usize, more: &[&str]) -> Self {
        let cluster = Self::start_as(filter, nodes, repl_factor, more);
        cluster.wait_ready();
        cluster
    }

    /// Starts nodes, without waiting.
    pub fn start_unready(nodes: usize, repl_factor: usize, more: &[&str]) -> Self {
        Self::start_as(FILTER, nodes, repl_factor, more)
    }

    fn start_as(filter: &str, nodes: usize, repl_factor: usize, more: &[&str]) -> Self {
        let addresses: Vec<String> = (0..nodes).map(|_| format!("127.0.0.1:{}", free_port())).collect();
        let view = addresses.join(",");
        let node = |address: &String| {
            let factor = repl_factor.to_string();
            let told = ["--address", address, "--view", &view, "--repl-factor", &factor];
            Node::told(address, filter, &[&told, more].concat())
        };
        let mut nodes: Vec<Node> = addresses.iter().map(node).collect();
        nodes.iter_mut().for_each(Node::start);
        Self { nodes }
    }

    /// Starts one more node, which is told that these are the members; nothing if there are none.
    pub fn add(&mut self, members: &[String], repl_factor: usize) -> usize {
        let address = format!("127.0.0.1:{}", free_port());
        let (members, factor) = (members.join(","), repl_factor.to_string());
        let told = ["--address", &address, "--view", &members, "--repl-factor", &factor];
        let told = if members.is_empty() { &told[..2] } else { &told[..] };
        self.push(Node::told(&address, FILTER, told))
    }

    /// Starts one more node, by a command that becomes it.
    pub fn add_by(&mut self, address: &str, command: Command) -> usize {
        self.push(Node { address: address.to_owned(), command, child: None })
    }

    fn push(&mut self, mut node: Node) -> usize {
        node.start();
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Waits until spares have heard the cluster.
    pub fn wait_spares(&self, nodes: &[usize]) {
        for &node in nodes {
            wait_for("the spare proxies", || {
                (self.request(node, "GET", "/kv-store/keys/none", "").status == 404).then_some(())
            });
        }
    }

    /// The addresses of some nodes.
    pub fn addresses(&self, nodes: &[usize]) -> Vec<String> {
        nodes.iter().map(|node| self.address(*node).to_owned()).collect()
    }

    /// One node alone, on a port that the system chooses.
    pub fn single(more: &[&str]) -> Self {
        let mut node = Node::told("", FILTER, &[&["--port", "0"], more].concat());
        node.start();
        let cluster = Self { nodes: vec![node] };
        cluster.wait_ready();
        cluster
    }

    /// Waits until all running nodes are ready.
    pub fn wait_ready(&self) {
        for node in self.nodes.iter().filter(|node| node.child.is_some()) {
            wait_for("the node is ready", || node.is_ready().then_some(()));
        }
    }

    pub fn address(&self, node: usize) -> &str {
        &self.nodes[node].address
    }

    /// Kills a node; what it held is gone.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].signal(Signal::SIGKILL);
        self.nodes[node].wait();
    }

    /// Asks a node to end; returns how it did.
    pub fn terminate(&mut self, node: usize) -> ExitStatus {
        self.ask_to_end(node);
        self.nodes[node].wait()
    }

    /// Asks a node to end, and does not wait.
    pub fn ask_to_end(&self, node: usize) {
        self.nodes[node].signal(Signal::SIGTERM);
    }

    /// What a node has logged since it was started last.
    pub fn log(&self, node: usize) -> String {
        self.nodes[node].log()
    }

    /// Stops a node where it stands.
    pub fn pause(&self, node: usize) {
        self.nodes[node].signal(Signal::SIGSTOP);
    }

    /// Lets a paused node go on.
    pub fn resume(&self, node: usize) {
        self.nodes[node].signal(Signal::SIGCONT);
    }

    /// Starts a node that has ended, as it was started before.
    pub fn restart(&mut self, node: usize) {
        self.nodes[node].start();
    }

    /// A request to a node.
    pub fn request(&self, node: usize, method: &str, path: &str, body: &str) -> Response {
        request(self.address(node), method, path, &[], body.as_bytes())
    }

    /// A request to a node, with a context in the header.
    pub fn request_after(&self, node: usize, method: &str, path: &str, context: &str, body: &str) -> Response {
        request(self.address(node), method, path, &[("Causal-Context", context)], body.as_bytes())
    }
}

/// A response as it came.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// A header; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }

    /// The context's token.
    pub fn context(&self) -> &str {
        self.header("causal-context")
    }

    /// The body, which is JSON, with its context, whose form is checked, taken out.
    pub fn json(&self) -> Value {
        let mut body: Value = serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        let context = body.as_object_mut().unwrap().remove("causal-context").expect("every response has a context");
        let expected = match self.context() {
            "" => serde_json::json!({}),
            token => serde_json::json!({ "token": token }),
        };
        assert_eq!(context, expected, "header and body carry the same context");
        assert_eq!(self.header("content-type"), "application/json");
        body
    }
}

/// A request on a connection of its own.
pub fn request(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
    try_request(address, method, path, headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
}

/// The same, if the node answers.
pub fn try_request(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Response> {
    let mut connection = Connection::open(address)?;
    connection.send(method, path, headers, body)?;
    connection.receive()
}

/// A connection on which requests can be sent one behind the other.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn open(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Self(BufReader::new(stream)))
    }

    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<()> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: node\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        let mut bytes = (head + "\r\n").into_bytes();
        bytes.extend_from_slice(body);
        self.send_bytes(&bytes)
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    pub fn receive(&mut self) -> std::io::Result<Response> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|text| text.parse().ok()).ok_or_else(|| invalid(&status))?;
        let mut response = Response { status, headers: Vec::new(), body: Vec::new() };
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| invalid(&line))?;
            response.headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
        response.body = vec![0; response.header("content-length").parse().unwrap_or(0)];
        self.0.read_exact(&mut response.body)?;
        Ok(response)
    }

    /// Whether the other side has ended the connection, without another byte.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0)) || self.0.get_ref().peek(&mut [0]).is_err()
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(invalid(&line)),
        }
    }
}

fn invalid(line: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, format!("no line of HTTP: {line:?}"))
}
