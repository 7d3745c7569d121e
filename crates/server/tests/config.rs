//! The configuration file, and what `precede config` says about it.
#![allow(missing_docs, clippy::unwrap_used)]

mod cluster;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use assert_cmd::Command;
use cluster::precede;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A configuration file, in a directory of its own.
fn file(text: &str) -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("node.toml");
    std::fs::write(&path, text).unwrap();
    (home, path)
}

fn config(arguments: &[&str]) -> Command {
    let mut command = Command::from_std(precede());
    command.arg("config").args(arguments);
    command
}

#[test]
fn check_says_everything_that_is_wrong_and_ends_with_2() {
    let (_home, path) = file("max_key_bytes = 0\nmax_kye_bytes = 5\nport = \"80\"\nrepl_factor = 2\n");
    let name = path.to_str().unwrap();
    let output = config(&["check", name]).env("VIEW", "a:1,a:1").assert().code(2).get_output().clone();
    let error = String::from_utf8(output.stderr).unwrap();
    for (at, told) in [
        (1, "max_key_bytes=\"0\" is not a number from 1 to 60000"),
        (2, "max_kye_bytes is no setting: write max_key_bytes"),
        (3, "port is a text: write port = a whole number from 0 to 65535"),
    ] {
        assert!(error.contains(&format!("error: {name}:{at}: {told}")), "{error}");
    }
    assert!(error.contains("VIEW=\"a:1,a:1\"") && error.contains("named twice"), "{error}");
    assert_eq!(error.lines().count(), 4, "{error}");
    // A node says the same and does not start.
    let serve = precede().args(["serve", "--config", name]).env("VIEW", "a:1,a:1").output().unwrap();
    assert_eq!((serve.status.code(), String::from_utf8(serve.stderr).unwrap()), (Some(2), error));
}

#[test]
fn check_tells_a_good_file_from_one_that_is_not_there() {
    let (home, path) = file("max_key_bytes = 9\n");
    let name = path.to_str().unwrap();
    config(&["check", name]).assert().success().stdout(format!("{name}: the settings are good\n"));
    config(&["check"]).assert().success().stdout("the settings are good\n");
    let absent = home.path().join("absent.toml");
    let assert = config(&["check", absent.to_str().unwrap()]).assert().code(2);
    let error = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert!(error.contains("absent.toml: the file cannot be read") && error.contains("--config"), "{error}");
    let assert = config(&["check", "/dev/zero"]).assert().code(2);
    let error = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert!(error.contains("/dev/zero: the file"), "{error}");
}

#[test]
fn show_tells_every_setting_and_where_it_comes_from() {
    let (_home, path) = file("port = 9001\nmax_key_bytes = 7\nmax_value_bytes = 8\nmax_body_bytes = 9\n");
    let name = path.to_str().unwrap();
    let mut command = config(&["show", "--json", "--max-value-bytes", "80"]);
    command.env("PRECEDE_CONFIG", name).env("MAX_BODY_BYTES", "90").env("MAX_VALUE_BYTES", "81").env("CLUSTER", "");
    let shown: Value = serde_json::from_slice(&command.assert().success().get_output().stdout).unwrap();
    for (setting, value, source) in [
        ("port", "9001", format!("{name}:1")),
        ("max_key_bytes", "7", format!("{name}:2")),
        ("max_value_bytes", "80", "--max-value-bytes".to_owned()),
        ("max_body_bytes", "90", "MAX_BODY_BYTES".to_owned()),
        ("max_header_bytes", "16384", "default".to_owned()),
        ("address", "127.0.0.1:9001", "default".to_owned()),
        ("view", "127.0.0.1:9001", "default".to_owned()),
        ("bind", "127.0.0.1", "default".to_owned()),
        ("cluster", "derived from the view", "default".to_owned()),
    ] {
        assert_eq!(shown[setting], json!({ "value": value, "source": source }), "{setting}");
    }
    let text =
        String::from_utf8(config(&["show", "--port", "0"]).assert().success().get_output().stdout.clone()).unwrap();
    assert_eq!(text.lines().count(), shown.as_object().unwrap().len(), "{text}");
    assert!(text.lines().any(|line| line.starts_with("port ") && line.ends_with("  --port")), "{text}");
}

#[test]
fn a_node_starts_with_what_the_file_says() {
    let (_home, path) = file("# a node\naddress = \"localhost:7\"\nport = 0\nmax_key_bytes = 3\n");
    let mut command = precede();
    command.args(["serve", "--exit-with-stdin"]).env("PRECEDE_CONFIG", &path);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "listening on localhost:7\n");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}
