//! A cluster of real processes, and what is done to them.

use std::net::TcpListener;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use precede_client::{Client, View};
use tokio::process::{Child, Command};

use crate::raw::Raw;
use crate::until::until;

/// Where to look for a port next. Below those that the system gives to outgoing connections, so that a node finds its
/// port free when it is started again.
static NEXT_PORT: AtomicU16 = AtomicU16::new(0);

/// A running cluster. Its processes end with it.
#[derive(Debug)]
pub(crate) struct Nodes {
    pub(crate) addresses: Vec<String>,
    pub(crate) view: Arc<View>,
    pub(crate) raw: Raw,
    factor: usize,
    children: Vec<Child>,
}

impl Nodes {
    /// Starts a cluster and waits until all of it is ready.
    pub(crate) async fn start(count: usize, factor: usize) -> Self {
        let addresses: Vec<String> = (0..count).map(|_| format!("127.0.0.1:{}", free_port())).collect();
        let children = addresses.iter().map(|address| spawn(address, &addresses, factor)).collect();
        let raw = Raw::new(Duration::from_secs(3));
        let client = Client::new(&addresses).expect("the addresses are valid");
        for address in &addresses {
            until(&format!("{address} is ready"), async || raw.is_ready(address).await.then_some(())).await;
        }
        let view = client.refresh_view().await.expect("a cluster that is ready tells its view");
        Self { addresses, view, raw, factor, children }
    }

    /// Ends a process without warning.
    pub(crate) async fn kill(&mut self, index: usize) {
        self.children[index].kill().await.expect("the process can be killed");
    }

    /// Starts a process again that was killed.
    pub(crate) fn restart(&mut self, index: usize) {
        self.children[index] = spawn(&self.addresses[index], &self.addresses, self.factor);
    }

    /// Stops a process: it does nothing, and its connections stay open.
    pub(crate) fn pause(&self, index: usize) {
        self.signal(index, Signal::SIGSTOP);
    }

    /// Lets a stopped process go on.
    pub(crate) fn resume(&self, index: usize) {
        self.signal(index, Signal::SIGCONT);
    }

    /// Waits until a node is ready.
    pub(crate) async fn ready(&self, index: usize) {
        let address = &self.addresses[index];
        until(&format!("{address} is ready again"), async || self.raw.is_ready(address).await.then_some(())).await;
    }

    /// Waits until every node itself shows all that a context names, so that any single one may die without a loss.
    pub(crate) async fn hold(&self, context: &str) {
        for shard in &self.view.shards {
            let key = self.key_of(shard.id, "hold");
            for replica in &shard.replicas {
                let replica = replica.as_str();
                until(&format!("{replica} shows what clients have seen"), async || {
                    let answer = self.raw.get(replica, &key, context).await.ok()?;
                    (matches!(answer.status, 200 | 404) && answer.served_by() == replica).then_some(())
                })
                .await;
            }
        }
    }

    /// A key that belongs to a shard.
    pub(crate) fn key_of(&self, shard: u32, name: &str) -> String {
        let mut keys = (0..).map(|number: u32| format!("{name}-{number}"));
        keys.find(|key| self.view.shard_of(key).is_some_and(|owner| owner.id == shard)).expect("every shard owns keys")
    }

    /// Says which processes have ended by themselves.
    pub(crate) fn assert_all_run(&mut self) {
        for (child, address) in self.children.iter_mut().zip(&self.addresses) {
            let ended = child.try_wait().expect("the process can be looked at");
            assert!(ended.is_none(), "{address} has ended: {ended:?}");
        }
    }

    fn signal(&self, index: usize, signal: Signal) {
        let pid = self.children[index].id().expect("the process runs");
        let pid = Pid::from_raw(i32::try_from(pid).expect("process ids are small"));
        kill(pid, signal).expect("the process can be signalled");
    }
}

fn spawn(address: &str, view: &[String], factor: usize) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_precede"));
    command.args(["serve", "--address", address, "--view", &view.join(",")]);
    command.args(["--repl-factor", &factor.to_string(), "--exit-with-stdin"]);
    command.env_clear().env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "error".to_owned()));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true);
    command.spawn().expect("the binary can be started")
}

fn free_port() -> u16 {
    let first = 11_000 + u16::try_from(std::process::id() % 1000).expect("it is below 1000") * 20;
    let _ = NEXT_PORT.compare_exchange(0, first, Ordering::Relaxed, Ordering::Relaxed);
    loop {
        let port = NEXT_PORT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
