//! Repeats of writes that have a name, step by step (design 7.6, ADR 12).

use std::time::Duration;

use bytes::Bytes;
use precede_core::causality::context::Context;
use precede_core::table::value::Value;
use precede_core::wire::message::Message;
use precede_core::wire::named::Named;
use precede_core::wire::request::{Action, Outcome, Refusal, Reply, Request, WriteConcern};

use crate::changes::{begin, change, lose_hand_offs};
use crate::empty;
use crate::lab::{Lab, value};

const DEADLINE: Duration = Duration::from_secs(3);

pub(crate) fn put(key: &str, text: &str) -> Action {
    let (key, value) = (Bytes::copy_from_slice(key.as_bytes()), Value::json(Bytes::copy_from_slice(text.as_bytes())));
    Action::Put { key, value }
}

pub(crate) fn delete(key: &str) -> Action {
    Action::Delete { key: Bytes::copy_from_slice(key.as_bytes()) }
}

fn submit(lab: &mut Lab, at: usize, action: Action, context: &Context) -> u64 {
    let named = Named::of(&action, b"name").map(Box::new);
    let (context, concern) = (context.clone(), None);
    lab.submit_request(at, Request { action, context, wait: None, concern, deadline: DEADLINE, mark: None, named })
}

/// Asks for a write that is always called the same.
pub(crate) fn named(lab: &mut Lab, at: usize, action: Action, context: &Context) -> Reply {
    let id = submit(lab, at, action, context);
    lab.answer(id, DEADLINE)
}

pub(crate) fn is_first(reply: &Reply, first: &Reply) -> bool {
    let version = first.version.unwrap();
    let covered = reply.context.entries.covers(&version) || reply.context.stable >= version.timestamp;
    reply.outcome == first.outcome && reply.version == first.version && covered
}

/// 7.6: at every replica that has heard of the first, whatever has been written since.
#[test]
fn a_repeat_gets_the_first_outcome_and_changes_nothing() {
    let mut lab = Lab::new(3, 3);
    let first = named(&mut lab, 0, put("k", "1"), &empty());
    assert_eq!(first.outcome, Outcome::Written { replaced: false, concern_met: true });
    let other = lab.put(1, "k", "2", &first.context);
    for (at, context) in [(0, &empty()), (1, &other.context), (2, &first.context)] {
        let repeat = named(&mut lab, at, put("k", "1"), context);
        assert!(is_first(&repeat, &first), "at {at}: {repeat:?}");
        assert_eq!(value(&lab.get(at, "k", &other.context)).as_deref(), Some("2"));
    }
    lab.run(1000);
    assert_eq!(lab.node(0).report(lab.now()).window_writes, 0, "all is stable");
    let repeat = named(&mut lab, 2, put("k", "1"), &other.context);
    assert!(is_first(&repeat, &first) && repeat.acks == 3, "{repeat:?}");
    let replaced = lab.ask(1, put("k", "1"), &other.context);
    assert_eq!(replaced.outcome, Outcome::Written { replaced: true, concern_met: true }, "without the name");
}

#[test]
fn a_repeated_delete_does_not_delete_what_came_after_it() {
    let mut lab = Lab::new(3, 3);
    let absent = named(&mut lab, 0, delete("k"), &empty());
    assert_eq!(absent.outcome, Outcome::Absent);
    let written = lab.put(0, "k", "1", &empty());
    let first = named(&mut lab, 1, delete("k"), &written.context);
    assert_eq!(first.outcome, Outcome::Deleted { concern_met: true }, "what wrote nothing is not remembered");
    let again = lab.put(2, "k", "2", &first.context);
    for at in 0..3 {
        assert!(is_first(&named(&mut lab, at, delete("k"), &again.context), &first));
        assert_eq!(value(&lab.get(at, "k", &again.context)).as_deref(), Some("2"));
    }
}

#[test]
fn another_write_of_the_key_does_not_get_the_name() {
    let mut lab = Lab::new(3, 3);
    let first = named(&mut lab, 0, put("k", "1"), &empty());
    for (at, other) in [(0, put("k", "2")), (1, delete("k")), (2, put("k", "\"1\""))] {
        let refused = named(&mut lab, at, other, &first.context);
        assert_eq!(refused.outcome, Outcome::Refused(Refusal::NameTaken));
        assert_eq!(refused.context, first.context);
    }
    let elsewhere = named(&mut lab, 0, put("another key", "2"), &first.context);
    assert_eq!(elsewhere.outcome, Outcome::Written { replaced: false, concern_met: true });
}

