//! Writes on their way to a replica.

use std::time::Duration;

use bytes::Bytes;
use precede_core::causality::context::Context;
use precede_core::causality::hlc::Timestamp;
use precede_core::id::RequestId;
use precede_core::input::Input;
use precede_core::placement::view::View;
use precede_core::table::value::Value;
use precede_core::wire::message::Message;
use precede_core::wire::request::{Action, Outcome, Refusal, Request};

use crate::changes::{DEADLINE, begin, change, changed};
use crate::lab::Lab;

/// 7.1: a forwarded write is meant for one life of its receiver. The next one, whose clock may not have passed the write's bound,
/// cannot know that the one before has taken it, and that it was deleted since.
#[test]
fn a_forwarded_write_that_comes_twice_is_not_taken_by_a_later_life() {
    let mut lab = Lab::new(4, 2);
    // The router's wall clock is ahead of the others, whose own will not pass the bound for minutes.
    lab.skew(2, 200_000);
    let key = lab.key_of(0, "k");
    let written = lab.put(2, &key, "once", &Context::default());
    let is_write = |body: &Message| matches!(body, Message::Forward(forward) if forward.not_after.is_some());
    let (_, to, copy) =
        lab.sent.iter().find(|(from, _, envelope)| *from == 2 && is_write(&envelope.body)).unwrap().clone();
    let Message::Forward(forward) = &copy.body else { unreachable!("it was chosen so") };
    let bound = forward.not_after.unwrap();
    lab.delete(2, &key, &written.context);
    lab.run(50);
    lab.crash(to);
    lab.start(to);
    lab.run(200);
    let report = lab.node(to).report(lab.now());
    assert!(report.recovered && report.clock < bound, "the bound alone does not keep it out");
    lab.step(to, Input::Message(Box::new(copy)));
    lab.run(500);
    for at in 0..4 {
        assert_eq!(lab.get(at, &key, &Context::default()).outcome, Outcome::Absent, "at {at}");
    }
}

/// 7.1: who is no member is told nothing when all members start again. It asks for their lives before it sends a write: one that
/// is meant for a life which is over is refused, and nobody could say that nothing had become of it.
#[test]
fn an_outsider_asks_for_lives_before_it_sends_a_write() {
    let mut lab = Lab::with_spares(2, 2, 1);
    lab.put(2, "k", "v", &Context::default());
    lab.cut(0, 2);
    lab.cut(1, 2);
    for at in [0, 1] {
        lab.crash(at);
    }
    lab.run(100);
    for at in [0, 1] {
        lab.start(at);
    }
    lab.run(5000);
    lab.heal();
    let reply = lab.put(2, "k", "again", &Context::default());
    assert!(matches!(reply.outcome, Outcome::Written { .. }), "{:?}", reply.outcome);
    assert!(!reply.repeat_unconfirmed);
}

/// 7.2: a read through a node that is no replica waits for its context as long as it says, and no longer, also where one of the
/// replicas does not answer at all.
#[test]
fn a_routed_read_waits_as_long_as_it_says() {
    for wait_ms in [0, 200, 1500] {
        for silent in [false, true] {
            let mut lab = Lab::new(6, 3);
            let key = lab.key_of(0, "k");
            for at in [1, 2] {
                lab.cut(0, at);
            }
            let written = lab.put(0, &key, "v", &Context::default());
            lab.crash(0);
            if silent {
                lab.cut(1, 5);
            }
            let action = Action::Get { key: Bytes::copy_from_slice(key.as_bytes()) };
            let deadline = Duration::from_millis(2000 + wait_ms);
            let wait = Some(Duration::from_millis(wait_ms));
            let (context, before) = (written.context, lab.now_ms);
            lab.step(
                5,
                Input::Request {
                    id: RequestId(99),
                    request: Request { action, context, wait, concern: None, deadline, mark: None, named: None },
                },
            );
            let reply = lab.answer(99, deadline);
            let took_ms = lab.now_ms - before;
            assert_eq!(reply.outcome, Outcome::Refused(Refusal::Unsatisfied));
            let tries_ms = if silent { 2 * 400 + 100 } else { 0 };
            let (least, most) = (wait_ms, wait_ms.max(tries_ms) + 50);
            assert!((least..=most).contains(&took_ms), "{took_ms} ms for {wait_ms}, one silent: {silent}");
        }
    }
}

/// 7.1: a first try that comes late, when the replica has forgotten that a later one was made here, is not made again. Its bound does
/// not keep it out: it is that of a router whose clock is far ahead.
#[test]
fn a_late_first_try_is_not_made_again_by_who_has_forgotten_the_second() {
    let mut lab = Lab::new(2, 1);
    let key = lab.key_of(0, "k");
    let is_first = |body: &Message| matches!(body, Message::Forward(forward) if forward.repeat_of == Timestamp::ZERO && forward.not_after.is_some());
    lab.lose = Some(Box::new(move |from, _, body| from == 1 && is_first(body)));
    let written = lab.put(1, &key, "once", &Context::default());
    lab.lose = None;
    let (_, _, mut late) = lab.sent.iter().find(|(_, _, envelope)| is_first(&envelope.body)).unwrap().clone();
    let Message::Forward(forward) = &mut late.body else { unreachable!("it was chosen so") };
    forward.not_after = forward.not_after.map(|bound| bound.later_by(Duration::from_secs(3600)));
    lab.delete(0, &key, &written.context);
    change(&mut lab, 0, &[0, 1], 2);
    lab.run(500);
    lab.step(0, Input::Message(Box::new(late)));
    lab.run(500);
    for at in 0..2 {
        assert_eq!(lab.get(at, &key, &Context::default()).outcome, Outcome::Absent, "at {at}");
    }
}

