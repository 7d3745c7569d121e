//! A whole cluster on this machine, for trying: one process per node, so that one can be killed. The nodes have no settings but those that
//! it gives them: no TLS, no tokens, no secret.

use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use precede_core::id::Address;
use precede_core::placement::view::View;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::cli::DevArgs;
use crate::credentials::CA_FILE_VARIABLE;
use crate::exit::{Exit, fail, say};
use crate::health;
use crate::settings::said;

/// For all nodes to be ready.
const READY_TIMEOUT: Duration = Duration::from_secs(15);
/// Between two looks.
const READY_INTERVAL: Duration = Duration::from_millis(50);
/// For one answer of a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// For the nodes to end when they are asked to: a little more than they take for it.
const END_TIMEOUT: Duration = Duration::from_secs(7);

/// The cluster as it is started.
struct Plan {
    view: View,
    members: Vec<Address>,
    /// Nodes outside the view.
    spares: Vec<Address>,
    repl_factor: u16,
}

/// Runs `precede dev`.
pub(crate) async fn command(args: &DevArgs) -> ExitCode {
    let plan = match Plan::new(args) {
        Ok(plan) => plan,
        Err(error) => return fail(Exit::Usage, error),
    };
    let ignored = ignored();
    if !ignored.is_empty() {
        eprintln!(
            "what the environment says is not for these nodes, which have neither TLS nor tokens nor a secret: {} {} left out",
            ignored.join(", "),
            if ignored.len() == 1 { "is" } else { "are" },
        );
    }
    match run(&plan).await {
        Ok(()) => Exit::Done.into(),
        Err(error) => fail(Exit::No, format_args!("{error:#}")),
    }
}

impl Plan {
    fn new(args: &DevArgs) -> anyhow::Result<Self> {
        let nodes = args.nodes + args.spares;
        anyhow::ensure!(
            args.port_base.checked_add(nodes - 1).is_some(),
            "--port-base {} leaves no room for {nodes} ports: choose a lower one",
            args.port_base,
        );
        let ports = args.port_base..=args.port_base + (nodes - 1);
        let mut members = ports.map(|port| Address::parse("127.0.0.1", Some(port))).collect::<Result<Vec<_>, _>>()?;
        let spares = members.split_off(usize::from(args.nodes));
        let view = View::bootstrap(&members, usize::from(args.repl_factor))
            .map_err(|error| anyhow::anyhow!("--nodes {} --repl-factor {}: {error}", args.nodes, args.repl_factor))?;
        Ok(Self { view, members, spares, repl_factor: args.repl_factor })
    }

    /// The arguments of one node.
    fn serve(&self, member: &Address) -> Vec<String> {
        let view: Vec<&str> = self.members.iter().map(Address::as_str).collect();
        let (view, factor) = (view.join(","), self.repl_factor.to_string());
        ["serve", "--address", member.as_str(), "--view", &view, "--repl-factor", &factor].map(str::to_owned).into()
    }

    fn spawn(&self, member: &Address) -> anyhow::Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        for variable in said::variables() {
            command.env_remove(variable);
        }
        if std::env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "error");
        }
        // A node ends with its standard input, and so with this process, whatever ends this process.
        command.args(self.serve(member)).arg("--exit-with-stdin");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true);
        Ok(command.spawn()?)
    }
}

async fn run(plan: &Plan) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (mut children, mut stdins, mut pids) = (JoinSet::new(), Vec::new(), Vec::new());
    for member in plan.members.iter().chain(&plan.spares) {
        let mut child = plan.spawn(member)?;
        stdins.push(child.stdin.take());
        pids.push(child.id().unwrap_or_default());
        let member = member.clone();
        children.spawn(async move { (member, child.wait().await) });
    }
    let asked_to_end = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::select! {
        ended = watch(plan, &mut children, &pids) => ended?,
        () = asked_to_end => {}
    }
    say("\nstopping");
    stdins.clear();
    // Those that have not ended then are killed when their handles are dropped.
    let _ = timeout(END_TIMEOUT, async { while children.join_next().await.is_some() {} }).await;
    Ok(())
}

