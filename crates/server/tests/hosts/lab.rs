//! A cluster on hosts of its own, and what may be done to it.

use std::collections::BTreeMap;
use std::io::Write;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{Pid, geteuid};
use precede_client::{Client, View, ViewState};

use crate::engine::{self, Engine, Processes, Spec, signal};
use crate::figures::Footprint;
use crate::network::{Host, Network, run as run_command, succeeds};
use crate::raw::Raw;
use crate::until::until;

const PORT: u16 = 8080;
/// Each test takes the whole machine.
static MACHINE: Mutex<()> = Mutex::new(());

/// One node: where it runs, how it is started, and whether it does.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) host: Host,
    pub(crate) address: String,
    pub(crate) spec: Spec,
    pid: Option<Pid>,
}

/// A switch with nodes.
pub(crate) struct Lab {
    pub(crate) nodes: Vec<Node>,
    pub(crate) raw: Raw,
    // In the order of their end: nodes before the hosts that they are on.
    engine: Box<dyn Engine>,
    pub(crate) network: Network,
}

/// Runs a test on hosts of the engine that was chosen; without root or namespaces it says why not.
pub(crate) fn run(title: &str, test: impl AsyncFnOnce(Lab) + Send) {
    run_on(title, engine::chosen, test);
}

/// The same for a test that brings programs of its own: containers hold only the one of their image.
pub(crate) fn run_processes(title: &str, test: impl AsyncFnOnce(Lab) + Send) {
    run_on(title, || Box::new(Processes::default()), test);
}

fn run_on(title: &str, engine: impl FnOnce() -> Box<dyn Engine> + Send, test: impl AsyncFnOnce(Lab) + Send) {
    if let Some(reason) = hindrance() {
        // Past the test harness, which shows what is printed only of tests that fail.
        let _ = writeln!(std::io::stderr(), "{title}: skipped: {reason}");
        return;
    }
    let _machine = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let ended = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let lab = Lab::new(engine());
            println!("\n== {title} ({})", lab.engine.name());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(test(lab));
        });
        thread.join()
    });
    if let Err(panic) = ended {
        resume_unwind(panic);
    }
}

/// Why there can be no hosts here.
fn hindrance() -> Option<&'static str> {
    if !geteuid().is_root() {
        return Some("hosts of their own need root");
    }
    for program in ["ip", "iptables", "sysctl"] {
        if !succeeds(&format!("which {program}")) {
            return Some("hosts of their own need ip, iptables and sysctl (Debian: iproute2 iptables procps)");
        }
    }
    let probe = format!("precede-{}-probe", std::process::id());
    if !succeeds(&format!("ip netns add {probe}")) {
        return Some("the kernel gives no network namespaces");
    }
    let cuts = succeeds(&format!("ip netns exec {probe} iptables -w -A FORWARD -s 10.99.0.1 -j DROP"));
    succeeds(&format!("ip netns delete {probe}"));
    (!cuts).then_some("the kernel does not take packet filters in a namespace")
}

impl Lab {
    fn new(engine: Box<dyn Engine>) -> Self {
        let mut network = Network::new();
        network.add(&Host::operator());
        network.enter("op");
        Self { nodes: Vec::new(), raw: Raw::new(Duration::from_secs(3)), engine, network }
    }

    /// Starts a cluster and waits until it is ready.
    pub(crate) async fn cluster(&mut self, count: u8, factor: usize) -> Arc<View> {
        self.cluster_with(count, factor, |_, _| {}).await
    }

    /// The same with nodes that differ.
    pub(crate) async fn cluster_with(
        &mut self,
        count: u8,
        factor: usize,
        alter: impl Fn(usize, &mut Spec),
    ) -> Arc<View> {
        let view: Vec<String> = (0..count).map(|index| format!("{}:{PORT}", Host::node(index).ip)).collect();
        for index in 0..count {
            self.define(index, &view.join(","), factor);
            alter(index.into(), &mut self.nodes[usize::from(index)].spec);
        }
        for index in 0..count.into() {
            self.start(index);
        }
        self.all_ready().await;
        self.view().await
    }

    /// Starts one more node, which is told of the first nodes' view, and waits until it has heard the cluster.
    pub(crate) async fn spare(&mut self) -> usize {
        let index = self.nodes.len();
        let told = |name: &str| self.nodes[0].spec.environment[name].clone();
        let (view, factor) = (told("VIEW"), told("REPL_FACTOR").parse().expect("it is a number"));
        self.define(u8::try_from(index).expect("labs are small"), &view, factor);
        self.start(index);
        let address = self.nodes[index].address.clone();
        until(&format!("{address} passes requests on"), async || {
            let answer = self.raw.get(&address, "none", "").await.ok()?;
            (answer.status == 404).then_some(())
        })
        .await;
        index
    }

