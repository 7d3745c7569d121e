//! Contexts that are full, and what has no room in them (design 5.5, ADR 13).

use precede_core::causality::context::Context;
use precede_core::causality::hlc::Timestamp;
use precede_core::id::{NodeId, Origin};
use precede_core::limits::SYNC_CHUNK_BYTES_TARGET;
use precede_core::wire::codec::encode;
use precede_core::wire::request::{Action, Outcome, Refusal, Reply};

use crate::empty;
use crate::lab::Lab;
use crate::named::{is_first, named, put};

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

/// 7.7, ADR 13: a barrier waits for what its context had no room for.
#[test]
fn a_barrier_waits_for_what_a_context_has_no_room_for() {
    let mut lab = Lab::new(4, 2);
    let (x, y) = (lab.key_of(0, "x"), lab.key_of(2, "y"));
    lab.cut(0, 1);
    let written = lab.put(0, &x, "1", &empty());
    lab.run(400);
    let full = context(&written, 0..4_095);
    let short = lab.put(2, &y, "1", &full);
    assert_eq!(short.context.entries.len(), 1);
    let waits = lab.ask(2, Action::Barrier, &short.context);
    let Outcome::Unstable(missing) = &waits.outcome else { panic!("{:?}", waits.outcome) };
    assert!(!missing.replicas.is_empty(), "{missing:?}");
    lab.heal();
    lab.run(400);
    assert_eq!(lab.ask(2, Action::Barrier, &short.context).outcome, Outcome::Stable);
}

/// 8.1, 8.3: what writes depend on counts for the size of messages, as what they say does.
#[test]
fn no_message_is_larger_than_may_be_though_all_contexts_are_full() {
    let mut lab = Lab::new(3, 3);
    lab.cut(0, 2);
    let written = lab.put(0, "k", "1", &empty());
    let full = context(&written, 0..4_095);
    let fill = |lab: &mut Lab| (0..300).for_each(|at| drop(lab.put(0, &format!("k{at}"), "1", &full)));
    let greatest = |lab: &Lab| lab.sent.iter().map(|(_, _, envelope)| encode(envelope).len()).max().unwrap();
    fill(&mut lab);
    lab.heal();
    lab.run(500);
    assert!(lab.get(2, "k299", &empty()).outcome != Outcome::Absent, "the stream has brought it");
    lab.cut(0, 1);
    lab.cut(0, 2);
    fill(&mut lab);
    lab.crash(2);
    lab.start(2);
    lab.heal();
    lab.run(500);
    assert!(lab.get(2, "k299", &empty()).outcome != Outcome::Absent, "a sync has brought it");
    assert!(greatest(&lab) < 4 * SYNC_CHUNK_BYTES_TARGET, "{}", greatest(&lab));
}