/// 5.2, 7.6: that the key was visible is revealed by the repeat as by the first.
#[test]
fn a_repeat_carries_what_the_first_answer_revealed() {
    let mut lab = Lab::new(5, 2);
    let (x, y) = (lab.key_of(0, "x"), lab.key_of(2, "y"));
    lab.cut(2, 3);
    let cause = lab.put(2, &y, "cause", &empty());
    lab.put(0, &x, "effect", &cause.context);
    let first = named(&mut lab, 0, put(&x, "1"), &empty());
    assert_eq!(first.outcome, Outcome::Written { replaced: true, concern_met: true });
    lab.put(0, &x, "overwritten", &empty());
    // One that gets the name by a sync, and never the write, knows it too.
    lab.crash(1);
    lab.run(200);
    lab.start(1);
    lab.run(1000);
    assert!(lab.node(1).report(lab.now()).recovered);
    for at in [0, 1] {
        let repeat = named(&mut lab, at, put(&x, "1"), &empty());
        assert!(is_first(&repeat, &first), "at {at}: {repeat:?}");
        assert!(repeat.context.entries.covers(&cause.version.unwrap()), "at {at}: {:?}", repeat.context);
    }
}

/// 7.6: a router does not know what another one has sent, nor replicas of each other while they cannot talk.
#[test]
fn routers_send_writes_of_one_name_to_the_same_replica() {
    let mut lab = Lab::new(4, 2);
    let x = lab.key_of(0, "x");
    lab.cut(0, 1);
    lab.run(300);
    let first = named(&mut lab, 2, put(&x, "1"), &empty());
    for at in [3, 2, 3] {
        assert!(is_first(&named(&mut lab, at, put(&x, "1"), &empty()), &first));
    }
    let there = lab.index(first.served_by).unwrap();
    let second = named(&mut lab, 1 - there, put(&x, "1"), &empty());
    assert_ne!(second.version, first.version, "it has not heard of the first");
    lab.heal();
    lab.run(500);
    let least = if first.version < second.version { &first } else { &second };
    for at in 0..4 {
        let repeat = named(&mut lab, at, put(&x, "1"), &second.context);
        assert!(is_first(&repeat, least), "of both the lesser counts, at {at}: {repeat:?}");
    }
}

#[test]
fn a_repeat_is_recognised_while_the_first_waits() {
    let mut lab = Lab::new(3, 3);
    lab.cut(0, 1);
    let written = lab.put(1, "k", "0", &empty());
    let later = lab.put(1, "other", "0", &written.context);
    lab.cut(0, 2);
    // Its context cannot be satisfied: it waits a moment, and so does the repeat.
    let ids = [0, 1].map(|_| submit(&mut lab, 0, put("k", "1"), &later.context));
    assert!(lab.replies.is_empty());
    let replies = ids.map(|id| lab.answer(id, DEADLINE));
    assert_eq!(replies[0].version, replies[1].version);
    assert!(replies[0].version.is_some());
}

#[test]
fn a_write_concern_is_judged_anew_for_a_repeat() {
    let mut lab = Lab::new(3, 3);
    lab.cut(0, 1);
    lab.cut(0, 2);
    lab.run(500);
    let request = |action: Action| {
        let named = Named::of(&action, b"name").map(Box::new);
        let concern = Some(WriteConcern::All);
        Request { action, context: empty(), wait: None, concern, deadline: DEADLINE, mark: None, named }
    };
    for (met, acks) in [(false, 1), (true, 3)] {
        let id = lab.submit_request(0, request(put("k", "1")));
        let reply = lab.answer(id, DEADLINE);
        assert_eq!((reply.outcome, reply.acks), (Outcome::Written { replaced: false, concern_met: met }, acks));
        lab.heal();
        lab.run(1000);
    }
}

/// 7.6, 10: who has started again gets the names back with everything else.
#[test]
fn names_outlive_a_restart() {
    let mut lab = Lab::new(3, 3);
    let first = named(&mut lab, 0, put("k", "1"), &empty());
    let gone = lab.delete(0, "k", &first.context);
    lab.run(1000);
    for at in [0, 1, 2] {
        lab.crash(at);
        lab.run(300);
        lab.start(at);
        lab.run(1000);
        assert!(is_first(&named(&mut lab, at, put("k", "1"), &gone.context), &first), "at {at}");
    }
}

