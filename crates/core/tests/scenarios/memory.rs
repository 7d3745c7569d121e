//! What a node does at its memory limit.

use bytes::Bytes;
use precede_core::causality::context::Context;
use precede_core::event::Event;
use precede_core::table::value::Value;
use precede_core::wire::message::Message;
use precede_core::wire::request::{Action, Outcome, Refusal, Reply};

use crate::changes::begin;
use crate::lab::{Lab, value};

const LIMIT: u64 = 20_000;
const TEXT: &str = "a value of a few dozen bytes, as they are";

/// Starts nodes again with a limit, one after the other.
fn limit(lab: &mut Lab, nodes: &[usize]) {
    lab.memory_bytes_max = Some(LIMIT);
    for &at in nodes {
        lab.crash(at);
        lab.start(at);
        lab.run(1500);
    }
    lab.memory_bytes_max = None;
}

fn put(lab: &mut Lab, at: usize, key: &str, text: &str) -> Reply {
    let (key, value) = (Bytes::copy_from_slice(key.as_bytes()), Value::json(Bytes::copy_from_slice(text.as_bytes())));
    lab.ask(at, Action::Put { key, value }, &Context::default())
}

fn is_full(reply: &Reply) -> bool {
    reply.outcome == Outcome::Refused(Refusal::MemoryFull { limit: LIMIT })
}

/// Writes keys until there is no room; returns them.
fn fill(lab: &mut Lab, at: usize, keys: impl Iterator<Item = String>) -> Vec<String> {
    let mut written = Vec::new();
    for key in keys {
        if is_full(&put(lab, at, &key, TEXT)) {
            return written;
        }
        written.push(key);
        // The window counts too: let it empty.
        lab.run(200);
    }
    panic!("there is always room");
}

fn keys() -> impl Iterator<Item = String> {
    (0..1000).map(|at| format!("key{at}"))
}

#[test]
fn a_full_node_refuses_what_grows_it_and_nothing_else() {
    let mut lab = Lab::new(1, 1);
    limit(&mut lab, &[0]);
    let written = fill(&mut lab, 0, keys());
    let held = lab.node(0).memory_bytes();
    assert!(written.len() > 50 && held <= LIMIT && held > LIMIT - 500, "{} keys, {held} bytes", written.len());
    let told = lab.events.iter().filter(|(_, event)| matches!(event, Event::MemoryFull { limit: LIMIT, .. }));
    assert_eq!(told.count(), 1);
    assert!(is_full(&put(&mut lab, 0, "one more", TEXT)), "again and again");
    assert!(is_full(&put(&mut lab, 0, &written[0], &TEXT.repeat(20))), "a longer value");
    assert_eq!(value(&lab.get(0, &written[0], &Context::default())).as_deref(), Some(TEXT));
    lab.put(0, &written[0], &TEXT.to_uppercase(), &Context::default());
    assert_eq!(lab.get(0, "absent", &Context::default()).outcome, Outcome::Absent);
    for key in &written[..10] {
        assert_eq!(lab.delete(0, key, &Context::default()).outcome, Outcome::Deleted { concern_met: true });
    }
    lab.run(2000);
    assert_eq!(lab.node(0).report(lab.now()).tombstones, 0);
    lab.put(0, "one more", TEXT, &Context::default());
    assert!(lab.node(0).memory_bytes() < held);
    let told = lab.events.iter().filter(|(_, event)| matches!(event, Event::MemoryFull { .. }));
    assert_eq!(told.count(), 1, "it is told once");
}

#[test]
fn a_full_replica_takes_what_others_have_accepted() {
    let mut lab = Lab::new(2, 2);
    limit(&mut lab, &[1]);
    for at in 0..300 {
        lab.put(0, &format!("key{at}"), TEXT, &Context::default());
    }
    lab.run(2000);
    assert!(lab.node(1).memory_bytes() > LIMIT);
    assert_eq!(lab.node(1).dump(), lab.node(0).dump(), "by streams");
    let sent = lab.sent.len();
    assert!(is_full(&put(&mut lab, 1, "one more", TEXT)));
    let forwarded =
        lab.sent[sent..].iter().filter(|(from, _, sent)| *from == 1 && matches!(sent.body, Message::Forward(_)));
    assert_eq!(forwarded.count(), 0, "what the other one took would come back");
    limit(&mut lab, &[1]);
    assert!(lab.node(1).memory_bytes() > LIMIT);
    assert_eq!(lab.node(1).dump(), lab.node(0).dump(), "by a sync");
    assert_eq!(lab.delete(1, "key0", &Context::default()).outcome, Outcome::Deleted { concern_met: true });
}

#[test]
fn a_router_takes_the_word_of_one_full_replica_for_the_shard() {
    let mut lab = Lab::new(4, 2);
    limit(&mut lab, &[2, 3]);
    let of_shard: Vec<String> = (0..400).map(|at| lab.key_of(2, &format!("key{at}-"))).collect();
    fill(&mut lab, 2, of_shard.into_iter());
    let sent = lab.sent.len();
    let (key, mine) = (lab.key_of(2, "one more"), lab.key_of(0, "mine"));
    let (before, reply) = (lab.now_ms, put(&mut lab, 0, &key, TEXT));
    assert!(is_full(&reply), "{:?}", reply.outcome);
    assert!([2, 3].map(|at| lab.addresses[at].node_id()).contains(&reply.served_by));
    let forwarded =
        lab.sent[sent..].iter().filter(|(from, _, sent)| *from == 0 && matches!(sent.body, Message::Forward(_)));
    assert_eq!(forwarded.count(), 1);
    assert!(lab.now_ms - before <= 5, "at once");
    assert!(matches!(put(&mut lab, 2, &mine, TEXT).outcome, Outcome::Written { .. }), "the other shard has room");
}

/// What a node keeps over a view change it holds once, however many views name it.
#[test]
fn what_two_views_share_counts_once() {
    let mut lab = Lab::with_spares(1, 1, 1);
    for key in keys().take(400) {
        lab.put(0, &key, TEXT, &Context::default());
        lab.run(100);
    }
    lab.run(1000);
    let before = lab.node(0).memory_bytes();
    lab.lose = Some(Box::new(|_, _, message| matches!(message, Message::SyncChunk(_))));
    begin(&mut lab, 0, &[0, 1], 1);
    lab.run(500);
    assert!(!lab.node(0).is_settled());
    let (kept, during) = (lab.node(0).report(lab.now()).live_keys, lab.node(0).memory_bytes());
    assert!(kept > 100 && kept < 300, "{kept} keys stay");
    assert!(during > before && during < before + before / 5, "{before} bytes before, {during} during the change");
    lab.lose = None;
    lab.run(3000);
    assert!(lab.node(0).is_settled());
    let after = lab.node(0).memory_bytes();
    assert!(after < before * 3 / 4, "{before} bytes before, {after} after the change");
}
