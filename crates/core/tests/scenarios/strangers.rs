//! Nodes that start with another environment than the cluster that they are members of (design 3.3, 15.6).

use precede_core::causality::context::Context;
use precede_core::event::Event;
use precede_core::id::{Address, ShardId, ViewId};
use precede_core::placement::view::{Shard, View};
use precede_core::wire::message::{Envelope, Message};
use precede_core::wire::request::{Outcome, Refusal};

use crate::changes::{Contents, change, check_homes, check_reads, discarded, epochs, fill};
use crate::lab::{Lab, value};

/// Four members and a fifth that was taken in; epoch 1.
fn grown() -> (Lab, Contents) {
    let mut lab = Lab::with_spares(4, 2, 1);
    let contents = fill(&mut lab, &[0, 1, 2, 3], 40);
    change(&mut lab, 0, &[0, 1, 2, 3, 4], 2);
    lab.run(500);
    (lab, contents)
}

fn alone(lab: &Lab, at: usize) -> View {
    View::bootstrap(&lab.addresses[at..=at], 1).unwrap()
}

fn nobody() -> Address {
    Address::parse("10.9.9.9:80", None).unwrap()
}

/// Somebody who holds another shard than a node.
fn of_another_shard(lab: &Lab, at: usize) -> usize {
    let shard = lab.node(at).shard();
    (0..4).find(|other| lab.node(*other).shard() != shard).unwrap()
}

fn cut_off(lab: &mut Lab, at: usize) {
    for other in (0..lab.nodes.len()).filter(|other| *other != at) {
        lab.cut(at, other);
    }
}

fn refused(lab: &Lab, at: usize) -> usize {
    let by_node =
        lab.events.iter().filter(|(node, event)| *node == at && matches!(event, Event::StrangerRefused { .. }));
    by_node.count()
}

/// 3.3: whatever view a member starts with again, it learns of its cluster from whoever of it speaks to it, and recovers there.
#[test]
fn a_member_that_starts_with_another_view_is_called_back() {
    for environment in 0..5 {
        let (mut lab, contents) = grown();
        let dead = of_another_shard(&lab, 4);
        if environment == 1 {
            lab.crash(dead);
        }
        lab.crash(4);
        lab.run(500);
        let list = |members: &[&Address]| members.iter().copied().cloned().collect::<Vec<_>>();
        let all: Vec<&Address> = lab.addresses.iter().collect();
        let (members, factor) = match environment {
            0 => (list(&[all[4]]), 1),
            1 => (list(&[all[dead]]), 1),
            2 => (list(&all), 2),
            3 => (list(&[all[4], &nobody()]), 2),
            _ => (list(&[&nobody()]), 1),
        };
        let view = View::bootstrap(&members, factor).unwrap();
        lab.start_with(4, view, None);
        lab.run(1000);
        assert_eq!(epochs(&lab)[4], Some(1), "environment {environment}");
        assert!(lab.node(4).report(lab.now()).recovered, "environment {environment}");
        check_reads(&mut lab, &[4], &contents);
        assert_eq!(discarded(&lab, 4), []);
        if environment == 1 {
            lab.start(dead);
            lab.run(1000);
        }
        check_homes(&lab, &contents);
        check_reads(&mut lab, &[0, 1, 2, 3, 4], &contents);
    }
}

/// 3.3: two members that start with a view of themselves form a cluster of their own as long as nobody else reaches them.
#[test]
fn members_that_have_met_one_another_alone_are_called_back() {
    let (mut lab, contents) = grown();
    let other = of_another_shard(&lab, 4);
    let pair = View::bootstrap(&[lab.addresses[4].clone(), lab.addresses[other].clone()], 1).unwrap();
    for at in [4, other] {
        lab.crash(at);
        cut_off(&mut lab, at);
    }
    lab.cut.retain(|pair| ![(4, other), (other, 4)].contains(pair));
    for at in [4, other] {
        lab.start_with(at, pair.clone(), None);
    }
    lab.run(500);
    assert!(lab.node(4).report(lab.now()).met && lab.node(other).report(lab.now()).met);
    lab.put(4, "stray", "never", &Context::default());
    lab.heal();
    lab.run(1500);
    assert_eq!(lab.events.iter().filter(|(_, event)| matches!(event, Event::Discarded { entries: 1, .. })).count(), 1);
    check_homes(&lab, &contents);
    check_reads(&mut lab, &[0, 1, 2, 3, 4], &contents);
}

