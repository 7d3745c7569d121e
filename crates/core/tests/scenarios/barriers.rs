//! Barriers, step by step (design 7.7): what they wait for, and what they do not.

use std::time::Duration;

use precede_core::causality::context::Context;
use precede_core::id::{NodeId, ShardId, ViewId};
use precede_core::wire::request::{Action, Missing, Outcome, Refusal, Reply};

use crate::changes::{begin, fill, lose_hand_offs};
use crate::empty;
use crate::lab::Lab;

fn barrier(lab: &mut Lab, at: usize, context: &Context) -> Reply {
    lab.ask(at, Action::Barrier, context)
}

/// The replicas that a barrier waited for, by their place.
fn missing(lab: &Lab, reply: &Reply) -> (Vec<(ShardId, usize)>, Missing) {
    let Outcome::Unstable(missing) = &reply.outcome else { panic!("{:?}", reply.outcome) };
    let named =
        |(shard, address): &(ShardId, precede_core::id::Address)| (*shard, lab.index(address.node_id()).unwrap());
    (missing.replicas.iter().map(named).collect(), (**missing).clone())
}

/// 7.7: all replicas of the shard, and from then on the context needs no entry.
#[test]
fn a_barrier_waits_for_every_replica_of_the_shard() {
    let mut lab = Lab::new(4, 2);
    let x = lab.key_of(0, "x");
    lab.cut(0, 1);
    let written = lab.put(0, &x, "1", &empty());
    lab.run(400);
    for at in [0, 2, 3] {
        let reply = barrier(&mut lab, at, &written.context);
        let (replicas, rest) = missing(&lab, &reply);
        assert_eq!(replicas, [(ShardId(1), 1)]);
        assert!(rest.outstanding.is_empty() && !rest.unknown);
        assert_eq!(reply.context.entries, written.context.entries, "nothing of it is everywhere");
    }
    let id = lab.submit(2, Action::Barrier, &written.context, Duration::from_secs(3));
    lab.heal();
    let reply = lab.answer(id, Duration::from_secs(3));
    assert_eq!(reply.outcome, Outcome::Stable);
    lab.run(1000);
    let reply = barrier(&mut lab, 3, &written.context);
    assert_eq!((reply.outcome, reply.context.entries.len()), (Outcome::Stable, 0));
}

/// 7.7: a member that is down is named, and it alone; who is in another shard holds nothing up.
#[test]
fn a_barrier_names_who_is_down() {
    let mut lab = Lab::new(4, 2);
    let (x, y) = (lab.key_of(0, "x"), lab.key_of(2, "y"));
    lab.crash(1);
    lab.run(5_000);
    let here = lab.put(0, &x, "1", &empty());
    let there = lab.put(2, &y, "1", &empty());
    lab.run(300);
    for at in [0, 2] {
        assert_eq!(barrier(&mut lab, at, &there.context).outcome, Outcome::Stable);
        let reply = barrier(&mut lab, at, &here.context);
        assert_eq!(missing(&lab, &reply).0, [(ShardId(1), 1)]);
    }
}

/// 7.7: a replica that has said that it has all may have started again, and recovered from one that lacked it.
#[test]
fn a_barrier_does_not_count_on_what_a_former_life_had() {
    let mut lab = Lab::new(3, 3);
    lab.run(300);
    lab.cut.extend([(0, 1), (2, 1)]);
    let written = lab.put(0, "k", "1", &empty());
    lab.run(300);
    lab.crash(2);
    lab.cut(0, 2);
    lab.cut.remove(&(2, 1));
    lab.start(2);
    lab.run(500);
    assert!(lab.node(2).report(lab.now()).recovered);
    lab.cut(1, 2);
    lab.cut.remove(&(0, 1));
    lab.run(1000);
    let reply = barrier(&mut lab, 0, &written.context);
    assert_eq!(missing(&lab, &reply).0, [(ShardId(1), 2)]);
    lab.heal();
    lab.run(1000);
    assert_eq!(barrier(&mut lab, 0, &written.context).outcome, Outcome::Stable);
}

