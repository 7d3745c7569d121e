//! Runs seeds: one with a trace, or many on several threads.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use precede_core::planted;

use crate::options::Options;
use crate::trace::Trace;
use crate::violation::{Rule, Violation};
use crate::world::{Summary, World};

/// What many runs came to.
#[derive(Debug, Default)]
pub struct Totals {
    /// How many.
    pub seeds: u64,
    /// Inputs that nodes were given.
    pub steps: u64,
    /// Requests of clients.
    pub operations: u64,
    /// Views adopted, the first ones left out.
    pub views: u64,
    /// Seeds in which two views had one epoch, so that some promises were weaker.
    pub siblings: u64,
    /// Seeds in which nodes began anew in their first view, which none of them could know to be over.
    pub stale_starts: u64,
    /// Writes whose last holder crashed.
    pub lost: u64,
    /// Seeds in which old contexts may be refused because clocks were set back when nobody remembered them.
    pub clock_lost: u64,
    /// By seed, what was found wrong.
    pub failures: BTreeMap<u64, Vec<Violation>>,
}

impl Totals {
    /// How many violations there are in all.
    #[must_use]
    pub fn violations(&self) -> usize {
        self.failures.values().map(Vec::len).sum()
    }
}

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Panics are told as violations, with their place, and not printed.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let text = info.to_string();
            LAST_PANIC.with(|last| *last.borrow_mut() = Some(text));
        }));
    });
}

/// Runs one seed.
#[must_use]
pub fn run(seed: u64, options: &Options, trace: Trace) -> (Summary, Trace) {
    quiet_panics();
    planted::plant(options.bug);
    let mut world = World::new(seed, options, trace);
    let panicked = catch_unwind(AssertUnwindSafe(|| world.run())).is_err();
    let at = world.now();
    let (mut summary, trace) = world.summary();
    planted::plant(None);
    if panicked {
        let what = LAST_PANIC.with(|last| last.borrow_mut().take()).unwrap_or_default();
        summary.violations.push(Violation { rule: Rule::Panic, at, what });
    }
    (summary, trace)
}

/// Runs `count` seeds from `first` on `threads` threads; `failed` is called for each that fails, as it does.
#[must_use]
pub fn run_many(
    first: u64,
    count: u64,
    threads: usize,
    options: &Options,
    failed: &(dyn Fn(u64, &[Violation]) + Sync),
) -> Totals {
    let next = AtomicU64::new(0);
    let totals = Mutex::new(Totals::default());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    let seed = first + number;
                    let (summary, _) = run(seed, options, Trace::Off);
                    if !summary.violations.is_empty() {
                        failed(seed, &summary.violations);
                    }
                    let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
                    totals.seeds += 1;
                    totals.steps += summary.steps;
                    totals.operations += summary.operations;
                    totals.views += summary.views as u64;
                    totals.siblings += u64::from(summary.siblings);
                    totals.stale_starts += u64::from(summary.stale_start);
                    totals.lost += summary.lost as u64;
                    totals.clock_lost += u64::from(summary.clock_lost);
                    if !summary.violations.is_empty() {
                        totals.failures.insert(seed, summary.violations);
                    }
                }
            });
        }
    });
    totals.into_inner().unwrap_or_else(PoisonError::into_inner)
}
