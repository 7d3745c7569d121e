//! Failing nodes: who is asked next, what is repeated, and when it ends.

use std::time::Duration;

use precede_client::{Client, Error, ReadOptions, Value, WriteOptions};

use crate::scripted_node::{Act, ScriptedNode, client, refusing, swallowing};

fn one() -> Value {
    Value::json(&1).expect("numbers have a JSON form")
}

#[tokio::test]
async fn a_refused_connection_leads_to_the_next_node_for_reads_and_writes() {
    let (_socket, dead) = refusing();
    let node = ScriptedNode::start().await;
    let new_client = || Client::builder([dead.clone(), node.address()]).direct(false).build().unwrap();
    assert!(new_client().session().get("k").await.unwrap().is_none());
    assert!(!new_client().session().put("k", one()).await.unwrap().replaced);
    assert!(new_client().session().delete("k").await.unwrap().is_some());
    assert_eq!(node.seen().len(), 3);
}

#[tokio::test]
async fn a_connection_that_never_comes_about_leads_to_the_next_node_for_writes_too() {
    let (_listener, _queued, silent) = swallowing().await;
    let node = ScriptedNode::start().await;
    let client = Client::builder([silent.clone(), node.address()]).direct(false).build().unwrap();
    let options = WriteOptions::new().timeout(Duration::from_millis(800));
    assert_eq!(client.session().put_with("k", one(), &options).await.unwrap().node.as_str(), node.address());

    let client = Client::builder([silent]).direct(false).build().unwrap();
    let options = WriteOptions::new().timeout(Duration::from_millis(100));
    let error = client.session().put_with("k", one(), &options).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn a_read_goes_on_after_a_broken_connection_and_a_server_error() {
    let (first, second) = (ScriptedNode::start().await, ScriptedNode::start().await);
    let mut session = client(&[&first, &second]).session();
    first.then([Act::Status(500, None), Act::Break]);
    for _ in 0..2 {
        session.get("k").await.unwrap();
    }
    assert_eq!((first.seen().len(), second.seen().len()), (2, 2));
}

#[tokio::test]
async fn a_write_is_not_repeated_when_its_outcome_is_unknown() {
    let (first, second) = (ScriptedNode::start().await, ScriptedNode::start().await);
    let unknown =
        |error: Error| matches!(&error, Error::OutcomeUnknown { node, .. } if node.as_str() == first.address());
    for act in [Act::Break, Act::Status(500, None), Act::Status(504, None)] {
        first.always(act);
        // A new client each time: an old one would avoid the node that failed.
        let new_session = || client(&[&first, &second]).session();
        assert!(unknown(new_session().put("k", one()).await.unwrap_err()), "PUT after {act:?}");
        assert!(unknown(new_session().put("k", Value::raw("", "a/b")).await.unwrap_err()), "empty PUT after {act:?}");
        assert!(unknown(new_session().delete("k").await.unwrap_err()), "DELETE after {act:?}");
    }
    assert_eq!((first.seen().len(), second.seen().len()), (9, 0));
}

#[tokio::test]
async fn a_write_is_repeated_if_the_caller_opted_in() {
    let (first, second) = (ScriptedNode::start().await, ScriptedNode::start().await);
    let mut session = client(&[&first, &second]).session();
    first.then([Act::Break]);
    let written = session.put_with("k", one(), &WriteOptions::new().retry_unknown(true)).await.unwrap();
    assert_eq!(written.node.as_str(), second.address());
    assert_eq!((first.seen().len(), second.seen().len()), (1, 1));
    let name = |node: &ScriptedNode| node.seen()[0].idempotency_key.clone();
    assert!(name(&first).is_some() && name(&first) == name(&second), "the repeat has the name of the first");
    session.put_with("k", one(), &WriteOptions::new().idempotency_key("mine")).await.unwrap();
    session.put("k", one()).await.unwrap();
    let last: Vec<_> = second.seen().into_iter().chain(first.seen()).map(|seen| seen.idempotency_key).collect();
    assert!(last.contains(&Some("mine".to_owned())) && last.contains(&None), "{last:?}");
}

#[tokio::test]
async fn a_refusal_after_a_lost_attempt_leaves_the_outcome_unknown() {
    let (first, second) = (ScriptedNode::start().await, ScriptedNode::start().await);
    let mut session = client(&[&first, &second]).session();
    first.then([Act::Break]);
    second.then([Act::Status(400, None)]);
    let error = session.put_with("k", one(), &WriteOptions::new().retry_unknown(true)).await.unwrap_err();
    assert!(matches!(&error, Error::OutcomeUnknown { node, .. } if node.as_str() == first.address()), "{error}");
}

#[tokio::test]
async fn a_503_leads_to_the_next_node_and_then_back() {
    let (first, second) = (ScriptedNode::start().await, ScriptedNode::start().await);
    let mut session = client(&[&first, &second]).session();
    first.then([Act::Status(503, None)]);
    assert_eq!(session.put("k", one()).await.unwrap().node.as_str(), second.address());

    first.then([Act::Status(503, Some(0)), Act::Status(503, None)]);
    second.then([Act::Status(503, None), Act::Status(503, None)]);
    assert_eq!(session.put("k", one()).await.unwrap().node.as_str(), first.address());
    assert_eq!((first.seen().len(), second.seen().len()), (4, 3));
}

#[tokio::test]
async fn a_503_to_the_end_is_unavailable_with_the_nodes_reason() {
    let node = ScriptedNode::start().await;
    node.always(Act::Status(503, None));
    let timeout = Duration::from_millis(150);
    let error =
        client(&[&node]).session().put_with("k", one(), &WriteOptions::new().timeout(timeout)).await.unwrap_err();
    let Error::Unavailable { attempts, reason, .. } = &error else { panic!("{error}") };
    assert!(*attempts >= 2, "{error}");
    assert!(reason.contains("told to refuse"), "{error}");
}

#[tokio::test]
async fn a_retry_after_beyond_the_deadline_is_not_waited_for() {
    let node = ScriptedNode::start().await;
    node.then([Act::Status(503, Some(3600))]);
    let error = client(&[&node]).session().get("k").await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { attempts: 1, .. }), "{error}");
}

