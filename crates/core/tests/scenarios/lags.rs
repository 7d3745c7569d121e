//! What a node can tell of the others: who is behind, for how long, and what is still to be handed over.

use std::time::Duration;

use precede_core::causality::context::Context;
use precede_core::node::MemberReport;
use precede_core::wire::message::Message;

use crate::changes::{DEADLINE, begin, changed};
use crate::lab::Lab;

const YOUNG: Duration = Duration::from_millis(300);

/// What one node knows of another.
fn known(lab: &Lab, by: usize, of: usize) -> MemberReport {
    let members = lab.node(by).members(lab.now());
    members.into_iter().find(|member| member.address == lab.addresses[of]).unwrap()
}

fn lag(lab: &Lab, by: usize, of: usize) -> Duration {
    known(lab, by, of).lag.unwrap()
}

/// Of the only other replica.
fn peer_lag(lab: &Lab, by: usize) -> Duration {
    lab.node(by).report(lab.now()).peers[0].lag.unwrap()
}

fn stable_age(lab: &Lab, by: usize) -> Duration {
    lab.node(by).stable_age(lab.now()).unwrap()
}

/// Also within the two minutes in which the logical clock of a new cluster stands still.
#[test]
fn one_that_is_cut_off_falls_behind_until_it_is_back() {
    let mut lab = Lab::new(4, 2);
    lab.put(0, "k", "v", &Context::default());
    lab.run(1000);
    for by in 0..4 {
        assert!((0..4).all(|of| lag(&lab, by, of) <= YOUNG && known(&lab, by, of).up), "{by}");
        assert!(stable_age(&lab, by) <= YOUNG, "{by}");
    }
    (0..3).for_each(|at| lab.cut(at, 3));
    for write in 0..30 {
        lab.put(0, &format!("k{write}"), "v", &Context::default());
        lab.run(100);
    }
    let peer = (0..3).find(|at| lab.node(*at).shard() == lab.node(3).shard()).unwrap();
    for by in 0..3 {
        // The other replica of its shard cannot know what it has written, and so is behind too.
        assert!((0..3).filter(|of| *of != peer).all(|of| lag(&lab, by, of) <= YOUNG), "{by}");
        let long = Duration::from_millis(2500);
        assert!(lag(&lab, by, 3) >= long && stable_age(&lab, by) >= long, "{by}");
        assert!(known(&lab, by, 3).heard.unwrap() >= long, "{by}");
        assert!((0..4).all(|of| known(&lab, by, of).heard.is_some() || of == by), "{by}");
    }
    assert!(!known(&lab, peer, 3).up, "its stream is silent");
    assert!(peer_lag(&lab, peer) >= Duration::from_millis(2500), "it has nothing of the peer's writes");
    lab.heal();
    lab.run(1000);
    for by in 0..4 {
        assert!((0..4).all(|of| lag(&lab, by, of) <= YOUNG && known(&lab, by, of).up), "{by}");
        assert!(stable_age(&lab, by) <= YOUNG && peer_lag(&lab, by) <= YOUNG, "{by}");
    }
}

/// While nothing is written the logical clock of a new cluster stands still: then a silence alone tells.
#[test]
fn one_that_is_silent_is_behind_though_nothing_was_written() {
    let mut lab = Lab::new(2, 2);
    lab.run(500);
    lab.cut(0, 1);
    lab.run(3000);
    assert!(lag(&lab, 0, 1) >= Duration::from_millis(2500) && stable_age(&lab, 0) <= YOUNG);
    lab.heal();
    lab.run(500);
    assert!(lag(&lab, 0, 1) <= YOUNG);
}

#[test]
fn spares_are_not_told_how_far_members_are() {
    let mut lab = Lab::with_spares(2, 2, 1);
    lab.run(500);
    assert!(lab.node(2).members(lab.now()).iter().all(|member| member.lag.is_none()));
    assert_eq!(lab.node(2).stable_age(lab.now()), None);
}

#[test]
fn what_is_still_to_be_handed_over_is_told() {
    let mut lab = Lab::with_spares(4, 2, 1);
    lab.put(0, "k", "v", &Context::default());
    lab.run(500);
    let told = |lab: &Lab, at: usize| {
        let report = lab.node(at).change_report();
        (report.hand_offs_done, report.hand_offs_required)
    };
    assert_eq!(told(&lab, 0), (0, 0), "nothing changes");
    // Nothing of legacies reaches the new member, and 1 leaves.
    lab.lose = Some(Box::new(|_, to, body| to == 4 && matches!(body, Message::SyncChunk(_))));
    let id = begin(&mut lab, 0, &[0, 2, 3, 4], 2);
    lab.deliver();
    lab.run(1000);
    let (done, required) = told(&lab, 4);
    assert!(done == 0 && required > 0, "{done} of {required}");
    let left = known(&lab, 0, 1);
    assert_eq!((left.shard, left.lag), (None, None), "it has left, and still hands over");
    lab.lose = None;
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    lab.run(500);
    assert_eq!(told(&lab, 4), (0, 0));
    assert!(lab.node(0).members(lab.now()).iter().all(|member| member.address != lab.addresses[1]));
}