/// Waits until the nodes are ready, then tells of those that end. Ends only if the start fails.
async fn watch(
    plan: &Plan,
    children: &mut JoinSet<(Address, std::io::Result<ExitStatus>)>,
    pids: &[u32],
) -> anyhow::Result<()> {
    tokio::select! {
        ready = all_ready(plan) => ready?,
        Some(Ok((member, status))) = children.join_next() => {
            anyhow::bail!("node {member} ended at its start ({}): is its port in use?", describe(status));
        }
    }
    introduce(plan, pids);
    while let Some(ended) = children.join_next().await {
        if let Ok((member, status)) = ended {
            lament(plan, &member, status);
        }
    }
    // Nodes that are started again are not its own: it ends when it is asked to.
    std::future::pending().await
}

async fn all_ready(plan: &Plan) -> anyhow::Result<()> {
    let deadline = Instant::now() + READY_TIMEOUT;
    for member in &plan.members {
        loop {
            let probe = timeout(PROBE_TIMEOUT, health::probe(member.as_str(), "/readyz"));
            let answer = probe.await.unwrap_or_else(|elapsed| Err(elapsed.into()));
            match answer {
                Ok(answer) if answer.starts_with("HTTP/1.1 200") => break,
                Ok(answer) if Instant::now() > deadline => {
                    anyhow::bail!("node {member} is not ready after {READY_TIMEOUT:?}: {}", health::body(&answer));
                }
                Err(error) if Instant::now() > deadline => {
                    anyhow::bail!("node {member} does not answer after {READY_TIMEOUT:?}: {error}");
                }
                Ok(_) | Err(_) => sleep(READY_INTERVAL).await,
            }
        }
    }
    Ok(())
}

fn introduce(plan: &Plan, pids: &[u32]) {
    say(format_args!("{} nodes are ready\n", plan.members.len()));
    say(format_args!("  {:<22} {:<6} pid", "node", "shard"));
    for (member, pid) in plan.members.iter().chain(&plan.spares).zip(pids) {
        let shard = plan.view.shard_of_member(member.node_id()).map_or("spare".to_owned(), |shard| shard.0.to_string());
        say(format_args!("  {:<22} {shard:<6} {pid}", member.as_str()));
    }
    let first = &plan.members[0];
    let last = plan.members.last().unwrap_or(first);
    say(format_args!(
        "\nthe dashboard: http://{first}/\n\ntry\n\n\
         \x20 T=$(curl -s -D - -o /dev/stderr -X PUT http://{first}/kv-store/keys/greeting -d '{{\"value\": \"hello\"}}' \
         | sed -n 's/^causal-context: //p' | tr -d '\\r')\n\
         \x20 curl -s -H \"Causal-Context: $T\" http://{last}/kv-store/keys/greeting\n\
         \x20 curl -s -H \"Causal-Context: $T\" -X DELETE http://{last}/kv-store/keys/greeting\n\n\
         {}kill a node by its pid to see the others go on; Ctrl-C ends all\n",
        grow(plan),
    ));
}

/// How to take the spares in.
fn grow(plan: &Plan) -> String {
    if plan.spares.is_empty() {
        return String::new();
    }
    let spares: Vec<&str> = plan.spares.iter().map(Address::as_str).collect();
    let (program, node) = (program(), &plan.members[0]);
    format!("take the spares in:\n\n\x20 {program} view change --node {node} --add {}\n\n", spares.join(","))
}

/// What the environment says of a node or of how to speak to one. Only what is said here counts: that is meant for one node, of another
/// cluster.
fn ignored() -> Vec<String> {
    let of_clients = [CA_FILE_VARIABLE.to_owned()];
    said::variables().chain(of_clients).filter(|variable| std::env::var_os(variable).is_some()).collect()
}

/// What to type for this program, so that it sees of the environment what its nodes see.
fn program() -> String {
    let program = std::env::current_exe().map_or_else(|_| "precede".to_owned(), |path| path.display().to_string());
    let ignored = ignored();
    if ignored.is_empty() { program } else { format!("env -u {} {program}", ignored.join(" -u ")) }
}

fn lament(plan: &Plan, member: &Address, status: std::io::Result<ExitStatus>) {
    let status = describe(status);
    say(format_args!("node {member} has ended ({status}); the others go on. To start it again:\n"));
    say(format_args!("  {} {}\n", program(), plan.serve(member).join(" ")));
}

fn describe(status: std::io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}
