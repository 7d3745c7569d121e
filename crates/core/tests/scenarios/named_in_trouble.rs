//! Named writes where something is silent, full or gone (design 7.6, ADR 12).

use precede_core::replication::names::NAME_BYTES;
use precede_core::wire::message::Message;
use precede_core::wire::request::{Outcome, Refusal};

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
