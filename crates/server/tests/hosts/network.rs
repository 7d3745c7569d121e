//! Hosts with addresses of their own: network namespaces, each with one wire to a switch, which is a namespace too and
//! forwards packets between them. Every fault of the network is made in the switch, so that hosts know nothing of it, and
//! nothing of it leaves these namespaces.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use nix::sched::{CloneFlags, setns};

use crate::slow::{Slow, SlowLink};

/// The switch's end of every wire: routes need a next hop that answers for its hardware address.
const HOP: &str = "169.254.1.1";
/// Packets that take the slow link are routed by this table.
const SLOW_TABLE: &str = "100";

/// A host: its name, and its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) ip: Ipv4Addr,
}

impl Host {
    /// The host of a node.
    pub(crate) fn node(index: u8) -> Self {
        Self { name: format!("n{index}"), ip: Ipv4Addr::new(10, 99, 0, 10 + index) }
    }

    /// The host of clients.
    pub(crate) fn client(index: u8) -> Self {
        Self { name: format!("c{index}"), ip: Ipv4Addr::new(10, 99, 0, 200 + index) }
    }

    /// The host from which the test looks at nodes. No fault touches it.
    pub(crate) fn operator() -> Self {
        Self { name: "op".to_owned(), ip: Ipv4Addr::new(10, 99, 0, 250) }
    }
}

/// The switch and its hosts. They go with it.
#[derive(Debug)]
pub(crate) struct Network {
    prefix: String,
    namespaces: Vec<String>,
    slow: Option<SlowLink>,
}

impl Network {
    /// A switch without hosts.
    pub(crate) fn new() -> Self {
        remove_leftovers();
        let mut network =
            Self { prefix: format!("precede-{}", std::process::id()), namespaces: Vec::new(), slow: None };
        network.create("switch");
        let switch = network.namespace("switch");
        run(&format!("ip -n {switch} link set lo up"));
        for setting in ["ip_forward=1", "conf.all.rp_filter=0", "conf.default.rp_filter=0"] {
            run(&format!("ip netns exec {switch} sysctl -qw net.ipv4.{setting}"));
        }
        network
    }

