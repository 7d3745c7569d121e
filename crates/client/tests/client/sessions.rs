//! Contexts: carried, replaced, merged, kept through failures.

use precede_client::{Error, Session};

use crate::scripted_node::{Act, ScriptedNode, client};

fn contexts(node: &ScriptedNode) -> Vec<Vec<String>> {
    node.seen().into_iter().map(|seen| seen.contexts).collect()
}

#[tokio::test]
async fn each_answers_context_is_the_next_requests() {
    let node = ScriptedNode::start().await;
    let mut session = client(&[&node]).session();
    assert!(session.get("k").await.unwrap().is_none());
    session.put("k", precede_client::Value::json(&1).unwrap()).await.unwrap();
    session.get("k").await.unwrap();
    session.delete("k").await.unwrap();
    let token = |n: u32| vec![format!("t{n}@{}", node.address())];
    assert_eq!(contexts(&node), [vec![], token(1), token(2), token(3)]);
    assert_eq!(session.to_token(), token(4)[0]);
}

#[tokio::test]
async fn a_merged_session_sends_both_tokens_until_the_answer() {
    let node = ScriptedNode::start().await;
    let mut one = client(&[&node]).session();
    let mut other = one.fork();
    one.get("a").await.unwrap();
    other.get("b").await.unwrap();
    one.merge(&other);
    one.get("c").await.unwrap();
    one.get("d").await.unwrap();
    let token = |n: u32| format!("t{n}@{}", node.address());
    assert_eq!(contexts(&node)[2..], [vec![token(1), token(2)], vec![token(3)]]);
}

#[tokio::test]
async fn a_saved_session_goes_on_where_it_was() {
    let node = ScriptedNode::start().await;
    let client = client(&[&node]);
    let mut one = client.session();
    let mut other = client.session();
    one.get("a").await.unwrap();
    other.get("b").await.unwrap();
    one.merge(&other);
    let mut restored = Session::from_token(&client, &one.to_token()).unwrap();
    assert_eq!(restored.context(), one.context());
    restored.get("c").await.unwrap();
    assert_eq!(contexts(&node)[2].len(), 2);
    assert!(Session::from_token(&client, "not a token").is_err());
}

#[tokio::test]
async fn tokens_too_many_for_one_head_are_merged_by_a_node_first() {
    let node = ScriptedNode::start().await;
    let client = client(&[&node]);
    let mut session = client.session();
    for number in 0..30 {
        let token = format!("{number}{}", "x".repeat(1000));
        session.merge(&client.session_from_token(&token).unwrap());
    }
    session.get("k").await.unwrap();
    let sent: Vec<Vec<String>> = node.other_contexts().into_iter().chain(contexts(&node)).collect();
    for head in &sent {
        assert!(head.iter().map(String::len).sum::<usize>() <= 8 << 10);
    }
    assert!(sent.len() > 1);
    let all: Vec<&String> = sent.iter().flatten().collect();
    for number in 0..30 {
        assert!(all.iter().any(|token| token.starts_with(&format!("{number}x"))), "token {number} was lost");
    }
    let merges = node.other_contexts().len() as u64;
    for answer in 1..=merges {
        assert!(all.contains(&&format!("t{answer}@{}", node.address())), "a merged context was lost");
    }
}

#[tokio::test]
async fn no_request_carries_more_than_64_tokens() {
    let node = ScriptedNode::start().await;
    let client = client(&[&node]);
    let mut session = client.session();
    for number in 0..200 {
        session.merge(&client.session_from_token(&format!("{number}")).unwrap());
    }
    session.get("k").await.unwrap();
    let sent: Vec<usize> = node.other_contexts().iter().chain(&contexts(&node)).map(Vec::len).collect();
    assert_eq!(sent, [64, 64, 64, 11]);
}

#[tokio::test]
async fn a_failure_leaves_the_context_as_it_was() {
    let node = ScriptedNode::start().await;
    let mut session = client(&[&node]).session();
    session.get("k").await.unwrap();
    let before = session.to_token();
    for act in [Act::Status(400, None), Act::Status(413, None), Act::Break, Act::ForgetContext] {
        node.then([act]);
        session.delete("k").await.unwrap_err();
        assert_eq!(session.to_token(), before, "after {act:?}");
    }
}

#[tokio::test]
async fn a_lost_context_is_told_and_reset_is_the_way_on() {
    let node = ScriptedNode::start().await;
    let mut session = client(&[&node]).session();
    session.get("k").await.unwrap();
    node.then([Act::Status(410, None)]);
    assert_eq!(session.get("k").await.unwrap_err(), Error::ContextLost);
    session.reset();
    session.get("k").await.unwrap();
    assert!(contexts(&node)[2].is_empty());
}

#[tokio::test]
async fn an_answer_without_a_context_is_outside_the_protocol() {
    let node = ScriptedNode::start().await;
    node.then([Act::ForgetContext]);
    let error = client(&[&node]).session().get("k").await.unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
}
