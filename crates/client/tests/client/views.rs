//! View changes of which an answer is lost.

use precede_client::{Client, Error, ViewChange, ViewChanged};
use serde_json::{Value as Json, json};

use crate::scripted_node::{Act, ScriptedNode, client};

fn view(epoch: u32, members: [&str; 2]) -> Json {
    json!({
        "epoch": epoch, "repl-factor": 2, "settled": false, "former-epochs": [0],
        "received-keys": 0, "received-bytes": 0, "live-keys": 0,
        "shards": [{ "shard-id": 1, "replicas": members, "settled": false }],
    })
}

fn asked() -> ViewChange {
    let view = Some(["b:1", "a:1"].map(str::to_owned).to_vec());
    ViewChange { view, repl_factor: Some(2), expected_epoch: Some(0), ..ViewChange::default() }
}

/// Asks the first node, whose answer is lost; the second refuses the repeat and tells this view.
async fn change_after_a_lost_answer(change: &ViewChange, told: Json) -> Result<ViewChanged, Error> {
    let (first, second) = (ScriptedNode::start().await, ScriptedNode::start().await);
    first.then_on_view([Act::Break]);
    second.then_on_view([Act::Status(409, None)]);
    first.tell_view(told.clone());
    second.tell_view(told);
    let client: Client = client(&[&first, &second]);
    client.change_view(change).await
}

#[tokio::test]
async fn a_change_whose_repeat_is_refused_because_it_was_made_has_succeeded() {
    let changed = change_after_a_lost_answer(&asked(), view(1, ["a:1", "b:1"])).await.unwrap();
    assert!(!changed.settled);
    assert_eq!(changed.shards[0].replicas, ["a:1", "b:1"]);
    assert_eq!(changed.outstanding, [1]);
}

#[tokio::test]
async fn a_change_that_the_view_does_not_show_has_an_unknown_outcome() {
    for told in [view(1, ["a:1", "c:1"]), view(0, ["a:1", "b:1"]), view(2, ["a:1", "b:1"])] {
        let error = change_after_a_lost_answer(&asked(), told).await.unwrap_err();
        assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
    }
    let other_factor = ViewChange { repl_factor: Some(1), ..asked() };
    let error = change_after_a_lost_answer(&other_factor, view(1, ["a:1", "b:1"])).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
}

#[tokio::test]
async fn a_refusal_of_what_changes_nothing_stays_one() {
    let node = ScriptedNode::start().await;
    node.then_on_view([Act::Status(409, None)]);
    node.tell_view(view(1, ["a:1", "b:1"]));
    let error = client(&[&node]).change_view(&asked()).await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 409, .. }), "{error}");
    let plan = ViewChange { dry_run: true, ..asked() };
    let error = change_after_a_lost_answer(&plan, view(1, ["a:1", "b:1"])).await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 409, .. }), "{error}");
}
