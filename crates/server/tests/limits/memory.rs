//! The memory limit, reached by nothing but legal writes.

use serde_json::json;

use crate::cluster::{Cluster, Connection, wait_for};

const MIB: u64 = 1 << 20;

#[test]
fn a_full_node_says_so_and_goes_on() {
    let cluster = Cluster::start_with(1, 1, &["--max-memory-bytes", "4194304"]);
    let body = format!("{{\"value\": \"{}\"}}", "x".repeat(100_000));
    let path = |at: usize| format!("/kv-store/keys/{at}");
    let full = (0..100).find(|at| cluster.request(0, "PUT", &path(*at), &body).status != 201).unwrap();
    assert!((30..42).contains(&full), "{full} values of 100 kB in 4 MiB");
    let refused = cluster.request(0, "PUT", &path(full), &body);
    let told = "Memory limit reached: 4194304 bytes (MAX_MEMORY_BYTES): delete keys, add nodes, or raise the limit";
    assert_eq!((refused.status, refused.json()), (507, json!({ "error": told, "message": "Error in PUT" })));
    assert_eq!(cluster.request(0, "GET", &path(0), "").status, 200);
    assert_eq!(cluster.request(0, "GET", &path(full), "").status, 404);
    assert_eq!(cluster.request(0, "PUT", &path(1), r#"{"value": "less"}"#).status, 200, "it takes no more than before");
    assert_eq!(cluster.request(0, "DELETE", &path(0), "").status, 200);
    wait_for("a deleted value makes room", || {
        (cluster.request(0, "PUT", &path(full), &body).status == 201).then_some(())
    });
    assert_eq!(cluster.request(0, "GET", "/readyz", "").status, 200);
    assert!(cluster.log(0).contains("the memory limit is reached"), "{}", cluster.log(0));
}

#[test]
fn legal_writes_do_not_take_more_than_the_limit() {
    const LIMIT: u64 = 48 * MIB;
    /// What is on its way.
    const MORE_MAX: u64 = 24 * MIB;
    /// Where values of ever other sizes come, and all but a tenth of those before go, what lies free between them is of no use.
    const FRAGMENTS: u64 = 3;
    const ROUNDS: usize = 4;

    let cluster = Cluster::single(&["--max-memory-bytes", &LIMIT.to_string()]);
    let of_process = |field: &str| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", cluster.nodes[0].pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    };
    let before = of_process("VmRSS:");
    let mut connection = Connection::open(cluster.address(0)).unwrap();
    let mut ask = |method: &str, keys: std::ops::Range<usize>, value: &dyn Fn(usize) -> usize| {
        let bytes = vec![b'x'; 20_000];
        for at in keys.clone() {
            let path = format!("/kv-store/keys/{at:08}?raw");
            connection.send(method, &path, &[("Content-Type", "text/plain")], &bytes[..value(at)]).unwrap();
        }
        keys.map(|_| connection.receive().unwrap().status).collect::<Vec<_>>()
    };
    let mut next = 0;
    for round in 0..ROUNDS {
        // Other sizes each time, so that what was freed does not fit.
        let value = |at: usize| 1 + (at * 7919) % (600 << round);
        let first = next;
        loop {
            let statuses = ask("PUT", next..next + 100, &value);
            next += 100;
            assert!(statuses.iter().all(|status| [201, 507].contains(status)), "{statuses:?}");
            if statuses.iter().filter(|status| **status == 507).count() > 50 {
                break;
            }
        }
        let grown = of_process("VmRSS:").saturating_sub(before);
        assert!(grown > LIMIT / 2, "{grown} bytes of {LIMIT}: the limit counts more than there is");
        if round == 0 {
            let most = of_process("VmHWM:") - before;
            assert!(most <= LIMIT + MORE_MAX, "{most} bytes, {LIMIT} allowed");
        }
        for at in (first..next).step_by(100) {
            let statuses = ask("GET", at..at + 1, &|_| 0);
            assert!([200, 404].contains(&statuses[0]), "{statuses:?}");
        }
        // All but a tenth.
        for at in (first..next).step_by(100) {
            let statuses = ask("DELETE", at..at + 90, &|_| 0);
            assert!(statuses.iter().all(|status| [200, 404].contains(status)), "{statuses:?}");
        }
        wait_for("what was deleted makes room", || (ask("PUT", next..next + 1, &value) == [201]).then_some(()));
        next += 1;
    }
    let grown = of_process("VmHWM:") - before;
    println!("{LIMIT} bytes allowed, {grown} taken at most");
    assert!(grown <= FRAGMENTS * LIMIT + MORE_MAX, "{grown} bytes, {LIMIT} allowed");
}
