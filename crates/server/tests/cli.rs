//! The command line: help, manual pages, completions, colours, exit codes, and errors that say what to do.
#![allow(missing_docs, clippy::unwrap_used)]

mod cluster;

use std::fs::File;
use std::io::Read;
use std::net::TcpListener;
use std::process::Stdio;

use assert_cmd::Command;
use cluster::{Cluster, free_port, precede};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::from_std(precede());
    command.args(arguments);
    command
}

/// What a command that does as it is told prints.
fn printed(arguments: &[&str]) -> String {
    String::from_utf8(command(arguments).assert().success().get_output().stdout.clone()).unwrap()
}

/// How a command ends, and what it says about it.
fn failed(arguments: &[&str]) -> (i32, String) {
    let output = command(arguments).assert().failure().get_output().clone();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn help_has_examples_and_exit_codes() {
    let help = printed(&["view", "change", "--help"]);
    assert!(help.contains("Examples:") && help.contains("precede view change --add"), "{help}");
    assert!(help.contains("Exit codes: 0 done, 1 "), "{help}");
    assert!(printed(&["help"]).contains("completions"));
}

#[test]
fn completions_know_commands_and_options() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = printed(&["completions", shell]);
        assert!(script.contains("repl-factor") && script.contains("health"), "{shell}: {script}");
    }
    let (code, error) = failed(&["completions", "tcsh"]);
    assert!(code == 2 && error.contains("possible values: bash"), "{error}");
}

/// The script is one that the shell takes, and completes with.
#[test]
fn bash_completes_a_command() {
    let script = printed(&["completions", "bash"]);
    let ask = "COMP_WORDS=(precede he); COMP_CWORD=1; _precede precede he precede; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let assert = Command::new("bash").args(["--norc", "-c", &format!("{script}\n{ask}")]).assert().success();
    let replies = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    assert!(replies.lines().any(|reply| reply == "health"), "{replies}");
}

#[test]
fn manual_pages_are_printed_and_written() {
    let page = printed(&["man"]);
    assert!(page.starts_with(".ie") && page.contains(".TH precede 1"), "{page}");
    assert!(printed(&["man", "view", "change"]).contains(".TH precede-view-change 1"));
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("man1");
    command(&["man", "--dir", dir.to_str().unwrap()]).assert().success().stdout("");
    let mut names: Vec<String> =
        dir.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    for name in ["precede.1", "precede-serve.1", "precede-view-change.1"] {
        assert!(names.iter().any(|other| other == name), "{names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("bare")), "what is hidden has no page: {names:?}");

    let (code, error) = failed(&["man", "vieww"]);
    assert!(code == 2 && error.contains("\"vieww\"") && error.contains("precede help"), "{error}");
    let (code, error) = failed(&["man", "--dir", "/dev/null/x"]);
    assert!(code == 1 && error.contains("--dir /dev/null/x"), "{error}");
}

#[test]
fn exit_codes_tell_absent_wrong_and_silent_apart() {
    let cluster = Cluster::single(&[]);
    let node = cluster.address(0);
    let silent = format!("127.0.0.1:{}", free_port());
    command(&["get", "k", "--node", node]).assert().code(1).stderr("the key does not exist\n");
    for (arguments, code, remedy) in [
        (&["get", "", "--node", node][..], 2, "Key is missing"),
        (&["get", "k", "--node", "nowhere:x"], 2, "nowhere:x"),
        (&["get", "k", "--node", &silent], 3, "precede health --node"),
        (&["health", "--node", &silent], 3, "start the node"),
        (&["view", "--node", &silent], 3, "no node could serve"),
        (&["view", "plan", "--remove", "x:1", "--node", node], 2, "no member of the view"),
        (&["serve", "--address", node, "--bind", node], 1, "choose another --port or --bind"),
        (&["serve", "--port", "http"], 2, "0 to 65535"),
        (&["dev", "--nodes", "1"], 2, "--nodes 1 --repl-factor 2"),
        (&["bench", "--seconds", "1", "--node", &silent], 1, &silent),
    ] {
        let (ended, error) = failed(arguments);
        assert!(
            ended == code && error.contains(remedy) && error.starts_with("error: "),
            "{arguments:?}: {ended} {error}"
        );
    }
    command(&["health", "--node", node]).assert().code(0);
}

#[test]
fn a_node_that_does_not_answer_is_given_up_and_the_way_to_wait_longer_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let node = listener.local_addr().unwrap().to_string();
    let (code, error) = failed(&["health", "--node", &node, "--timeout-ms", "50"]);
    assert!(code == 3 && error.contains("within 50 ms") && error.contains("--timeout-ms"), "{error}");
}

#[test]
fn a_session_that_cannot_be_kept_says_why() {
    let cluster = Cluster::single(&[]);
    let (code, error) = failed(&["put", "k", "1", "--session", "/dev/null/s", "--node", cluster.address(0)]);
    assert!(code == 2 && error.contains("/dev/null/s") && error.contains("Not a directory"), "{error}");
}

#[test]
fn what_cannot_be_printed_is_not_done() {
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let output = precede().args(["completions", "zsh"]).stdout(full()).stderr(Stdio::piped()).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(3) && error.contains("standard output"), "{error}");
    // A reader that has had enough is no reason to complain, nor to panic.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = precede().args(["man"]).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(3), Vec::new()));
}

/// What a command prints on a terminal.
fn on_a_terminal(arguments: &[&str], no_color: Option<&str>) -> Vec<u8> {
    let pty = nix::pty::openpty(None, None).unwrap();
    let mut command = precede();
    command.args(arguments).env_remove("NO_COLOR").env("TERM", "xterm").env_remove("CLICOLOR");
    command.stdin(Stdio::null()).stdout(pty.slave.try_clone().unwrap()).stderr(pty.slave);
    if let Some(value) = no_color {
        command.env("NO_COLOR", value);
    }
    let mut child = command.spawn().unwrap();
    drop(command);
    let (mut terminal, mut seen, mut buffer) = (File::from(pty.master), Vec::new(), [0; 4096]);
    // The terminal's end is told as an error where nobody has it open any more.
    while let Ok(read @ 1..) = terminal.read(&mut buffer) {
        seen.extend_from_slice(&buffer[..read]);
    }
    child.wait().unwrap();
    seen
}

#[test]
fn there_are_colours_on_a_terminal_only_and_none_with_no_color() {
    let superseded = format!("127.0.0.1:{}", free_port());
    let serve = ["serve", "--address", &superseded, "--exit-with-stdin"];
    for arguments in [&["--help"][..], &["serve", "--no-such-flag"], &serve] {
        let text = on_a_terminal(arguments, None);
        assert!(text.contains(&0x1b), "{}", String::from_utf8_lossy(&text));
        let text = on_a_terminal(arguments, Some("1"));
        assert!(!text.is_empty() && !text.contains(&0x1b), "{}", String::from_utf8_lossy(&text));
    }
    assert!(!printed(&["--help"]).contains('\u{1b}'));
}
