//! `precede-sim`: runs seeds, replays one, or prints its digest; or shows what clusters of growing size say.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use precede_core::planted::Planted;
use precede_sim::growth::{self, Row};
use precede_sim::mix::Mix;
use precede_sim::options::{Less, Options, Strokes};
use precede_sim::runner;
use precede_sim::shorten::{self, RUNS_MAX};
use precede_sim::trace::{LEGEND, Trace};
use precede_sim::violation::Violation;

/// Lines of the shortened trace of a failing seed.
const SHORT_TRACE: usize = 60;

/// Failing seeds that are shortened, and the trace of which is printed.
const SHORTENED_MAX: usize = 2;

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
    /// Run clusters in which nothing fails, and print what their nodes say to each other at rest and under load.
    Growth {
        /// How many nodes; several with commas between.
        #[arg(long, value_delimiter = ',', default_values_t = [2, 4, 8, 16, 32, 64])]
        #[arg(value_parser = clap::value_parser!(u16).range(2..=1024))]
        nodes: Vec<u16>,
        /// Simulated seconds at rest, and as many under load.
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
        seconds: u64,
    },
}

#[derive(Debug, Clone, clap::Args)]
struct How {
    /// The mix of faults; by default the seed says.
    #[arg(long)]
    mix: Option<Mix>,
    /// Simulated seconds, of which the last ten are quiet.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// A bug planted in every node; needs the feature `planted`.
    #[arg(long)]
    bug: Option<Planted>,
    /// End after so many simulated seconds, with the faults of a run of --seconds.
    #[arg(long)]
    until: Option<u64>,
    /// At most so many members.
    #[arg(long)]
    members: Option<usize>,
    /// At most so many sessions.
    #[arg(long)]
    sessions: Option<usize>,
    /// Only the faults of these numbers, or `none`.
    #[arg(long)]
    faults: Option<Strokes>,
    /// Leave out barriers and named writes
    #[arg(long)]
    plain: bool,
}

impl From<How> for Options {
    fn from(how: How) -> Self {
        let How { mix, seconds, bug, until, members, sessions, faults, plain } = how;
        Self { mix, seconds, bug, less: Less { until, members, sessions, faults, plain } }
    }
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { seeds, from, threads, how } => run(seeds, from, threads, &how.into()),
        Command::Replay { seed, how } => replay(seed, &how.into()),
        Command::Digest { seed, how } => {
            let (summary, _) = runner::run(seed, &how.into(), Trace::Off);
            println!("{:016x}", summary.digest);
            code(summary.violations.is_empty())
        }
        Command::Growth { nodes, seconds } => {
            println!("{}\n{}", growth::SET_UP, Row::COLUMNS);
            for nodes in nodes {
                println!("{}", growth::measure(nodes, seconds));
            }
            ExitCode::SUCCESS
        }
    }
}

fn run(seeds: u64, from: u64, threads: usize, options: &Options) -> ExitCode {
    let report = |seed: u64, violations: &[Violation]| {
        for violation in violations {
            println!("seed {seed} ({}): {violation}", options.mix_of(seed));
        }
        println!("  again: {}", options.command(seed));
    };
    let totals = runner::run_many(from, seeds, threads, options, &report);
    for seed in totals.failures.keys().take(SHORTENED_MAX) {
        show_short(*seed, options);
    }
    for seed in totals.failures.keys() {
        println!("failed: {}", options.command(*seed));
    }
    println!(
        "seeds={} steps={} operations={} views={} siblings={} stale_starts={} writes_lost={} clocks_lost={} violations={}",
        totals.seeds,
        totals.steps,
        totals.operations,
        totals.views,
        totals.siblings,
        totals.stale_starts,
        totals.lost,
        totals.clock_lost,
        totals.violations()
    );
    code(totals.failures.is_empty())
}

/// Shows the smallest run found that fails as a seed does: the command, what it violates, and how it ends.
fn show_short(seed: u64, options: &Options) {
    println!("\nshortening seed {seed} in at most {RUNS_MAX} runs");
    let Some(short) = shorten::shorten(seed, options) else { return };
    println!("short: {}", short.options.command(seed));
    for violation in &short.violations {
        println!("  {violation}");
    }
    println!("the end of its trace:");
    if let (_, Trace::Keep { lines, .. }) = runner::run(seed, &short.options, Trace::keep(SHORT_TRACE)) {
        for line in lines {
            println!("{line}");
        }
    }
}

fn replay(seed: u64, options: &Options) -> ExitCode {
    println!("{LEGEND}");
    let (summary, _) = runner::run(seed, options, Trace::Print);
    for violation in &summary.violations {
        println!("violation: {violation}");
    }
    println!(
        "seeds=1 steps={} operations={} views={} siblings={} stale_starts={} writes_lost={} clocks_lost={} violations={}",
        summary.steps,
        summary.operations,
        summary.views,
        u8::from(summary.siblings),
        u8::from(summary.stale_start),
        summary.lost,
        u8::from(summary.clock_lost),
        summary.violations.len()
    );
    code(summary.violations.is_empty())
}

fn code(clean: bool) -> ExitCode {
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
