//! Shortening: a failing run is made smaller as long as it breaks the same rule, so that people can read it.
//!
//! Greedy, within a bounded number of runs: an earlier end, fewer members, fewer sessions, then fewer faults by ever
//! smaller groups (Zeller and Hildebrandt, *Simplifying and Isolating Failure-Inducing Input*, 2002), and again while
//! something gives.

use std::collections::BTreeSet;

use crate::options::{Options, Strokes};
use crate::runner;
use crate::trace::Trace;
use crate::violation::{Rule, Violation};
use crate::world::{QUIET, SECOND, Summary};

/// Runs that one shortening may take.
pub const RUNS_MAX: u32 = 150;

/// A run that fails, as small as it was found to get.
#[derive(Debug)]
pub struct Short {
    /// How to run it.
    pub options: Options,
    /// What it violates.
    pub violations: Vec<Violation>,
    /// Strokes of faults that are left.
    pub strokes: usize,
}

struct Shortening {
    seed: u64,
    rule: Rule,
    runs: u32,
    best: Options,
    summary: Summary,
}

/// Makes a failing run smaller; none if it does not fail.
#[must_use]
pub fn shorten(seed: u64, options: &Options) -> Option<Short> {
    let (summary, _) = runner::run(seed, options, Trace::Off);
    let rule = summary.violations.first()?.rule;
    let best = Options { mix: Some(options.mix_of(seed)), ..options.clone() };
    let mut this = Shortening { seed, rule, runs: 0, best, summary };
    while this.round() {}
    let Shortening { best, summary, .. } = this;
    Some(Short { options: best, strokes: summary.strokes.len(), violations: summary.violations })
}

impl Shortening {
    /// Tries everything once; tells whether something gave.
    fn round(&mut self) -> bool {
        if !self.best.less.plain {
            let plain = self.best.clone().plain();
            self.attempt(plain);
        }
        let ended = self.end_earlier();
        let fewer = self.shrink(self.summary.members, |options, count| options.less.members = Some(count))
            | self.shrink(self.summary.sessions, |options, count| options.less.sessions = Some(count));
        let milder = self.drop_faults();
        ended | fewer | milder
    }

    /// Runs a candidate; it is the best from now on if it breaks the same rule.
    fn attempt(&mut self, candidate: Options) -> bool {
        if self.runs >= RUNS_MAX {
            return false;
        }
        self.runs += 1;
        let (summary, _) = runner::run(self.seed, &candidate, Trace::Off);
        let same = summary.violations.iter().any(|violation| violation.rule == self.rule);
        if same {
            (self.best, self.summary) = (candidate, summary);
        }
        same
    }

    /// The earliest end that can still fail is soon after the violation, or, if that was found at rest, a guess.
    fn end_earlier(&mut self) -> bool {
        let least = QUIET / SECOND + 4;
        let now = self.best.less.until.unwrap_or(self.best.seconds).max(least);
        let first = self.summary.violations.iter().find(|violation| violation.rule == self.rule);
        let at = first.map_or(u64::MAX, |violation| violation.at / SECOND + 1 + QUIET / SECOND);
        let guesses = [at, least, now / 2, now * 3 / 4, now - 1];
        let mut ended = false;
        for until in guesses.into_iter().filter(|until| (least..now).contains(until)) {
            let less = self.best.less.until.is_none_or(|best| until < best);
            let candidate = with(&self.best, |options| options.less.until = Some(until));
            ended |= less && self.attempt(candidate);
        }
        ended
    }

    /// The least of a count, tried from below.
    fn shrink(&mut self, now: usize, set: fn(&mut Options, usize)) -> bool {
        (1..now).any(|count| {
            let candidate = with(&self.best, |options| set(options, count));
            self.attempt(candidate)
        })
    }

    fn drop_faults(&mut self) -> bool {
        let before = self.summary.strokes.len();
        let mut size = before;
        while size > 0 {
            let all: Vec<usize> = self.summary.strokes.iter().copied().collect();
            for group in all.chunks(size) {
                let kept: BTreeSet<usize> =
                    self.summary.strokes.iter().copied().filter(|stroke| !group.contains(stroke)).collect();
                if kept.len() < self.summary.strokes.len() {
                    let candidate = with(&self.best, |options| options.less.faults = Some(Strokes(kept)));
                    self.attempt(candidate);
                }
            }
            size /= 2;
        }
        self.summary.strokes.len() < before
    }
}

fn with(options: &Options, change: impl FnOnce(&mut Options)) -> Options {
    let mut options = options.clone();
    change(&mut options);
    options
}
