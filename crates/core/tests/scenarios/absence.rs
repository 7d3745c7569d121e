//! Executions in which a new owner took an old member's word for too much: what one has that others have deleted and collected,
//! and what one does not have that others have (design 8.2, 9, 11.4).

use precede_core::causality::context::Context;
use precede_core::event::Event;
use precede_core::input::Input;
use precede_core::wire::message::Message;
use precede_core::wire::request::{Outcome, Refusal, Reply};

use crate::changes::{DEADLINE, begin, change, changed};
use crate::lab::{Lab, value};

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;
const N: usize = 3;

fn is_hand_off(message: &Message) -> bool {
    matches!(message, Message::SyncChunk(chunk) if chunk.legacy.is_some())
}

/// A and C have deleted a key and collected the tombstone; B has come back from C when C lacked the delete, and was cut off from
/// both ever since: the word of its former life counts. Returns the answer to the delete.
fn collected_without_b(lab: &mut Lab, written: &Reply) -> Reply {
    lab.cut.extend([(A, C), (B, C)]);
    let deleted = lab.delete(A, "k", &written.context);
    lab.run(300);
    lab.crash(B);
    lab.run(50);
    lab.cut = [(A, C), (A, B), (B, A)].into();
    lab.start(B);
    lab.run(900);
    assert!(lab.node(B).report(lab.now()).recovered);
    lab.cut.clear();
    lab.cut(A, B);
    lab.cut(B, C);
    lab.run(1500);
    let holds: Vec<usize> = [A, B, C].map(|at| lab.node(at).dump().len()).into();
    assert_eq!(holds, [0, 1, 0], "only B still holds the key");
    deleted
}

/// Everybody who has the delete in the past reads absence, and the replicas agree.
fn check_deleted(lab: &mut Lab, deleted: &Reply, about: &str) {
    for at in [A, B, C, N] {
        let read = lab.get(at, "k", &deleted.context);
        assert_eq!(value(&read), None, "at {at}, {about}");
    }
    assert!(!lab.happened(|event| matches!(event, Event::DigestMismatch(_))), "{about}");
}

/// 8.2, 11.4: the key was written under a view that is settled. A new owner that has the bulk from A is asked for it with a write
/// of B in the context, and asks B.
#[test]
fn what_was_asked_for_does_not_bring_an_older_version_back() {
    for (members, factor) in [(&[N][..], 1), (&[A, N], 2)] {
        let mut lab = Lab::with_spares(3, 3, 1);
        let written = lab.put(A, "k", "old", &Context::default());
        lab.run(1000);
        change(&mut lab, A, &[A, B, C], 2);
        lab.now_ms += 150_000;
        lab.run(1000);
        let deleted = collected_without_b(&mut lab, &written);
        let own = lab.put(B, "j", "own", &Context::default());
        lab.lose = Some(Box::new(|from, to, message| from == B && to == N && is_hand_off(message)));
        let id = begin(&mut lab, N, members, factor);
        lab.deliver();
        lab.run(300);
        let mut both = own.context.clone();
        both.merge(&deleted.context);
        for context in [&deleted.context, &both, &deleted.context] {
            assert_eq!(value(&lab.get(N, "k", context)), None, "{members:?}");
        }
        lab.lose = None;
        lab.heal();
        assert!(changed(&lab.answer(id, DEADLINE)).settled);
        lab.run(3000);
        check_deleted(&mut lab, &deleted, &format!("{members:?}"));
    }
}

/// 8.2: the key was written under a view that is settled, and no vector tells of it any more. A chunk that was asked for before the
/// next one had settled comes late, when the key is deleted and the tombstone gone: whoever is recovered and knows no former view has
/// had all that older views have written.
#[test]
fn what_an_older_view_has_written_does_not_come_back_in_a_late_chunk() {
    let mut lab = Lab::with_spares(2, 2, 1);
    let written = lab.put(A, "k", "old", &Context::default());
    lab.run(500);
    change(&mut lab, A, &[A, B], 1);
    lab.run(500);
    change(&mut lab, A, &[A, B], 2);
    lab.run(500);
    let is_sync = |from: usize, to: usize, message: &Message| {
        (from, to) == (B, A) && matches!(message, Message::SyncChunk(chunk) if chunk.legacy.is_none())
    };
    lab.lose = Some(Box::new(move |from, to, message| {
        let is_write = matches!(message, Message::Frame(frame) if from == B && !frame.writes.is_empty());
        is_write || is_sync(from, to, message) || to == 2 && is_hand_off(message)
    }));
    let id = begin(&mut lab, A, &[A, B, 2], 3);
    lab.deliver();
    lab.run(100);
    lab.put(B, "j", "own", &Context::default());
    lab.run(500);
    let late =
        lab.sent.iter().rev().find(|(from, to, envelope)| is_sync(*from, *to, &envelope.body)).unwrap().2.clone();
    let Message::SyncChunk(chunk) = &late.body else { unreachable!("it was chosen so") };
    assert!(chunk.entries.iter().any(|entry| entry.entry.key() == b"k" && entry.payload.is_some()));
    lab.lose = Some(Box::new(is_sync));
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    let deleted = lab.delete(A, "k", &written.context);
    lab.run(300);
    assert_eq!(lab.node(A).report(lab.now()).tombstones, 0);
    lab.step(A, Input::Message(Box::new(late)));
    assert!(lab.node(A).dump().iter().all(|(key, _, _)| key != "k"));
    assert_eq!(value(&lab.get(A, "k", &deleted.context)), None);
}

