//! Lives that begin while a view is under way, and contexts of views that a node has not heard of.

use std::time::Duration;

use bytes::Bytes;
use precede_core::causality::context::Context;
use precede_core::event::Event;
use precede_core::id::RequestId;
use precede_core::input::Input;
use precede_core::table::value::Value;
use precede_core::wire::message::{Envelope, Message};
use precede_core::wire::request::{Action, Outcome, Refusal, Reply, Request, ViewChange};

use crate::changes::{DEADLINE, asked, begin, changed, epochs};
use crate::lab::{Lab, value};

/// A change from two shards of two to three; its coordinator has heard node 1, and waits for node 5. Then 1 starts again, and
/// recovers in the view that is about to end.
fn restart_before_the_view(lab: &mut Lab, coordinator: usize) -> u64 {
    lab.now_ms += 150_000;
    lab.run(1000);
    lab.lose = Some(Box::new(|_, to, body| to == 5 && matches!(body, Message::Prepare(_))));
    let id = begin(lab, coordinator, &[0, 1, 2, 3, 4, 5], 2);
    lab.deliver();
    lab.run(20);
    lab.crash(1);
    lab.run(20);
    lab.start(1);
    lab.run(250);
    assert!(lab.node(1).report(lab.now()).recovered, "1 has recovered under the first view");
    assert!(epochs(lab).iter().all(|epoch| *epoch == Some(0)), "nobody has the second one");
    id
}

/// 11.2, 11.4: what a replica holds it hands over, whatever life of it the view names.
#[test]
fn a_life_that_began_after_the_lease_hands_over_too() {
    let mut lab = Lab::with_spares(4, 2, 2);
    let id = restart_before_the_view(&mut lab, 4);
    let key = lab.key_of(0, "k");
    let written = lab.put(0, &key, "\"v\"", &Context::default());
    assert_eq!(written.acks, 2);
    lab.lose = Some(Box::new(|_, _, body| matches!(body, Message::SyncChunk(chunk) if chunk.legacy.is_some())));
    while epochs(&lab)[1] != Some(1) {
        lab.run(5);
    }
    lab.crash(0);
    lab.lose = None;
    lab.run(500);
    lab.start(0);
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    for at in 0..6 {
        assert_eq!(value(&lab.get(at, &key, &written.context)).as_deref(), Some("\"v\""), "at {at}");
    }
}

/// 5.3, 11.5: the contexts of such a life stay valid too.
#[test]
fn contexts_of_a_life_that_began_after_the_lease_stay_valid() {
    let mut lab = Lab::with_spares(4, 2, 2);
    let id = restart_before_the_view(&mut lab, 0);
    let key = lab.key_of(0, "k");
    let written = lab.put(1, &key, "\"v\"", &Context::default());
    assert_eq!(written.version.unwrap().origin.node, lab.addresses[1].node_id());
    lab.lose = None;
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    lab.run(500);
    for at in 0..6 {
        assert_eq!(value(&lab.get(at, &key, &written.context)).as_deref(), Some("\"v\""), "at {at}");
    }
}

/// 15.7: where the only replica of a shard starts again before it has handed over, the loss is told by whoever should have got it.
#[test]
fn what_nobody_can_hand_over_is_told() {
    let mut lab = Lab::with_spares(2, 1, 1);
    let kept = lab.key_of(0, "k");
    lab.put(0, &kept, "\"v\"", &Context::default());
    lab.lose = Some(Box::new(|_, _, body| matches!(body, Message::SyncChunk(chunk) if chunk.legacy.is_some())));
    let id = begin(&mut lab, 1, &[1, 2], 1);
    lab.deliver();
    lab.run(300);
    assert!(!lab.happened(|event| matches!(event, Event::LegacyLost { .. })), "it may still hand over");
    lab.crash(0);
    lab.start(0);
    lab.lose = None;
    lab.run(3000);
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    assert!(lab.happened(|event| matches!(event, Event::LegacyLost { view, .. } if view.epoch == 0)));
}

fn is_lost(reply: &Reply) -> bool {
    reply.outcome == Outcome::Refused(Refusal::ViewLost)
}

