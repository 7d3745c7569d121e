//! Executions that broke a former protocol, written down. Each stands for a sentence of the protocol that is there because
//! of it; `docs/protocol/rules.md` lists them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod absence;
mod barriers;
mod changes;
mod ending;
mod forwards;
mod hand_offs;
mod lab;
mod lags;
mod lives_and_views;
mod memory;
mod named;
mod named_in_trouble;
mod names;
mod room;
mod script;
mod settled_before;
mod siblings;
mod strangers;
mod views;
mod views_in_trouble;

use lab::{Lab, is_write_frame, value};
use precede_core::causality::context::Context;
use precede_core::event::Event;
use precede_core::input::Input;
use precede_core::wire::message::Message;
use precede_core::wire::request::{Action, Outcome, Refusal, Request};

fn empty() -> Context {
    Context::default()
}

/// 6.3, 6.4: a version that is everywhere in its own shard may depend on one that is not: stability is the cluster's.
#[test]
fn a_stable_effect_does_not_hide_its_unstable_cause() {
    let mut lab = Lab::new(4, 2);
    let (x, y) = (lab.key_of(0, "x"), lab.key_of(2, "y"));
    lab.cut(2, 3);
    let cause = lab.put(2, &y, "cause", &empty());
    lab.put(0, &x, "effect", &cause.context);
    lab.run(1000);
    let effect = lab.get(1, &x, &empty());
    assert_eq!(value(&effect).as_deref(), Some("effect"));
    lab.cut(0, 2);
    lab.cut(1, 2);
    let read = lab.get(3, &y, &effect.context);
    assert_eq!(read.outcome, Outcome::Refused(Refusal::Unsatisfied));
    lab.heal();
    assert_eq!(value(&lab.get(3, &y, &effect.context)).as_deref(), Some("cause"));
}

/// 7.2: a replica that recovered from a peer that lacks a stable write checks its own `covered`.
#[test]
fn a_recovered_replica_does_not_answer_below_its_coverage() {
    let mut lab = Lab::new(3, 3);
    lab.run(300);
    lab.cut(0, 1);
    // 2 must not relay to 1 before it restarts.
    lab.cut.insert((2, 1));
    let written = lab.put(0, "k", "1", &empty());
    lab.run(20);
    lab.crash(2);
    lab.cut(0, 2);
    lab.heal();
    lab.cut(0, 1);
    lab.cut(0, 2);
    lab.start(2);
    lab.run(500);
    assert!(lab.node(2).report(lab.now()).recovered);
    let read = lab.get(2, "k", &written.context);
    assert_eq!(read.outcome, Outcome::Refused(Refusal::Unsatisfied));
    let stable = Context { stable: written.context.entries.greatest(), view: None, entries: Default::default() };
    assert_eq!(lab.get(2, "k", &stable).outcome, Outcome::Refused(Refusal::Unsatisfied));
    lab.heal();
    lab.run(1000);
    assert_eq!(value(&lab.get(2, "k", &stable)).as_deref(), Some("1"));
}

/// 8.3: entries of a sync carry their dependencies.
#[test]
fn a_sync_carries_dependencies() {
    let mut lab = Lab::new(4, 2);
    let (x, y) = (lab.key_of(0, "x"), lab.key_of(2, "y"));
    lab.cut(2, 3);
    let cause = lab.put(2, &y, "cause", &empty());
    lab.put(0, &x, "effect", &cause.context);
    lab.crash(1);
    lab.run(300);
    lab.start(1);
    lab.run(500);
    assert!(lab.node(1).report(lab.now()).recovered);
    lab.cut(0, 1);
    let effect = lab.get(1, &x, &empty());
    assert_eq!(value(&effect).as_deref(), Some("effect"));
    lab.cut(0, 2);
    lab.cut(1, 2);
    assert_eq!(lab.get(3, &y, &effect.context).outcome, Outcome::Refused(Refusal::Unsatisfied));
}

