//! View changes that meet others, crashes and cuts (design 11.1, 11.2, 11.6).

use std::collections::BTreeSet;
use std::time::Duration;

use precede_core::causality::context::Context;
use precede_core::event::Event;
use precede_core::limits::FORMER_VIEWS_MAX;
use precede_core::wire::message::Message;
use precede_core::wire::request::{Action, Outcome, Refusal, Reply, ViewChange};

use crate::changes::{
    DEADLINE, ask, asked, begin, change, changed, check_homes, check_reads, discarded, epochs, fill, lose_hand_offs,
};
use crate::lab::{Lab, Lose};

/// 11.1, 11.6: who was written off gives up what it holds when it is back, and says so.
#[test]
fn a_node_that_was_written_off_gives_up_what_it_holds() {
    let mut lab = Lab::new(6, 2);
    let mut contents = fill(&mut lab, &[0, 1, 2, 3, 4, 5], 40);
    lab.run(500);
    let held = lab.node(5).report(lab.now()).live_keys;
    assert!(held > 0);
    for at in 0..5 {
        lab.cut(5, at);
    }
    lab.run(500);
    change(&mut lab, 0, &[0, 1, 2, 3], 2);
    for (key, (content, context)) in contents.iter_mut().step_by(2) {
        *context = lab.delete(0, key, context).context;
        *content = None;
    }
    lab.run(1000);
    assert_eq!(lab.node(5).view().id.epoch, 0);
    lab.heal();
    lab.run(1000);
    assert_eq!(discarded(&lab, 5), [(held, true)]);
    check_homes(&lab, &contents);
    check_reads(&mut lab, &[0, 1, 2, 3, 4, 5], &contents);
}

/// 11.1: one change at a time: as long as one is not settled, whoever is asked refuses the next, and the first goes on.
#[test]
fn a_second_change_is_refused_until_the_first_has_settled() {
    let mut lab = Lab::with_spares(4, 2, 2);
    let contents = fill(&mut lab, &[0, 1, 2, 3], 20);
    lose_hand_offs(&mut lab);
    let id = begin(&mut lab, 0, &[0, 1, 2, 3, 4, 5], 2);
    lab.deliver();
    lab.run(100);
    for by in [0, 3, 5] {
        let second = asked(&lab, &[0, 1, 2, 3], 2);
        let reply = ask(&mut lab, by, second);
        assert!(
            matches!(reply.outcome, Outcome::Refused(Refusal::ViewChangeInProgress(_))),
            "{by}: {:?}",
            reply.outcome
        );
    }
    lab.lose = None;
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    let other = ViewChange { expected_epoch: Some(0), ..asked(&lab, &[0, 1, 2, 3], 2) };
    assert_eq!(ask(&mut lab, 1, other).outcome, Outcome::Refused(Refusal::UnexpectedEpoch { epoch: 1, expected: 0 }));
    lab.run(200);
    change(&mut lab, 5, &[0, 1, 2, 3], 2);
    lab.run(1000);
    check_homes(&lab, &contents);
}

/// 11.1: of two coordinators at once at most one makes a view; leases that are refused are given back.
#[test]
fn two_coordinators_at_once_make_one_view_at_most() {
    let mut lab = Lab::with_spares(4, 2, 2);
    let contents = fill(&mut lab, &[0, 1, 2, 3], 20);
    let ids = [begin(&mut lab, 0, &[0, 1, 2, 3, 4, 5], 2), begin(&mut lab, 3, &[2, 3, 4, 5], 2)];
    let replies = ids.map(|id| lab.answer(id, DEADLINE));
    let made = replies.iter().filter(|reply| matches!(reply.outcome, Outcome::Changed(_))).count();
    let refused = |reply: &&Reply| matches!(reply.outcome, Outcome::Refused(Refusal::ViewChangeInProgress(_)));
    assert_eq!(replies.iter().filter(refused).count(), 2 - made, "{replies:?}");
    assert!(made <= 1);
    // Whoever was refused may ask again at once.
    change(&mut lab, 3, &[2, 3, 4, 5], 2);
    lab.run(1000);
    check_homes(&lab, &contents);
    check_reads(&mut lab, &[0, 1, 2, 3, 4, 5], &contents);
}