/// 5.4: a node that is cut off may not say of a view that nobody knows it.
#[test]
fn who_is_cut_off_does_not_call_a_context_lost() {
    let mut lab = Lab::with_spares(4, 2, 0);
    for at in 0..3 {
        lab.cut(at, 3);
    }
    let id = begin(&mut lab, 0, &[0, 1, 2], 2);
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    let written = lab.put(0, "k", "\"v\"", &Context::default());
    for key in ["k", "a", "b", "c", "d"] {
        assert!(!is_lost(&lab.get(3, key, &written.context)), "{key}");
    }
}

/// 5.4: nor may one that has heard everybody just before it was cut off: they were in the old view then.
#[test]
fn who_has_heard_everybody_before_a_cut_does_not_call_a_context_lost() {
    let mut lab = Lab::new(4, 2);
    lab.run(500);
    let before = lab.sent.len();
    lab.run(100);
    let heard = |lab: &Lab, from: usize| {
        let of = |(sender, to, _): &&(usize, usize, Envelope)| (*sender, *to) == (from, 3);
        lab.sent[before..].iter().rfind(of).unwrap().2.clone()
    };
    let last = [0, 1, 2].map(|from| heard(&lab, from));
    for at in 0..3 {
        lab.cut(at, 3);
    }
    let id = begin(&mut lab, 0, &[0, 1, 2], 1);
    assert!(matches!(lab.answer(id, DEADLINE).outcome, Outcome::Changed(_)));
    let written = lab.put(0, "k", "\"v\"", &Context::default());
    let get = |key: &str| Action::Get { key: Bytes::copy_from_slice(key.as_bytes()) };
    let first = lab.submit(3, get("k"), &written.context, DEADLINE);
    // What was under way when the link was cut.
    for envelope in last {
        lab.step(3, Input::Message(Box::new(envelope)));
    }
    assert!(!is_lost(&lab.answer(first, DEADLINE)));
    for key in ["k", "a", "b", "c", "d"] {
        assert!(!is_lost(&lab.get(3, key, &written.context)), "{key}");
    }
}

/// 5.4: nor may one that the view is still on its way to, however little the client wants to wait.
#[test]
fn who_has_not_heard_of_a_view_yet_does_not_call_a_context_lost() {
    let mut lab = Lab::with_spares(4, 2, 0);
    lab.run(500);
    lab.lose = Some(Box::new(|_, to, body| to == 3 && matches!(body, Message::Views(_))));
    begin(&mut lab, 0, &[0, 1, 2, 3], 3);
    lab.deliver();
    lab.run(20);
    let written = lab.put(0, "k", "\"v\"", &Context::default());
    assert_eq!(epochs(&lab), [Some(1), Some(1), Some(1), Some(0)]);
    for (at, key) in ["k", "a", "b", "c", "d"].into_iter().enumerate() {
        let action = Action::Get { key: Bytes::from_static(key.as_bytes()) };
        let (wait, deadline) = (Some(Duration::ZERO), Duration::from_secs(3));
        let request = Request {
            action,
            context: written.context.clone(),
            wait,
            concern: None,
            deadline,
            mark: None,
            named: None,
        };
        let id = 9000 + at as u64;
        lab.step(3, Input::Request { id: RequestId(id), request });
        assert!(!is_lost(&lab.answer(id, DEADLINE)), "{key}");
    }
}

/// 5.3: what is left out of a context lies at or below the cluster's stable timestamp, also if it is of a settled view: else
/// every replica would have to wait for a time that may not come while another is dead.
#[test]
fn an_entry_of_a_settled_view_stays_until_it_is_stable() {
    let mut lab = Lab::with_spares(4, 2, 1);
    lab.now_ms += 150_000;
    lab.run(1000);
    let (late, other) = (lab.key_of(0, "x"), lab.key_of(2, "y"));
    lab.put(2, &other, "\"y\"", &Context::default());
    lab.run(500);
    // 4 joins the first shard, and 0 hears of it late. Of the other shard one replica dies.
    lab.lose = Some(Box::new(|_, to, body| to == 0 && matches!(body, Message::Views(_))));
    let id = begin(&mut lab, 1, &[0, 1, 2, 3, 4], 2);
    lab.deliver();
    lab.run(400);
    lab.crash(3);
    lab.run(300);
    let written = lab.put(0, &late, "\"x\"", &Context::default());
    lab.lose = None;
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    lab.run(2000);
    let read = lab.get(1, &late, &written.context);
    assert_eq!(value(&read).as_deref(), Some("\"x\""));
    for at in [1, 2] {
        assert_eq!(value(&lab.get(at, &other, &read.context)).as_deref(), Some("\"y\""), "at {at}");
    }
}

