//! The connections' work: loads the keys, then asks until the time is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Zipf};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::bench::args::{BenchArgs, Distribution, Mix, Operation, Switch};
use crate::bench::progress;
use crate::bench::tally::{Tally, is_expected};
use crate::bench::wire::Connection;
use crate::credentials::Shown;

/// Connections that are made at one time. A node that is asked for thousands at once drops those that it has no place for, and a client
/// tries again a second later.
const CONNECTING_MAX: usize = 256;
/// A request that is under way when the time is over is waited for so much longer.
const GRACE: Duration = Duration::from_secs(10);
/// After an error, so that a node that is away is not asked in a loop.
const ERROR_PAUSE: Duration = Duration::from_millis(20);

/// One connection and what it asks for.
struct Worker {
    connection: Connection,
    mix: Mix,
    keys: Keys,
    random: ChaCha8Rng,
    /// How many requests are under way at once.
    pipeline: u32,
    /// When its first requests are due, counted from the start, and how long after them the next; none for when the last are answered.
    schedule: Option<(Duration, Duration)>,
    done: Arc<AtomicU64>,
    tally: Arc<Mutex<Tally>>,
}

/// Which keys there are, and how one is drawn.
#[derive(Clone, Copy)]
struct Keys {
    count: u64,
    zipf: Option<Zipf<f64>>,
}

impl Keys {
    fn of(args: &BenchArgs) -> Self {
        let zipf = match args.distribution {
            Distribution::Uniform => None,
            Distribution::Zipf(exponent) => Zipf::new(args.keys as f64, exponent).ok(),
        };
        Self { count: args.keys, zipf }
    }

    fn draw(&self, random: &mut ChaCha8Rng) -> u64 {
        match &self.zipf {
            None => random.random_range(0..self.count),
            // The most asked for is key 0.
            Some(zipf) => (zipf.sample(random) as u64).clamp(1, self.count) - 1,
        }
    }
}

/// Loads a node and counts.
///
/// # Errors
/// The node cannot be reached, or does not take the keys that are to be read.
pub(crate) async fn run(args: &BenchArgs, shown: &Shown) -> anyhow::Result<Tally> {
    let done = Arc::new(AtomicU64::new(0));
    // One for each processor, which connections share: a tally is large, and thousands of them would be most of what the load does.
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let tallies: Vec<_> = (0..count).map(|_| Arc::new(Mutex::new(Tally::new()))).collect();
    let workers = prepare(args, shown, &done, &tallies).await?;
    done.store(0, Ordering::Relaxed);
    let start = Instant::now();
    let deadline = start + Duration::from_secs(args.seconds);
    let mut running: JoinSet<()> = workers.into_iter().map(|worker| worker.run(start, deadline)).collect();
    let progress = tokio::spawn(progress::show(Arc::clone(&done), args.seconds));
    while let Some(ended) = running.join_next().await {
        ended.context("a connection's task failed")?;
    }
    let mut all = Tally::new();
    tallies.iter().for_each(|tally| all.merge(&tally.lock()));
    progress.abort();
    // It is dropped with the task, which takes its line off the terminal.
    let _ = progress.await;
    Ok(all)
}

/// Makes the connections and, if anything is to be read, writes the keys, each connection its part of them.
async fn prepare(
    args: &BenchArgs,
    shown: &Shown,
    done: &Arc<AtomicU64>,
    tallies: &[Arc<Mutex<Tally>>],
) -> anyhow::Result<Vec<Worker>> {
    let connections = u64::from(args.connections);
    let connecting = Arc::new(Semaphore::new(CONNECTING_MAX));
    let mut preparing: JoinSet<anyhow::Result<Worker>> = JoinSet::new();
    for (index, tally) in (0..connections).zip(tallies.iter().cycle()) {
        let mut worker = Worker::new(args, index, shown, Arc::clone(done), Arc::clone(tally));
        let (node, loaded, connecting) = (args.node_of(index).to_owned(), args.loaded, Arc::clone(&connecting));
        preparing.spawn(async move {
            let turn = connecting.acquire().await;
            worker.connection.connect().await.with_context(|| format!("cannot connect to {node}"))?;
            drop(turn);
            if worker.mix.reads() && !loaded {
                worker.load(index, connections).await.with_context(|| format!("cannot load the keys into {node}"))?;
            }
            Ok(worker)
        });
    }
    let mut workers = Vec::new();
    while let Some(worker) = preparing.join_next().await {
        workers.push(worker.context("a connection's task failed")??);
    }
    Ok(workers)
}

