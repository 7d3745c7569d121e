//! Executions in which a hand-off lost, brought back or withheld something (design 9, 11.1, 11.4 to 11.7).

use precede_core::causality::context::Context;
use precede_core::input::Input;
use precede_core::limits::HAND_OFF_CHUNK_ENTRIES_MAX;
use precede_core::wire::message::{Envelope, Message};
use precede_core::wire::request::{Outcome, Refusal, ViewChange};

use crate::changes::{DEADLINE, asked, begin, changed, check_homes, check_reads, epochs, fill};
use crate::lab::{Lab, value};

/// 9, 11.4: a new owner that has a key from its own legacy, and takes the legacy of one that has deleted and collected it, drops
/// the key: one crash, a delete that two have acknowledged, and its client reads absence.
#[test]
fn a_collected_delete_is_not_undone_by_a_lagging_legacy() {
    for (members, factor) in [(&[1][..], 1), (&[1, 3], 2), (&[1, 3], 1), (&[0, 1, 2, 3], 4)] {
        let mut lab = Lab::with_spares(3, 3, 1);
        let written = lab.put(0, "k", "old", &Context::default());
        lab.run(1000);
        // 2 hears nobody, and is heard.
        lab.cut.extend([(0, 2), (1, 2)]);
        let deleted = lab.delete(0, "k", &written.context);
        lab.run(300);
        lab.crash(1);
        lab.run(50);
        // 1 recovers from 2, which lacks the delete.
        lab.cut = [(0, 2), (0, 1), (1, 0)].into();
        lab.start(1);
        lab.run(600);
        // 0 and 2 collect the tombstone: the word of the life of 1 that had it counts.
        lab.cut.clear();
        lab.cut(0, 1);
        lab.cut(1, 2);
        lab.run(1500);
        let id = begin(&mut lab, 3, members, factor);
        lab.deliver();
        lab.heal();
        assert!(changed(&lab.answer(id, DEADLINE)).settled, "{members:?}");
        for at in 0..4 {
            let read = lab.get(at, "k", &deleted.context);
            assert_eq!(value(&read), None, "at {at}, after a change to {members:?}");
        }
    }
}

/// 11.1: a member that is just starting may acknowledge a write before the view comes that does not name its life: it is waited
/// for, and the change is refused otherwise.
#[test]
fn a_change_waits_for_members_that_are_starting() {
    let mut lab = Lab::with_spares(2, 2, 2);
    lab.run(500);
    lab.crash(1);
    lab.run(500);
    lab.lose = Some(Box::new(|_, to, message| to == 1 && matches!(message, Message::Welcome { .. })));
    lab.start(1);
    lab.run(100);
    let id = begin(&mut lab, 2, &[2, 3], 2);
    let reply = lab.answer(id, DEADLINE);
    assert!(matches!(reply.outcome, Outcome::Refused(Refusal::ViewChangeInProgress(_))), "{:?}", reply.outcome);
    lab.lose = None;
    lab.run(2500);
    let written = lab.put(1, "k", "v", &Context::default());
    assert_eq!(written.acks, 2);
    let id = begin(&mut lab, 2, &[2, 3], 2);
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    assert_eq!(value(&lab.get(0, "k", &written.context)).as_deref(), Some("v"));
}

/// 11.1: a coordinator that was held up past its leases makes no view: another may have been made meanwhile.
#[test]
fn a_coordinator_that_was_held_up_gives_up() {
    let mut lab = Lab::with_spares(4, 2, 1);
    let (x, y) = (lab.key_of(0, "x"), lab.key_of(2, "y"));
    for key in [&x, &y] {
        lab.put(0, key, "v0", &Context::default());
    }
    lab.run(500);
    lab.lose = Some(Box::new(|from, to, message| (from, to) == (3, 4) && matches!(message, Message::Prepared(_))));
    let first = begin(&mut lab, 4, &[0, 1, 2], 1);
    lab.deliver();
    lab.run(50);
    lab.lose = None;
    for node in 0..4 {
        lab.cut(4, node);
    }
    lab.run_without(4, 2500);
    let second = begin(&mut lab, 0, &[0, 1, 2, 3], 4);
    lab.deliver();
    lab.run_without(4, 4000);
    let written = lab.put(0, &x, "v1", &Context::default());
    lab.heal();
    lab.run(5000);
    assert!(matches!(&lab.replies[&first].outcome, Outcome::Refused(Refusal::ViewChangeInProgress(_))));
    assert!(changed(&lab.replies[&second].clone()).settled);
    for at in 0..5 {
        assert_eq!(value(&lab.get(at, &x, &written.context)).as_deref(), Some("v1"));
        assert_eq!(value(&lab.get(at, &y, &Context::default())).as_deref(), Some("v0"));
    }
}