/// 11.2: a coordinator has no power but to stamp: if it dies when one old member alone has the view, the view completes.
#[test]
fn a_view_completes_without_its_coordinator() {
    for left_out in [false, true] {
        let mut lab = Lab::with_spares(4, 2, 2);
        let contents = fill(&mut lab, &[0, 1, 2, 3], 20);
        lab.run(300);
        lab.lose = Some(Box::new(|from, to, body| from == 0 && matches!(body, Message::Views(_)) && to != 2));
        let members = if left_out { &[1, 2, 3, 4][..] } else { &[0, 1, 2, 3, 4, 5][..] };
        begin(&mut lab, 0, members, 2);
        lab.deliver_until(|lab| lab.node(2).view().id.epoch == 1);
        assert_eq!(epochs(&lab), [1, 0, 1, 0, 0, 0].map(Some));
        lab.crash(0);
        lab.run(1000);
        assert_eq!(epochs(&lab)[1..], [Some(1); 5]);
        check_reads(&mut lab, &[1, 2, 3, 4, 5], &contents);
        // It is waited for: it may hold what nobody else does. Once it is back, empty, nobody waits any more.
        lab.lose = None;
        lab.start(0);
        lab.run(3000);
        check_homes(&lab, &contents);
        check_reads(&mut lab, &[0, 1, 2, 3, 4, 5], &contents);
    }
}

/// 11.2: wherever a change is, its coordinator may die, stand still or be cut off: all end in one view, settled, and nothing is lost.
#[test]
fn a_coordinator_may_fail_at_any_step() {
    for coordinator in [0, 4] {
        let begun = || {
            let mut lab = Lab::with_spares(4, 2, 2);
            let contents = fill(&mut lab, &[0, 1, 2, 3], 12);
            lab.run(300);
            let id = begin(&mut lab, coordinator, &[0, 1, 2, 3, 4, 5], 2);
            (lab, contents, id)
        };
        let (mut lab, _, id) = begun();
        let mut steps = 0;
        while !lab.replies.contains_key(&id) {
            lab.deliver_some(1);
            steps += 1;
        }
        let mut views = BTreeSet::new();
        for blow in [Blow::Crash, Blow::Pause, Blow::CutOff] {
            for step in (blow as usize..steps).step_by(8) {
                let (mut lab, contents, _) = begun();
                lab.deliver_some(step);
                blow.strike(&mut lab, coordinator);
                lab.run(3000);
                views.insert(lab.node(1).view().id.epoch);
                check_homes(&lab, &contents);
                // No lease is left behind either.
                change(&mut lab, 1, &[1, 2, 3, 5], 2);
                check_homes(&lab, &contents);
                check_reads(&mut lab, &[0, 3, 5], &contents);
            }
        }
        assert_eq!(views, BTreeSet::from([0, 1]), "some of {steps} steps come before the view, and some after");
    }
}

/// What happens to a coordinator, for longer than its leases last.
#[derive(Clone, Copy)]
enum Blow {
    Crash,
    Pause,
    CutOff,
}

impl Blow {
    fn strike(self, lab: &mut Lab, at: usize) {
        let lasts = 2500;
        match self {
            Self::Crash => {
                lab.crash(at);
                lab.run(lasts);
                lab.start(at);
            }
            Self::Pause => {
                let node = lab.nodes[at].take();
                lab.run(lasts);
                lab.nodes[at] = node;
            }
            Self::CutOff => {
                for other in (0..lab.nodes.len()).filter(|other| *other != at) {
                    lab.cut(at, other);
                }
                lab.run(lasts);
                lab.heal();
            }
        }
    }
}

/// 11.1: one replica of each shard that has recovered is enough, if no more than one of a shard is given up.
#[test]
fn dead_replicas_are_left_out() {
    let mut lab = Lab::new(4, 2);
    let contents = fill(&mut lab, &[0, 1, 2, 3], 20);
    lab.run(500);
    lab.crash(1);
    lab.crash(2);
    change(&mut lab, 0, &[0, 3], 1);
    lab.run(1000);
    check_homes(&lab, &contents);
    check_reads(&mut lab, &[0, 3], &contents);
    // They start with an old environment, and learn that they are spares.
    lab.start(1);
    lab.start(2);
    lab.run(12_000);
    check_homes(&lab, &contents);
    check_reads(&mut lab, &[0, 1, 2, 3], &contents);
}

/// 11.1: where two replicas of a shard would be given up the change is refused, unless it is forced; then it is said.
#[test]
fn more_than_one_dead_replica_of_a_shard_is_left_out_by_force_only() {
    let mut lab = Lab::new(6, 3);
    let contents = fill(&mut lab, &[0, 1, 2, 3, 4, 5], 20);
    lab.run(500);
    for at in [1, 2, 3, 5] {
        lab.crash(at);
    }
    let pair = asked(&lab, &[0, 4], 1);
    let reply = ask(&mut lab, 4, pair.clone());
    assert!(matches!(reply.outcome, Outcome::Refused(Refusal::WouldGiveUp(_))), "{:?}", reply.outcome);
    let reply = ask(&mut lab, 4, ViewChange { force: true, ..pair });
    assert_eq!((changed(&reply).settled, changed(&reply).given_up.len()), (true, 2));
    lab.run(1000);
    check_homes(&lab, &contents);
    check_reads(&mut lab, &[0, 4], &contents);
}