    fn define(&mut self, index: u8, view: &str, factor: usize) {
        let host = Host::node(index);
        let settings = [
            ("ADDRESS", host.ip.to_string()),
            ("PORT", PORT.to_string()),
            ("VIEW", view.to_owned()),
            ("REPL_FACTOR", factor.to_string()),
            ("RUST_LOG", "info".to_owned()),
        ];
        let environment: BTreeMap<_, _> = settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let spec = Spec { program: PathBuf::from(env!("CARGO_BIN_EXE_precede")), environment };
        self.nodes.push(Node { address: format!("{}:{PORT}", host.ip), host, spec, pid: None });
    }

    /// Starts a node that does not run.
    pub(crate) fn start(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        assert!(node.pid.is_none(), "{} runs", node.address);
        node.pid = Some(self.engine.start(&mut self.network, &node.host, &node.spec));
    }

    /// Kills a node: what it held is gone.
    pub(crate) fn kill(&mut self, index: usize) {
        self.end(index, Signal::SIGKILL);
    }

    /// Asks a node to end, and waits until it has.
    pub(crate) fn terminate(&mut self, index: usize) {
        self.end(index, Signal::SIGTERM);
    }

    fn end(&mut self, index: usize, by: Signal) {
        let node = &mut self.nodes[index];
        signal(node.pid.take().expect("it runs"), by);
        self.engine.reap(&mut self.network, &node.host);
    }

    /// Stops a node where it stands.
    pub(crate) fn pause(&self, index: usize) {
        signal(self.pid(index), Signal::SIGSTOP);
    }

    /// Lets a node go on.
    pub(crate) fn resume(&self, index: usize) {
        signal(self.pid(index), Signal::SIGCONT);
    }

    /// A node's process.
    pub(crate) fn pid(&self, index: usize) -> Pid {
        self.nodes[index].pid.expect("it runs")
    }

    /// What a node's process holds of the machine.
    pub(crate) fn footprint(&self, index: usize) -> Footprint {
        Footprint::of(self.pid(index))
    }

    /// Writes so many keys through some nodes, each its part of them, from the operator's host.
    pub(crate) fn fill(&self, indices: &[usize], keys: u32, value_bytes: u32) {
        let program = env!("CARGO_BIN_EXE_precede");
        let (nodes, seconds) = (self.addresses(indices).join(","), 1);
        let told = run_command(&format!(
            "{program} bench --node {nodes} --keys {keys} --value-bytes {value_bytes} --seconds {seconds} --json"
        ));
        assert!(told.contains("\"errors\":0"), "{told}");
    }

    /// The hosts of some nodes.
    pub(crate) fn hosts(&self, indices: &[usize]) -> Vec<Host> {
        indices.iter().map(|index| self.nodes[*index].host.clone()).collect()
    }

    /// The addresses of some nodes.
    pub(crate) fn addresses(&self, indices: &[usize]) -> Vec<String> {
        indices.iter().map(|index| self.nodes[*index].address.clone()).collect()
    }

    /// What a node has logged, all its lives together.
    pub(crate) fn log(&self, index: usize) -> String {
        self.engine.log(&self.nodes[index].host)
    }

    /// How often a node has logged this.
    pub(crate) fn logged(&self, index: usize, text: &str) -> usize {
        self.log(index).lines().filter(|line| line.contains(text)).count()
    }

    /// Waits until a node is ready.
    pub(crate) async fn ready(&self, index: usize) {
        let address = &self.nodes[index].address;
        until(&format!("{address} is ready"), async || self.raw.is_ready(address).await.then_some(())).await;
    }

    /// Waits until all nodes that run are.
    pub(crate) async fn all_ready(&self) {
        for index in 0..self.nodes.len() {
            if self.nodes[index].pid.is_some() {
                self.ready(index).await;
            }
        }
    }

    /// Waits until all members of a view are. Nodes that have left it never are.
    pub(crate) async fn members_ready(&self, view: &View) {
        for index in 0..self.nodes.len() {
            if view.members().any(|member| member.as_str() == self.nodes[index].address) {
                self.ready(index).await;
            }
        }
    }

    /// A client of some nodes, on the operator's host.
    pub(crate) fn client(&self, indices: &[usize]) -> Client {
        Client::new(self.addresses(indices)).expect("the addresses are valid")
    }

    /// The view as the first node tells it.
    pub(crate) async fn view(&self) -> Arc<View> {
        self.client(&[0]).refresh_view().await.expect("a cluster that is ready tells its view")
    }

    /// The view's state as one node tells it.
    pub(crate) async fn view_state(&self, index: usize) -> Option<ViewState> {
        self.client(&[index]).view_state().await.ok()
    }
}
