//! View changes, step by step (design 11): what is held where before, during and after them.

use precede_core::causality::context::Context;
use precede_core::placement::hash::key_hash;
use precede_core::wire::request::{Action, Outcome, ViewChange};

use crate::changes::{
    DEADLINE, ask, asked, begin, change, changed, check_homes, check_reads, discarded, epochs, fill, lose_hand_offs,
    thin_out,
};
use crate::lab::{Lab, value};

/// 11.3, 11.4, 11.8: a shard more; the answer counts the keys of each.
#[test]
fn a_cluster_grows_by_a_shard() {
    let mut lab = Lab::with_spares(4, 2, 2);
    let mut contents = fill(&mut lab, &[0, 1, 2, 3, 4, 5], 40);
    thin_out(&mut lab, 1, &mut contents);
    let done = change(&mut lab, 0, &[0, 1, 2, 3, 4, 5], 2);
    assert_eq!((done.epoch, done.shards.len(), done.outstanding.len()), (1, 3, 0));
    let live = contents.values().filter(|(content, _)| content.is_some()).count();
    assert_eq!(done.shards.iter().map(|(_, _, keys)| keys.unwrap()).sum::<u64>(), live as u64);
    lab.run(1000);
    check_homes(&lab, &contents);
    check_reads(&mut lab, &[0, 1, 2, 3, 4, 5], &contents);
}

/// 11.3, 11.4: a shard less; whoever leaves holds nothing and still answers for the others.
#[test]
fn a_cluster_shrinks_by_a_shard() {
    let mut lab = Lab::new(6, 2);
    let mut contents = fill(&mut lab, &[0, 1, 2, 3, 4, 5], 40);
    thin_out(&mut lab, 5, &mut contents);
    let done = change(&mut lab, 5, &[0, 1, 2, 3], 2);
    assert_eq!(done.shards.len(), 2);
    lab.run(1000);
    check_homes(&lab, &contents);
    for at in [4, 5] {
        assert!(lab.node(at).report(lab.now()).spare);
        assert_eq!(discarded(&lab, at), [], "what was handed over was not given up");
    }
    check_reads(&mut lab, &[0, 1, 2, 3, 4, 5], &contents);
}

/// 11.3: no node is in both views.
#[test]
fn all_nodes_are_replaced() {
    let mut lab = Lab::with_spares(4, 2, 4);
    let mut contents = fill(&mut lab, &[0, 1, 2, 3], 40);
    thin_out(&mut lab, 3, &mut contents);
    change(&mut lab, 2, &[4, 5, 6, 7], 2);
    lab.run(1000);
    check_homes(&lab, &contents);
    check_reads(&mut lab, &[0, 3, 4, 7], &contents);
    // Nobody needs the old ones any more.
    for at in 0..4 {
        lab.crash(at);
    }
    check_reads(&mut lab, &[4, 5, 6, 7], &contents);
}

/// 11.3: whoever leaves takes requests before, during and after it.
#[test]
fn a_node_that_leaves_refuses_nothing() {
    let mut lab = Lab::new(6, 2);
    let mut contents = fill(&mut lab, &[4, 5], 12);
    let id = begin(&mut lab, 0, &[0, 1, 2, 3], 2);
    for at in 12..36 {
        let (key, text) = (format!("key{at}"), format!("value{at}"));
        let reply = lab.put(4 + at % 2, &key, &text, &Context::default());
        contents.insert(key, (Some(text), reply.context));
        lab.run(5);
    }
    check_reads(&mut lab, &[4, 5], &contents);
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    for (key, (content, context)) in &mut contents {
        let text = format!("{key} again");
        *context = lab.put(4, key, &text, context).context;
        *content = Some(text);
    }
    lab.run(1000);
    check_homes(&lab, &contents);
    check_reads(&mut lab, &[0, 5], &contents);
}

/// 11.5: contexts of before, from within and of after a change are good under every later view.
#[test]
fn contexts_are_good_across_changes_there_and_back() {
    let mut lab = Lab::with_spares(4, 2, 2);
    let mut contents = fill(&mut lab, &[0, 2], 12);
    let all = [0, 1, 2, 3, 4, 5];
    for (step, (by, members)) in [(3, &all[..]), (4, &all[..4])].into_iter().enumerate() {
        lose_hand_offs(&mut lab);
        let id = begin(&mut lab, by, members, 2);
        lab.deliver();
        lab.run(100);
        assert_eq!(epochs(&lab), [Some(u32::try_from(step).unwrap() + 1); 6]);
        check_reads(&mut lab, &all, &contents);
        let more = 12 * (step + 1);
        for at in more..more + 12 {
            let (key, text) = (format!("key{at}"), format!("value{at}"));
            let cause = contents[&format!("key{}", at - 12)].1.clone();
            let reply = lab.put(at % 6, &key, &text, &cause);
            contents.insert(key, (Some(text), reply.context));
        }
        check_reads(&mut lab, &all, &contents);
        lab.lose = None;
        assert!(changed(&lab.answer(id, DEADLINE)).settled);
        check_reads(&mut lab, &all, &contents);
        lab.run(1000);
        check_homes(&lab, &contents);
    }
    // At rest nothing of the former views is left in them.
    let (_, context) = &contents["key0"];
    assert!(lab.get(1, "key0", context).context.entries.is_empty());
}

