//! The guide and the README do what they say: their blocks are run in their order against one cluster, and those of the guide print what
//! stands below them.
#![allow(missing_docs, clippy::unwrap_used)]

mod blocks;
mod cluster;

use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use blocks::{Block, Home, blocks, page};
use cluster::{free_ports, precede, try_request, wait_for};

const NODES: u16 = 4;
/// The port of the first node in the guide.
const PORT: u16 = 8080;
/// What starts the cluster is not run: it is started beforehand, on ports that are free.
const STARTS: &str = "precede dev --nodes 4 --repl-factor 2\n";

/// Lines of the README that this test does not run: who runs them. What begins with one of these.
const ELSEWHERE: [(&str, &str); 6] = [
    ("cargo run --release -- dev ", "the cluster that this test starts"),
    ("cargo test ", "what runs this"),
    ("ADDRESS=10.0.0.1:8080 ", "tests/config.rs, on an address of this machine"),
    ("docker compose ", "tests/hosts, where there are containers"),
    ("open ", "scripts/dashboard, in a browser"),
    ("precede serve --address ", "this test, which does not wait for its end"),
];

/// The cluster of the guide, or one node more.
struct Dev(Child);

impl Dev {
    fn start(first: u16) -> Self {
        let (nodes, port) = (NODES.to_string(), first.to_string());
        let mut command = precede();
        command.args(["dev", "--nodes", &nodes, "--repl-factor", "2", "--port-base", &port]);
        let dev = Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        for port in first..first + NODES {
            let address = format!("127.0.0.1:{port}");
            wait_for("a node is ready", || {
                try_request(&address, "GET", "/readyz", &[], b"").ok().filter(|response| response.status == 200)
            });
        }
        dev
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // Its nodes end with it.
        let _ = kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), Signal::SIGINT);
        let _ = self.0.wait();
    }
}

/// The same text with the test's ports in place of the guide's.
fn with_ports(text: &str, first: u16) -> String {
    (0..=NODES).fold(text.to_owned(), |text, at| text.replace(&(PORT + at).to_string(), &(first + at).to_string()))
}

/// The command that runs a block; none where its language is not installed.
fn command(block: &Block, first: u16, home: &Path) -> Option<Command> {
    let (program, file) = match block.language.as_str() {
        "sh" => ("bash", "block.sh"),
        "python" => ("python3", "block.py"),
        "js" => ("node", "block.mjs"),
        "go" => ("go", "block.go"),
        "rust" => return Some(rust(block, first)),
        other => panic!("a block of {other}: say how it is run"),
    };
    let version = if program == "go" { "version" } else { "--version" };
    if Command::new(program).arg(version).stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: {program} is not installed");
        return None;
    }
    let path = home.join(file);
    std::fs::write(&path, with_ports(&block.text, first)).unwrap();
    let mut command = Command::new(program);
    if program == "go" {
        command.arg("run");
    }
    command.arg(path);
    Some(command)
}

/// The example that is the block, but for where its nodes are.
fn rust(block: &Block, first: u16) -> Command {
    let source = include_str!("../examples/guide.rs");
    let here = "[\"localhost:8080\", \"localhost:8083\"]";
    let there = "std::env::args().skip(1)";
    assert!(source.ends_with(&block.text.replace(here, there)), "examples/guide.rs is not the guide's block");
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--locked", "--package", "precede", "--example", "guide"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    command.args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "--"]);
    command.args([format!("localhost:{first}"), format!("localhost:{}", first + NODES - 1)]);
    command
}

/// What a context is, and which replica serves a request, differs from run to run.
fn without_chance(text: &str) -> String {
    ["\"token\":\"", "\"address\":\""].iter().fold(text.to_owned(), |text, field| {
        let mut parts = text.split(field);
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |text, part| format!("{text}{field}…{}", &part[part.find('"').unwrap()..]))
    })
}

#[test]
fn the_guide_does_what_it_says() {
    let home = Home::new("guide");
    let first = free_ports(NODES);
    let _dev = Dev::start(first);
    let mut run = 0;
    for block in blocks(&page("docs/guide.md")) {
        if block.text == STARTS {
            continue;
        }
        let Some(command) = command(&block, first, home.path()) else { continue };
        let stdout = home.run(command, &block.text);
        if let Some(expected) = &block.output {
            let expected = with_ports(expected, first);
            assert_eq!(without_chance(stdout.trim_end()), expected.trim_end(), "{block:?}");
        }
        run += 1;
    }
    assert!(run >= 5, "{run} blocks were run");
}

#[test]
fn the_readme_does_what_it_says() {
    let home = Home::new("readme");
    let first = free_ports(NODES + 1);
    let _dev = Dev::start(first);
    let fifth = format!("127.0.0.1:{}", first + NODES);
    let serve = precede().args(["serve", "--address", &fifth]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let _fifth = Dev(serve.unwrap());
    wait_for("the fifth node answers", || try_request(&fifth, "GET", "/healthz", &[], b"").ok());
    let mut run = 0;
    for block in blocks(&page("README.md")) {
        assert_eq!(block.language, "sh", "a block of {}: say how it is run", block.language);
        for line in block.text.lines() {
            if ELSEWHERE.iter().any(|(begin, _)| line.starts_with(begin)) {
                continue;
            }
            let mut bash = Command::new("bash");
            let line = line.split('#').next().unwrap().trim_end();
            // The node that is asked where none is named, on this test's port.
            let node =
                if line.starts_with("precede ") && !line.contains("--node") { " --node localhost:8080" } else { "" };
            // An answer that is an error fails the command.
            let line = format!("{line}{node}");
            let line = line.replacen("curl ", "curl --silent --show-error --fail ", 1);
            bash.args(["-c", &with_ports(&line, first)]);
            home.run(bash, &line);
            run += 1;
        }
    }
    assert!(run >= 8, "{run} lines were run");
}
