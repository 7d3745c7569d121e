//! Views that were settled under one view, and are former ones again under the next, whose coordinator did not know (design 3.4, 11.4).

use std::time::Duration;

use precede_core::causality::context::Context;
use precede_core::event::Event;
use precede_core::node::Node;
use precede_core::wire::message::Message;
use precede_core::wire::request::{Action, Outcome, ViewChange};

use crate::changes::{DEADLINE, asked, begin, check_homes, check_reads, epochs, fill, lose_hand_offs};
use crate::lab::{Lab, value};
use crate::views_in_trouble::is_given_by;

/// Nobody has settled the first view when a spare makes two views, one after the other: nothing is handed over meanwhile. It is cut off
/// before anybody hears of the second one, and the first of the two goes on.
fn two_views(lab: &mut Lab, spare: usize, one: &[usize], two: &[usize], factor: usize) {
    lose_hand_offs(lab);
    // It does not wait for the first.
    let first = asked(lab, one, factor);
    lab.submit(spare, Action::ChangeView(first), &Context::default(), Duration::from_millis(50));
    lab.run(300);
    let lose_hand_offs = lab.lose.take().expect("they are lost");
    lab.lose = Some(Box::new(move |from, to, body| {
        let is_told = from == spare && !matches!(body, Message::Prepare(_));
        let is_heard = to == spare && !matches!(body, Message::Prepared(_));
        is_told || is_heard || lose_hand_offs(from, to, body)
    }));
    let forced = ViewChange { force: true, ..asked(lab, two, factor) };
    lab.submit(spare, Action::ChangeView(forced), &Context::default(), DEADLINE);
    lab.run(1000);
    assert_eq!(lab.node(spare).change_report().former, [0, 1]);
    for at in (0..lab.nodes.len()).filter(|at| *at != spare) {
        lab.cut(spare, at);
    }
    lab.lose = None;
}

fn check_settled(lab: &Lab, nodes: &[usize]) {
    for at in nodes {
        assert!(lab.node(*at).is_settled() && lab.node(*at).view().id.epoch == 1, "{at}");
    }
}

/// Node 0 starts again, alone, as it began.
fn start_anew(lab: &mut Lab, others: &[usize]) {
    lab.crash(0);
    for at in others {
        lab.cut(0, *at);
    }
    lab.start(0);
    lab.run(500);
    assert_eq!(lab.node(0).view().id.epoch, 0);
}

/// 11.4: what a life writes that began when the view was over is handed over, though the view was settled before; and what had been
/// settled stays, though that life knows nothing of it. One of the new owners hears of it last.
#[test]
fn what_a_late_life_writes_is_kept_beside_what_was_settled() {
    for (has_collected, slow) in [(true, false), (false, false), (false, true)] {
        let mut lab = Lab::with_spares(1, 1, 3);
        if has_collected {
            let gone = lab.put(0, "gone", "v", &Context::default());
            lab.delete(0, "gone", &gone.context);
            lab.run(2000);
        }
        let settled = lab.put(0, "settled", "v", &Context::default());
        two_views(&mut lab, 3, &[1, 2], &[0, 1, 2], 2);
        lab.run(3000);
        check_settled(&lab, &[1, 2]);
        start_anew(&mut lab, &[1, 2]);
        let late = lab.put(0, "late", "v", &Context::default());
        let by_0 = is_given_by(0);
        lab.lose = Some(Box::new(move |from, to, body| slow && to == 2 && by_0(from, to, body)));
        lab.heal();
        lab.run(6000);
        for at in 0..4 {
            for (key, context) in [("settled", &settled.context), ("late", &late.context)] {
                assert_ne!(lab.get(at, key, context).outcome, Outcome::Absent, "{key} at {at}");
            }
        }
        lab.lose = None;
        lab.run(6000);
        for at in 0..4 {
            for (key, context) in [("settled", &settled.context), ("late", &late.context)] {
                assert_eq!(value(&lab.get(at, key, context)).as_deref(), Some("v"), "{key} at {at}");
            }
        }
        assert!(!lab.happened(|event| matches!(event, Event::DigestMismatch(_))));
    }
}