/// 8.3, 9: what was deleted and collected while a replica was away does not come back through it.
#[test]
fn a_collected_delete_does_not_come_back_from_a_replica_that_was_away() {
    let mut lab = Lab::new(2, 2);
    lab.put(0, "k", "1", &empty());
    lab.run(500);
    lab.cut(0, 1);
    let deleted = lab.delete(0, "k", &empty());
    lab.run(500);
    assert_eq!(lab.node(0).report(lab.now()).tombstones, 1, "a silent replica holds tombstones back");
    lab.heal();
    lab.run(1500);
    for at in 0..2 {
        assert_eq!(value(&lab.get(at, "k", &deleted.context)), None);
        assert_eq!(lab.node(at).dump(), [], "tombstones go once they are everywhere");
    }
}

/// 8.2: a late copy of a write does not bring back what was deleted and collected meanwhile.
#[test]
fn a_late_copy_does_not_bring_a_deleted_key_back() {
    let mut lab = Lab::new(2, 2);
    let put = lab.put(0, "k", "1", &empty());
    let copies: Vec<_> = lab.sent.iter().filter(|(_, _, envelope)| is_write_frame(envelope)).cloned().collect();
    assert!(!copies.is_empty());
    lab.delete(0, "k", &put.context);
    lab.run(1500);
    assert_eq!(lab.node(1).dump(), []);
    for (_, to, envelope) in copies {
        lab.step(to, Input::Message(Box::new(envelope)));
    }
    assert_eq!(lab.node(1).dump(), []);
}

/// 5.2: a 404 without a tombstone raises the context to the horizon, so a replica that still shows the key must catch up first.
#[test]
fn absence_is_carried_like_a_version() {
    let mut lab = Lab::new(2, 2);
    let put = lab.put(0, "k", "1", &empty());
    lab.delete(0, "k", &put.context);
    lab.run(1500);
    let absent = lab.get(0, "k", &empty());
    assert_eq!(absent.outcome, Outcome::Absent);
    assert!(absent.version.is_none());
    assert_eq!(absent.context.stable, lab.node(0).report(lab.now()).horizon);
    assert!(absent.context.stable > put.version.unwrap().timestamp);
}

/// 5.2: `replaced` and a DELETE's 404 tell that a key was visible or not, so they count as reads.
#[test]
fn answers_that_reveal_a_key_count_as_reads() {
    let mut lab = Lab::new(4, 2);
    let (x, y) = (lab.key_of(0, "x"), lab.key_of(2, "y"));
    lab.cut(2, 3);
    let cause = lab.put(2, &y, "cause", &empty());
    lab.put(0, &x, "effect", &cause.context);
    let over = lab.put(0, &x, "over", &empty());
    assert_eq!(over.outcome, Outcome::Written { replaced: true, concern_met: true });
    lab.cut(0, 2);
    lab.cut(1, 2);
    assert_eq!(lab.get(3, &y, &over.context).outcome, Outcome::Refused(Refusal::Unsatisfied));
}

/// 8.1: who knows a newer life of an address takes nothing more from an older one.
#[test]
fn frames_of_a_former_life_are_refused() {
    let mut lab = Lab::new(2, 2);
    lab.cut.insert((0, 1));
    lab.put(0, "k", "1", &empty());
    let late = lab.sent.iter().rev().find(|(_, _, envelope)| is_write_frame(envelope)).cloned().unwrap();
    lab.crash(0);
    lab.heal();
    lab.start(0);
    lab.run(1000);
    lab.step(1, Input::Message(Box::new(late.2)));
    assert!(lab.happened(|event| matches!(event, Event::FormerLifeRefused(_))));
    assert_eq!(lab.node(1).dump(), []);
}

/// 4.1, 10.1: a life starts above what earlier lives of the address issued, and takes no write before it met its shard.
#[test]
fn a_life_starts_above_its_former_ones() {
    let mut lab = Lab::new(2, 2);
    let written = lab.put(0, "k", "1", &empty());
    lab.run(100);
    lab.crash(0);
    lab.start(0);
    lab.cut(0, 1);
    lab.run(500);
    let reply =
        lab.ask(0, precede_core::wire::request::Action::Delete { key: bytes::Bytes::from_static(b"k") }, &empty());
    assert!(matches!(reply.outcome, Outcome::Refused(_)), "{:?}", reply.outcome);
    lab.heal();
    lab.run(500);
    let life = lab.node(0).report(lab.now()).life.unwrap();
    assert!(life.start > written.version.unwrap().timestamp);
}