/// 7.1: where the replica has forgotten what it made at the time when a write was named, and the router knows that no try was made, the
/// write gets another name, and is made.
#[test]
fn a_write_that_was_named_too_early_gets_another_name() {
    let mut lab = Lab::new(2, 1);
    let key = lab.key_of(0, "k");
    // Its first try does not arrive before the view changes.
    let is_try = |body: &Message| matches!(body, Message::Forward(forward) if forward.not_after.is_some());
    lab.lose = Some(Box::new(move |from, _, body| from == 1 && is_try(body)));
    let value = Value::json(Bytes::from_static(b"v"));
    let action = Action::Put { key: Bytes::copy_from_slice(key.as_bytes()), value };
    let id = lab.submit(1, action, &Context::default(), DEADLINE);
    let (_, _, late) = lab.sent.iter().rfind(|(_, _, envelope)| is_try(&envelope.body)).unwrap().clone();
    let view = begin(&mut lab, 0, &[0], 1);
    lab.deliver_until(|lab| lab.node(0).view().id.epoch == 1);
    lab.lose = None;
    lab.step(0, Input::Message(Box::new(late)));
    let reply = lab.answer(id, DEADLINE);
    assert!(matches!(reply.outcome, Outcome::Written { .. }), "{:?}", reply.outcome);
    assert!(!reply.repeat_unconfirmed);
    assert!(changed(&lab.answer(view, DEADLINE)).settled);
}

/// ADR 4: a replica that has started again cannot say what its former life did with a try. Where the next replica does not know either,
/// the client is told so, though no try is out any more.
#[test]
fn what_a_former_life_did_with_a_try_is_not_known() {
    for is_stray in [false, true] {
        a_former_life_has_made_a_try(is_stray);
    }
}

/// `is_stray`: it starts again with a view of its own.
fn a_former_life_has_made_a_try(is_stray: bool) {
    // In a view that a coordinator has made: first views call nobody back.
    let mut lab = Lab::with_spares(2, 2, 2);
    change(&mut lab, 0, &[0, 1, 2], 3);
    lab.run(500);
    let router = 3;
    lab.lose = Some(Box::new(move |_, to, body| to == router && matches!(body, Message::ForwardReply { .. })));
    let is_try = |body: &Message| matches!(body, Message::Forward(forward) if forward.not_after.is_some());
    let value = Value::json(Bytes::from_static(b"v"));
    let action = Action::Put { key: Bytes::from_static(b"k"), value };
    let id = lab.submit(router, action, &Context::default(), DEADLINE);
    let (_, first, copy) = lab.sent.iter().rfind(|(_, _, envelope)| is_try(&envelope.body)).unwrap().clone();
    let [witness, next] = [1, 2].map(|step| (first + step) % 3);
    // The first one makes it and tells the witness, and nobody tells the next one.
    for at in [first, witness] {
        lab.cut(at, next);
    }
    lab.run(50);
    assert_eq!(
        lab.get(witness, "k", &Context::default()).outcome,
        Outcome::Found(Value::json(Bytes::from_static(b"v")))
    );
    lab.crash(first);
    match is_stray {
        true => lab.start_with(first, View::bootstrap(&lab.addresses[first..=first], 1).unwrap(), None),
        false => lab.start(first),
    }
    lab.lose = None;
    let node = lab.addresses[witness].node_id();
    lab.step(router, Input::Disconnected(node));
    lab.step(first, Input::Message(Box::new(copy)));
    let reply = lab.answer(id, DEADLINE);
    assert_eq!(reply.served_by, lab.addresses[next].node_id());
    assert!(matches!(reply.outcome, Outcome::Written { .. }), "{:?}", reply.outcome);
    assert!(reply.repeat_unconfirmed, "there are two");
}

/// 4.2: a context from the far future moves no clock, not even of a router whose try is not answered in time.
#[test]
fn a_context_from_the_far_future_moves_no_clock_of_a_router() {
    let mut lab = Lab::new(2, 1);
    let [near, far] = [1, 0].map(|at| lab.key_of(at, "k"));
    let before = lab.put(1, &near, "\"v\"", &Context::default()).version.unwrap().timestamp;
    lab.lose = Some(Box::new(|_, to, body| to == 1 && matches!(body, Message::ForwardReply { .. })));
    let future = Context { stable: before.later_by(Duration::from_secs(1 << 32)), ..Context::default() };
    let value = Value::json(Bytes::from_static(b"v"));
    let reply = lab.ask(1, Action::Put { key: Bytes::copy_from_slice(far.as_bytes()), value }, &future);
    assert!(matches!(reply.outcome, Outcome::Refused(_)), "{:?}", reply.outcome);
    lab.lose = None;
    let after = lab.put(1, &near, "\"v\"", &Context::default()).version.unwrap().timestamp;
    assert!(after < before.later_by(Duration::from_secs(10)), "{before} to {after}");
}