/// 10.4, 11.4: a life that began when the view was over may have closed others without what they wrote: it tells nobody.
#[test]
fn a_late_life_closes_nothing() {
    let mut lab = Lab::with_spares(1, 1, 2);
    let written = lab.put(0, "k", "v", &Context::default());
    lab.lose = Some(Box::new(|from, to, body| from != to && to == 2 && matches!(body, Message::SyncChunk(_))));
    begin(&mut lab, 1, &[1, 2], 2);
    lab.run(600);
    assert_eq!(value(&lab.get(1, "k", &written.context)).as_deref(), Some("v"));
    start_anew(&mut lab, &[1, 2]);
    lab.lose = None;
    lab.heal();
    for _ in 0..10 {
        lab.run(300);
        for at in 0..3 {
            assert_eq!(value(&lab.get(at, "k", &written.context)).as_deref(), Some("v"), "at {at}");
        }
    }
}

/// 10.3, 11.4: a shard that has lost its memory under a view stands for none before it: whoever still has those hands them over.
#[test]
fn a_shard_that_lost_its_memory_stands_for_no_older_view() {
    for again in [false, true] {
        let mut lab = Lab::with_spares(1, 1, 5);
        let contents = fill(&mut lab, &[0], 12);
        two_views(&mut lab, 5, &[1, 2, 3, 4], &[0, 1, 2, 3, 4], 2);
        // Node 0 hands over, and does not hear that the view is settled.
        lab.lose = Some(Box::new(|_, to, body| to == 0 && !matches!(body, Message::SyncPull(_))));
        lab.run(3000);
        check_settled(&lab, &[1, 2, 3, 4]);
        for at in 1..5 {
            lab.cut(0, at);
        }
        lab.lose = None;
        let of_shard = |at: &usize| lab.node(*at).shard() == lab.node(1).shard();
        let lost: Vec<usize> = (1..5).filter(of_shard).collect();
        for at in &lost {
            lab.crash(*at);
        }
        lab.run(100);
        for at in &lost {
            lab.start(*at);
        }
        lab.run(15_000);
        assert!(lab.happened(|event| matches!(event, Event::ShardMemoryLost)));
        if again {
            // Each gets what the other has not.
            for at in &lost {
                lab.crash(*at);
                lab.run(1000);
                lab.start(*at);
                lab.run(1000);
            }
        }
        for at in 0..12 {
            let gone = lab.put(3, &format!("gone{at}"), "v", &Context::default());
            lab.delete(3, &format!("gone{at}"), &gone.context);
        }
        lab.run(3000);
        lab.cut.retain(|(from, to)| (*from, *to) != (0, 5) && (*from, *to) != (5, 0));
        lab.run(400);
        lab.heal();
        lab.run(6000);
        check_homes(&lab, &contents);
        check_reads(&mut lab, &[0, 1, 2, 3, 4], &contents);
    }
}

