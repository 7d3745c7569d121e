//! Tokens: who is let in for what, and what is told of it.
#![allow(missing_docs, clippy::unwrap_used)]

mod cluster;

use std::path::{Path, PathBuf};

use cluster::{Cluster, Connection, Response, precede, request, wait_for};
use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};

const KEY: &str = "/kv-store/keys/k";
const VIEW_CHANGE: &str = "/kv-store/view-change";

/// A file of tokens of one test.
struct File(PathBuf);

impl File {
    fn new(name: &str, lines: &[&str]) -> Self {
        let file = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id())));
        file.write(lines);
        file
    }

    fn write(&self, lines: &[&str]) {
        std::fs::write(&self.0, lines.join("\n")).unwrap();
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A token and its line.
fn token(role: &str, name: &str) -> (String, String) {
    let output = precede().args(["token", "new", "--role", role, "--name", name]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let field = |name| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    (field("token: "), field("line: "))
}

fn ask(cluster: &Cluster, token: &str, method: &str, path: &str, body: &str) -> Response {
    let shown = format!("Bearer {token}");
    request(cluster.address(0), method, path, &[("Authorization", &shown)], body.as_bytes())
}

/// The lines of the audit.
fn audit(cluster: &Cluster) -> Vec<Value> {
    let log = cluster.log(0);
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["target"] == json!("precede::audit")).collect()
}

#[test]
fn each_role_may_do_its_own_and_what_those_below_it_may() {
    let made = [token("read", "reader"), token("write", "app"), token("admin", "ops")];
    let [reader, app, ops] = made.each_ref().map(|(secret, _)| secret.as_str());
    let file = File::new("roles", &made.each_ref().map(|(_, line)| line.as_str()));
    let cluster = Cluster::start_with(1, 1, &["--tokens-file", file.path()]);
    let same = format!("{{\"view\": [\"{}\"]}}", cluster.address(0));
    for (method, path, body, expected) in [
        ("PUT", KEY, r#"{"value": 1}"#, [403, 201, 200]),
        ("GET", KEY, "", [200, 200, 200]),
        ("GET", "/kv-store/shards", "", [200, 200, 200]),
        ("GET", VIEW_CHANGE, "", [200, 200, 200]),
        ("PUT", VIEW_CHANGE, &same, [403, 403, 200]),
        ("POST", "/kv-store/barrier", "", [200, 200, 200]),
        ("GET", "/nowhere", "", [404, 404, 404]),
        ("POST", KEY, "", [403, 405, 405]),
        ("DELETE", KEY, "", [403, 200, 404]),
    ] {
        let statuses = [reader, app, ops].map(|token| ask(&cluster, token, method, path, body).status);
        assert_eq!(statuses, expected, "{method} {path}");
    }
    let refused = ask(&cluster, reader, "PUT", KEY, r#"{"value": 1}"#);
    let told = "The token \"reader\" has the role read: this request needs write";
    assert_eq!(refused.json(), json!({ "error": told, "message": "Error in PUT" }));
}

#[test]
fn strangers_get_nothing_but_probes() {
    let (secret, line) = token("admin", "ops");
    let file = File::new("strangers", &[&line]);
    let cluster = Cluster::start_with(1, 1, &["--tokens-file", file.path()]);
    let put = ask(&cluster, &secret, "PUT", KEY, r#"{"value": 1}"#);
    assert_eq!(put.status, 201);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(cluster.request(0, "GET", path, "").status, 200, "{path}");
    }
    let hash = line.split(':').nth(1).unwrap();
    for (shown, told) in [
        (None, "A token is needed"),
        (Some("Basic b3BzOm9wcw==".to_owned()), "not of the form"),
        (Some(format!("Bearer {}", &secret[1..])), "not known"),
        (Some(format!("Bearer {hash}")), "not known"),
        (Some("Bearer x".to_owned()), "not known"),
    ] {
        for (method, path) in [("GET", KEY), ("PUT", KEY), ("DELETE", KEY), ("PUT", VIEW_CHANGE), ("GET", "/nowhere")] {
            let mut headers = vec![("Causal-Context", put.context())];
            headers.extend(shown.as_deref().map(|shown| ("Authorization", shown)));
            let response = request(cluster.address(0), method, path, &headers, br#"{"value": 2}"#);
            assert_eq!((response.status, response.header("www-authenticate")), (401, "Bearer"), "{method} {path}");
            assert!(response.json()["error"].as_str().unwrap().contains(told), "{response:?}");
            assert!(!response.context().is_empty(), "what a client has seen is given back to it");
        }
    }
    // A body of a stranger is not waited for.
    let mut connection = Connection::open(cluster.address(0)).unwrap();
    connection.send_bytes(b"PUT /kv-store/keys/k HTTP/1.1\r\nHost: n\r\nContent-Length: 1000000\r\n\r\n").unwrap();
    assert_eq!(connection.receive().unwrap().status, 401);
    assert_eq!(ask(&cluster, &secret, "GET", KEY, "").json()["value"], json!(1), "nothing has changed");
}

#[test]
fn tokens_come_and_go_while_the_node_runs() {
    let (first, second, third) = (token("write", "one"), token("write", "two"), token("write", "three"));
    let file = File::new("rotation", &[&first.1]);
    let cluster = Cluster::start_with(1, 1, &["--tokens-file", file.path()]);
    let status = |token: &str| ask(&cluster, token, "PUT", KEY, r#"{"value": 1}"#).status;
    assert_eq!((status(&first.0), status(&second.0)), (201, 401));
    file.write(&["# both, while clients change over", &first.1, &second.1]);
    wait_for("the file is read again", || (status(&second.0) == 200).then_some(()));
    assert_eq!(status(&first.0), 200);
    file.write(&[&second.1]);
    kill(cluster.nodes[0].pid(), Signal::SIGHUP).unwrap();
    wait_for("the old token is refused", || (status(&first.0) == 401).then_some(()));
    file.write(&["nonsense"]);
    wait_for("the mistake is told", || cluster.log(0).contains("cannot be read again").then_some(()));
    assert_eq!((status(&first.0), status(&second.0)), (401, 200), "what was in force stays in force");
    assert!(!cluster.log(0).contains("nonsense"), "what might be a secret is not repeated");
    file.write(&[&third.1]);
    wait_for("the mended file is read", || (status(&third.0) == 200).then_some(()));
}

#[test]
fn who_changes_the_cluster_is_told_to_the_audit() {
    let (admin, app) = (token("admin", "ops@example.org"), token("write", "app"));
    let file = File::new("audit", &[&admin.1, &app.1]);
    let cluster = Cluster::start_with(1, 1, &["--tokens-file", file.path()]);
    let body = format!("{{\"view\": [\"{}\"]}}", cluster.address(0));
    assert_eq!(ask(&cluster, &app.0, "PUT", KEY, r#"{"value": 1}"#).status, 201);
    assert_eq!(ask(&cluster, &admin.0, "GET", VIEW_CHANGE, "").status, 200);
    assert_eq!(ask(&cluster, &admin.0, "PUT", VIEW_CHANGE, &body).status, 200);
    assert_eq!(ask(&cluster, &admin.0, "PUT", VIEW_CHANGE, "{}").status, 400);
    assert_eq!(ask(&cluster, &app.0, "PUT", VIEW_CHANGE, &body).status, 403);
    for _ in 0..20 {
        assert_eq!(cluster.request(0, "PUT", VIEW_CHANGE, &body).status, 401);
    }
    let lines = wait_for("all is told", || Some(audit(&cluster)).filter(|lines| lines.len() >= 4));
    let told: Vec<_> =
        lines.iter().map(|line| (line["who"].clone(), line["status"].clone(), line["outcome"].clone())).collect();
    let expected = [
        ("ops@example.org", 200, "done"),
        ("ops@example.org", 400, "failed"),
        ("app", 403, "refused"),
        ("a stranger", 401, "refused"),
    ];
    assert_eq!(told, expected.map(|(who, status, outcome)| (json!(who), json!(status), json!(outcome))));
    assert_eq!((&lines[0]["asked"], &lines[0]["from"]), (&json!(body), &json!("127.0.0.1")));
    let log = cluster.log(0);
    assert!(!log.contains(&admin.0) && !log.contains(&app.0), "no secret is logged");
}

#[test]
fn without_tokens_the_audit_says_that_anybody_asked() {
    let cluster = Cluster::start(1, 1);
    let body = format!("{{\"view\": [\"{}\"]}}", cluster.address(0));
    assert_eq!(cluster.request(0, "PUT", VIEW_CHANGE, &body).status, 200);
    let lines = wait_for("it is told", || Some(audit(&cluster)).filter(|lines| !lines.is_empty()));
    assert_eq!(lines[0]["who"], json!("anybody"));
}

#[test]
fn commands_show_a_token_from_wherever_it_is() {
    let (admin, reader) = (token("admin", "ops"), token("read", "reader"));
    let file = File::new("commands", &[&admin.1, &reader.1]);
    let secret = File::new("commands-secret", &[&admin.0, ""]);
    let cluster = Cluster::start_with(1, 1, &["--tokens-file", file.path()]);
    let node = cluster.address(0);
    let run = |arguments: &[&str], shown: Option<&str>| {
        let mut command = precede();
        command.args(arguments).args(["--node", node]);
        if let Some(shown) = shown {
            command.env("PRECEDE_TOKEN", shown);
        }
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    assert_eq!(run(&["put", "k", "1", "--token", &admin.0], None).0, 0);
    assert_eq!(run(&["get", "k", "--token-file", secret.path()], None), (0, "1\n".to_owned()));
    assert_eq!(run(&["get", "k"], Some(&reader.0)), (0, "1\n".to_owned()));
    assert_eq!(run(&["view"], Some(&reader.0)).0, 0);
    assert_eq!(run(&["view", "change", node, "--token-file", secret.path()], None).0, 0);
    let (code, text) = run(&["put", "k", "2"], Some(&reader.0));
    assert!(code == 2 && text.contains("needs write"), "{code} {text}");
    let (code, text) = run(&["view", "change", node], Some(&reader.0));
    assert!(code == 2 && text.contains("needs admin"), "{code} {text}");
    let (code, text) = run(&["get", "k"], None);
    assert!(code == 2 && text.contains("A token is needed"), "{code} {text}");
    let (code, text) = run(&["get", "k", "--token-file", "/nowhere"], None);
    assert!(code == 2 && text.contains("/nowhere"), "{code} {text}");
    let help = precede().args(["get", "--help"]).env("PRECEDE_TOKEN", "sesame").output().unwrap();
    assert!(!String::from_utf8(help.stdout).unwrap().contains("sesame"), "a secret in the environment is not shown");
}

#[test]
fn a_file_that_is_none_is_named_and_ends_with_2() {
    let file = File::new("wrong", &["read:precede_sesame:app"]);
    for (value, told) in [("/nowhere/tokens", "/nowhere/tokens"), (file.path(), "line 1: the hash is not 64")] {
        let output = precede().args(["serve", "--port", "0"]).env("TOKENS_FILE", value).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && error.contains("TOKENS_FILE") && error.contains(told), "{error}");
        assert!(!error.contains("sesame"), "{error}");
    }
}
