//! What must not grow with the number of nodes.

use precede_sim::growth::{Row, Traffic, measure};

const SECONDS: u64 = 5;

/// Messages that one node sends in a second.
fn per_node(row: &Row, traffic: Traffic) -> u64 {
    traffic.messages / u64::from(row.nodes) / row.seconds
}

#[test]
fn messages_at_rest_do_not_grow_with_the_nodes() {
    let [few, many] = [4, 32].map(|nodes| measure(nodes, SECONDS));
    let [at_few, at_many] = [&few, &many].map(|row| per_node(row, row.rest));
    assert!(at_few > 20, "each of the replicas hears the other's heartbeat: {few:?}");
    assert!(at_many * 5 <= at_few * 6, "{at_few} messages per node and second at 4 nodes, {at_many} at 32");
}

#[test]
fn every_request_is_answered_and_adds_messages() {
    let row = measure(4, SECONDS);
    // All but those that were under way at one end of the time or the other.
    assert!(row.requests.abs_diff(4 * 50 * SECONDS) <= 4, "{row:?}");
    assert!(row.load.messages > row.rest.messages + row.requests, "{row:?}");
    assert_eq!(row, measure(4, SECONDS), "it is the same every time");
}