/// 11.1: a new member that does not answer is named, and nothing has changed.
#[test]
fn a_new_member_that_does_not_answer_is_named() {
    let mut lab = Lab::with_spares(2, 2, 1);
    lab.crash(2);
    let more = asked(&lab, &[0, 1, 2], 3);
    let reply = ask(&mut lab, 0, more);
    let Outcome::Refused(Refusal::BadView(text)) = &reply.outcome else { panic!("{:?}", reply.outcome) };
    assert!(text.contains(lab.addresses[2].as_str()), "{text}");
    assert_eq!(epochs(&lab), [Some(0), Some(0), None]);
}

/// 11.6: a new owner that starts again in the middle gets everything anew, and the change settles.
#[test]
fn a_new_owner_that_starts_again_gets_everything_anew() {
    let mut lab = Lab::with_spares(4, 2, 2);
    let contents = fill(&mut lab, &[0, 1, 2, 3], 30);
    lab.lose = Some(Box::new(|from, _, body| {
        from == 3 && matches!(body, Message::SyncChunk(chunk) if chunk.legacy.is_some())
    }));
    begin(&mut lab, 0, &[0, 1, 2, 3, 4, 5], 2);
    lab.deliver();
    lab.run(300);
    lab.crash(4);
    lab.run(300);
    lab.start(4);
    lab.run(500);
    check_reads(&mut lab, &[0, 1, 2, 3, 5], &contents);
    lab.lose = None;
    lab.run(3000);
    check_homes(&lab, &contents);
    check_reads(&mut lab, &[0, 1, 2, 3, 4, 5], &contents);
}

/// 11.6: what a shard said of a former view lapses with the last of the lives that said it, also where others have heard it.
#[test]
fn a_statement_lapses_with_those_who_made_it() {
    let mut lab = Lab::with_spares(3, 1, 1);
    let contents = fill(&mut lab, &[0, 1, 2], 30);
    let is_given = |body: &Message| matches!(body, Message::SyncChunk(chunk) if chunk.legacy.is_some());
    lab.lose = Some(Box::new(move |_, to, body| to == 1 && is_given(body)));
    begin(&mut lab, 1, &[3, 1], 1);
    lab.deliver();
    lab.run(500);
    assert_eq!(lab.node(1).outstanding().len(), 1, "the shard of 3 has said that it has everything, that of 1 has not");
    lab.crash(3);
    lab.lose = Some(Box::new(move |_, to, body| to == 3 && is_given(body)));
    lab.start(3);
    lab.run(3000);
    assert!(!lab.node(1).is_settled(), "3 holds nothing, and the old owners are the only ones that do");
    lab.lose = None;
    lab.run(3000);
    check_homes(&lab, &contents);
    check_reads(&mut lab, &[0, 1, 2, 3], &contents);
}

/// 11.1: a change is in progress until it is settled, not until everybody has heard that it is.
#[test]
fn a_change_that_somebody_knows_to_be_settled_holds_up_no_other() {
    let mut lab = Lab::with_spares(4, 2, 1);
    let contents = fill(&mut lab, &[0, 1, 2, 3], 30);
    lab.lose = Some(Box::new(|_, to, body| to == 3 && matches!(body, Message::Gossip { .. })));
    change(&mut lab, 1, &[0, 1, 2, 3, 4], 2);
    assert!(lab.node(1).is_settled() && !lab.node(3).is_settled(), "3 has not heard what the other shard has said");
    let id = begin(&mut lab, 3, &[0, 1, 2, 3], 2);
    lab.deliver();
    lab.lose = None;
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    lab.run(1000);
    check_homes(&lab, &contents);
}

/// 11.6: what shards have said of a former view they have said under the view of then, of their slots in that. A forced change that
/// comes before it is settled asks them anew, also those whose number lives on.
#[test]
fn what_shards_have_said_counts_for_the_view_that_they_said_it_in() {
    let mut lab = Lab::with_spares(1, 1, 2);
    let contents = fill(&mut lab, &[0], 60);
    lab.run(500);
    let is_given = |body: &Message| matches!(body, Message::SyncChunk(chunk) if chunk.legacy.is_some());
    lab.lose = Some(Box::new(move |_, to, body| to == 2 && is_given(body)));
    begin(&mut lab, 0, &[0, 1, 2], 1);
    lab.deliver();
    lab.run(1000);
    assert_eq!(lab.node(0).outstanding().len(), 1, "all but the shard of 2 have said that they have everything");
    lab.lose = Some(Box::new(move |from, to, body| from != to && is_given(body)));
    let forced = ViewChange { force: true, ..asked(&lab, &[0, 1, 2], 3) };
    let id = lab.submit(1, Action::ChangeView(forced), &Context::default(), DEADLINE);
    lab.run(1000);
    assert_eq!(epochs(&lab), [Some(2); 3]);
    for at in 0..3 {
        assert_eq!(lab.node(at).change_report().former, [0, 1], "nothing has been handed over, says {at}");
    }
    lab.lose = None;
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    lab.run(1000);
    assert!(!lab.happened(|event| matches!(event, Event::DigestMismatch(_))));
    check_homes(&lab, &contents);
    check_reads(&mut lab, &[0, 1, 2], &contents);
}

