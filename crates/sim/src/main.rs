//! `precede-sim`: runs seeds, replays one, or prints its digest.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use precede_sim::mix::Mix;
use precede_sim::runner::{self, Options};
use precede_sim::trace::{LEGEND, Trace};
use precede_sim::violation::Violation;

/// Lines of the shortened trace of a failing seed.
const SHORT_TRACE: usize = 60;

/// Failing seeds for which a shortened trace is printed.
const SHORT_TRACES_MAX: usize = 2;

/// Runs clusters of Precede on virtual time, with faults, and checks what must hold.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run many seeds; exits with 1 if any rule was broken.
    Run {
        /// How many.
        #[arg(long, default_value_t = 1000)]
        seeds: u64,
        /// The first.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Threads; seeds are independent.
        #[arg(long, default_value_t = 2)]
        threads: usize,
        #[command(flatten)]
        how: How,
    },
    /// Run one seed and print its trace.
    Replay {
        /// Which.
        #[arg(long)]
        seed: u64,
        #[command(flatten)]
        how: How,
    },
    /// Run one seed and print the digest of all effects.
    Digest {
        /// Which.
        #[arg(long)]
        seed: u64,
        #[command(flatten)]
        how: How,
    },
}

#[derive(Debug, Clone, Copy, clap::Args)]
struct How {
    /// The mix of faults; by default the seed says.
    #[arg(long)]
    mix: Option<Mix>,
    /// Simulated seconds, of which the last ten are quiet.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

impl From<How> for Options {
    fn from(how: How) -> Self {
        Self { mix: how.mix, seconds: how.seconds }
    }
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { seeds, from, threads, how } => run(seeds, from, threads, how.into()),
        Command::Replay { seed, how } => replay(seed, how.into()),
        Command::Digest { seed, how } => {
            let (summary, _) = runner::run(seed, how.into(), Trace::Off);
            println!("{:016x}", summary.digest);
            code(summary.violations.is_empty())
        }
    }
}

fn run(seeds: u64, from: u64, threads: usize, options: Options) -> ExitCode {
    let report = |seed: u64, violations: &[Violation]| {
        for violation in violations {
            println!("seed {seed} ({}): {violation}", options.mix_of(seed));
        }
        println!("  again: {}", command(seed, options));
    };
    let totals = runner::run_many(from, seeds, threads, options, &report);
    for seed in totals.failures.keys().take(SHORT_TRACES_MAX) {
        println!("\nthe end of the trace of seed {seed}:");
        if let (_, Trace::Keep { lines, .. }) = runner::run(*seed, options, Trace::keep(SHORT_TRACE)) {
            for line in lines {
                println!("{line}");
            }
        }
    }
    for seed in totals.failures.keys() {
        println!("failed: {}", command(*seed, options));
    }
    println!(
        "seeds={} steps={} operations={} writes_lost={} clocks_lost={} violations={}",
        totals.seeds,
        totals.steps,
        totals.operations,
        totals.lost,
        totals.clock_lost,
        totals.violations()
    );
    code(totals.failures.is_empty())
}

fn replay(seed: u64, options: Options) -> ExitCode {
    println!("{LEGEND}");
    let (summary, _) = runner::run(seed, options, Trace::Print);
    for violation in &summary.violations {
        println!("violation: {violation}");
    }
    println!(
        "seeds=1 steps={} operations={} writes_lost={} clocks_lost={} violations={}",
        summary.steps,
        summary.operations,
        summary.lost,
        u8::from(summary.clock_lost),
        summary.violations.len()
    );
    code(summary.violations.is_empty())
}

fn command(seed: u64, options: Options) -> String {
    let (mix, seconds) = (options.mix_of(seed), options.seconds);
    format!("cargo run --release -p precede-sim -- replay --seed {seed} --mix {mix} --seconds {seconds}")
}

fn code(clean: bool) -> ExitCode {
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
