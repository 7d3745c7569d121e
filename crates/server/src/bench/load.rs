//! The connections' work: loads the keys, then asks until the time is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use crate::bench::args::{BenchArgs, Mix, Operation, Switch};
use crate::bench::progress;
use crate::bench::tally::{Tally, is_expected};
use crate::bench::wire::Connection;

/// A request that is under way when the time is over is waited for so much longer.
const GRACE: Duration = Duration::from_secs(10);
/// After an error, so that a node that is away is not asked in a loop.
const ERROR_PAUSE: Duration = Duration::from_millis(20);

/// One connection and what it asks for.
struct Worker {
    connection: Connection,
    mix: Mix,
    keys: u64,
    random: u64,
    done: Arc<AtomicU64>,
}

/// Loads a node and counts.
///
/// # Errors
/// The node cannot be reached, or does not take the keys that are to be read.
pub(crate) async fn run(args: &BenchArgs) -> anyhow::Result<Tally> {
    let done = Arc::new(AtomicU64::new(0));
    let workers = prepare(args, &done).await?;
    done.store(0, Ordering::Relaxed);
    let deadline = Instant::now() + Duration::from_secs(args.seconds);
    let mut running: JoinSet<Tally> = workers.into_iter().map(|worker| worker.run(deadline)).collect();
    let progress = tokio::spawn(progress::show(Arc::clone(&done), args.seconds));
    let mut all = Tally::new();
    while let Some(tally) = running.join_next().await {
        all.merge(tally.context("a connection's task failed")?);
    }
    progress.abort();
    // It is dropped with the task, which takes its line off the terminal.
    let _ = progress.await;
    Ok(all)
}

/// Makes the connections and, if anything is to be read, writes the keys, each connection its part of them.
async fn prepare(args: &BenchArgs, done: &Arc<AtomicU64>) -> anyhow::Result<Vec<Worker>> {
    let connections = u64::from(args.connections);
    let mut preparing: JoinSet<anyhow::Result<Worker>> = JoinSet::new();
    for index in 0..connections {
        let mut worker = Worker::new(args, index, Arc::clone(done));
        let (node, loaded) = (args.node.clone(), args.loaded);
        preparing.spawn(async move {
            worker.connection.connect().await.with_context(|| format!("cannot connect to {node}"))?;
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
    fn new(args: &BenchArgs, index: u64, done: Arc<AtomicU64>) -> Self {
        let value_bytes = usize::try_from(args.value_bytes).unwrap_or(usize::MAX);
        Self {
            connection: Connection::new(&args.node, value_bytes, args.contexts == Switch::On),
            mix: args.mix,
            keys: args.keys,
            random: index << 48,
            done,
        }
    }

    /// Writes the keys from `first` on in steps.
    async fn load(&mut self, first: u64, step: u64) -> anyhow::Result<()> {
        let mut key = first;
        while key < self.keys {
            let reply = self.connection.exchange(Operation::Put, key).await?;
            if !is_expected(Operation::Put, reply.status) {
                bail!("status {} to a PUT", reply.status);
            }
            key += step;
        }
        Ok(())
    }

    /// Asks until the deadline.
    async fn run(mut self, deadline: Instant) -> Tally {
        let mut tally = Tally::new();
        if timeout_at(deadline + GRACE, self.ask(deadline, &mut tally)).await.is_err() {
            tally.add_error(format_args!("no answer for {} s", GRACE.as_secs()));
        }
        tally
    }

    async fn ask(&mut self, deadline: Instant, tally: &mut Tally) {
        let mut start = Instant::now();
        while start < deadline {
            let random = self.next_random();
            let operation = self.mix.pick(u32::try_from(random >> 40).unwrap_or_default());
            let result = self.connection.exchange(operation, random % self.keys).await;
            let end = Instant::now();
            match result {
                // What ends after the time is over is not counted: the rate is that of the time.
                Ok(reply) if end <= deadline => {
                    tally.add_reply(operation, reply, end - start);
                    self.done.fetch_add(1, Ordering::Relaxed);
                    start = end;
                }
                Ok(_) => return,
                Err(error) => {
                    tally.add_error(error);
                    sleep(ERROR_PAUSE).await;
                    start = Instant::now();
                }
            }
        }
    }

    /// A random number: `SplitMix64`, the same in every run.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