#[tokio::test]
async fn reads_end_by_their_deadline_when_every_node_hangs() {
    let (first, second) = (ScriptedNode::start().await, ScriptedNode::start().await);
    first.always(Act::Hang);
    second.always(Act::Hang);
    let mut session = client(&[&first, &second]).session();
    let options = ReadOptions::new().timeout(Duration::from_millis(300));
    let error = session.get_with("k", &options).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(!first.seen().is_empty() && !second.seen().is_empty(), "one node does not use up the deadline");
}

#[tokio::test]
async fn writes_end_by_their_deadline_with_an_unknown_outcome_when_a_node_hangs() {
    let (first, second) = (ScriptedNode::start().await, ScriptedNode::start().await);
    first.always(Act::Hang);
    second.always(Act::Hang);
    let options = WriteOptions::new().timeout(Duration::from_millis(200));
    for options in [options.clone(), options.retry_unknown(true)] {
        let error = client(&[&first, &second]).session().put_with("k", one(), &options).await.unwrap_err();
        assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
    }
}

#[tokio::test]
async fn no_connection_to_any_node_is_unavailable_for_writes_too() {
    let (_socket, dead) = refusing();
    let client = Client::builder([dead]).timeout(Duration::from_millis(100)).build().unwrap();
    let error = client.session().put("k", one()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn a_node_that_failed_is_avoided_for_a_while() {
    let (first, second) = (ScriptedNode::start().await, ScriptedNode::start().await);
    let mut session = client(&[&first, &second]).session();
    first.then([Act::Break]);
    session.get("k").await.unwrap();
    session.get("k").await.unwrap();
    assert_eq!((first.seen().len(), second.seen().len()), (1, 2));

    // It is still the way out when the other fails.
    second.then([Act::Break]);
    session.get("k").await.unwrap();
    assert_eq!((first.seen().len(), second.seen().len()), (2, 3));
}

#[tokio::test]
async fn a_node_that_went_away_between_two_requests_is_survived() {
    let (first, second) = (ScriptedNode::start().await, ScriptedNode::start().await);
    let mut session = client(&[&first, &second]).session();
    session.get("k").await.unwrap();
    first.stop().await;
    session.get("k").await.unwrap();
    assert_eq!(second.seen().len(), 1);
}
