//! Named writes where something is silent, full or gone (design 7.6, ADR 12).

use precede_core::causality::context::Context;
use precede_core::causality::hlc::Timestamp;
use precede_core::id::{NodeId, Origin};
use precede_core::replication::names::NAME_BYTES;
use precede_core::wire::message::Message;
use precede_core::wire::request::{Outcome, Refusal, Reply};

use crate::changes::{begin, lose_hand_offs};
use crate::empty;
use crate::lab::Lab;
use crate::named::{is_first, named, put};

/// 7.6, 11.4: whoever is silent, the others are asked for the name meanwhile.
#[test]
fn a_silent_old_owner_does_not_hide_what_the_others_know_of_a_name() {
    for silent in 0..3 {
        let mut lab = Lab::with_spares(3, 3, 1);
        let first = named(&mut lab, 0, put("k", "1"), &empty());
        lab.run(1000);
        lab.lose = Some(Box::new(move |_, to, body| match body {
            Message::SyncChunk(chunk) => chunk.legacy.is_some(),
            Message::Fetch { .. } => to == silent,
            _ => false,
        }));
        begin(&mut lab, 0, &[0, 1, 2, 3], 4);
        lab.run(1000);
        let asked_at = lab.now_ms;
        let repeat = named(&mut lab, 3, put("k", "1"), &empty());
        assert!(is_first(&repeat, &first), "{silent} is silent: {repeat:?}");
        assert!(lab.now_ms - asked_at < 50, "and at once");
        let other = named(&mut lab, 3, put("k", "2"), &empty());
        assert_eq!(other.outcome, Outcome::Refused(Refusal::NameTaken));
    }
}

/// So many entries of nodes that are in no shard, above what is stable.
fn context(after: &Reply, nodes: std::ops::Range<u64>) -> Context {
    let version = after.version.unwrap();
    let mut context = after.context.clone();
    for node in nodes {
        let start = version.timestamp;
        let origin = Origin { view: version.origin.view, node: NodeId(node), start };
        context.entries.advance(origin, Timestamp(start.0 + 1));
    }
    context
}

/// 5.5, ADR 13: no answer has more entries than a request may bring back. What has no room is left to `stable`, nothing is refused for
/// it, and once it is everywhere there is nothing left of it.
#[test]
fn what_has_no_room_in_a_context_is_left_to_stable() {
    let mut lab = Lab::new(3, 3);
    // One that is silent keeps all from being stable.
    lab.cut(0, 2);
    lab.cut(1, 2);
    lab.run(500);
    let written = lab.put(0, "k", "0", &empty());
    let [some, others, few, full] =
        [0..2_500, 2_500..5_000, 2_500..3_500, 2_500..6_595].map(|nodes| context(&written, nodes));
    let last = some.entries.iter().map(|(_, timestamp)| timestamp).max().unwrap();
    let keeps = |reply: &Reply, own: usize, asked: &Context| {
        assert!(reply.context.entries.len() <= asked.entries.len() + own, "{}", reply.context.entries.len());
        assert!(asked.entries.iter().all(|(origin, timestamp)| reply.context.entries.get(origin) >= timestamp));
        assert!(reply.context.stable >= last, "it stands for what the last write depends on");
    };
    // A replica that does not know what the silent one has written may have missed what `stable` stands for.
    let refuses = |reply: &Reply| assert_eq!(reply.outcome, Outcome::Refused(Refusal::Unsatisfied));
    lab.put(0, "k", "1", &some);
    let read = lab.get(0, "k", &others);
    assert!(matches!(read.outcome, Outcome::Found(_)), "{:?}", read.outcome);
    keeps(&read, 0, &others);
    refuses(&lab.get(0, "k", &read.context));
    assert_eq!(lab.get(0, "k", &few).context.entries.len(), 3_501, "what has room is there");
    let replaced = lab.put(0, "k", "2", &others);
    keeps(&replaced, 1, &others);
    let made = named(&mut lab, 0, put("k", "3"), &some);
    let repeat = named(&mut lab, 0, put("k", "3"), &others);
    assert!(is_first(&repeat, &made));
    keeps(&repeat, 1, &others);
    lab.delete(0, "k", &some);
    keeps(&lab.delete(0, "k", &others), 0, &others);
    // With no room for itself a write keeps nothing but itself.
    assert_eq!(full.entries.len(), 4_096);
    let alone = lab.put(0, "other", "1", &full);
    assert_eq!(alone.context.entries.len(), 1);
    assert!(full.entries.iter().all(|(_, timestamp)| timestamp <= alone.context.stable));
    lab.heal();
    lab.run(500);
    let read = lab.get(0, "other", &alone.context);
    assert!(matches!(read.outcome, Outcome::Found(_)), "{:?}", read.outcome);
    assert_eq!(read.context.entries.len(), 0);
}

/// 10.4: whoever repeats a write is told as well that its context names what is gone.
#[test]
fn a_repeat_is_told_what_its_context_has_lost() {
    let mut lab = Lab::new(2, 2);
    lab.run(200);
    lab.cut(0, 1);
    lab.run(300);
    let lost = lab.put(0, "k", "1", &empty());
    lab.crash(0);
    lab.heal();
    lab.run(300);
    lab.start(0);
    lab.run(1000);
    let first = named(&mut lab, 1, put("k", "2"), &lost.context);
    for at in 0..2 {
        let repeat = named(&mut lab, at, put("k", "2"), &lost.context);
        assert!(first.lost && repeat.lost && is_first(&repeat, &first), "at {at}: {repeat:?}");
        assert!(!named(&mut lab, at, put("k", "2"), &empty()).lost);
    }
}

/// A former view may take long to settle: the names that are held of it pass away as all do.
#[test]
fn names_of_a_former_view_are_forgotten_in_time() {
    let mut lab = Lab::with_spares(1, 1, 1);
    for at in 0..20 {
        named(&mut lab, 0, put(&format!("key{at}"), "1"), &empty());
    }
    lose_hand_offs(&mut lab);
    begin(&mut lab, 0, &[1], 1);
    lab.run(5_000);
    let held = lab.node(0).memory_bytes();
    assert!(!lab.node(0).is_handed_over());
    lab.run(600_000);
    assert!(!lab.node(0).is_handed_over());
    assert_eq!(held - lab.node(0).memory_bytes(), 20 * NAME_BYTES as u64);
}