/// 8.2, 9, 11.4: what is deleted stays so, whether its tombstone is there still or is gone, before a move or during it.
#[test]
fn deleted_keys_stay_deleted_over_a_move() {
    let mut lab = Lab::with_spares(4, 2, 4);
    let mut contents = fill(&mut lab, &[0, 1, 2, 3], 30);
    thin_out(&mut lab, 0, &mut contents);
    lab.run(1500);
    assert!((0..4).all(|at| lab.node(at).report(lab.now()).tombstones == 0));
    // One replica lacks these deletes when the move begins, and shows the keys still.
    lab.cut(0, 1);
    lab.cut(2, 3);
    for (key, (content, context)) in contents.iter_mut().skip(1).step_by(3) {
        let at = if lab.view.shard_of_hash(key_hash(key.as_bytes())).id.0 == 1 { 0 } else { 2 };
        *context = lab.delete(at, key, context).context;
        *content = None;
    }
    lose_hand_offs(&mut lab);
    let id = begin(&mut lab, 0, &[4, 5, 6, 7], 2);
    lab.deliver();
    lab.run(100);
    check_reads(&mut lab, &[4, 5, 6, 7], &contents);
    for (key, (content, context)) in contents.iter_mut().skip(2).step_by(6) {
        *context = lab.delete(5, key, context).context;
        *content = None;
    }
    check_reads(&mut lab, &[0, 4, 5, 6, 7], &contents);
    lab.lose = None;
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    lab.heal();
    lab.run(2000);
    check_homes(&lab, &contents);
    check_reads(&mut lab, &[0, 4, 5, 6, 7], &contents);
    assert!((4..8).all(|at| lab.node(at).report(lab.now()).tombstones == 0), "tombstones go once the move is settled");
}

/// 11.4: a key in transit is fetched, and is never said to be absent; a write and a delete of it tell what was there.
#[test]
fn a_key_in_transit_is_never_absent() {
    let mut lab = Lab::with_spares(2, 2, 2);
    let contents = fill(&mut lab, &[0, 1], 20);
    lose_hand_offs(&mut lab);
    let id = begin(&mut lab, 0, &[2, 3], 2);
    lab.deliver();
    lab.run(200);
    assert!(lab.node(2).dump().is_empty(), "nothing has been handed over");
    for (at, (key, (content, _))) in contents.iter().enumerate() {
        // Without a context nothing but the rule itself asks for the key.
        let read = lab.get(2 + at % 2, key, &Context::default());
        assert_eq!(value(&read), *content, "{key}");
    }
    let over = lab.put(3, "key7", "over", &Context::default());
    assert_eq!(over.outcome, Outcome::Written { replaced: true, concern_met: true });
    let gone = lab.delete(2, "key8", &Context::default());
    assert_eq!(gone.outcome, Outcome::Deleted { concern_met: true });
    assert_eq!(lab.delete(2, "never", &Context::default()).outcome, Outcome::Absent);
    assert_eq!(value(&lab.get(3, "never", &Context::default())), None);
    lab.lose = None;
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    assert_eq!(value(&lab.get(2, "key7", &over.context)).as_deref(), Some("over"));
    assert_eq!(value(&lab.get(3, "key8", &gone.context)), None);
}

/// 11.1: what would be done is told, and nothing is.
#[test]
fn a_dry_run_changes_nothing() {
    let mut lab = Lab::with_spares(4, 2, 2);
    let contents = fill(&mut lab, &[0, 1, 2, 3], 40);
    lab.run(500);
    let plan = ViewChange { dry_run: true, ..asked(&lab, &[0, 1, 2, 3, 4, 5], 2) };
    let reply = ask(&mut lab, 0, plan);
    let moves = &changed(&reply).moves;
    assert_eq!((changed(&reply).epoch, moves.len()), (1, 4), "{moves:?}");
    assert!(moves.iter().map(|transfer| transfer.keys).sum::<u64>() > 10);
    assert_eq!(epochs(&lab), [Some(0); 6]);
    // One that is being made holds up no change: it asks for no lease.
    lab.cut(0, 5);
    let plan = ViewChange { dry_run: true, ..asked(&lab, &[0, 1, 2, 3, 4, 5], 2) };
    let id = lab.submit(0, Action::ChangeView(plan), &Context::default(), DEADLINE);
    lab.deliver();
    lab.heal();
    change(&mut lab, 1, &[0, 1, 2, 3, 4, 5], 2);
    assert!(lab.replies.contains_key(&id));
    lab.run(1000);
    check_homes(&lab, &contents);
}