/// The server dies before it can answer, and is asked again as soon as it is back: it does not know yet what it has lost.
#[test]
fn a_replica_that_has_not_recovered_leaves_named_writes_to_those_that_have() {
    let mut lab = Lab::new(4, 2);
    let shard = lab.view.shard_of_hash(precede_core::placement::hash::key_hash(b"k")).replicas.clone();
    let index = |address| lab.addresses.iter().position(|other| other == address).unwrap();
    let (at, peer) = (index(&shard[0]), index(&shard[1]));
    let router = (0..4).find(|other| ![at, peer].contains(other)).unwrap();
    let first = named(&mut lab, at, put("k", "1"), &empty());
    lab.run(1000);
    lab.crash(at);
    lab.run(300);
    lab.lose = Some(Box::new(move |_, to, message| to == at && matches!(message, Message::SyncChunk(_))));
    lab.start(at);
    lab.run(500);
    assert!(!lab.node(at).report(lab.now()).recovered, "it gets nothing");
    for asked in [at, router] {
        let repeat = named(&mut lab, asked, put("k", "1"), &empty());
        assert!(is_first(&repeat, &first), "asked at {asked}: {repeat:?}");
    }
    // Alone it takes writes, as it does without a name.
    lab.crash(peer);
    lab.run(3000);
    let alone = named(&mut lab, at, put("k", "1"), &empty());
    assert!(matches!(alone.outcome, Outcome::Written { .. }) && alone.version != first.version, "{alone:?}");
}

/// 7.6, 11.4: names move with the keys, also of keys that are gone, and whoever has not got them yet asks.
#[test]
fn names_move_with_their_keys() {
    for (members, factor, loses) in [(&[2, 3, 4, 5][..], 2, false), (&[4, 5], 2, false), (&[0, 1, 4, 5], 4, true)] {
        let mut lab = Lab::with_spares(4, 2, 2);
        let keys: Vec<String> = (0..20).map(|at| format!("key{at}")).collect();
        let firsts: Vec<Reply> = keys.iter().map(|key| named(&mut lab, 0, put(key, "1"), &empty())).collect();
        for (key, first) in keys.iter().zip(&firsts).step_by(2) {
            lab.delete(0, key, &first.context);
        }
        lab.run(1000);
        match loses {
            true => {
                lose_hand_offs(&mut lab);
                begin(&mut lab, 0, members, factor);
                lab.run(1000);
            }
            false => drop(change(&mut lab, 0, members, factor)),
        }
        for (key, first) in keys.iter().zip(&firsts) {
            for &at in members {
                let repeat = named(&mut lab, at, put(key, "1"), &empty());
                assert!(is_first(&repeat, first), "{key} at {at}: {repeat:?} after {first:?}");
            }
        }
        assert_eq!(value(&lab.get(members[0], &keys[0], &empty())), None, "no repeat was made");
    }
}

/// 7.6: a refusal is no outcome.
#[test]
fn what_was_refused_is_not_remembered() {
    let mut lab = Lab::new(1, 1);
    lab.memory_bytes_max = Some(2_000);
    lab.crash(0);
    lab.start(0);
    lab.run(1500);
    let long = format!("\"{}\"", "x".repeat(1_000));
    let held = lab.put(0, "big", &long, &empty());
    let refused = named(&mut lab, 0, put("k", &long), &empty());
    assert!(matches!(refused.outcome, Outcome::Refused(Refusal::MemoryFull { .. })), "{refused:?}");
    lab.delete(0, "big", &held.context);
    lab.run(500);
    let written = named(&mut lab, 0, put("k", &long), &empty());
    assert_eq!(written.outcome, Outcome::Written { replaced: false, concern_met: true });
    assert!(is_first(&named(&mut lab, 0, put("k", &long), &empty()), &written));
}

#[test]
fn names_are_forgotten_in_time() {
    let mut lab = Lab::new(1, 1);
    let first = named(&mut lab, 0, put("k", "1"), &empty());
    lab.run(599_000);
    assert!(is_first(&named(&mut lab, 0, put("k", "1"), &empty()), &first));
    lab.run(1_100);
    let second = named(&mut lab, 0, put("k", "1"), &empty());
    assert_eq!(second.outcome, Outcome::Written { replaced: true, concern_met: true });
}

/// 7.6: what has no name costs nothing but a bit.
#[test]
fn writes_without_a_name_carry_none() {
    let mut lab = Lab::new(3, 3);
    lab.put(0, "k", "1", &empty());
    lab.crash(1);
    lab.start(1);
    lab.run(1000);
    for (_, _, envelope) in &lab.sent {
        match &envelope.body {
            Message::Frame(frame) => assert!(frame.writes.iter().all(|write| write.named.is_none())),
            Message::SyncChunk(chunk) => assert!(chunk.names.is_empty()),
            _ => {}
        }
    }
}