/// 11.6, 11.7: forced changes chain as many views as can be told of, and no more; when hand-offs get through again nothing is lost.
#[test]
fn a_chain_of_forced_changes_has_an_end() {
    let mut lab = Lab::with_spares(1, 1, 1);
    let contents = fill(&mut lab, &[0], 20);
    lose_hand_offs(&mut lab);
    let mut refused = None;
    for change in 1..=FORMER_VIEWS_MAX + 1 {
        let forced = ViewChange { force: true, ..asked(&lab, &[change % 2], 1) };
        let id = lab.submit(0, Action::ChangeView(forced), &Context::default(), Duration::from_millis(500));
        refused = match lab.answer(id, DEADLINE).outcome {
            Outcome::Changed(_) => None,
            outcome => Some(outcome),
        };
        lab.run(300);
    }
    let Some(Outcome::Refused(Refusal::ViewChangeInProgress(why))) = refused else { panic!("{refused:?}") };
    assert!(why.starts_with("17 views have not settled, and no more than 16"), "{why}");
    assert_eq!(epochs(&lab), [Some(16); 2]);
    lab.lose = None;
    lab.run(8000);
    check_homes(&lab, &contents);
    check_reads(&mut lab, &[0, 1], &contents);
}

/// Whether a message hands something over, from this node to another.
pub(crate) fn is_given_by(sender: usize) -> Lose {
    let is_given = |body: &Message| matches!(body, Message::SyncChunk(chunk) if chunk.legacy.is_some());
    Box::new(move |from, to, body| from == sender && to != sender && is_given(body))
}

/// 11.4, 11.6: an older view is not settled before a later one: the members of that may have got nothing of it, and those of a further
/// view would take their word.
#[test]
fn an_older_view_is_not_settled_before_a_later_one() {
    let mut lab = Lab::with_spares(1, 1, 3);
    let contents = fill(&mut lab, &[0], 20);
    lab.run(500);
    lab.lose = Some(is_given_by(0));
    begin(&mut lab, 0, &[1], 1);
    lab.deliver();
    lab.run(300);
    lab.lose = Some(is_given_by(1));
    let forced = ViewChange { force: true, ..asked(&lab, &[2], 1) };
    lab.submit(1, Action::ChangeView(forced.clone()), &Context::default(), DEADLINE);
    lab.run(1000);
    assert_eq!(epochs(&lab), [Some(2); 4]);
    assert_eq!(lab.node(2).change_report().former, [0, 1], "all of the first view is here, and nothing of the second");
    check_reads(&mut lab, &[0, 1, 2, 3], &contents);
    lab.lose = Some(is_given_by(2));
    let forced = ViewChange { members: vec![lab.addresses[3].clone()], ..forced };
    let id = lab.submit(2, Action::ChangeView(forced), &Context::default(), DEADLINE);
    lab.run(100);
    assert_eq!(epochs(&lab), [Some(3); 4]);
    check_reads(&mut lab, &[0, 1, 2, 3], &contents);
    lab.lose = None;
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    lab.run(1000);
    check_homes(&lab, &contents);
    check_reads(&mut lab, &[0, 1, 2, 3], &contents);
}

/// 8.2, 11.4: who came to hold something of a view before it had got what an older one wrote does not outdo that: of two views made at
/// once the one that was not chosen is heard of when everything older is settled.
#[test]
fn who_lacked_what_an_older_view_wrote_does_not_outdo_it() {
    let mut lab = Lab::with_spares(1, 1, 2);
    let contents = fill(&mut lab, &[0], 20);
    lab.run(500);
    lab.cut(1, 2);
    lab.lose = Some(Box::new(|from, _, body| from == 1 && matches!(body, Message::Views(_))));
    begin(&mut lab, 1, &[1], 1);
    // The lease runs out: the old member has never heard of the view.
    lab.run(2500);
    assert_eq!(epochs(&lab), [0, 1, 0].map(Some));
    change(&mut lab, 2, &[2], 1);
    assert!(lab.node(2).is_settled());
    lab.lose = Some(is_given_by(1));
    lab.heal();
    lab.run(500);
    let former = lab.node(2).change_report().former;
    assert_eq!(former, [1], "the view of 1 is a former one");
    check_reads(&mut lab, &[0, 1, 2], &contents);
    lab.lose = None;
    lab.run(1000);
    check_homes(&lab, &contents);
    check_reads(&mut lab, &[0, 1, 2], &contents);
}