/// 11.7: two views made at once on the two sides of a cut: the greater wins, and what was written under the other is handed over.
#[test]
fn what_the_lesser_of_two_views_has_written_is_handed_over() {
    let mut lab = Lab::with_spares(4, 2, 2);
    lab.run(500);
    for one in [0, 2, 4] {
        for other in [1, 3, 5] {
            lab.cut(one, other);
        }
    }
    for (by, members) in [(0, [0, 2, 4]), (1, [1, 3, 5])] {
        let id = begin(&mut lab, by, &members, 2);
        assert!(matches!(lab.answer(id, DEADLINE).outcome, Outcome::Changed(_)));
    }
    let one = lab.put(4, "k1", "one", &Context::default());
    let other = lab.put(5, "k2", "other", &Context::default());
    assert_eq!((one.acks, other.acks), (2, 2));
    lab.heal();
    lab.run(10_000);
    for at in 0..6 {
        assert!(lab.node(at).is_settled(), "{at}: {:?}", lab.node(at).outstanding());
        assert_eq!(value(&lab.get(at, "k1", &one.context)).as_deref(), Some("one"), "at {at}");
        assert_eq!(value(&lab.get(at, "k2", &other.context)).as_deref(), Some("other"), "at {at}");
    }
}

/// 11.1, 11.6: `force` goes on from a change that does not settle, at its own coordinator too, and a member that has started again
/// meanwhile, and has nothing to hand over, is not waited for.
#[test]
fn a_forced_change_settles_what_the_one_before_could_not() {
    let mut lab = Lab::with_spares(3, 3, 2);
    let written = lab.put(0, "k", "v", &Context::default());
    lab.run(500);
    lab.lose = Some(Box::new(|_, to, message| {
        to == 4 && matches!(message, Message::SyncChunk(chunk) if chunk.legacy.is_some())
    }));
    let id = begin(&mut lab, 0, &[0, 1, 2, 3, 4], 3);
    assert!(!changed(&lab.answer(id, DEADLINE)).settled);
    lab.crash(2);
    lab.run(500);
    lab.start(2);
    lab.run(3000);
    let forced = ViewChange { force: true, ..asked(&lab, &[0, 1, 2, 3], 3) };
    let action = precede_core::wire::request::Action::ChangeView(forced);
    let id = lab.submit(0, action, &Context::default(), DEADLINE);
    lab.lose = None;
    let reply = lab.answer(id, DEADLINE);
    assert!(matches!(reply.outcome, Outcome::Changed(_)), "{:?}", reply.outcome);
    lab.run(5000);
    for at in 0..4 {
        assert!(lab.node(at).is_settled(), "{at}: {:?}", lab.node(at).outstanding());
        assert_eq!(value(&lab.get(at, "k", &written.context)).as_deref(), Some("v"));
    }
}

/// 6.3, 11.4: a new owner that was no member of the former view learns from a hand-off what is stable, and keeps no dependencies of
/// that.
#[test]
fn a_new_owner_keeps_no_dependencies_of_what_is_stable() {
    let mut lab = Lab::with_spares(2, 2, 2);
    fill(&mut lab, &[0, 1], 40);
    lab.run(1000);
    begin(&mut lab, 0, &[0, 1, 2, 3], 2);
    let report = |lab: &Lab| lab.node(2).report(lab.now());
    lab.deliver_until(|lab| report(lab).live_keys > 0);
    assert!(!lab.node(2).is_settled());
    assert_eq!(report(&lab).window_writes, 0, "{:?}", report(&lab));
}

/// 11.9: between its chunks a hand-off rests, whatever else happens meanwhile; that of a node to itself too.
#[test]
fn a_hand_off_rests_between_its_chunks() {
    let mut lab = Lab::new(2, 2);
    let count = HAND_OFF_CHUNK_ENTRIES_MAX * 3;
    let contents = fill(&mut lab, &[0, 1], count);
    lab.run(1000);
    let id = begin(&mut lab, 0, &[0, 1], 1);
    lab.deliver_until(|lab| epochs(lab) == [Some(1), Some(1)]);
    let held = |lab: &Lab| lab.node(0).report(lab.now()).live_keys;
    for _ in 0..10 {
        lab.step(0, Input::Tick);
        lab.deliver();
    }
    let now = held(&lab);
    assert!((1..count as u64 / 2 - 100).contains(&now), "a chunk at a time, and not all {count}: {now}");
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    lab.run(1000);
    check_homes(&lab, &contents);
}

