//! View changes of real processes, under load: nothing is refused, nothing is lost, and keys move only where they must.
#![allow(missing_docs, clippy::unwrap_used)]

mod cluster;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use cluster::{Cluster, Connection, Response, wait_for};
use serde_json::{Value, json};

const PATH: &str = "/kv-store/view-change";

/// Asks for a view, and again as long as some node has not heard that the last one is settled.
fn change(cluster: &Cluster, by: usize, members: &[usize], repl_factor: usize) -> Response {
    let body = json!({ "view": cluster.addresses(members), "repl-factor": repl_factor, "timeout-ms": 20_000 });
    wait_for("everybody has heard that the last change is settled", || {
        let response = cluster.request(by, "PUT", PATH, &body.to_string());
        (response.status != 409).then_some(response)
    })
}

/// Ends the clients of a test however it ends.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The shards of a response, by id: replicas and keys.
fn shards(response: &Response) -> BTreeMap<u64, (Vec<String>, u64)> {
    let shard = |shard: &Value| {
        let replicas = shard["replicas"].as_array().unwrap().iter().map(|r| r.as_str().unwrap().to_owned()).collect();
        (shard["shard-id"].as_u64().unwrap(), (replicas, shard["key-count"].as_u64().unwrap()))
    };
    response.json()["shards"].as_array().unwrap().iter().map(shard).collect()
}

fn put_all(cluster: &Cluster, by: usize, keys: usize) {
    let mut connection = Connection::open(cluster.address(by)).unwrap();
    for key in 0..keys {
        connection
            .send("PUT", &format!("/kv-store/keys/k{key}"), &[], format!("{{\"value\":{key}}}").as_bytes())
            .unwrap();
        assert!(connection.receive().unwrap().status < 300);
    }
}

fn all_are_there(cluster: &Cluster, at: &[usize], keys: usize) {
    for &node in at {
        let mut connection = Connection::open(cluster.address(node)).unwrap();
        for key in 0..keys {
            connection.send("GET", &format!("/kv-store/keys/k{key}"), &[], b"").unwrap();
            let response = connection.receive().unwrap();
            assert_eq!(response.json()["value"], json!(key), "k{key} at {node}");
        }
    }
}

