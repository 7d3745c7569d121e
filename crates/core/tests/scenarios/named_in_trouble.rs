//! Named writes where something is silent, full or gone (design 7.6, ADR 12).

use precede_core::wire::message::Message;
use precede_core::wire::request::{Outcome, Refusal};

use crate::changes::begin;
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
