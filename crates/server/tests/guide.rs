//! The guide does what it says: its blocks are run in their order against one cluster, and print what stands below them.
#![allow(missing_docs, clippy::unwrap_used)]

mod cluster;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use cluster::{free_ports, precede, try_request, wait_for};

const NODES: u16 = 4;
/// The port of the first node in the guide.
const PORT: u16 = 8080;
/// What starts the cluster is not run: it is started beforehand, on ports that are free.
const STARTS: &str = "precede dev --nodes 4 --repl-factor 2\n";

/// A block of code, and what it prints.
#[derive(Debug)]
struct Block {
    language: String,
    text: String,
    output: Option<String>,
}

/// The cluster of the guide.
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

/// The blocks of a page.
fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else { continue };
        let text = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
        match language {
            "text" => {}
            "output" => blocks.last_mut().expect("output has code above it").output = Some(text),
            language => blocks.push(Block { language: language.to_owned(), text, output: None }),
        }
    }
    blocks
}

/// The same text with the test's ports in place of the guide's.
fn with_ports(text: &str, first: u16) -> String {
    (0..NODES).fold(text.to_owned(), |text, at| text.replace(&(PORT + at).to_string(), &(first + at).to_string()))
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
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide.md")).unwrap();
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("guide-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    let first = free_ports(NODES);
    let _dev = Dev::start(first);
    // The tool by its name.
    let tool = Path::new(env!("CARGO_BIN_EXE_precede")).parent().unwrap().to_owned();
    let path = std::env::join_paths(
        std::iter::once(tool).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let path = path.unwrap();
    let mut run = 0;
    for block in blocks(&page) {
        if block.text == STARTS {
            continue;
        }
        let Some(mut command) = command(&block, first, &home) else { continue };
        command.current_dir(&home).env("PATH", &path);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{block:?}: {stdout}{stderr}");
        if let Some(expected) = &block.output {
            let expected = with_ports(expected, first);
            assert_eq!(without_chance(stdout.trim_end()), expected.trim_end(), "{block:?}: {stderr}");
        }
        run += 1;
    }
    assert!(run >= 5, "{run} blocks were run");
    std::fs::remove_dir_all(&home).unwrap();
}
