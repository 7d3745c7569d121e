//! Executions in which a node is about to end: what it still has to give.

use std::time::Duration;

use bytes::Bytes;
use precede_core::causality::context::Context;
use precede_core::causality::hlc::Timestamp;
use precede_core::event::Event;
use precede_core::input::Input;
use precede_core::wire::message::{Envelope, Message};
use precede_core::wire::request::Action;

use crate::changes::{DEADLINE, begin, changed};
use crate::lab::Lab;

/// A cluster of one node with three keys, and one that was deleted; and a spare that makes a view of itself. Runs until the old
/// member has been asked.
fn asked() -> (Lab, u64) {
    let mut lab = Lab::with_spares(1, 1, 1);
    for key in ["a", "b", "c", "gone"] {
        lab.put(0, key, "v", &Context::default());
    }
    lab.delete(0, "gone", &Context::default());
    lab.run(100);
    assert!(lab.node(0).drained(lab.now()));
    let id = begin(&mut lab, 1, &[1], 1);
    lab.deliver_until(|lab| lab.sent.iter().any(|(from, _, sent)| *from == 0 && is_prepared(&sent.body)));
    (lab, id)
}

fn is_prepared(message: &Message) -> bool {
    matches!(message, Message::Prepared(_))
}

/// 11.3: a view that is in the making, and one that has not settled, count on what an old member holds.
#[test]
fn a_node_is_not_drained_before_it_has_handed_over() {
    let (mut lab, id) = asked();
    assert!(lab.node(0).is_handed_over() && !lab.node(0).drained(lab.now()), "a view is in the making");
    lab.lose = Some(Box::new(|_, _, message| matches!(message, Message::SyncChunk(chunk) if chunk.legacy.is_some())));
    lab.run(200);
    assert!(!lab.node(0).is_handed_over() && !lab.node(0).drained(lab.now()));
    assert_eq!(lab.node(0).not_handed_over(), [(lab.view.id, 3)], "what is deleted does not count");
    lab.lose = None;
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    lab.run(200);
    assert!(lab.node(0).drained(lab.now()));
    assert_eq!(lab.node(0).not_handed_over(), []);
}

/// A coordinator that is gone is not waited for when its lease has ended.
#[test]
fn a_view_that_never_came_does_not_keep_a_node() {
    let (mut lab, _) = asked();
    lab.crash(1);
    lab.run(100);
    assert!(!lab.node(0).drained(lab.now()));
    lab.run(2000);
    assert!(lab.node(0).drained(lab.now()));
}

/// 15.1: who hears of a later life of its address ends, and says nothing more: also where an answer was due in the same step.
#[test]
fn who_is_superseded_answers_nobody_any_more() {
    for is_superseded in [false, true] {
        let mut lab = Lab::new(2, 2);
        lab.cut(0, 1);
        let written = lab.put(1, "k", "v", &Context::default());
        let life = lab.node(0).report(lab.now()).life.expect("it has met its shard").start;
        let get = Action::Get { key: Bytes::from_static(b"k") };
        let id = lab.submit(0, get, &written.context, Duration::from_secs(1));
        lab.now_ms += 2000;
        let (_, _, any) = lab.sent.iter().rfind(|(from, _, _)| *from == 1).expect("it has sent something").clone();
        let by = Timestamp(life.0 + 1);
        let word = Envelope { body: Message::Superseded { by }, ..any };
        lab.step(0, if is_superseded { Input::Message(Box::new(word)) } else { Input::Tick });
        assert_eq!(lab.replies.contains_key(&id), !is_superseded, "it was due");
        assert_eq!(lab.happened(|event| matches!(event, Event::Superseded(_))), is_superseded);
        assert_eq!(lab.nodes[0].is_none(), is_superseded);
    }
}