/// 10.4: what one member has of a former life, beyond a gap, comes to a second one after the third has synced from that, and the first
/// one is gone before the third has asked it. The third asks the second one again.
#[test]
fn lives_do_not_close_over_what_a_member_that_is_gone_has_handed_on() {
    let mut lab = Lab::new(3, 3);
    let put = |key: &'static str| {
        let value = Value::json(Bytes::from_static(b"v"));
        Action::Put { key: Bytes::from_static(key.as_bytes()), value }
    };
    // Of the last two writes of 0, only 2 gets one, the second.
    lab.lose = Some(Box::new(|from, to, _| from == 0 || to == 0));
    lab.submit(0, put("first"), &Context::default(), DEADLINE);
    lab.deliver();
    lab.lose = Some(Box::new(|from, to, _| (from, to) == (0, 1) || to == 0));
    lab.submit(0, put("second"), &Context::default(), DEADLINE);
    lab.deliver();
    lab.crash(0);
    lab.lose = None;
    // It starts again and recovers from 1, which has neither, before that gets the second from 2.
    lab.cut(0, 2);
    lab.cut(1, 2);
    lab.start(0);
    lab.run(3000);
    assert!(lab.node(0).report(lab.now()).recovered);
    lab.heal();
    lab.cut(0, 2);
    let has = |lab: &Lab, at: usize| {
        let tables = lab.node(at).tables();
        tables.iter().any(|table| table.entries.iter().any(|(key, ..)| &key[..] == b"second"))
    };
    while !has(&lab, 1) {
        lab.run(5);
    }
    // Before 0 hears of it, 1 is alone; 2 starts again, and recovers from 0.
    lab.cut(0, 1);
    lab.crash(2);
    lab.cut.retain(|pair| !matches!(pair, (0, 2) | (2, 0)));
    lab.cut(1, 2);
    lab.start(2);
    lab.run(3000);
    assert!(lab.node(2).report(lab.now()).recovered && has(&lab, 1) && !has(&lab, 0) && !has(&lab, 2));
    // As long as 0 has not asked 1 again, nothing closes.
    lab.lose = Some(Box::new(|from, _, body| from == 0 && matches!(body, Message::SyncPull(_))));
    lab.heal();
    let has_closed = |lab: &Lab| {
        let address = lab.addresses[0].node_id();
        let is_it = |event: &Event| matches!(event, Event::LivesClosed { node, .. } if *node == address);
        lab.events.iter().filter(|(_, event)| is_it(event)).count()
    };
    let before = has_closed(&lab);
    lab.run(3000);
    assert_eq!(has_closed(&lab), before);
    lab.lose = None;
    lab.run(3000);
    assert!((0..3).all(|at| has(&lab, at)) && has_closed(&lab) > before);
}

/// 5.4, 7.4: who has not heard of the view of a context may not say that a key is absent under it, not even to a DELETE: it writes.
#[test]
fn who_has_not_heard_of_a_view_finds_nothing_absent() {
    let mut lab = Lab::new(2, 1);
    let key = lab.key_of(1, "k");
    lab.cut(0, 1);
    let forced = ViewChange { force: true, ..asked(&lab, &[0], 1) };
    let id = lab.submit(0, Action::ChangeView(forced), &Context::default(), DEADLINE);
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    lab.put(0, &key, "\"v\"", &Context::default());
    lab.run(500);
    let read = lab.get(0, &key, &Context::default());
    assert!(value(&read).is_some() && read.context.entries.is_empty(), "all that the context says is what is stable");
    assert_eq!(epochs(&lab), [1, 0].map(Some));
    assert_eq!(lab.get(1, &key, &read.context).outcome, Outcome::Refused(Refusal::Unsatisfied));
    assert_eq!(lab.delete(1, &key, &read.context).outcome, Outcome::Deleted { concern_met: true });
}
