//! Two views made at once, on the two sides of a cut: what the members of the one that was not chosen held has another past
//! (design 11.7, ADR 9).

use precede_core::causality::context::Context;
use precede_core::event::Event;
use precede_core::input::Input;
use precede_core::wire::message::Message;
use precede_core::wire::request::{Action, Outcome, ViewChange};

use crate::changes::{DEADLINE, ask, asked, begin, change, changed};
use crate::lab::{Lab, Lose, value};

/// Keys and the contexts of whoever wrote them.
type Written = Vec<(String, Context)>;

fn put_all(lab: &mut Lab, at: usize, name: &str, count: usize) -> Written {
    let keys = (0..count).map(|number| format!("{name}{number}"));
    keys.map(|key| (key.clone(), lab.put(at, &key, "\"there\"", &Context::default()).context)).collect()
}

/// Nobody says of one of these that it is absent.
fn check_there(lab: &mut Lab, nodes: &[usize], written: &Written) {
    for at in nodes {
        for (key, context) in written {
            assert_eq!(value(&lab.get(*at, key, context)).as_deref(), Some("\"there\""), "{key} at {at}");
        }
    }
}

fn cut_apart(lab: &mut Lab, one: &[usize], other: &[usize]) {
    for at in one {
        for peer in other {
            lab.cut(*at, *peer);
        }
    }
}

/// Collects a tombstone, so that whoever hands over later has to name absence.
fn collect_a_tombstone(lab: &mut Lab, at: usize) {
    let gone = lab.put(at, "gone", "\"v\"", &Context::default());
    lab.delete(at, "gone", &gone.context);
    lab.run(2000);
}

/// Hand-offs of these nodes to others, from the chunk on that begins behind the first if `later`.
fn given_by(senders: &'static [usize], later: bool) -> Lose {
    let is_one = move |body: &Message| matches!(body, Message::SyncChunk(chunk) if chunk.legacy.is_some() && (!later || chunk.from > 0));
    Box::new(move |from, to, body| from != to && senders.contains(&from) && is_one(body))
}

/// The two halves of two shards of two replicas, each with a spare, make a view each; the half of node 1 wins. What node 1 took
/// after the cut, before the views, only its half has.
fn two_halves() -> (Lab, Written) {
    let mut lab = Lab::with_spares(4, 2, 2);
    lab.run(500);
    collect_a_tombstone(&mut lab, 0);
    cut_apart(&mut lab, &[0, 2, 4], &[1, 3, 5]);
    let written = put_all(&mut lab, 1, "x", 10);
    for (by, members) in [(0, [0, 2, 4]), (1, [1, 3, 5])] {
        let id = begin(&mut lab, by, &members, 2);
        let answer = lab.answer(id, DEADLINE);
        assert!(changed(&answer).settled && changed(&answer).given_up.is_empty());
    }
    assert!(lab.node(1).view().id > lab.node(0).view().id);
    (lab, written)
}

/// 11.4: a member of the lesser view, which had settled the first view without the other half, does not outdo what that wrote: not
/// before its hand-off, not during it, and not where absence has to be named.
#[test]
fn who_settled_a_view_without_the_others_does_not_outdo_them() {
    let (mut lab, written) = two_halves();
    put_all(&mut lab, 0, "b", 600);
    lab.run(1000);
    check_there(&mut lab, &[1, 3, 5], &written);
    lab.lose = Some(given_by(&[4], true));
    lab.heal();
    lab.run(500);
    check_there(&mut lab, &[1, 3, 5], &written);
    lab.run(3500);
    lab.lose = None;
    lab.run(8000);
    assert!([1, 3, 5].iter().all(|at| lab.node(*at).is_settled()));
    check_there(&mut lab, &[0, 1, 2, 3, 4, 5], &written);
}

/// The same where the next view comes before the lesser one has been handed over: it hands over first.
#[test]
fn who_settled_a_view_without_the_others_does_not_outdo_them_in_the_next() {
    let mut lab = Lab::with_spares(3, 3, 2);
    lab.run(500);
    cut_apart(&mut lab, &[0, 1, 4], &[2, 3]);
    lab.run(500);
    change(&mut lab, 0, &[0, 1], 2);
    let written = put_all(&mut lab, 0, "x", 20);
    lab.skew(2, 150_000);
    lab.run(200);
    let forced = ViewChange { force: true, ..asked(&lab, &[2, 3], 2) };
    assert!(changed(&ask(&mut lab, 2, forced)).settled);
    change(&mut lab, 0, &[0, 1, 4], 3);
    lab.run(500);
    lab.lose = Some(given_by(&[2, 3], false));
    lab.heal();
    lab.run(500);
    assert_eq!(lab.node(0).change_report().former, [1], "the lesser one of two");
    let forced = ViewChange { force: true, ..asked(&lab, &[0, 1], 2) };
    let id = lab.submit(0, Action::ChangeView(forced), &Context::default(), DEADLINE);
    lab.run(5);
    lab.lose = None;
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    lab.run(3000);
    check_there(&mut lab, &[0, 1, 2, 3, 4], &written);
}

/// One shard of four replicas and a spare: nodes 3 and 4 make the lesser view, and write; then 0 to 2 make theirs. Node 3 is gone.
fn one_has_heard() -> (Lab, Written) {
    let mut lab = lesser_first();
    let written = put_all(&mut lab, 3, "y", 300);
    lab.skew(0, 150_000);
    lab.run(300);
    change(&mut lab, 0, &[0, 1, 2], 3);
    collect_a_tombstone(&mut lab, 0);
    lab.crash(3);
    (lab, written)
}

