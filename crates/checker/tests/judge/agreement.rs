//! The checker against the oracle, on thousands of small histories.

use std::collections::BTreeSet;

use precede_checker::{History, Pattern, check};

use crate::notation::patterns;
use crate::oracle;
use crate::random::{self, Draw, Kinds};

/// Fewer without optimization, which makes the oracle slow.
const CASES: u64 = if cfg!(debug_assertions) { 3_000 } else { 20_000 };

/// A failing case is printed as the file that the binary reads.
fn text(history: &History) -> String {
    let mut text = Vec::new();
    history.write_jsonl(&mut text).expect("memory takes all");
    format!("{}{}", String::from_utf8_lossy(&text), check(history))
}

#[test]
fn without_deletes_and_unknowns_both_agree_on_each_pattern() {
    let kinds = Kinds { deletes: false, unknowns: false, finals: false };
    let mut valid = 0;
    for seed in 0..CASES {
        let history = random::history(&mut Draw::new(seed), kinds);
        let (fast, slow) = (patterns(&history), oracle::patterns(&history));
        let shown = || format!("seed {seed}, oracle {slow:?}\n{}", text(&history));
        assert_eq!(fast.is_empty(), slow.is_empty(), "{}", shown());
        let mut same = vec![Pattern::CyclicCo, Pattern::ThinAirRead];
        if !slow.contains(&Pattern::CyclicCo) {
            same.extend([Pattern::WriteCoInitRead, Pattern::WriteCoRead]);
        }
        for pattern in same {
            assert_eq!(fast.contains(&pattern), slow.contains(&pattern), "{pattern:?} {}", shown());
        }
        // Reads that are bad by themselves prove no order of writes to the checker, as they do to the oracle.
        let beyond: BTreeSet<_> = fast.difference(&slow).collect();
        let guarantees = Pattern::ReadYourWrites..=Pattern::WritesFollowReads;
        assert!(beyond.iter().all(|pattern| guarantees.contains(*pattern)), "{}", shown());
        valid += u64::from(slow.is_empty());
    }
    println!("{valid} of {CASES} histories were valid");
    assert!((CASES / 10..CASES * 9 / 10).contains(&valid));
}

#[test]
fn without_deletes_and_unknowns_both_agree_on_what_is_at_rest() {
    let kinds = Kinds { deletes: false, unknowns: false, finals: true };
    for seed in 0..CASES {
        let history = random::history(&mut Draw::new(seed), kinds);
        let is_valid = oracle::is_valid(&history);
        assert_eq!(check(&history).is_clean(), is_valid, "seed {seed}\n{}", text(&history));
    }
}

/// Compares on histories with ambiguity, and returns how many of a hundred bad ones the checker caught.
fn caught_percent(kinds: Kinds) -> usize {
    let (mut bad, mut caught) = (0, 0);
    for seed in 0..CASES {
        let history = random::history(&mut Draw::new(seed), kinds);
        if !oracle::is_small(&history) {
            continue;
        }
        let is_clean = check(&history).is_clean();
        if oracle::is_valid(&history) {
            assert!(is_clean, "false alarm, seed {seed}\n{}", text(&history));
        } else {
            bad += 1;
            caught += usize::from(!is_clean);
        }
    }
    println!("caught {caught} of {bad} bad histories among {CASES}");
    assert!(bad > CASES as usize / 10);
    caught * 100 / bad
}

#[test]
fn with_unknowns_both_agree() {
    assert_eq!(caught_percent(Kinds { deletes: false, unknowns: true, finals: false }), 100);
    assert_eq!(caught_percent(Kinds { deletes: false, unknowns: true, finals: true }), 100);
}

#[test]
fn with_deletes_there_is_no_false_alarm() {
    assert!(caught_percent(Kinds { deletes: true, unknowns: true, finals: false }) >= 97);
    assert!(caught_percent(Kinds { deletes: true, unknowns: true, finals: true }) >= 97);
}
