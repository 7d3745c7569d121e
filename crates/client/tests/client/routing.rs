//! Keys find the nodes that hold them.

use std::time::Duration;

use precede_client::{Error, View};

use crate::scripted_node::{Act, ScriptedNode, builder, client};

/// The shard of four that each of these keys belongs to, by the reference implementation of the hash.
const PLACED: [(&str, usize); 4] = [("user:1", 4), ("user:2", 2), ("user:3", 4), ("ä/b", 2)];

async fn four() -> [ScriptedNode; 4] {
    let start = ScriptedNode::start;
    [start().await, start().await, start().await, start().await]
}

#[tokio::test]
async fn requests_go_to_a_replica_of_the_keys_shard() {
    let gate = ScriptedNode::start().await;
    let nodes = four().await;
    let [a, b, c, d] = &nodes;
    gate.tell_shards(&[(4, &[d]), (1, &[a]), (2, &[b]), (3, &[c])]);
    let client = builder(&[&gate]).build().unwrap();
    let view = client.refresh_view().await.unwrap();
    assert_eq!(view.shards.iter().map(|shard| shard.id).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(client.view().unwrap(), view);
    for (key, shard) in PLACED {
        let mut session = client.session();
        assert!(session.get(key).await.unwrap().is_none());
        assert_eq!(nodes[shard - 1].seen().last().unwrap().key, key);
    }
    assert!(gate.seen().is_empty());
}

#[tokio::test]
async fn a_shard_whose_replicas_fail_is_reached_through_other_nodes() {
    let gate = ScriptedNode::start().await;
    let [a, b, c, d] = &four().await;
    gate.tell_shards(&[(1, &[a]), (2, &[b]), (3, &[c]), (4, &[d])]);
    d.always(Act::Break);
    let client = builder(&[&gate]).build().unwrap();
    client.refresh_view().await.unwrap();
    client.session().get("user:1").await.unwrap();
    assert_eq!(gate.seen().len(), 1);
}

#[tokio::test]
async fn the_view_is_learned_by_the_way() {
    let gate = ScriptedNode::start().await;
    let node = ScriptedNode::start().await;
    gate.tell_shards(&[(1, &[&node])]);
    let mut session = builder(&[&gate]).build().unwrap().session();
    let routed = async {
        while node.seen().is_empty() {
            session.get("k").await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(30), routed).await.expect("the view is learned soon");
    let View { shards } = &*session.client().view().unwrap();
    assert_eq!(shards[0].replicas[0].as_str(), node.address());
}

#[tokio::test]
async fn a_client_that_is_not_direct_asks_the_given_nodes_only() {
    let gate = ScriptedNode::start().await;
    let node = ScriptedNode::start().await;
    gate.tell_shards(&[(1, &[&node])]);
    let client = client(&[&gate]);
    client.refresh_view().await.unwrap();
    client.session().get("k").await.unwrap();
    assert_eq!((gate.seen().len(), node.seen().len()), (1, 0));
}

#[tokio::test]
async fn a_view_without_shards_is_outside_the_protocol_and_the_old_one_is_kept() {
    let gate = ScriptedNode::start().await;
    gate.tell_shards(&[(7, &[&gate])]);
    let client = builder(&[&gate]).build().unwrap();
    let view = client.refresh_view().await.unwrap();
    gate.tell_shards(&[]);
    let error = client.refresh_view().await.unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
    assert_eq!(client.view().unwrap(), view);
}