#[test]
fn a_cluster_grows_shrinks_and_moves_to_other_nodes() {
    let mut cluster = Cluster::start(4, 2);
    let members = cluster.addresses(&[0, 1, 2, 3]);
    // One is told of the cluster, one of itself alone, one of a view that never was, one of the view to come.
    let strange = vec!["127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned()];
    for view in [members.clone(), Vec::new(), strange, members] {
        cluster.add(&view, if view.is_empty() { 1 } else { 2 });
    }
    put_all(&cluster, 0, 300);
    let before = shards_of(&cluster, 0);

    let response = change(&cluster, 3, &[0, 1, 2, 3, 4, 5], 2);
    assert_eq!(response.status, 200);
    assert_eq!(response.json()["message"], json!("View change successful"));
    let grown = shards(&response);
    assert_eq!(grown.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(grown.values().map(|shard| shard.1).sum::<u64>(), 300, "counts are exact");
    for id in [1, 2] {
        assert_eq!(grown[&id].0, before[&id].0, "members stay with their data");
    }
    all_are_there(&cluster, &[0, 2, 4, 5, 7], 300);

    // To nodes of which none was a member, asked of one that leaves.
    let response = change(&cluster, 0, &[6, 7], 1);
    assert_eq!(response.status, 200, "{}", response.json());
    assert_eq!(shards(&response).values().map(|shard| shard.1).sum::<u64>(), 300);
    all_are_there(&cluster, &[0, 3, 6, 7], 300);
    let response = cluster.request(0, "GET", "/kv-store/key-count", "");
    assert_eq!(response.status, 503, "it holds nothing: {response:?}");

    // One that left and starts again, with the view that it was told first, finds the cluster.
    cluster.kill(1);
    cluster.restart(1);
    wait_for("it proxies to the present view", || {
        let response = cluster.request(1, "GET", "/kv-store/keys/k7", "");
        (response.status == 200).then_some(())
    });
    let response = change(&cluster, 1, &[0, 1, 2, 3], 2);
    assert_eq!(response.status, 200, "{}", response.json());
    all_are_there(&cluster, &[0, 1, 2, 3, 6], 300);
}

fn shards_of(cluster: &Cluster, at: usize) -> BTreeMap<u64, (Vec<String>, u64)> {
    let ids = cluster.request(at, "GET", "/kv-store/shards", "").json()["shards"].clone();
    let one = |id: &Value| {
        let shard = cluster.request(at, "GET", &format!("/kv-store/shards/{id}"), "").json();
        let replicas = shard["replicas"].as_array().unwrap().iter().map(|r| r.as_str().unwrap().to_owned()).collect();
        (id.as_u64().unwrap(), (replicas, shard["key-count"].as_u64().unwrap()))
    };
    ids.as_array().unwrap().iter().map(one).collect()
}

/// A client that reads what it wrote, through every node in turn, with its context.
fn write_and_read(cluster: &Cluster, nodes: &[usize], name: usize, stop: &AtomicBool, done: &AtomicUsize) {
    let mut connections: Vec<Connection> =
        nodes.iter().map(|node| Connection::open(cluster.address(*node)).unwrap()).collect();
    let (mut context, mut round) = (String::new(), 0usize);
    while !stop.load(Ordering::Relaxed) {
        let key = format!("/kv-store/keys/c{name}-{}", round % 40);
        for (method, body) in [("PUT", format!("{{\"value\":{round}}}")), ("GET", String::new())] {
            let at = (round + usize::from(method == "GET")) % connections.len();
            let connection = &mut connections[at];
            connection.send(method, &key, &[("Causal-Context", &context)], body.as_bytes()).unwrap();
            let response = connection.receive().unwrap();
            assert!(response.status < 300, "{method} {key} at node {at}: {response:?}");
            if method == "GET" {
                assert_eq!(response.json()["value"], json!(round), "{key} at node {at}");
            }
            context = response.context().to_owned();
        }
        round += 1;
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn nothing_is_refused_while_views_change_under_load() {
    let mut cluster = Cluster::start(4, 2);
    let members = cluster.addresses(&[0, 1, 2, 3]);
    for _ in 0..4 {
        cluster.add(&members, 2);
    }
    cluster.wait_spares(&[4, 5, 6, 7]);
    put_all(&cluster, 0, 500);
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|name| {
                let (cluster, stop, done) = (&cluster, &stop, &done);
                scope.spawn(move || write_and_read(cluster, &[0, 1, 2, 3, 4, 5, 6, 7], name, stop, done))
            })
            .collect();
        let go_on = || {
            let from = done.load(Ordering::Relaxed);
            wait_for("clients go on", || (done.load(Ordering::Relaxed) >= from + 50).then_some(()));
        };
        let ends = Stop(&stop);
        go_on();
        for (members, factor) in [
            (&[0, 1, 2, 3, 4, 5][..], 2),
            (&[0, 1, 2, 3, 4, 5], 3),
            (&[4, 5, 6, 7], 2),
            (&[0], 1),
            (&[0, 1, 2, 3, 4, 5, 6, 7], 2),
        ] {
            let response = change(&cluster, members[0], members, factor);
            assert_eq!(response.status, 200, "{}", response.json());
            go_on();
        }
        drop(ends);
        for client in clients {
            client.join().unwrap();
        }
    });
    all_are_there(&cluster, &[0, 3, 5, 7], 500);
}

#[test]
fn what_cannot_be_is_refused_and_what_is_asked_for_is_planned() {
    let mut cluster = Cluster::start(2, 1);
    let spare = cluster.add(&cluster.addresses(&[0, 1]), 1);
    cluster.wait_spares(&[spare]);
    let [a, b, c] = [0, 1, 2].map(|node| cluster.address(node).to_owned());
    let ask = |body: Value| {
        let response = cluster.request(0, "PUT", PATH, &body.to_string());
        (response.status, response.json()["error"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(ask(json!({})), (400, "view and repl-factor are missing: name at least one of them".to_owned()));
    assert_eq!(ask(json!({ "view": [a, a], "repl-factor": 1 })), (400, format!("address `{a}` is named twice")));
    let (status, error) = ask(json!({ "view": [a], "repl-factor": 2 }));
    assert_eq!((status, error.contains("1 members cannot hold 2 replicas")), (400, true), "{error}");
    let (status, error) = ask(json!({ "view": [a], "repl-factor": 0 }));
    assert_eq!((status, error.contains("must be at least 1")), (400, true), "{error}");
    let (status, error) = ask(json!({ "view": [a, "127.0.0.1:1"] }));
    assert_eq!((status, error.contains("do not answer: 127.0.0.1:1")), (400, true), "{error}");
    let (status, error) = ask(json!({ "view": [a, "no port:x"] }));
    assert_eq!((status, error.starts_with("view: ")), (400, true), "{error}");
    for (field, value) in
        [("repl-factor", json!("2")), ("force", json!(1)), ("timeout-ms", json!(-1)), ("view", json!(7))]
    {
        let (status, error) = ask(json!({ "view": [a], field: value }));
        assert_eq!((status, error.starts_with(field)), (400, true), "{error}");
    }
    let (status, error) = ask(json!({ "view": [a], "expected-epoch": 9 }));
    assert_eq!((status, error.as_str()), (409, "the current view has epoch 0, not 9"));

    // The same view again changes nothing.
    let same = cluster.request(0, "PUT", PATH, &json!({ "view": format!("{b},{a}"), "repl-factor": 1 }).to_string());
    assert_eq!((same.status, &same.json()["message"]), (200, &json!("View change successful")));
    let plan = cluster.request(1, "PUT", PATH, &json!({ "view": [a, b, c], "dry-run": true }).to_string());
    assert_eq!((plan.status, &plan.json()["message"]), (200, &json!("View change planned")));
    assert!(plan.json()["moves"].as_array().unwrap().iter().all(|step| step["to"] == json!(c)));
    let state = cluster.request(0, "GET", PATH, "").json();
    assert_eq!((&state["epoch"], &state["settled"]), (&json!(0), &json!(true)));
    assert_eq!(cluster.request(0, "POST", PATH, "").header("allow"), "GET, PUT");
}

#[test]
fn a_dead_member_is_left_out_and_two_are_not_without_force() {
    let mut cluster = Cluster::start(4, 2);
    put_all(&cluster, 0, 100);
    cluster.kill(1);
    let response = change(&cluster, 0, &[0, 2, 3], 1);
    assert_eq!(response.status, 200, "{}", response.json());
    all_are_there(&cluster, &[0, 2, 3], 100);

    // It was written off; when it comes back it is a spare, and can be taken in again.
    cluster.restart(1);
    wait_for("it knows the view", || (cluster.request(1, "GET", PATH, "").json()["epoch"] == json!(1)).then_some(()));
    let response = change(&cluster, 1, &[0, 1, 2, 3], 2);
    assert_eq!(response.status, 200, "{}", response.json());
    all_are_there(&cluster, &[0, 1, 2, 3], 100);

    let view = cluster.request(0, "GET", PATH, "").json();
    let shard: Vec<String> =
        view["shards"][0]["replicas"].as_array().unwrap().iter().map(|r| r.as_str().unwrap().to_owned()).collect();
    let (dead, alive): (Vec<usize>, Vec<usize>) =
        (0..4).partition(|node| shard.contains(&cluster.address(*node).to_owned()));
    for node in dead {
        cluster.kill(node);
    }
    let response = change(&cluster, alive[0], &alive, 1);
    assert_eq!(response.status, 503, "{}", response.json());
    assert!(response.json()["error"].as_str().unwrap().contains("`force` overrides"), "{}", response.json());
    let body = json!({ "view": cluster.addresses(&alive), "repl-factor": 1, "force": true });
    let response = cluster.request(alive[0], "PUT", PATH, &body.to_string());
    assert_eq!(response.status, 200, "{}", response.json());
    assert!(!response.json()["given-up"].as_array().unwrap().is_empty());
}

#[test]
fn a_member_that_is_started_again_as_it_was_first_comes_back() {
    let mut cluster = Cluster::start(4, 2);
    // One is told nothing, one of a single member.
    let told_nothing = cluster.add(&[], 1);
    let told_of_one = cluster.add(&cluster.addresses(&[1]), 1);
    put_all(&cluster, 0, 100);
    let response = change(&cluster, 0, &[0, 1, 2, 3, told_nothing, told_of_one], 3);
    assert_eq!(response.status, 200, "{}", response.json());
    let mine = |cluster: &Cluster, node: usize| {
        wait_for("it is a member, recovered", || {
            let epoch = cluster.request(node, "GET", PATH, "").json()["epoch"].clone();
            (epoch == json!(1) && cluster.nodes[node].is_ready()).then_some(())
        });
        all_are_there(cluster, &[node], 100);
    };
    let context = cluster.request(0, "PUT", "/kv-store/keys/k1", "{\"value\":1}").context().to_owned();
    cluster.kill(told_nothing);
    cluster.restart(told_nothing);
    wait_for("it answers a context of its cluster", || {
        let response = cluster.request_after(told_nothing, "GET", "/kv-store/keys/k1", &context, "");
        assert!([200, 503].contains(&response.status), "until it has heard its cluster it can only wait: {response:?}");
        (response.status == 200).then_some(())
    });
    mine(&cluster, told_nothing);
    let log = cluster.nodes[told_nothing].log();
    assert!(log.matches("refused messages of another cluster").count() <= 5, "{log}");

    // The only one that it was told of is down.
    cluster.kill(1);
    cluster.kill(told_of_one);
    cluster.restart(told_of_one);
    mine(&cluster, told_of_one);
    cluster.restart(1);
    mine(&cluster, 1);
    let members = cluster.request(told_of_one, "GET", PATH, "").json()["shards"].clone();
    assert_eq!(members, cluster.request(0, "GET", PATH, "").json()["shards"]);
}