/// 11.9: one from another node rests once it owes as much as a timer can tell, as long as its chunks have taken.
#[test]
fn a_hand_off_from_another_node_rests_as_long_as_its_chunks_took() {
    let mut lab = Lab::with_spares(1, 1, 1);
    fill(&mut lab, &[0], HAND_OFF_CHUNK_ENTRIES_MAX * 6);
    lab.run(500);
    let before = lab.sent.len();
    let pulls = |lab: &Lab| {
        let is_pull = |(_, _, envelope): &&(_, _, Envelope)| matches!(envelope.body, Message::SyncPull(_));
        lab.sent[before..].iter().filter(is_pull).count()
    };
    let id = begin(&mut lab, 0, &[1], 1);
    for asked in [1, 2] {
        lab.deliver_until(|lab| pulls(lab) == asked);
        lab.now_ms += 1;
    }
    lab.deliver();
    lab.now_ms += 1;
    lab.step(1, Input::Tick);
    assert_eq!(pulls(&lab), 2, "two chunks took a millisecond each");
    lab.now_ms += 1;
    lab.step(1, Input::Tick);
    assert_eq!(pulls(&lab), 3);
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
}

/// 11.4: a hand-off that breaks off goes on where it was.
#[test]
fn a_hand_off_goes_on_where_it_broke_off() {
    let mut lab = Lab::with_spares(1, 1, 1);
    let count = HAND_OFF_CHUNK_ENTRIES_MAX * 3;
    let contents = fill(&mut lab, &[0], count);
    lab.run(500);
    let id = begin(&mut lab, 0, &[1], 1);
    let held = |lab: &Lab| lab.node(1).report(lab.now()).live_keys;
    lab.deliver_until(|lab| held(lab) > 0);
    lab.cut(0, 1);
    let first = held(&lab);
    lab.run(3000);
    assert_eq!(held(&lab), first);
    assert!(first <= HAND_OFF_CHUNK_ENTRIES_MAX as u64);
    let before = lab.sent.len();
    lab.heal();
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    let pulled = lab.sent[before..].iter().filter_map(|(_, _, envelope)| match &envelope.body {
        Message::SyncPull(pull) => Some(pull.from),
        _ => None,
    });
    assert!(pulled.min() > Some(0), "nothing is asked for again");
    assert_eq!(lab.node(1).change_report().received_keys, count as u64);
    lab.run(1000);
    check_homes(&lab, &contents);
    check_reads(&mut lab, &[0, 1], &contents);
}

/// 9: while a former view is known no tombstone goes, also where it is known at last that every old member has had it: what they hand
/// over need not be of the lives that said so.
#[test]
fn no_tombstone_goes_while_a_former_view_is_known() {
    let mut lab = Lab::with_spares(2, 2, 1);
    let written = lab.put(0, "k", "v", &Context::default());
    lab.run(1000);
    let is_word = |body: &Message| matches!(body, Message::Status(_) | Message::Gossip { .. });
    lab.lose = Some(Box::new(move |_, to, body| to == 0 && is_word(body)));
    let deleted = lab.delete(0, "k", &written.context);
    lab.run(500);
    let tombstones = |lab: &Lab| [0, 1].map(|at| lab.node(at).report(lab.now()).tombstones);
    assert_eq!(tombstones(&lab), [1, 0], "0 has not heard that 1 has it");
    lab.lose =
        Some(Box::new(|_, to, body| to == 2 && matches!(body, Message::SyncChunk(chunk) if chunk.legacy.is_some())));
    let id = begin(&mut lab, 0, &[0, 1, 2], 3);
    lab.deliver();
    lab.run(1000);
    let report = lab.node(0).report(lab.now());
    assert!(report.stable >= deleted.version.unwrap().timestamp && !lab.node(0).is_settled());
    assert_eq!(report.tombstones, 1);
    lab.lose = None;
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    lab.run(1000);
    assert_eq!(tombstones(&lab), [0, 0]);
    check_homes(&lab, &[].into());
}

/// 8.3: a sync carries what its source knows of settlement: who hears of it in no other way knows it when the first chunk has come.
#[test]
fn a_sync_carries_what_is_settled() {
    let mut lab = Lab::with_spares(6, 3, 1);
    let contents = fill(&mut lab, &[0, 3], 20);
    lab.run(1000);
    let told = |to: usize, body: &Message| to == 5 && matches!(body, Message::Gossip { .. } | Message::Views(_));
    let id = begin(&mut lab, 0, &[0, 1, 2, 3, 4, 5, 6], 3);
    lab.deliver_until(|lab| epochs(lab) == [Some(1); 7]);
    lab.lose = Some(Box::new(move |_, to, body| told(to, body)));
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    lab.run(1000);
    assert!(lab.node(4).is_settled() && !lab.node(5).is_settled());
    // What 3 has written 5 gets from 4 only.
    lab.cut(3, 5);
    let key = lab.key_of(3, "k");
    let written = lab.put(3, &key, "v", &Context::default());
    lab.run(1000);
    assert_eq!(value(&lab.get(5, &key, &written.context)).as_deref(), Some("v"));
    assert!(lab.node(5).is_settled(), "it waits for {:?}", lab.node(5).outstanding());
    lab.heal();
    lab.lose = None;
    lab.run(1000);
    let contents = contents.into_iter().chain([(key, (Some("v".to_owned()), written.context))]).collect();
    check_homes(&lab, &contents);
}