/// 3.3, 15.5: what a member has taken under a first view of its own is given up, and that is said; nobody is told that what it
/// held as stable is; a context that names what was given up is refused for good, not answered without it.
#[test]
fn what_a_member_took_under_a_view_of_its_own_is_given_up() {
    let (mut lab, contents) = grown();
    lab.crash(4);
    cut_off(&mut lab, 4);
    let view = alone(&lab, 4);
    lab.start_with(4, view, None);
    // Meanwhile somebody else holds the cluster's stable timestamp back.
    let silent = of_another_shard(&lab, 4);
    cut_off(&mut lab, silent);
    lab.run(3000);
    let stray = lab.put(4, "stray", "never", &Context::default());
    lab.run(100);
    let (mine, theirs) = (lab.node(4).report(lab.now()).stable, lab.node(0).report(lab.now()).stable);
    assert!(mine > theirs);
    lab.cut.retain(|(from, to)| *from == silent || *to == silent);
    lab.run(1000);
    assert_eq!(discarded(&lab, 4), [(1, false)]);
    let stable: Vec<_> = (0..5).filter(|at| *at != silent).map(|at| lab.node(at).report(lab.now()).stable).collect();
    assert!(stable.iter().all(|stable| *stable < mine), "{mine:?}: {stable:?}");
    lab.heal();
    lab.run(1000);
    check_homes(&lab, &contents);
    check_reads(&mut lab, &[0, 1, 2, 3, 4], &contents);
    assert_eq!(value(&lab.get(4, "stray", &Context::default())), None);
    assert_eq!(lab.get(4, "stray", &stray.context).outcome, Outcome::Refused(Refusal::ViewLost));
}

/// 15.6: a name that was set on purpose is held to, and those who knock are not told of with every message.
#[test]
fn a_name_that_was_set_is_held_to() {
    let (mut lab, _) = grown();
    lab.crash(4);
    let view = alone(&lab, 4);
    lab.start_with(4, view, Some("other"));
    lab.put(4, "mine", "kept", &Context::default());
    let sent = lab.sent.len();
    lab.run(8000);
    assert_eq!(epochs(&lab)[4], Some(0));
    assert_eq!(value(&lab.get(4, "mine", &Context::default())).as_deref(), Some("kept"));
    assert!(lab.sent[sent..].iter().filter(|(_, to, _)| *to == 4).count() > 300);
    assert!((1..=4).contains(&refused(&lab, 4)), "{} events", refused(&lab, 4));
    let refused: u64 = lab
        .events
        .iter()
        .map(|(_, event)| if let Event::StrangerRefused { messages, .. } = event { *messages } else { 0 })
        .sum();
    assert!(refused >= 1);
}

/// 3.3: a cluster that has a node in its view calls it back, no other: one that has left is told as long as it holds nothing, and
/// keeps what it has taken otherwise.
#[test]
fn a_node_that_has_left_is_its_own() {
    for writes in [false, true] {
        let (mut lab, contents) = grown();
        change(&mut lab, 0, &[0, 1, 2, 3], 2);
        lab.run(500);
        lab.crash(4);
        cut_off(&mut lab, 4);
        let view = alone(&lab, 4);
        lab.start_with(4, view, None);
        lab.run(100);
        if writes {
            lab.put(4, "mine", "kept", &Context::default());
        }
        lab.heal();
        lab.run(2000);
        if writes {
            assert_eq!(epochs(&lab)[4], Some(0));
            assert_eq!(value(&lab.get(4, "mine", &Context::default())).as_deref(), Some("kept"));
            lab.crash(4);
        } else {
            check_reads(&mut lab, &[4], &contents);
        }
        check_homes(&lab, &contents);
    }
}

/// 3.3: the first view of others is never acted on.
#[test]
fn first_views_do_not_mix() {
    let mut lab = Lab::new(4, 2);
    let contents = fill(&mut lab, &[0, 1, 2, 3], 20);
    lab.crash(3);
    let view = alone(&lab, 3);
    lab.start_with(3, view.clone(), None);
    lab.run(3000);
    assert_eq!(lab.node(3).view().id, view.id);
    assert!((0..3).all(|at| lab.node(at).view().id == lab.view.id));
    lab.crash(3);
    lab.start(3);
    lab.run(1000);
    check_homes(&lab, &contents);
}

/// 3.4, 11.2: no record that anybody may send stops a node, or is adopted where no coordinator makes such a view.
#[test]
fn a_view_beyond_all_bounds_is_no_view() {
    let (mut lab, contents) = grown();
    let told = lab.sent.iter().find_map(|(from, to, envelope)| match &envelope.body {
        Message::Views(news) if *to == 1 && news.current.id.epoch == 1 => Some((*from, envelope.clone(), news.clone())),
        _ => None,
    });
    let (from, envelope, news) = told.unwrap();
    let bad = |lab: &Lab| lab.events.iter().filter(|(_, event)| matches!(event, Event::BadMessage { .. })).count();
    let mut expected = 0;
    for case in 0..4 {
        let mut news = news.clone();
        let view = ViewId { epoch: 2, ..news.current.id };
        news.current.id = view;
        match case {
            0 => news.current.id.epoch = u32::MAX,
            1 => news.current.last_shard = ShardId(u32::MAX),
            2 => {
                let empty = (10..50_000).map(|id| Shard { id: ShardId(id), replicas: Vec::new() });
                news.current.shards.extend(empty);
            }
            _ => news.current.repl_factor = u32::MAX,
        }
        let envelope = Envelope { view: news.current.id, body: Message::Views(news), ..envelope.clone() };
        lab.step(1, precede_core::input::Input::Message(Box::new(envelope)));
        expected += 1;
        assert_eq!((bad(&lab), epochs(&lab)[1]), (expected, Some(1)), "case {case} from {from}");
    }
    lab.run(500);
    change(&mut lab, 1, &[0, 1, 2, 3], 2);
    lab.run(500);
    check_homes(&lab, &contents);
}
