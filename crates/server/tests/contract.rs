//! The HTTP interface, line by line, over real sockets: responses are compared whole.
#![allow(missing_docs, clippy::unwrap_used)]

mod cluster;

use cluster::{Cluster, request, wait_for};
use precede_core::causality::context::Context;
use precede_core::causality::hlc::Timestamp;
use precede_core::causality::token;
use precede_core::config::Config;
use precede_core::id::{Address, ViewId};
use precede_core::placement::view::View;
use serde_json::{Value, json};

/// A key of each of the two shards of a cluster of two nodes, in the order of the nodes.
fn keys_by_node(cluster: &Cluster) -> [String; 2] {
    let served_by = |node: usize| {
        (0..).map(|at| format!("key-{at}")).find(|key| {
            let response = cluster.request(0, "GET", &format!("/kv-store/keys/{key}"), "");
            response.header("precede-node") == cluster.address(node)
        })
    };
    [served_by(0).unwrap(), served_by(1).unwrap()]
}

fn error(method: &str, text: &str) -> Value {
    json!({ "error": text, "message": format!("Error in {method}") })
}

#[test]
fn a_key_lives_from_put_to_delete() {
    let cluster = Cluster::single(&[]);
    let path = "/kv-store/keys/user:1";
    let absent = |method: &str| json!({ "doesExist": false, "error": "Key does not exist", "message": format!("Error in {method}") });
    let response = cluster.request(0, "GET", path, "");
    assert_eq!((response.status, response.json()), (404, absent("GET")));
    let response = cluster.request(0, "DELETE", path, "");
    assert_eq!((response.status, response.json()), (404, absent("DELETE")));

    let response = cluster.request(0, "PUT", path, r#"{"value": "Ada", "causal-context": {}}"#);
    assert_eq!(
        (response.status, response.json()),
        (201, json!({ "message": "Added successfully", "replaced": false }))
    );
    assert_eq!(response.header("precede-acks"), "1");
    assert_eq!(response.header("precede-node"), cluster.address(0));
    assert_ne!(response.context(), "");
    let version = response.header("precede-version").to_owned();
    assert_ne!(version, "");

    let response = cluster.request(0, "GET", path, "");
    let found = json!({ "doesExist": true, "message": "Retrieved successfully", "value": "Ada" });
    assert_eq!((response.status, response.json()), (200, found));
    assert_eq!(response.header("precede-version"), version);

    let response = cluster.request(0, "PUT", path, r#"{"value": 10, "causal-context": null}"#);
    assert_eq!(
        (response.status, response.json()),
        (200, json!({ "message": "Updated successfully", "replaced": true }))
    );
    let response = cluster.request(0, "GET", path, "");
    assert_eq!(response.json()["value"], json!(10));

    let response = cluster.request(0, "DELETE", path, "");
    assert_eq!(
        (response.status, response.json()),
        (200, json!({ "doesExist": true, "message": "Deleted successfully" }))
    );
    let response = cluster.request(0, "GET", path, "");
    assert_eq!((response.status, response.json()), (404, absent("GET")));
    let response = cluster.request(0, "PUT", path, r#"{"value": 1}"#);
    assert_eq!(response.status, 201, "a deleted key is a new one");
}

#[test]
fn values_come_back_as_they_came() {
    let cluster = Cluster::single(&[]);
    for text in ["10", "1.50", "1e400", "false", "[]", "{}", r#"{"b" : 1, "a": [ null ]}"#, r#""ä\u00e4\n""#, "\" \""]
    {
        let body = format!("{{\"value\": {text} }}");
        assert!(cluster.request(0, "PUT", "/kv-store/keys/v", &body).status < 300, "{text}");
        let response = cluster.request(0, "GET", "/kv-store/keys/v", "");
        let body = String::from_utf8(response.body).unwrap();
        assert!(body.contains(&format!("\"value\":{text}")), "{text} came back as {body}");
    }
}

#[test]
fn a_put_that_makes_no_sense_is_refused_with_its_reason() {
    let cluster = Cluster::single(&["--max-key-bytes", "20"]);
    let put = |path: &str, body: &str| {
        let response = cluster.request(0, "PUT", path, body);
        assert_eq!(response.status, 400, "{body}");
        response.json()
    };
    for body in ["", "{}", r#"{"value": null}"#, r#"{"value": ""}"#, r#"{"values": 1}"#] {
        assert_eq!(put("/kv-store/keys/k", body), error("PUT", "Value is missing"), "{body}");
    }
    for body in ["{", "[1]", "1", "null", "\"x\"", r#"{"value": 1"#, r#"{"value": 1} x"#, r#"{"value": 01}"#] {
        assert_eq!(put("/kv-store/keys/k", body), error("PUT", "Failed to parse request body"), "{body}");
    }
    assert_eq!(put("/kv-store/keys/", r#"{"value": 1}"#), error("PUT", "Key is missing"));
    assert_eq!(put("/kv-store/keys", r#"{"value": 1}"#), error("PUT", "Key is missing"));
    let long = "k".repeat(21);
    assert_eq!(put(&format!("/kv-store/keys/{long}"), "{"), error("PUT", "Key is too long"));
    assert_eq!(put("/kv-store/keys/%ff", r#"{"value": 1}"#), error("PUT", "Key is not valid UTF-8"));
    let limit = "%20".repeat(20);
    assert_eq!(cluster.request(0, "PUT", &format!("/kv-store/keys/{limit}"), r#"{"value": 1}"#).status, 201);
    for context in ["1", "\"x\"", r#"{"a": 1}"#, r#"{"token": "AAAA"}"#, r#"[{"token": 1}]"#] {
        let refused = put("/kv-store/keys/k", &format!(r#"{{"value": 1, "causal-context": {context}}}"#));
        assert!(refused["error"].as_str().unwrap().starts_with("Malformed causal-context: "), "{context}");
    }
}

#[test]
fn keys_are_decoded_whole() {
    let cluster = Cluster::single(&[]);
    let put = |key: &str, value: u32| {
        let response = cluster.request(0, "PUT", &format!("/kv-store/keys/{key}"), &format!("{{\"value\": {value}}}"));
        assert_eq!(response.status, 201, "{key} is another key");
    };
    let get = |key: &str| cluster.request(0, "GET", &format!("/kv-store/keys/{key}"), "").json()["value"].clone();
    for (value, (key, same)) in [
        ("a/b", "a%2Fb"),
        ("a/b/", "%61%2fb%2F"),
        ("a+b", "a%2Bb"),
        ("a%20b", "%61%20%62"),
        ("%C3%A4%E2%82%AC", "%c3%a4%e2%82%ac"),
        ("%F0%9F%98%80", "%f0%9f%98%80"),
        ("../x", "%2e%2e/x"),
        ("%00", "%00"),
        ("/", "%2F"),
        ("a%3Fb%23", "a%3fb%23"),
    ]
    .into_iter()
    .enumerate()
    {
        put(key, u32::try_from(value).unwrap());
        assert_eq!(get(same), json!(value), "{key}");
    }
}

#[test]
fn counts_and_shards_are_told() {
    let cluster = Cluster::start(2, 1);
    let [own, other] = keys_by_node(&cluster);
    for key in [&own, &other] {
        assert_eq!(cluster.request(0, "PUT", &format!("/kv-store/keys/{key}"), r#"{"value": 1}"#).status, 201);
    }
    let response = cluster.request(0, "GET", "/kv-store/key-count", "");
    let counted = json!({ "message": "Key count retrieved successfully", "key-count": 1, "shard-id": 1 });
    assert_eq!((response.status, response.json()), (200, counted));
    assert_eq!(cluster.request(1, "GET", "/kv-store/key-count", "").json()["shard-id"], json!(2));

    let response = cluster.request(0, "GET", "/kv-store/shards", "");
    let shards = json!({ "message": "Shard membership retrieved successfully", "shards": [1, 2] });
    assert_eq!((response.status, response.json()), (200, shards));

    for node in 0..2 {
        for shard in 1..=2 {
            let response = cluster.request(node, "GET", &format!("/kv-store/shards/{shard}"), "");
            let told = json!({
                "message": "Shard information retrieved successfully", "shard-id": shard, "key-count": 1,
                "replicas": [cluster.address(shard - 1)],
            });
            assert_eq!((response.status, response.json()), (200, told));
        }
    }
    for id in ["0", "3", "x", "1x", "-1", "99999999999999999999"] {
        let response = cluster.request(0, "GET", &format!("/kv-store/shards/{id}"), "");
        assert_eq!((response.status, response.json()), (404, error("GET", "Shard does not exist")), "{id}");
    }
}

#[test]
fn a_response_of_another_node_names_it() {
    let cluster = Cluster::start(2, 1);
    let [own, other] = keys_by_node(&cluster);
    let path = format!("/kv-store/keys/{other}");
    let there = cluster.address(1);
    let response = cluster.request(0, "PUT", &path, r#"{"value": 1}"#);
    let added = json!({ "message": "Added successfully", "replaced": false, "address": there });
    assert_eq!((response.status, response.json()), (201, added));
    assert_eq!(response.header("precede-node"), there);
    let response = cluster.request(0, "GET", &path, "");
    let found = json!({ "doesExist": true, "message": "Retrieved successfully", "value": 1, "address": there });
    assert_eq!((response.status, response.json()), (200, found));
    assert_eq!(cluster.request(1, "GET", &path, "").json().get("address"), None, "it was asked itself");
    let response = cluster.request(0, "DELETE", &path, "");
    let deleted = json!({ "doesExist": true, "message": "Deleted successfully", "address": there });
    assert_eq!((response.status, response.json()), (200, deleted));
    let response = cluster.request(0, "GET", &path, "");
    let absent = json!({
        "doesExist": false, "error": "Key does not exist", "message": "Error in GET", "address": there,
    });
    assert_eq!((response.status, response.json()), (404, absent));
    assert_eq!(cluster.request(0, "GET", &format!("/kv-store/keys/{own}"), "").json().get("address"), None);
}

#[test]
fn a_refusal_of_another_node_names_it_too() {
    let cluster = Cluster::start(2, 1);
    let keys = keys_by_node(&cluster);
    // A context of a view that nobody knows.
    let members = [0, 1].map(|node| Address::parse(cluster.address(node), None).unwrap());
    let view = View::bootstrap(&members, 1).unwrap();
    let fingerprint = Config::new(members[0].clone(), view, 0).cluster.fingerprint();
    let unknown = ViewId { epoch: 9, activation: Timestamp(1), coordinator: members[0].node_id() };
    let context =
        token::encode(&Context { view: Some(unknown), stable: Timestamp(1), ..Context::default() }, fingerprint);
    for (node, key) in keys.iter().enumerate() {
        let path = format!("/kv-store/keys/{key}?wait=100");
        for asked in 0..2 {
            let response = wait_for("the nodes know that all have been heard", || {
                let response = cluster.request_after(asked, "GET", &path, &context, "");
                (response.status == 410).then_some(response)
            });
            let body = response.json();
            assert_eq!(body["error"], json!("View of the context is lost"));
            let address = (node != asked).then(|| json!(cluster.address(node)));
            assert_eq!(body.get("address"), address.as_ref(), "{response:?}");
            assert_eq!(response.header("precede-node"), cluster.address(node));
        }
    }
}

#[test]
fn what_cannot_be_reached_cannot_be_satisfied() {
    let mut cluster = Cluster::start(2, 1);
    let [_, other] = keys_by_node(&cluster);
    let path = format!("/kv-store/keys/{other}");
    let context = cluster.request(0, "PUT", &path, r#"{"value": 1}"#).context().to_owned();
    cluster.kill(1);
    for (method, body) in [("GET", ""), ("PUT", r#"{"value": 2}"#), ("DELETE", "")] {
        let response = cluster.request_after(0, method, &path, &context, body);
        assert_eq!(response.status, 503, "{response:?}");
        assert_eq!(response.json(), error(method, "Unable to satisfy request"));
        assert_eq!(response.header("retry-after"), "1");
        assert_ne!(response.header("precede-reason"), "");
        assert_eq!(response.context(), context, "a refusal returns the context as it came");
    }
    let response = cluster.request(0, "GET", "/kv-store/shards/2", "");
    assert_eq!((response.status, response.json()), (503, error("GET", "Unable to satisfy request")));
}

#[test]
fn other_paths_and_methods_are_refused_in_json() {
    let cluster = Cluster::single(&[]);
    for path in
        ["/assets", "/kv-store", "/kv-store/", "/kv-store/keysx", "/kv-store/shards/1/2", "/x", "/kv-store/key-count/"]
    {
        let response = cluster.request(0, "GET", path, "");
        assert_eq!((response.status, response.json()), (404, error("GET", "Unknown path")), "{path}");
    }
    for (method, path, allow) in [
        ("POST", "/kv-store/keys/k", "GET, PUT, DELETE"),
        ("PATCH", "/kv-store/keys/k", "GET, PUT, DELETE"),
        ("PUT", "/kv-store/shards", "GET"),
        ("DELETE", "/kv-store/shards/1", "GET"),
        ("POST", "/kv-store/key-count", "GET"),
        ("PUT", "/healthz", "GET"),
    ] {
        let response = cluster.request(0, method, path, "");
        assert_eq!((response.status, response.header("allow")), (405, allow), "{method} {path}");
        let said = error(method, &format!("Method not allowed: this path knows {allow}"));
        assert_eq!(response.json(), said, "{method} {path}");
    }
    let known = cluster.request(0, "PUT", "/kv-store/keys/k", r#"{"value": 1}"#).context().to_owned();
    let body = json!({ "causal-context": { "token": known } }).to_string();
    for (method, path) in [("POST", "/kv-store/keys/k"), ("POST", "/kv-store/shards"), ("GET", "/x")] {
        let response = cluster.request(0, method, path, &body);
        assert_eq!(response.context(), known, "{method} {path} returns the context that came in the body");
    }
}

#[test]
fn contexts_travel_in_header_and_body_alike() {
    let cluster = Cluster::start(2, 2);
    let first = cluster.request(0, "PUT", "/kv-store/keys/a", r#"{"value": 1}"#).context().to_owned();
    let second = cluster.request(1, "PUT", "/kv-store/keys/b", r#"{"value": 2}"#).context().to_owned();
    for node in 0..2 {
        let response = cluster.request_after(node, "GET", "/kv-store/keys/a", &format!("{first}, {second}"), "");
        assert_eq!(response.json()["value"], json!(1));
        let body = json!({ "causal-context": [{ "token": first }, { "token": second }] }).to_string();
        let response = cluster.request(node, "GET", "/kv-store/keys/b", &body);
        assert_eq!(response.json()["value"], json!(2));
        let body = json!({ "causal-context": { "token": second } }).to_string();
        let response = cluster.request_after(node, "GET", "/kv-store/keys/b", &first, &body);
        assert_eq!(response.json()["value"], json!(2));
    }
    let headers = [("Causal-Context", first.as_str()), ("Causal-Context", second.as_str())];
    let response = request(cluster.address(0), "PUT", "/kv-store/keys/a", &headers, b"{}");
    assert_eq!(response.status, 400);
    assert!(response.context().len() > first.len().min(second.len()), "an error returns what was merged");
    let response = cluster.request_after(0, "GET", "/kv-store/shards", &first, "");
    assert_eq!(response.context(), first, "whoever reads nothing learns nothing");
    let response = cluster.request_after(0, "GET", "/unknown", &first, "");
    assert_eq!((response.status, response.context()), (404, first.as_str()));
    let response = cluster.request_after(0, "GET", "/kv-store/keys/a", "damaged", "");
    assert_eq!(response.status, 400);
    assert!(response.json()["error"].as_str().unwrap().starts_with("Malformed causal-context: "));
}

#[test]
fn raw_values_are_bytes_with_a_type() {
    let cluster = Cluster::single(&[]);
    let node = cluster.address(0);
    let path = "/kv-store/keys/image";
    let bytes = b"\xff\x00\x01";
    let response = request(node, "PUT", path, &[("Content-Type", "image/png")], bytes);
    assert_eq!(
        (response.status, response.json()),
        (201, json!({ "message": "Added successfully", "replaced": false }))
    );
    let response = request(node, "GET", path, &[("Accept", "image/*")], b"");
    assert_eq!((response.status, response.body.as_slice()), (200, bytes.as_slice()));
    assert_eq!(response.header("content-type"), "image/png");
    assert_ne!(response.context(), "");
    assert_ne!(response.header("precede-version"), "");
    assert_eq!(request(node, "GET", &format!("{path}?raw"), &[], b"").body, bytes);
    let response = cluster.request(0, "GET", path, "");
    let found = json!({ "doesExist": true, "message": "Retrieved successfully", "value-base64": "/wAB" });
    assert_eq!(response.json(), found);

    assert_eq!(request(node, "PUT", path, &[("Content-Type", "text/plain")], "grüß".as_bytes()).status, 200);
    assert_eq!(cluster.request(0, "GET", path, "").json()["value"], json!("grüß"));
    assert_eq!(request(node, "PUT", &format!("{path}?raw"), &[], b"").status, 200, "an empty body is a value");
    let response = request(node, "GET", path, &[("Accept", "text/plain")], b"");
    assert_eq!((response.status, response.body.len()), (200, 0));
    assert_eq!(response.header("content-type"), "application/octet-stream");
    cluster.request(0, "PUT", path, r#"{"value": {"a" : 1}}"#);
    let response = request(node, "GET", path, &[("Accept", "text/plain")], b"");
    assert_eq!((response.body.as_slice(), response.header("content-type")), (&b"{\"a\" : 1}"[..], "application/json"));
    let response = request(node, "GET", "/kv-store/keys/none?raw", &[], b"");
    assert_eq!((response.status, response.json()["doesExist"].clone()), (404, json!(false)));
}

#[test]
fn whoever_serves_a_read_obeys_what_it_accepts() {
    let cluster = Cluster::start(2, 1);
    let keys = keys_by_node(&cluster);
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    for (key, asked) in keys.iter().flat_map(|key| [(key, 0), (key, 1)]) {
        let (node, path) = (cluster.address(asked), format!("/kv-store/keys/{key}"));
        let put = request(node, "PUT", &path, &form, br#"{"value": "x"}"#);
        assert!(put.status < 202, "what tools send by default counts as JSON: {put:?}");
        for (accept, is_raw) in [
            ("text/plain", true),
            ("application/json;q=0, */*", true),
            ("application/json", false),
            ("*/*;q=0, application/json;q=0.1", false),
        ] {
            let response = request(node, "GET", &path, &[("Accept", accept)], b"");
            assert_eq!(
                (response.status, response.body == b"\"x\""),
                (200, is_raw),
                "{accept} at {asked}: {response:?}"
            );
        }
    }
}

#[test]
fn wait_and_w_are_obeyed_and_judged() {
    let mut cluster = Cluster::start(2, 2);
    let path = "/kv-store/keys/k";
    for query in ["wait=x", "wait=-1", "wait=60001", "w=0", "w=some", "raw=maybe"] {
        let response = cluster.request(0, "PUT", &format!("{path}?{query}"), r#"{"value": 1}"#);
        let name = query.split('=').next().unwrap();
        assert_eq!(response.status, 400, "{query}");
        assert!(response.json()["error"].as_str().unwrap().contains(name), "{query}");
    }
    for w in ["1", "2", "majority", "all"] {
        let response = cluster.request(0, "PUT", &format!("{path}?w={w}&wait=100"), r#"{"value": 1}"#);
        assert!([200, 201].contains(&response.status), "{w}: {response:?}");
        let acks: u32 = response.header("precede-acks").parse().unwrap();
        assert!(acks >= if w == "1" { 1 } else { 2 }, "{w}: {acks}");
    }
    cluster.kill(1);
    let response = cluster.request(0, "PUT", &format!("{path}?w=all"), r#"{"value": 2}"#);
    assert_eq!((response.status, response.header("precede-acks")), (202, "1"));
    assert_eq!(response.json(), json!({ "message": "Updated successfully", "replaced": true }));
    assert_eq!(cluster.request(0, "PUT", path, r#"{"value": 3}"#).status, 200, "not asked for: not told by the status");
    let response = cluster.request(0, "DELETE", &format!("{path}?w=2"), "");
    assert_eq!((response.status, response.json()["doesExist"].clone()), (202, json!(true)));
}

#[test]
fn probes_tell_whether_the_node_is_alive_and_ready() {
    let cluster = Cluster::single(&[]);
    for (path, message) in [("/healthz", "Alive"), ("/readyz", "Ready")] {
        let response = cluster.request(0, "GET", path, "");
        assert_eq!((response.status, response.json()), (200, json!({ "message": message })));
    }
}
