//! Each pattern in a history small enough to be checked by eye, beside a twin that is valid.

use precede_checker::Pattern::{self, *};

use crate::notation::{found, history};
use crate::oracle;

#[track_caller]
fn assert_found(text: &str, expected: &[Pattern]) {
    assert_eq!(found(text), expected.iter().copied().collect(), "{text}");
    assert_eq!(oracle::is_valid(&history(text)), expected.is_empty(), "the oracle on {text}");
}

#[test]
fn an_empty_history_is_valid() {
    assert_found("", &[]);
}

#[test]
fn cyclic_co() {
    assert_found("1 get x a\n 1 put y b\n 2 get y b\n 2 put x a", &[CyclicCo]);
    assert_found("1 get x -\n 1 put y b\n 2 get y b\n 2 put x a", &[]);
}

#[test]
fn cyclic_co_from_a_read_of_ones_own_future() {
    assert_found("1 get x a\n 1 put x a", &[CyclicCo]);
    assert_found("1 get x a ~\n 1 put x a", &[]);
}

#[test]
fn cyclic_co_through_handed_contexts() {
    assert_found("1 put x a <1\n 2 put y b <0", &[CyclicCo]);
}

#[test]
fn write_co_init_read() {
    assert_found("1 put x a\n 1 get x -", &[WriteCoInitRead, ReadYourWrites]);
    assert_found("1 put x a\n 2 get x -", &[]);
    assert_found("1 put x a\n 2 get x - <0", &[WriteCoInitRead, ReadYourWrites]);
    assert_found("1 put x a\n 1 get x - ~", &[]);
}

#[test]
fn thin_air_read() {
    assert_found("1 put x a\n 2 get x b", &[ThinAirRead]);
    assert_found("1 put! x a\n 2 get x a", &[ThinAirRead]);
    assert_found("1 put y a\n 2 get x a", &[ThinAirRead]);
    assert_found("1 put? x a\n 2 get x a", &[]);
}

#[test]
fn write_co_read() {
    assert_found("1 put x a\n 1 put x b\n 1 get x a", &[WriteCoRead, ReadYourWrites]);
    assert_found("1 put x a\n 2 put x b\n 1 get x b\n 1 get x a", &[CyclicCf]);
    assert_found("1 put x a\n 1 put x b\n 2 get x a", &[]);
}

#[test]
fn cyclic_cf() {
    let crossed = "1 put x a\n 2 put x b\n 1 get x b\n 2 get x a";
    assert_found(crossed, &[CyclicCf]);
    assert_found("1 put x a\n 2 put x b\n 1 get x b\n 2 get x b", &[]);
}

#[test]
fn cyclic_cf_over_two_keys() {
    // Session 3 proves a before b, session 4 proves d before c; a follows d's rival and closes the circle.
    let text = "1 put x a\n 1 put y c\n 2 put y d\n 2 put x b\n 1 get x b <3\n 1 get y d\n 2 get x a <1";
    assert_found(text, &[CyclicCf]);
}

#[test]
fn monotonic_reads() {
    assert_found("1 put x a\n 1 put x b\n 2 get x b\n 2 get x a", &[WriteCoRead, MonotonicReads]);
    assert_found("1 put x a\n 2 get x a\n 2 get x -", &[WriteCoInitRead, MonotonicReads]);
}

#[test]
fn monotonic_writes() {
    assert_found("1 put x a\n 1 put y b\n 2 get y b\n 2 get x -", &[WriteCoInitRead, MonotonicWrites]);
}

#[test]
fn writes_follow_reads() {
    let text = "1 put x a\n 2 get x a\n 2 put y b\n 3 get y b\n 3 get x -";
    assert_found(text, &[WriteCoInitRead, WritesFollowReads]);
    assert_found("1 put x a\n 2 get x a\n 2 put y b\n 3 get y b\n 3 get x a", &[]);
}

#[test]
fn an_unknown_write_is_legal_seen_and_unseen() {
    assert_found("1 put? x a\n 1 get x -", &[]);
    assert_found("1 put? x a\n 1 get x a", &[]);
    assert_found("1 put? x a\n 1 get x a\n 1 get x -", &[WriteCoInitRead, MonotonicReads]);
}

#[test]
fn an_unknown_write_follows_its_session_but_does_not_precede_it() {
    assert_found("1 put x a\n 1 put? y b\n 2 get y b\n 2 get x -", &[WriteCoInitRead, MonotonicWrites]);
    assert_found("1 put? x a\n 1 put y b\n 2 get y b\n 2 get x -\n 3 get x a", &[]);
    assert_found("1 put x a\n 1 put? z c\n 1 get x -", &[WriteCoInitRead, ReadYourWrites]);
}

#[test]
fn unanswered_reads_say_nothing() {
    assert_found("1 put x a\n 1 get? x\n 1 get! x\n 1 get x a", &[]);
}

#[test]
fn absence_is_explained_by_a_delete() {
    assert_found("1 put x a\n 1 del x\n 1 get x -", &[]);
    assert_found("1 put x a\n 2 del x\n 1 get x -", &[]);
    assert_found("1 put x a\n 2 del? x\n 1 get x -", &[]);
    assert_found("1 put x a\n 2 del! x\n 1 get x -", &[WriteCoInitRead, ReadYourWrites]);
    assert_found("1 put x a\n 2 del y\n 1 get x -", &[WriteCoInitRead, ReadYourWrites]);
}

