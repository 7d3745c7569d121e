//! What is measured, and how it is shown. Nothing is judged here: figures are printed.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::unistd::Pid;

/// One request, as its client saw it.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) client: usize,
    /// The shard of its key under the first view.
    pub(crate) shard: u32,
    /// It carried what another client had seen.
    pub(crate) is_courier: bool,
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// None if there was no answer.
    pub(crate) status: Option<u16>,
    /// Why it was refused.
    pub(crate) reason: String,
}

impl Sample {
    fn is_served(&self) -> bool {
        matches!(self.status, Some(200..=202 | 404))
    }
}

/// Prints a line on those of the samples that began in a phase.
pub(crate) fn show(title: &str, samples: &[Sample], (from, to): (u64, u64), which: impl Fn(&Sample) -> bool) {
    let samples: Vec<&Sample> =
        samples.iter().filter(|sample| (from..to).contains(&sample.start) && which(sample)).collect();
    let mut latencies: Vec<u64> = samples.iter().map(|sample| sample.end - sample.start).collect();
    latencies.sort_unstable();
    let quantile = |per_mille: usize| latencies.get(latencies.len().saturating_sub(1) * per_mille / 1000).copied();
    let ms = |micros: Option<u64>| micros.map_or("-".to_owned(), |micros| format!("{:.1}", micros as f64 / 1000.0));
    let served = samples.iter().filter(|sample| sample.is_served()).count();
    let rate = if samples.is_empty() { "-".to_owned() } else { percent(served, samples.len()) };
    let (p50, p99, max) = (ms(quantile(500)), ms(quantile(990)), ms(latencies.last().copied()));
    println!(
        "  {title:<34} {:>6} requests, {rate:>8} served, ms: p50 {p50:>5} p99 {p99:>7} max {max:>7}",
        samples.len()
    );
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| !sample.is_served()) {
        let status = sample.status.map_or("no answer".to_owned(), |status| status.to_string());
        *refused.entry(format!("{status} {}", sample.reason)).or_default() += 1;
    }
    for (why, count) in refused {
        println!("  {:<34} {count:>6} {why}", "");
    }
}

/// The figures of the rows: before, during and after a fault.
pub(crate) fn show_phases(samples: &[Sample], phases: [(u64, u64); 3], which: impl Fn(&Sample) -> bool) {
    for (name, phase) in ["before", "during", "after"].into_iter().zip(phases) {
        show(name, samples, phase, &which);
    }
}

fn percent(part: usize, whole: usize) -> String {
    format!("{:.3} %", part as f64 * 100.0 / whole as f64)
}

/// Prints how long something took.
pub(crate) fn took(what: &str, time: Duration) {
    println!("  {what}: {:.3} s", time.as_secs_f64());
}

/// What a process holds of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Footprint {
    pub(crate) resident_kib: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
}

impl Footprint {
    /// Looks at a process.
    pub(crate) fn of(pid: Pid) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel tells");
        let count = |what: &str| std::fs::read_dir(format!("/proc/{pid}/{what}")).expect("it is there").count();
        Self {
            resident_kib: resident.trim().trim_end_matches(" kB").parse().expect("a number"),
            descriptors: count("fd"),
            threads: count("task"),
        }
    }
}
