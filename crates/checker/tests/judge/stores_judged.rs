//! A store that is right raises no alarm; each one that is wrong raises one, and soon.

use precede_checker::{Outcome, check};

use crate::oracle;
use crate::random::Draw;
use crate::store::{BUGS, Run, simulate};

const SEEDS_MAX: u64 = 200;

/// How many runs are judged; fewer without optimization, which makes the oracle slow.
const CASES: u64 = if cfg!(debug_assertions) { 2_000 } else { 20_000 };

fn some_run(seed: u64, operations: usize) -> Run {
    let mut draw = Draw::new(seed);
    Run {
        replicas: 1 + draw.below(5),
        sessions: 1 + draw.below(6),
        keys: draw.pick(&[1, 2, 4, 20]),
        operations: 1 + draw.below(operations),
        deletes: draw.pick(&[0, 5, 15, 40]),
        unknown: draw.pick(&[0, 5, 30]),
        pace: draw.pick(&[10, 30, 100]),
        roaming: draw.pick(&[0, 20, 100]),
        bug: None,
    }
}

#[test]
fn a_right_store_raises_no_alarm() {
    for seed in 0..CASES / 5 {
        let report = check(&simulate(some_run(seed, 300), seed));
        assert!(report.is_clean(), "seed {seed}\n{report}");
    }
}

#[test]
fn the_oracle_accepts_a_right_store_too() {
    let histories = (0..CASES / 5).map(|seed| simulate(some_run(seed, 14), seed));
    let judged = histories.filter(oracle::is_small).inspect(|history| assert!(oracle::is_valid(history))).count();
    assert!(judged > CASES as usize / 10, "{judged}");
}

#[test]
fn one_wrong_answer_is_judged_like_the_oracle_does() {
    let (mut bad, mut caught) = (0, 0);
    for seed in 0..CASES {
        let mut history = simulate(some_run(seed, 14), seed);
        let mut draw = Draw::new(!seed);
        let other = history.operations[draw.below(history.operations.len())].outcome.clone();
        let victim = draw.below(history.operations.len());
        let victim = &mut history.operations[victim];
        if !matches!((&victim.outcome, &other), (Outcome::Read { .. }, Outcome::Read { .. })) {
            continue;
        }
        victim.outcome = other;
        if !oracle::is_small(&history) {
            continue;
        }
        let report = check(&history);
        if oracle::is_valid(&history) {
            assert!(report.is_clean(), "false alarm, seed {seed}\n{report}");
        } else {
            bad += 1;
            caught += usize::from(!report.is_clean());
        }
    }
    println!("caught {caught} of {bad} changed answers");
    assert!(bad > CASES as usize / 100 && caught * 100 >= bad * 97);
}

#[test]
fn each_planted_bug_is_found_within_200_seeds() {
    for bug in BUGS {
        let run = |seed| Run { replicas: 3, sessions: 6, operations: 300, bug: Some(bug), ..some_run(seed, 1) };
        let reports = (0..SEEDS_MAX).map(|seed| check(&simulate(run(seed), seed)));
        let found: Vec<_> = reports.enumerate().filter(|(_, report)| !report.is_clean()).collect();
        let (first, report) = found.first().unwrap_or_else(|| panic!("{bug:?} was not found"));
        let patterns: Vec<_> = report.findings.iter().map(|finding| finding.pattern).collect();
        println!("{bug:?}: first by seed {first} ({:?}), by {} of {SEEDS_MAX} seeds", patterns[0], found.len());
    }
}

#[test]
fn longer_histories_without_deletes_are_judged_like_the_oracle_does() {
    let mut bad = 0;
    for (bug, seed) in BUGS.into_iter().flat_map(|bug| (0..40).map(move |seed| (bug, seed))) {
        let run = Run { replicas: 3, sessions: 6, operations: 150, deletes: 0, bug: Some(bug), ..some_run(seed, 1) };
        let history = simulate(run, seed);
        let report = check(&history);
        assert_eq!(report.is_clean(), oracle::is_valid(&history), "{bug:?}, seed {seed}\n{report}");
        bad += usize::from(!report.is_clean());
    }
    println!("{bad} of {} histories of wrong stores were bad", 40 * BUGS.len());
    assert!(bad > 40);
}