#[test]
fn absence_is_not_explained_by_a_delete_that_was_overwritten_or_comes_later() {
    assert_found("1 del x\n 1 put x a\n 1 get x -", &[WriteCoRead, ReadYourWrites]);
    assert_found("1 put x a\n 1 get x -\n 1 del x", &[WriteCoInitRead, ReadYourWrites]);
    assert_found("1 put x a\n 1 get x -\n 1 del? x", &[WriteCoInitRead, ReadYourWrites]);
    assert_found("1 put x a\n 1 get x -\n 1 del? x\n 2 del? x", &[]);
}

#[test]
fn the_only_delete_that_explains_an_absence_has_been_read() {
    // Session 1 must have read session 2's delete, and with it follows y.
    assert_found("1 put x a\n 2 put y b\n 2 del x\n 1 get x -\n 1 get y -", &[WriteCoInitRead, MonotonicWrites]);
    assert_found("1 put x a\n 2 put y b\n 2 del x\n 1 get x -\n 1 get y -\n 3 del x", &[]);
}

#[test]
fn a_read_delete_settles_further_reads() {
    let text = "1 put x a\n 1 put y b\n 2 put z c\n 2 del x\n 1 get x -\n 3 del y\n 1 get y -\n 1 get z -";
    assert_found(text, &[WriteCoInitRead, MonotonicWrites]);
    let chained = "1 put x a\n 3 put w d\n 3 del y\n 2 put y b\n 2 get y -\n 2 del x\n 1 get x -\n 1 get w -";
    assert_found(chained, &[WriteCoInitRead, MonotonicWrites, WritesFollowReads]);
}

#[test]
fn a_delete_that_found_nothing_is_a_read() {
    assert_found("1 put x a\n 1 del404 x", &[WriteCoInitRead, ReadYourWrites]);
    assert_found("1 del404 x\n 2 put x a\n 2 get x a", &[]);
}

#[test]
fn reading_a_deleted_value() {
    assert_found("1 put x a\n 1 del x\n 1 get x a", &[WriteCoRead, ReadYourWrites]);
}

#[test]
fn divergence() {
    let writes = "1 put x a\n 2 put x b\n";
    assert_found(&format!("{writes} final n1 x a\n final n2 x b"), &[Divergence]);
    assert_found(&format!("{writes} final n1 x a\n final n2 x a"), &[]);
}

#[test]
fn lost_write() {
    assert_found("1 put x a\n final n1 x -", &[LostWrite]);
    assert_found("1 put x a\n 1 put x b\n final n1 x a", &[LostWrite]);
    assert_found("1 put? x a\n final n1 x -", &[]);
    assert_found("1 put x a\n 2 put? x b\n final n1 x b", &[]);
    assert_found("1 put x a\n 2 del? x\n final n1 x -", &[]);
    assert_found("1 del x\n 1 put x a\n final n1 x -", &[LostWrite]);
}

#[test]
fn lost_write_by_what_was_read() {
    // The read of b after a proves b to be the newer one.
    assert_found("1 put x a\n 2 put x b\n 1 get x b\n final n1 x a", &[LostWrite]);
    assert_found("1 put x a\n 2 put x b\n 1 get x b\n final n1 x b", &[]);
    assert_found("1 put x a\n 2 del x\n 2 get x a <0\n final n1 x -", &[LostWrite]);
}

#[test]
fn resurrection() {
    assert_found("1 put x a\n 1 del x\n final n1 x a", &[Resurrection]);
    assert_found("1 put x a\n 2 del x\n final n1 x a", &[]);
    assert_found("1 put x a\n 2 del x\n 1 get x -\n final n1 x a", &[Resurrection]);
    assert_found("1 put x a\n 1 del? x\n final n1 x a", &[]);
}

#[test]
fn a_final_value_from_nowhere() {
    assert_found("final n1 x a", &[ThinAirRead]);
    assert_found("1 put! x a\n final n1 x a", &[ThinAirRead]);
    assert_found("final n1 x -\n final n2 x -", &[]);
}

#[test]
fn malformed_histories_are_not_judged() {
    assert_eq!(found("1 put x a\n 2 put x a\n 2 get x b"), [MalformedHistory].into());
    assert_eq!(found("1 put x a <0"), [MalformedHistory].into());
    assert_eq!(found("1 put x a <7"), [MalformedHistory].into());
    assert_eq!(found("1 put x a\n 1 put y a"), [].into());
    let mut odd = history("1 put x a");
    odd.operations[0].outcome = precede_checker::Outcome::NotFound;
    assert!(precede_checker::check(&odd).has(MalformedHistory));
}

#[test]
fn sessions_are_ordered_by_start() {
    let mut reversed = history("1 get x -\n 1 put x a");
    assert!(precede_checker::check(&reversed).is_clean());
    reversed.operations[0].start = 99;
    assert!(precede_checker::check(&reversed).has(ReadYourWrites));
}