/// 11.4: the version is of the former view itself. While the hand-off of A goes on, a client without a past is answered with what
/// B has; that does not stay.
#[test]
fn what_was_asked_for_during_a_hand_off_does_not_stay() {
    for (members, factor) in [(&[N][..], 1), (&[A, N], 2)] {
        let mut lab = Lab::with_spares(3, 3, 1);
        let written = lab.put(A, "k", "old", &Context::default());
        lab.now_ms += 150_000;
        lab.run(1000);
        let deleted = collected_without_b(&mut lab, &written);
        lab.lose = Some(Box::new(|_, to, message| {
            to == N && is_hand_off(message) || to != B && matches!(message, Message::Fetch { .. })
        }));
        let id = begin(&mut lab, N, members, factor);
        lab.deliver();
        lab.run(50);
        assert_eq!(value(&lab.get(N, "k", &Context::default())).as_deref(), Some("old"), "what B still says");
        lab.lose = Some(Box::new(|from, to, message| to == N && from == B && is_hand_off(message)));
        lab.run(1500);
        assert_eq!(value(&lab.get(N, "k", &deleted.context)), None, "{members:?}");
        lab.lose = None;
        lab.heal();
        assert!(changed(&lab.answer(id, DEADLINE)).settled);
        lab.run(3000);
        check_deleted(&mut lab, &deleted, &format!("{members:?}"));
    }
}

/// 9, 11.4: B is a new owner itself, with nothing but its own legacy. Who has the delete in the past makes it ask A, which has
/// nothing and covers what B has.
#[test]
fn an_old_owner_that_has_nothing_outdoes_what_it_covers() {
    let mut lab = Lab::with_spares(3, 3, 1);
    let written = lab.put(A, "k", "old", &Context::default());
    lab.now_ms += 150_000;
    lab.run(1000);
    let deleted = collected_without_b(&mut lab, &written);
    lab.lose = Some(Box::new(|_, to, message| to == B && is_hand_off(message)));
    let id = begin(&mut lab, N, &[B, N], 2);
    lab.heal();
    lab.run(100);
    for at in [B, N, A] {
        assert_eq!(value(&lab.get(at, "k", &deleted.context)), None, "at {at}");
    }
    lab.lose = None;
    assert!(changed(&lab.answer(id, DEADLINE)).settled);
    lab.run(1000);
    check_deleted(&mut lab, &deleted, "B and N");
}

/// A key that A and B have acknowledged and C lacks; N has the bulk of C only.
fn acknowledged_without(lab: &mut Lab, lagging: usize) -> Reply {
    lab.lose = Some(Box::new(move |_, to, message| to == lagging && matches!(message, Message::Frame(_))));
    let written = lab.put((lagging + 1) % 3, "k", "v", &Context::default());
    assert_eq!(written.acks, 2);
    lab.lose = Some(Box::new(move |from, to, message| {
        to == lagging && matches!(message, Message::Frame(_)) || (to == N && from != lagging && is_hand_off(message))
    }));
    written
}

/// 11.4: no fault but a frame that is late. What one old owner does not have is absent only if the others do not have it either.
#[test]
fn what_one_old_owner_lacks_is_asked_for_elsewhere() {
    for lagging in [A, B, C] {
        let mut lab = Lab::with_spares(3, 3, 1);
        lab.run(500);
        acknowledged_without(&mut lab, lagging);
        let id = begin(&mut lab, N, &[N], 1);
        lab.deliver();
        for ms in [5u64, 50, 100, 300, 600, 900] {
            lab.run(ms);
            let read = lab.get(N, "k", &Context::default());
            assert_eq!(value(&read).as_deref(), Some("v"), "{lagging} lags, after {ms} ms");
            assert_eq!(value(&lab.get(N, "nothing", &Context::default())), None);
        }
        let deleted = lab.delete(N, "nothing", &Context::default());
        assert_eq!(deleted.outcome, Outcome::Absent);
        lab.lose = None;
        assert!(changed(&lab.answer(id, DEADLINE)).settled);
    }
}

/// 11.4: an old owner that does not answer holds nobody up for longer than it takes to find out; two that do not could be those that
/// have the key: then a read is refused in time, and answered once they are known to have lost it.
#[test]
fn absence_waits_for_no_single_old_owner() {
    let mut lab = Lab::with_spares(3, 3, 1);
    lab.run(500);
    acknowledged_without(&mut lab, C);
    let id = begin(&mut lab, N, &[N], 1);
    lab.deliver();
    lab.run(100);
    lab.crash(B);
    assert_eq!(value(&lab.get(N, "nothing", &Context::default())), None);
    assert_eq!(value(&lab.get(N, "k", &Context::default())).as_deref(), Some("v"));
    lab.cut(A, N);
    let read = lab.get(N, "nothing", &Context::default());
    assert_eq!(read.outcome, Outcome::Refused(Refusal::Unsatisfied));
    lab.lose = None;
    lab.crash(A);
    lab.heal();
    lab.start(A);
    lab.start(B);
    lab.run(2000);
    assert_eq!(value(&lab.get(N, "nothing", &Context::default())), None);
    let _ = lab.answer(id, DEADLINE);
}
