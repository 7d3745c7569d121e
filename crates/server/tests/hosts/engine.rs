//! What runs the nodes: plain processes in network namespaces, or containers. Both have addresses of their own on the same
//! switch, and both are killed and paused as processes.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::network::{Host, Network, run, succeeds};

/// How a node is started.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    /// The program; containers have their image's.
    pub(crate) program: PathBuf,
    /// Its environment.
    pub(crate) environment: BTreeMap<String, String>,
}

/// Starts nodes, and gathers what they leave.
pub(crate) trait Engine {
    /// What it is, for people.
    fn name(&self) -> &'static str;
    /// Starts a node on a host that has none; returns its process.
    fn start(&mut self, network: &mut Network, host: &Host, spec: &Spec) -> Pid;
    /// A node's process is at its end: waits for it.
    fn reap(&mut self, network: &mut Network, host: &Host);
    /// What the nodes of a host have logged, all lives together.
    fn log(&self, host: &Host) -> String;
}

/// The engine that is asked for: containers if `PRECEDE_HOSTS` says so.
pub(crate) fn chosen() -> Box<dyn Engine> {
    match std::env::var("PRECEDE_HOSTS").as_deref() {
        Ok("containers") => Box::new(Containers::default()),
        Ok("namespaces") | Err(_) => Box::new(Processes::default()),
        Ok(other) => panic!("PRECEDE_HOSTS=\"{other}\": say containers or namespaces"),
    }
}

/// Processes in network namespaces.
#[derive(Default)]
pub(crate) struct Processes {
    children: BTreeMap<String, Child>,
    known: Vec<String>,
}

impl Engine for Processes {
    fn name(&self) -> &'static str {
        "processes in network namespaces"
    }

    fn start(&mut self, network: &mut Network, host: &Host, spec: &Spec) -> Pid {
        if !self.known.contains(&host.name) {
            self.known.push(host.name.clone());
            network.add(host);
            File::create(log_path(host)).expect("logs can be written");
        }
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &network.namespace(&host.name)]).arg(&spec.program);
        // It ends with its standard input, and so with this process, whatever ends this process.
        command
            .args(["serve", "--exit-with-stdin"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(&spec.environment).stdin(Stdio::piped()).stdout(Stdio::null());
        let log = OpenOptions::new().append(true).open(log_path(host)).expect("the log is there");
        let child = command.stderr(log).spawn().expect("a node starts");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("process ids are small"));
        self.children.insert(host.name.clone(), child);
        pid
    }

    fn reap(&mut self, _network: &mut Network, host: &Host) {
        let mut child = self.children.remove(&host.name).expect("it was started");
        child.wait().expect("it is a child of this process");
    }

    fn log(&self, host: &Host) -> String {
        std::fs::read_to_string(log_path(host)).expect("the log is there")
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in self.children.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Containers of the image that `PRECEDE_IMAGE` names.
#[derive(Default)]
pub(crate) struct Containers {
    running: Vec<String>,
    known: Vec<String>,
}

impl Engine for Containers {
    fn name(&self) -> &'static str {
        "containers"
    }

    fn start(&mut self, network: &mut Network, host: &Host, spec: &Spec) -> Pid {
        if !self.known.contains(&host.name) {
            self.known.push(host.name.clone());
            File::create(log_path(host)).expect("logs can be written");
        }
        let container = network.namespace(&host.name);
        let image = std::env::var("PRECEDE_IMAGE").unwrap_or_else(|_| "precede".to_owned());
        let settings: Vec<String> =
            spec.environment.iter().map(|(name, value)| format!("--env {name}={value}")).collect();
        // It gets its wire from the switch: the engine's own networks cannot be cut as these tests do.
        run(&format!("docker run --detach --network none --name {container} {} {image}", settings.join(" ")));
        self.running.push(container.clone());
        let pid = run(&format!("docker inspect --format {{{{.State.Pid}}}} {container}"));
        let pid = pid.parse().expect("a process id");
        network.adopt(host, pid);
        Pid::from_raw(pid)
    }

    fn reap(&mut self, network: &mut Network, host: &Host) {
        let container = network.namespace(&host.name);
        run(&format!("docker wait {container}"));
        self.keep_log(&container, host);
        run(&format!("docker rm {container}"));
        self.running.retain(|other| *other != container);
        network.remove(host);
    }

    fn log(&self, host: &Host) -> String {
        let ended = std::fs::read_to_string(log_path(host)).expect("the log is there");
        let running = self.running.iter().find(|container| container.ends_with(&format!("-{}", host.name)));
        ended + &running.map(|container| stderr_of(container)).unwrap_or_default()
    }
}

impl Containers {
    fn keep_log(&self, container: &str, host: &Host) {
        let log = self.log(host);
        std::fs::write(log_path(host), log).unwrap_or_else(|error| panic!("{container}: {error}"));
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        for container in &self.running {
            succeeds(&format!("docker rm --force {container}"));
        }
    }
}

fn stderr_of(container: &str) -> String {
    let output = Command::new("docker").args(["logs", container]).output().expect("the engine answers");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn log_path(host: &Host) -> String {
    format!("{}/host-{}.log", env!("CARGO_TARGET_TMPDIR"), host.name)
}

/// Sends a signal to a node's process.
pub(crate) fn signal(pid: Pid, signal: Signal) {
    kill(pid, signal).expect("the process is there");
}