/// The same shard: nodes 3 and 4 make the lesser view, and node 0 is set to make the greater one.
fn lesser_first() -> Lab {
    let mut lab = Lab::with_spares(4, 4, 1);
    lab.run(1500);
    cut_apart(&mut lab, &[0, 1, 2], &[3, 4]);
    lab.run(500);
    let forced = ViewChange { force: true, ..asked(&lab, &[3, 4], 2) };
    assert!(changed(&ask(&mut lab, 3, forced)).settled);
    lab
}

/// 11.4: a view that the other side has made and settled comes with that side's next one: no ancestor of the view here stands for it,
/// though it is greater. Contexts of it are good.
#[test]
fn an_ancestor_does_not_stand_for_what_it_has_never_heard_of() {
    for is_lagging in [false, true] {
        let mut lab = lesser_first();
        let written = put_all(&mut lab, 3, "y", 10);
        change(&mut lab, 3, &[3, 4], 1);
        lab.skew(0, 150_000);
        lab.run(300);
        change(&mut lab, 0, &[0, 1, 2], 3);
        if is_lagging {
            lab.lose = Some(given_by(&[2], false));
        }
        begin(&mut lab, 0, &[0, 1], 2);
        lab.run(1000);
        lab.heal();
        lab.run(5000);
        lab.lose = None;
        lab.run(8000);
        assert!([0, 1].iter().all(|at| lab.node(*at).is_settled()));
        check_there(&mut lab, &[0, 1, 2, 3, 4], &written);
    }
}

/// 9, 11.4: what this side has deleted and collected the other side does not bring back, whoever of it hands over.
#[test]
fn a_collected_delete_is_not_undone_by_the_other_side() {
    let mut lab = Lab::with_spares(4, 4, 1);
    lab.run(500);
    let written = lab.put(0, "k", "\"v\"", &Context::default());
    lab.run(1500);
    cut_apart(&mut lab, &[0, 1, 2], &[3, 4]);
    lab.run(500);
    let forced = ViewChange { force: true, ..asked(&lab, &[3, 4], 2) };
    assert!(changed(&ask(&mut lab, 3, forced)).settled);
    lab.skew(0, 150_000);
    lab.run(300);
    change(&mut lab, 0, &[0, 1, 2], 3);
    let gone = lab.delete(0, "k", &written.context);
    lab.run(3000);
    assert_eq!(lab.node(0).report(lab.now()).tombstones, 0);
    lab.heal();
    lab.run(8000);
    for at in 0..5 {
        assert_eq!(value(&lab.get(at, "k", &gone.context)), None, "at {at}");
    }
}

fn is_view_for_2(from: usize, to: usize, body: &Message) -> bool {
    (from, to) == (1, 2) && matches!(body, Message::Views(_))
}

/// Node 0 is gone, and 1, which does not tell 2 of the lesser view, is all that 2 hears.
fn leave_1_to_2(lab: &mut Lab) {
    lab.run(200);
    lab.crash(0);
    lab.run(500);
    lab.cut.clear();
    cut_apart(lab, &[2], &[3, 4]);
    lab.lose = Some(Box::new(is_view_for_2));
}

/// 8.3: a sync that names every key tells nothing of a view that its source has not heard of.
#[test]
fn who_has_not_heard_of_a_view_does_not_outdo_it() {
    let (mut lab, written) = one_has_heard();
    lab.cut.clear();
    cut_apart(&mut lab, &[0, 2], &[1, 3, 4]);
    lab.run(2000);
    let former = [0, 1, 2].map(|at| lab.node(at).change_report().former.len());
    assert_eq!(former, [0, 1, 0], "1 alone has heard of the lesser view");
    put_all(&mut lab, 0, "z", 30);
    leave_1_to_2(&mut lab);
    lab.run(300);
    check_there(&mut lab, &[1], &written);
    lab.lose = None;
    lab.cut.clear();
    lab.start(0);
    lab.run(5000);
    check_there(&mut lab, &[0, 1, 2], &written);
    assert!(!lab.happened(|event| matches!(event, Event::DigestMismatch(_))));
}

/// 8.3, 11.4: what the source of a sync had of a former view is no claim of a target that heard of it half way.
#[test]
fn a_view_heard_of_during_a_sync_is_not_claimed_by_it() {
    let (mut lab, written) = one_has_heard();
    lab.cut.clear();
    cut_apart(&mut lab, &[2], &[0, 1, 3, 4]);
    lab.run(2000);
    put_all(&mut lab, 0, "z", 6000);
    leave_1_to_2(&mut lab);
    let has_begun = |lab: &Lab| {
        let mut sent = lab.sent.iter().rev().map(|(from, to, envelope)| (*from, *to, &envelope.body));
        sent.any(|sent| matches!(sent, (1, 2, Message::SyncChunk(chunk)) if chunk.legacy.is_none() && !chunk.held.is_empty()))
    };
    while !has_begun(&lab) {
        lab.deliver_some(1);
    }
    lab.lose = None;
    let told =
        lab.sent.iter().rfind(|(from, to, envelope)| is_view_for_2(*from, *to, &envelope.body)).unwrap().2.clone();
    lab.step(2, Input::Message(Box::new(told)));
    assert_eq!(lab.node(2).change_report().former, [1]);
    let sample: Written = written.iter().step_by(30).cloned().collect();
    for _ in 0..30 {
        lab.run(50);
        for (key, context) in &sample {
            let reply = lab.get(2, key, context);
            assert_ne!(reply.outcome, Outcome::Absent, "{key}");
        }
    }
    lab.start(0);
    lab.run(5000);
    check_there(&mut lab, &[1, 2], &written);
    assert!(!lab.happened(|event| matches!(event, Event::DigestMismatch(_))));
}