/// 7.7: and it may do so between the moments at which two replicas confirm: they are asked twice.
#[test]
fn replicas_confirm_that_they_have_all_at_one_moment() {
    let mut lab = Lab::new(3, 3);
    lab.run(300);
    lab.cut.extend([(0, 1), (2, 1)]);
    let written = lab.put(0, "k", "1", &empty());
    lab.run(100);
    let id = lab.submit(0, Action::Barrier, &written.context, Duration::from_secs(3));
    // 2 confirms, and 1 cannot be asked.
    lab.run(100);
    lab.crash(2);
    lab.cut(0, 2);
    lab.cut.remove(&(2, 1));
    lab.start(2);
    lab.run(400);
    assert!(lab.node(2).report(lab.now()).recovered);
    lab.cut(1, 2);
    lab.cut.remove(&(0, 1));
    // 1 gets it and confirms.
    let reply = lab.answer(id, Duration::from_secs(3));
    assert_eq!(missing(&lab, &reply).0, [(ShardId(1), 2)]);
}

/// 7.7: nothing named, nothing to wait for. What was left out is stable by definition.
#[test]
fn a_barrier_passes_what_names_nothing() {
    let mut lab = Lab::new(4, 2);
    let x = lab.key_of(0, "x");
    let written = lab.put(0, &x, "1", &empty());
    lab.run(500);
    let pruned = lab.get(0, &x, &written.context).context;
    assert!(pruned.entries.is_empty());
    lab.cut(0, 1);
    lab.run(500);
    for context in [empty(), pruned] {
        let id = lab.submit(0, Action::Barrier, &context, Duration::from_secs(3));
        assert_eq!(lab.replies.remove(&id).map(|reply| reply.outcome), Some(Outcome::Stable), "at once");
    }
}

/// 7.7: whoever hears of no member's `covered` asks one that does.
#[test]
fn a_node_without_a_shard_passes_a_barrier_on() {
    let mut lab = Lab::with_spares(4, 2, 1);
    let x = lab.key_of(0, "x");
    let written = lab.put(4, &x, "1", &empty());
    let reply = barrier(&mut lab, 4, &written.context);
    assert_eq!(reply.outcome, Outcome::Stable);
    assert_ne!(reply.served_by, lab.addresses[4].node_id());
    for at in 0..4 {
        lab.crash(at);
    }
    let reply = barrier(&mut lab, 4, &written.context);
    assert!(matches!(reply.outcome, Outcome::Refused(Refusal::NoReplica { .. })), "{:?}", reply.outcome);
}

/// 7.7, 11.6: while keys are on their way, what all old owners have new ones may lack.
#[test]
fn a_barrier_waits_for_a_view_change() {
    let mut lab = Lab::with_spares(4, 2, 2);
    fill(&mut lab, &[0], 20);
    let x = lab.key_of(0, "x");
    let written = lab.put(0, &x, "1", &empty());
    lab.run(500);
    lose_hand_offs(&mut lab);
    begin(&mut lab, 0, &[0, 1, 2, 3, 4, 5], 2);
    lab.run(1000);
    let reply = barrier(&mut lab, 0, &written.context);
    let (_, rest) = missing(&lab, &reply);
    assert!(!rest.outstanding.is_empty(), "{rest:?}");
    lab.lose = None;
    lab.run(3000);
    for at in 0..6 {
        assert_eq!(barrier(&mut lab, at, &written.context).outcome, Outcome::Stable);
    }
}

/// 7.7, 5.4: who has not heard of a context's view does not know who must have what it names; what nobody knows is lost.
#[test]
fn a_barrier_does_not_pass_what_cannot_be_judged() {
    let mut lab = Lab::new(3, 3);
    let written = lab.put(0, "k", "1", &empty());
    lab.run(500);
    let later = ViewId { epoch: 1, coordinator: NodeId(7), ..written.context.view.unwrap() };
    let context = Context { view: Some(later), ..written.context };
    lab.cut(0, 1);
    lab.cut(0, 2);
    lab.run(500);
    let reply = barrier(&mut lab, 0, &context);
    assert!(missing(&lab, &reply).1.unknown);
    lab.heal();
    lab.run(500);
    assert_eq!(barrier(&mut lab, 0, &context).outcome, Outcome::Refused(Refusal::ViewLost));
}