    /// The namespace of a host, or of the switch.
    pub(crate) fn namespace(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// Adds a host that has no process yet.
    pub(crate) fn add(&mut self, host: &Host) {
        self.create(&host.name);
        self.wire(host);
    }

    /// Adds a host unless it is there.
    pub(crate) fn ensure(&mut self, host: &Host) {
        if !self.namespaces.contains(&self.namespace(&host.name)) {
            self.add(host);
        }
    }

    /// Adds a host that a container engine has made around a process.
    pub(crate) fn adopt(&mut self, host: &Host, pid: i32) {
        let namespace = self.namespace(&host.name);
        run(&format!("ip netns attach {namespace} {pid}"));
        self.namespaces.push(namespace);
        self.wire(host);
    }

    /// Removes a host, and its wire with it.
    pub(crate) fn remove(&mut self, host: &Host) {
        let namespace = self.namespace(&host.name);
        // The kernel takes a namespace's wires away some time after the namespace: the next of this name must find none.
        run(&format!("ip -n {} link delete v-{}", self.namespace("switch"), host.name));
        run(&format!("ip netns delete {namespace}"));
        self.namespaces.retain(|other| *other != namespace);
    }

    /// Moves this thread to a host: the sockets that it makes from now on are that host's.
    pub(crate) fn enter(&self, name: &str) {
        self.entrance(name)();
    }

    /// What moves the thread that calls it to a host.
    pub(crate) fn entrance(&self, name: &str) -> impl FnOnce() + Send + use<> {
        let path = Path::new("/run/netns").join(self.namespace(name));
        let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        move || setns(file, CloneFlags::CLONE_NEWNET).expect("root may enter namespaces")
    }

    /// Drops, silently, whatever `from` sends to `to`.
    pub(crate) fn cut_one_way(&self, from: &[Host], to: &[Host]) {
        for (from, to) in pairs(from, to) {
            self.iptables(&format!("-I FORWARD -s {} -d {} -j DROP", from.ip, to.ip));
        }
    }

    /// Cuts two groups of hosts off one another.
    pub(crate) fn cut(&self, one: &[Host], other: &[Host]) {
        self.cut_one_way(one, other);
        self.cut_one_way(other, one);
    }

    /// Drops packets between two groups at random, so many of a thousand.
    pub(crate) fn lose(&self, one: &[Host], other: &[Host], per_mille: u32) {
        let probability = f64::from(per_mille) / 1000.0;
        for (from, to) in pairs(one, other).chain(pairs(other, one)) {
            let (from, to) = (from.ip, to.ip);
            self.iptables(&format!(
                "-I FORWARD -s {from} -d {to} -m statistic --mode random --probability {probability} -j DROP"
            ));
        }
    }

    /// Sends whatever goes between two groups over a slow link.
    pub(crate) fn slow(&mut self, one: &[Host], other: &[Host], slow: Slow) {
        let switch = self.namespace("switch");
        let link = SlowLink::start(self, slow);
        run(&format!("ip -n {switch} route add default dev {} table {SLOW_TABLE}", link.device));
        for (from, to) in pairs(one, other).chain(pairs(other, one)) {
            // Named by the wire that they come in on: what comes from the slow link has been there already.
            run(&format!(
                "ip -n {switch} rule add from {} to {} iif v-{} lookup {SLOW_TABLE}",
                from.ip, to.ip, from.name
            ));
        }
        self.slow = Some(link);
    }

    /// Ends all faults of the network.
    pub(crate) fn heal(&mut self) {
        self.iptables("-F FORWARD");
        if let Some(link) = self.slow.take() {
            let switch = self.namespace("switch");
            while succeeds(&format!("ip -n {switch} rule delete lookup {SLOW_TABLE}")) {}
            drop(link);
        }
    }

    fn create(&mut self, name: &str) {
        let namespace = self.namespace(name);
        run(&format!("ip netns add {namespace}"));
        self.namespaces.push(namespace);
    }

    fn wire(&self, host: &Host) {
        let (switch, namespace) = (self.namespace("switch"), self.namespace(&host.name));
        let Host { name, ip } = host;
        run(&format!("ip link add v-{name} netns {switch} type veth peer name eth0 netns {namespace}"));
        run(&format!("ip -n {switch} address add {HOP}/32 dev v-{name}"));
        run(&format!("ip -n {switch} link set v-{name} up"));
        run(&format!("ip -n {switch} route add {ip} dev v-{name}"));
        run(&format!("ip -n {namespace} link set lo up"));
        run(&format!("ip -n {namespace} address add {ip}/32 dev eth0"));
        run(&format!("ip -n {namespace} link set eth0 up"));
        run(&format!("ip -n {namespace} route add {HOP} dev eth0"));
        run(&format!("ip -n {namespace} route add default via {HOP}"));
    }

    fn iptables(&self, rule: &str) {
        run(&format!("ip netns exec {} iptables -w {rule}", self.namespace("switch")));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.slow = None;
        for namespace in &self.namespaces {
            succeeds(&format!("ip netns delete {namespace}"));
        }
    }
}

/// Everyone of one group with everyone of the other.
fn pairs<'h>(one: &'h [Host], other: &'h [Host]) -> impl Iterator<Item = (&'h Host, &'h Host)> {
    one.iter().flat_map(move |one| other.iter().map(move |other| (one, other)))
}

/// A run that was killed leaves its namespaces behind; they are named after its process.
fn remove_leftovers() {
    for entry in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix("precede-").and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            succeeds(&format!("ip netns delete {name}"));
        }
    }
}

/// Runs a command, which must succeed; returns what it printed.
pub(crate) fn run(command: &str) -> String {
    let output = start(command);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {}: {error}", output.status);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Runs a command; says whether it succeeded.
pub(crate) fn succeeds(command: &str) -> bool {
    start(command).status.success()
}

fn start(command: &str) -> std::process::Output {
    let mut words = command.split_whitespace();
    let program = words.next().expect("a command has a program");
    Command::new(program).args(words).output().unwrap_or_else(|error| panic!("{command}: {error}"))
}