/// 3.4, 9, 11.4: what was settled under one view and deleted there stays deleted in the next, whose coordinator did not know that it was
/// settled: whoever still holds it has to hand it over again. In which order does not matter, nor whether the key is asked for before.
#[test]
fn what_was_settled_before_is_not_brought_back_by_who_did_not_know() {
    for (late, writer) in [(&[][..], 0), (&[0], 0), (&[1], 0), (&[0, 1], 0), (&[], 2)] {
        let mut lab = Lab::with_spares(3, 3, 1);
        let written = lab.put(writer, "k", "v", &Context::default());
        lab.run(1000);
        lab.crash(2);
        lab.run(1000);
        begin(&mut lab, 1, &[1, 3], 2);
        let from_0 = lab.node(0).id();
        let by_0 = |event: &Event| matches!(event, Event::HandedOver { from, .. } if *from == from_0);
        while lab.events.iter().filter(|(_, event)| by_0(event)).count() < 2 {
            lab.deliver_some(1);
        }
        lab.cut(0, 3);
        let forced = ViewChange { force: true, ..asked(&lab, &[0, 1], 2) };
        lab.submit(0, Action::ChangeView(forced), &Context::default(), DEADLINE);
        let is_granted = |body: &Message| matches!(body, Message::Prepared(_));
        lab.deliver_until(|lab| {
            lab.sent.iter().any(|(from, to, sent)| (*from, *to) == (1, 0) && is_granted(&sent.body))
        });
        lab.lose = Some(Box::new(move |from, to, body| (from == 0 || to == 0) && !is_granted(body)));
        lab.run(500);
        let gone = lab.delete(1, "k", &written.context);
        lab.run(3000);
        for at in [1, 3] {
            assert!(lab.node(at).is_settled());
            assert_eq!(lab.node(at).report(lab.now()).tombstones, 0, "at {at}");
        }
        assert_eq!(epochs(&lab), [Some(2), Some(1), None, Some(1)]);
        assert_eq!(lab.node(0).change_report().former, [0, 1]);
        let is_given = |body: &Message| matches!(body, Message::SyncChunk(chunk) if chunk.legacy.is_some());
        // What node 1 writes no frame brings: a sync has to, and that names every key.
        let is_written = |body: &Message| matches!(body, Message::Frame(frame) if !frame.writes.is_empty());
        lab.lose = Some(Box::new(move |from, to, body| {
            late.contains(&from) && from != to && (is_given(body) || (from == 1 && is_written(body)))
        }));
        lab.heal();
        lab.run(1000);
        lab.put(1, "other", "v", &Context::default());
        lab.run(3000);
        for _ in 0..2 {
            assert_eq!(epochs(&lab), [Some(2), Some(2), None, Some(2)]);
            for at in [0, 1, 3] {
                assert_eq!(
                    lab.get(at, "k", &gone.context).outcome,
                    Outcome::Absent,
                    "at {at}, {late:?} hand over late, {writer} wrote"
                );
            }
            lab.lose = None;
            lab.run(4000);
        }
        assert!(lab.nodes.iter().flatten().all(Node::is_settled));
    }
}

/// 11.4: who had got what all old members had to give need not have all that one of them had given before it lost its memory. Until that
/// is settled it does not stand for the older view.
#[test]
fn who_asked_too_late_does_not_stand_for_an_older_view() {
    let mut lab = Lab::with_spares(2, 2, 3);
    lab.cut(0, 1);
    let contents = fill(&mut lab, &[0], 20);
    let by_0 = lab.node(0).id();
    let has_got = |lab: &Lab, who: usize| {
        let is_by_0 = |event: &Event| matches!(event, Event::HandedOver { from, .. } if *from == by_0);
        lab.events.iter().any(|(at, event)| *at == who && is_by_0(event))
    };
    let is_synced =
        |from: usize, body: &Message| from == 2 && matches!(body, Message::SyncChunk(chunk) if chunk.legacy.is_none());
    let by_0_only = is_given_by(0);
    lab.lose = Some(Box::new(move |from, to, body| (to != 2 && by_0_only(from, to, body)) || is_synced(from, body)));
    begin(&mut lab, 2, &[2, 3], 2);
    while !has_got(&lab, 2) {
        lab.run(5);
    }
    lab.crash(0);
    lab.run(500);
    lab.start(0);
    lab.lose = Some(Box::new(move |from, _, body| is_synced(from, body)));
    while !has_got(&lab, 3) {
        lab.run(5);
    }
    lab.lose = Some(is_given_by(2));
    let forced = ViewChange { force: true, ..asked(&lab, &[4], 1) };
    lab.submit(4, Action::ChangeView(forced), &Context::default(), DEADLINE);
    lab.run(3000);
    assert_eq!(lab.node(4).change_report().former, [0, 1]);
    lab.lose = None;
    lab.run(3000);
    check_homes(&lab, &contents);
    check_reads(&mut lab, &[0, 1, 2, 3, 4], &contents);
}