/// 4.2: a context from the far future moves no clock, though it came before the node had a life to judge it by.
#[test]
fn a_node_that_starts_is_not_set_forward_by_a_context() {
    let mut lab = Lab::new(4, 2);
    lab.run(300);
    let key = lab.key_of(0, "k");
    let elsewhere = lab.put(2, &lab.key_of(2, "x"), "1", &empty());
    let origin = elsewhere.version.unwrap().origin;
    let far = lab.node(1).report(lab.now()).clock.later_by(std::time::Duration::from_secs(86_400));
    let context = Context { entries: [(origin, far)].into_iter().collect(), ..Context::default() };
    lab.crash(0);
    lab.start(0);
    for peer in 1..4 {
        lab.cut(0, peer);
    }
    for (id, action) in [
        (1_000, Action::Get { key: key.clone().into() }),
        (1_001, Action::Put { key: key.into(), value: precede_core::table::value::Value::json("1") }),
    ] {
        let deadline = std::time::Duration::from_secs(3);
        let request =
            Request { action, context: context.clone(), wait: None, concern: None, deadline, mark: None, named: None };
        lab.step(0, Input::Request { id: precede_core::id::RequestId(id), request });
    }
    lab.run(200);
    lab.heal();
    lab.run(4_000);
    for at in 0..4 {
        let report = lab.node(at).report(lab.now());
        assert!(report.met && report.clock < far, "{at}: {report:?}");
    }
    for id in [1_000, 1_001] {
        assert!(matches!(lab.replies[&id].outcome, Outcome::Refused(_)), "{:?}", lab.replies[&id]);
    }
}

/// 10.4: a write that died with its only holder leaves contexts that are satisfied once its life is closed, and say so.
#[test]
fn a_context_that_names_a_lost_write_is_answered_and_told() {
    let mut lab = Lab::new(2, 2);
    lab.run(200);
    lab.cut(0, 1);
    lab.run(300);
    let lost = lab.put(0, "k", "1", &empty());
    assert_eq!(lost.acks, 1);
    lab.crash(0);
    lab.heal();
    lab.run(300);
    assert_eq!(lab.get(1, "k", &lost.context).outcome, Outcome::Refused(Refusal::Unsatisfied));
    lab.start(0);
    lab.run(1000);
    for at in 0..2 {
        let read = lab.get(at, "k", &lost.context);
        assert_eq!(read.outcome, Outcome::Absent);
        assert!(read.lost);
    }
}

/// 10.3: if all members of a shard have lost their memory they recover, and the loss is told.
#[test]
fn a_shard_that_lost_its_memory_recovers_and_says_so() {
    let mut lab = Lab::new(4, 2);
    let x = lab.key_of(0, "x");
    let written = lab.put(0, &x, "1", &empty());
    lab.run(500);
    for at in 0..2 {
        lab.crash(at);
        lab.start(at);
    }
    lab.run(2000);
    assert!((0..2).all(|at| lab.node(at).report(lab.now()).recovered));
    assert!(lab.happened(|event| *event == Event::ShardMemoryLost));
    assert_eq!(lab.get(0, &x, &written.context).outcome, Outcome::Absent);
}

/// 10.3: the loss is told even where the shard has recovered before anybody else's word of how far it had been arrives.
#[test]
fn a_shard_that_lost_its_memory_says_so_before_it_hears_how_far_it_was() {
    let mut lab = Lab::new(4, 2);
    assert!(!lab.happened(|event| *event == Event::ShardMemoryLost), "a fresh cluster has lost nothing");
    lab.run(500);
    lab.lose = Some(Box::new(|from, to, message| from >= 2 && to < 2 && matches!(message, Message::Gossip { .. })));
    for at in 0..2 {
        lab.crash(at);
        lab.start(at);
    }
    lab.run(2000);
    assert!((0..2).all(|at| lab.node(at).report(lab.now()).recovered));
    assert!(lab.happened(|event| *event == Event::ShardMemoryLost));
}

