//! Values of both kinds, keys of every kind, and what writes return.

use std::time::Duration;

use hyper::Method;
use precede_client::{Error, ReadOptions, Value, WriteConcern, WriteOptions};

use crate::scripted_node::{Act, ScriptedNode, client};

#[tokio::test]
async fn values_of_both_kinds_come_back_as_they_were() {
    let node = ScriptedNode::start().await;
    let mut session = client(&[&node]).session();
    let large = vec![0xffu8; 3 << 20];
    let values = [
        Value::json(&serde_json::json!({"a": [1, 2.5, "ü"]})).unwrap(),
        Value::json(&10).unwrap(),
        Value::json("text").unwrap(),
        Value::raw(&b"\x00\xff"[..], "image/png"),
        Value::raw("", "text/plain; charset=utf-8"),
        Value::raw("{broken", "application/json"),
        Value::raw("a=b", "application/x-www-form-urlencoded"),
        Value::raw("{}", "application/problem+json"),
        Value::raw(large, "application/octet-stream"),
    ];
    for value in values {
        session.put("k", &value).await.unwrap();
        let found = session.get("k").await.unwrap().unwrap();
        assert!(found.value == value, "{value}");
        assert_eq!(found.node.as_str(), node.address());
    }
    assert_eq!(node.seen()[0].body, "{\"value\":{\"a\":[1,2.5,\"ü\"]}}");
}

#[tokio::test]
async fn keys_of_every_kind_arrive_whole() {
    let node = ScriptedNode::start().await;
    let mut session = client(&[&node]).session();
    let keys =
        ["a/b", "/", "two words", "schlüssel-鍵-🔑", "100%", "?a=b&c#d", "..", "a%2Fb", "\"<>\\^`{|}\n", "user:1"];
    for key in keys {
        session.put(key, Value::json(key).unwrap()).await.unwrap();
        assert_eq!(session.get(key).await.unwrap().unwrap().value.decode::<String>().unwrap(), key);
        assert_eq!(node.seen().last().unwrap().key, key);
    }
}

#[tokio::test]
async fn writes_tell_what_they_did() {
    let node = ScriptedNode::start().await;
    let mut session = client(&[&node]).session();
    let value = Value::json(&1).unwrap();
    let first = session.put("k", &value).await.unwrap();
    assert_eq!((first.replaced, first.acks, first.version.as_str(), first.concern_reached), (false, 2, "v1", true));
    assert_eq!(first.node.as_str(), node.address());
    assert!(session.put("k", &value).await.unwrap().replaced);
    assert_eq!(session.delete("k").await.unwrap().unwrap().version, "v3");
    assert!(session.delete("k").await.unwrap().is_none());
    assert!(session.get("k").await.unwrap().is_none());
}

#[tokio::test]
async fn a_write_concern_that_was_not_reached_is_told_and_the_write_stands() {
    let node = ScriptedNode::start().await;
    let mut session = client(&[&node]).session();
    let options = WriteOptions::new().concern(WriteConcern::All).wait(Duration::from_millis(30));
    node.then([Act::MissConcern, Act::MissConcern]);
    let written = session.put_with("k", Value::json(&1).unwrap(), &options).await.unwrap();
    assert_eq!((written.replaced, written.concern_reached), (false, false));
    assert!(!session.delete_with("k", &options).await.unwrap().unwrap().concern_reached);
    session.get_with("k", &ReadOptions::new().wait(Duration::from_secs(1))).await.unwrap();
    let sent: Vec<(Method, String)> = node.seen().into_iter().map(|seen| (seen.method, seen.target)).collect();
    assert_eq!(sent[0], (Method::PUT, "/kv-store/keys/k?wait=30&w=all".to_owned()));
    assert_eq!(sent[1], (Method::DELETE, "/kv-store/keys/k?wait=30&w=all".to_owned()));
    assert_eq!(sent[2], (Method::GET, "/kv-store/keys/k?raw&wait=1000".to_owned()));
}

#[tokio::test]
async fn refusals_carry_the_nodes_reason() {
    let node = ScriptedNode::start().await;
    let mut session = client(&[&node]).session();
    node.then([Act::Status(400, None), Act::Status(413, None)]);
    let message = "told to refuse".to_owned();
    assert_eq!(session.get("k").await.unwrap_err(), Error::BadRequest { message: message.clone() });
    let address = node.address().parse().unwrap();
    let refused = Error::Refused { status: 413, message, node: address };
    assert_eq!(session.put("k", Value::json(&1).unwrap()).await.unwrap_err(), refused);
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_not_taken() {
    let node = ScriptedNode::start().await;
    let client = crate::scripted_node::builder(&[&node]).direct(false).response_bytes_max(1000).build().unwrap();
    let mut session = client.session();
    session.put("k", Value::raw(vec![0; 1001], "a/b")).await.unwrap();
    let error = session.get("k").await.unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
}