impl Worker {
    fn new(args: &BenchArgs, index: u64, shown: &Shown, done: Arc<AtomicU64>, tally: Arc<Mutex<Tally>>) -> Self {
        let value_bytes = usize::try_from(args.value_bytes).unwrap_or(usize::MAX);
        let schedule = args.rate.map(|rate| {
            let each = Duration::from_secs_f64(f64::from(args.connections) * f64::from(args.pipeline) / rate as f64);
            (each.mul_f64(index as f64 / f64::from(args.connections)), each)
        });
        Self {
            connection: Connection::new(
                args.node_of(index),
                value_bytes,
                args.contexts == Switch::On,
                args.write_concern,
            )
            .showing(shown),
            mix: args.mix,
            keys: Keys::of(args),
            // The same in every run.
            random: ChaCha8Rng::seed_from_u64(index),
            pipeline: args.pipeline,
            schedule,
            done,
            tally,
        }
    }

    /// Writes the keys from `first` on in steps.
    async fn load(&mut self, first: u64, step: u64) -> anyhow::Result<()> {
        let mut key = first;
        while key < self.keys.count {
            let mut status = 0;
            self.connection.exchange(&[(Operation::Put, key)], |_, reply| status = reply.status).await?;
            if !is_expected(Operation::Put, status) {
                bail!("status {status} to a PUT");
            }
            key += step;
        }
        Ok(())
    }

    /// Asks until the deadline.
    async fn run(mut self, start: Instant, deadline: Instant) {
        if timeout_at(deadline + GRACE, self.ask(start, deadline)).await.is_err() {
            self.tally.lock().add_error(format_args!("no answer for {} s", GRACE.as_secs()));
        }
    }

    async fn ask(&mut self, start: Instant, deadline: Instant) {
        let mut requests = Vec::new();
        let mut due = start + self.schedule.map_or(Duration::ZERO, |(first, _)| first);
        while due < deadline {
            requests.clear();
            for _ in 0..self.pipeline {
                requests.push((self.mix.pick(self.random.random()), self.keys.draw(&mut self.random)));
            }
            // Its own timer's delay is not the node's.
            let from = if Instant::now() < due {
                sleep_until(due).await;
                Instant::now()
            } else {
                due
            };
            let (done, tally) = (&self.done, &self.tally);
            let exchange = self.connection.exchange(&requests, |operation, reply| {
                let end = Instant::now();
                // What ends after the time is over is not counted: the rate is that of the time.
                if end <= deadline {
                    tally.lock().add_reply(operation, reply, end - from);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
            if let Err(error) = exchange.await {
                self.tally.lock().add_error(error);
                sleep(ERROR_PAUSE).await;
            }
            due = self.schedule.map_or_else(Instant::now, |(_, each)| due + each);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(zipf: Option<f64>) -> Vec<usize> {
        let keys = Keys { count: 10, zipf: zipf.map(|exponent| Zipf::new(10.0, exponent).unwrap()) };
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut counts = vec![0; 10];
        for _ in 0..100_000 {
            counts[usize::try_from(keys.draw(&mut random)).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn keys_are_drawn_as_often_as_they_should_be() {
        for exponent in [0.0, 0.99, 2.0] {
            let weights: Vec<f64> = (1..=10).map(|rank| f64::from(rank).powf(-exponent)).collect();
            let sum: f64 = weights.iter().sum();
            for (count, weight) in drawn(Some(exponent)).into_iter().zip(weights) {
                let expected = 100_000.0 * weight / sum;
                assert!(
                    (count as f64 - expected).abs() < 5.0 * expected.sqrt() + 1.0,
                    "{exponent}: {count} for {expected}"
                );
            }
        }
        assert!(drawn(None).iter().all(|count| (9_500..10_500).contains(count)));
    }
}
