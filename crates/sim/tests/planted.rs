//! Every planted bug is caught, and by what: bug → rule → seed. Without a bug the same seeds are clean.
//!
//! `cargo test -p precede-sim --test planted -- --nocapture` prints the table of `docs/protocol/planted.md`.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;

use precede_core::planted::Planted;
use precede_sim::mix::Mix;
use precede_sim::options::Options;
use precede_sim::runner::run;
use precede_sim::shorten::shorten;
use precede_sim::trace::Trace;
use precede_sim::violation::Violation;

/// Seeds that a bug may take to be caught.
const SEEDS_MAX: u64 = 200;

/// Simulated seconds of one run, ten of which are quiet.
fn seconds(mix: Mix) -> u64 {
    match mix {
        // What comebacks lead to takes several faults at once: more time, and fewer seeds.
        Mix::Comebacks | Mix::Everything => 40,
        // What has left the window matters once it is read.
        Mix::TinyWindow => 40,
        // A replica lags for one change: more time adds changes that undo what it has led to.
        Mix::ViewLags => 20,
        _ => 26,
    }
}

struct Caught {
    seed: u64,
    mix: Mix,
    violation: Violation,
}

/// The mixes in which a bug is looked for: those that lead to where it shows.
fn mixes(bug: Planted) -> &'static [Mix] {
    match bug {
        Planted::ContextUnchecked => &[Mix::OneWayHeld],
        Planted::DependenciesForgotten => &[Mix::OneWayHeld],
        Planted::OwnDotForgotten => &[Mix::Calm],
        Planted::WallClockOrder => &[Mix::Calm],
        Planted::TiesByReceiver => &[Mix::Loss],
        Planted::OriginReused => &[Mix::Crash],
        Planted::UnrecoveredAnswers => &[Mix::Single],
        Planted::AppliedFirst => &[Mix::Partitions],
        Planted::TombstonesByTimer => &[Mix::Partitions],
        Planted::HandOffLoses => &[Mix::Crash],
        Planted::UnsettledOriginDropped => &[Mix::Single],
        Planted::PrunedByFastest => &[Mix::Partitions],
        Planted::FormerLifeAccepted => &[Mix::Comebacks],
        Planted::OwnCoveredUnchecked => &[Mix::Comebacks],
        Planted::AbsenceUntold => &[Mix::ViewLags],
        Planted::NotAfterIgnored => &[Mix::Loss],
        Planted::LateCopyApplied => &[Mix::Loss],
        Planted::RepeatConfirmed => &[Mix::Loss],
        Planted::DeleteRevealsNothing => &[Mix::OneWayHeld],
        Planted::FloorForgotten => &[Mix::TinyWindow],
        Planted::WindowByOwnShard => &[Mix::OneWayHeld],
        Planted::EmptinessCopied => &[Mix::Single],
        Planted::ClosedUnresolved => &[Mix::Everything],
        Planted::RelayForgotten => &[Mix::OneWayHeld],
        Planted::LegacyChunkLost => &[Mix::Views],
        Planted::SettledByOne => &[Mix::ViewSingle],
        Planted::AbsentInTransit => &[Mix::Views],
        Planted::AbsentAtOne => &[Mix::ViewLags],
        Planted::AbsenceNotHandedOver => &[Mix::ViewLags],
        Planted::FormerViewAccepted => &[Mix::Views],
        Planted::FormerEntriesIgnored => &[Mix::ViewLags],
        Planted::LifeUnnamed => &[Mix::ViewFaults],
        Planted::LegacyPrunedByNew => &[Mix::Views],
        Planted::SiblingOutdoes => &[Mix::ViewSplits],
        Planted::BarrierIgnoresEntries => &[Mix::OneWayHeld],
        Planted::NameIgnored => &[Mix::Calm],
        Planted::BehindOnNames => &[Mix::Comebacks],
        Planted::NamesNotSynced => &[Mix::Crash],
        Planted::NamesNotHandedOver => &[Mix::Views],
        Planted::NameNotTold => &[Mix::Views],
        Planted::GreatestNameCounts => &[Mix::Partitions],
        Planted::LeftOutUntold => &[Mix::Loss],
        Planted::BarrierIgnoresStable => &[Mix::Partitions],
    }
}

/// How a bug is looked for. Barriers, named writes and short contexts are there only for who looks for a bug of theirs: other runs are as
/// they were.
fn options(bug: Planted, mix: Mix) -> Options {
    let options = Options::of(mix, seconds(mix));
    match bug {
        Planted::BarrierIgnoresEntries
        | Planted::NameIgnored
        | Planted::BehindOnNames
        | Planted::NamesNotSynced
        | Planted::NamesNotHandedOver
        | Planted::NameNotTold
        | Planted::GreatestNameCounts
        | Planted::LeftOutUntold
        | Planted::BarrierIgnoresStable => options,
        _ => options.plain(),
    }
}

fn catch(bug: Planted) -> Option<Caught> {
    let mixes = mixes(bug);
    (0..SEEDS_MAX).find_map(|seed| {
        let mix = mixes[usize::try_from(seed).unwrap() % mixes.len()];
        let (summary, _) = run(seed, &Options { bug: Some(bug), ..options(bug, mix) }, Trace::Off);
        let violation = summary.violations.into_iter().next()?;
        Some(Caught { seed, mix, violation })
    })
}

fn assert_clean(seed: u64, mix: Mix, options: &Options) {
    let (summary, _) = run(seed, options, Trace::Off);
    assert!(summary.violations.is_empty(), "seed {seed} ({mix}) without a bug: {:#?}", summary.violations);
}

#[test]
fn a_failing_run_is_shortened_and_still_breaks_the_same_rule() {
    let options = Options { bug: Some(Planted::AppliedFirst), ..Options::of(Mix::Partitions, 40).plain() };
    let (seed, long) = (0..SEEDS_MAX)
        .map(|seed| (seed, run(seed, &options, Trace::Off).0))
        .find(|(_, summary)| !summary.violations.is_empty())
        .unwrap();
    let rule = long.violations[0].rule;
    let short = shorten(seed, &options).unwrap();
    assert!(short.violations.iter().any(|violation| violation.rule == rule));
    assert!(short.strokes < long.strokes.len(), "{} of {} faults are left", short.strokes, long.strokes.len());
    assert!(short.options.less.until.unwrap_or(40) <= 40);
    let (again, _) = run(seed, &short.options, Trace::Off);
    assert_eq!(again.violations, short.violations);
    println!("{} faults of {}: {}", short.strokes, long.strokes.len(), short.options.command(seed));
}

#[test]
fn every_planted_bug_is_caught_and_without_it_the_same_seed_is_clean() {
    let bugs = std::sync::Mutex::new(Planted::ALL.iter());
    let missed = std::sync::Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(&bug) = bugs.lock().unwrap().next() else { break };
                    let Some(Caught { seed, mix, violation }) = catch(bug) else {
                        println!("| `{bug}` | missed | |");
                        missed.lock().unwrap().insert(bug);
                        continue;
                    };
                    println!("| `{bug}` | {:?} | `{mix}` {seed} | {}", violation.rule, violation.what);
                    assert_clean(seed, mix, &options(bug, mix));
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap();
    assert!(missed.is_empty(), "not caught within {SEEDS_MAX} seeds: {missed:?}");
}