/// 7.1: a forwarded write that arrives after the time it was good for is not applied.
#[test]
fn a_forwarded_write_that_comes_too_late_is_refused() {
    let mut lab = Lab::new(4, 2);
    let y = lab.key_of(2, "y");
    lab.cut.extend([(0, 2), (0, 3)]);
    let action = precede_core::wire::request::Action::Put {
        key: bytes::Bytes::copy_from_slice(y.as_bytes()),
        value: precede_core::table::value::Value::json("1"),
    };
    let reply = lab.ask(0, action, &empty());
    assert_eq!(reply.outcome, Outcome::Refused(Refusal::OutcomeUnknown));
    let forwards: Vec<_> =
        lab.sent.iter().filter(|(_, _, envelope)| matches!(&envelope.body, Message::Forward(_))).cloned().collect();
    assert!(forwards.len() >= 2, "both replicas were tried");
    lab.heal();
    // The clocks of this cluster stand ahead of the wall clock until then: a fresh cluster starts there.
    lab.run(125_000);
    for (_, to, envelope) in forwards {
        lab.step(to, Input::Message(Box::new(envelope)));
    }
    lab.deliver();
    assert!(lab.node(2).dump().is_empty() && lab.node(3).dump().is_empty());
}

/// 8.4: writes of a replica that is cut off from one peer reach it through another.
#[test]
fn writes_are_relayed_around_a_cut() {
    let mut lab = Lab::new(3, 3);
    lab.cut(0, 1);
    lab.run(300);
    let written = lab.put(0, "k", "1", &empty());
    lab.run(600);
    lab.cut(1, 2);
    assert_eq!(value(&lab.get(1, "k", &written.context)).as_deref(), Some("1"));
}

/// 5.3, 6.3, 9: at rest windows are empty, tombstones are gone and contexts have no entries.
#[test]
fn at_rest_nothing_is_kept() {
    let mut lab = Lab::new(4, 2);
    let (x, y) = (lab.key_of(0, "x"), lab.key_of(2, "y"));
    let a = lab.put(0, &x, "1", &empty());
    let b = lab.put(3, &y, "2", &a.context);
    let c = lab.delete(1, &x, &b.context);
    lab.run(2000);
    let read = lab.get(2, &y, &c.context);
    assert!(read.context.entries.is_empty(), "{:?}", read.context);
    for at in 0..4 {
        let report = lab.node(at).report(lab.now());
        assert_eq!((report.window_writes, report.tombstones, report.floor.0), (0, 0, 0));
    }
}

/// 8.4: what differs although the vectors say that it cannot is mended from both sides, and nobody's write is lost by it.
#[test]
fn a_difference_that_cannot_be_is_mended() {
    let mut lab = Lab::new(2, 2);
    for key in ["a", "b", "c"] {
        lab.put(0, key, "1", &empty());
    }
    lab.run(1000);
    lab.node(0).lose(b"a");
    lab.node(1).lose(b"b");
    lab.run(2000);
    for at in 0..2 {
        assert_eq!(lab.node(at).dump().len(), 3);
        assert!(lab.events.iter().any(|event| *event == (at, Event::DigestMismatch(lab.node(1 - at).id()))));
    }
}

/// 4.2: a node whose wall clock is not like the others' is told by what it hears, and only that one is.
#[test]
fn the_one_wrong_wall_clock_is_known() {
    let mut lab = Lab::new(4, 2);
    lab.skew(2, 90_000);
    lab.run(2000);
    let ahead: Vec<_> = (0..4).map(|at| lab.node(at).report(lab.now()).wall_ahead_ms.unwrap()).collect();
    assert_eq!(ahead, [0, 0, 90_000, 0]);
}
