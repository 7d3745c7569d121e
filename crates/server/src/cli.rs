//! The command line: what can be said, and where it was said. What it means is for `settings`.

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Parser, Subcommand};

use crate::bench::args::{BareArgs, BenchArgs};
use crate::commands::EXIT_CODES;
use crate::status;

/// A distributed, in-memory, causally consistent key-value store.
#[derive(Debug, Parser)]
#[command(name = "precede", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one node
    Serve(Box<ServeArgs>),
    /// Run a whole cluster on this machine, for trying
    Dev(DevArgs),
    /// Write a key
    #[command(after_help = EXIT_CODES)]
    Put(PutArgs),
    /// Read a key
    #[command(after_help = EXIT_CODES)]
    Get(GetArgs),
    /// Delete a key
    #[command(after_help = EXIT_CODES)]
    Delete(DeleteArgs),
    /// Ask a node whether it is well; the exit code says so
    Health(HealthArgs),
    /// Show how every member of a cluster is
    #[command(after_help = status::command::EXIT_CODES)]
    Status(StatusArgs),
    /// Look at the view, or change it: add and remove nodes, change the replication factor
    View(ViewArgs),
    /// Measure what a running node sustains
    Bench(BenchArgs),
    /// Serve fixed answers with the same HTTP server and no store, to compare with
    #[command(hide = true)]
    Bare(BareArgs),
}

/// Options of `precede serve`. All of them are texts here: `settings` parses them, so that an error names the variable.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// This node's name in the view: host:port, or a host that the port completes [default: 127.0.0.1 and the port]
    #[arg(long, env = "ADDRESS")]
    address: Option<String>,
    /// The port to listen on [default: the address's port, or 8080]
    #[arg(long, env = "PORT")]
    port: Option<String>,
    /// The IP address to listen on [default: 0.0.0.0 if PORT comes from the environment, else 127.0.0.1]
    #[arg(long, env = "BIND")]
    bind: Option<String>,
    /// The members of the cluster, separated by commas; entries without a port get this node's [default: this node]
    #[arg(long, env = "VIEW")]
    view: Option<String>,
    /// How many replicas each shard has at least [default: 1]
    #[arg(long, env = "REPL_FACTOR")]
    repl_factor: Option<String>,
    /// The cluster's name; strangers are refused [default: derived from the view]
    #[arg(long, env = "CLUSTER")]
    cluster: Option<String>,
    /// The longest key [default: 1024]
    #[arg(long, env = "MAX_KEY_BYTES")]
    max_key_bytes: Option<String>,
    /// The largest value [default: 8388608]
    #[arg(long, env = "MAX_VALUE_BYTES")]
    max_value_bytes: Option<String>,
    /// The largest request body [default: 8388608]
    #[arg(long, env = "MAX_BODY_BYTES")]
    max_body_bytes: Option<String>,
    /// The largest head of a request [default: 16384]
    #[arg(long, env = "MAX_HEADER_BYTES")]
    max_header_bytes: Option<String>,
    /// How much the replication window may hold [default: 268435456]
    #[arg(long, env = "MAX_WINDOW_BYTES")]
    max_window_bytes: Option<String>,
    /// How many client connections are served at once [default: 16384]
    #[arg(long, env = "MAX_CONNECTIONS")]
    max_connections: Option<String>,
    /// How many requests are in progress at once [default: 8192]
    #[arg(long, env = "MAX_CONCURRENT_REQUESTS")]
    max_concurrent_requests: Option<String>,
    /// How long the head of a request may take to arrive [default: 10000]
    #[arg(long, env = "HEADER_TIMEOUT_MS")]
    header_timeout_ms: Option<String>,
    /// How long the body of a request may take to arrive [default: 30000]
    #[arg(long, env = "BODY_TIMEOUT_MS")]
    body_timeout_ms: Option<String>,
    /// How long a connection may be idle between requests [default: 75000]
    #[arg(long, env = "IDLE_TIMEOUT_MS")]
    idle_timeout_ms: Option<String>,
    /// End when standard input ends (for processes that start nodes).
    #[arg(long, hide = true)]
    pub(crate) exit_with_stdin: bool,
}

/// Options of `precede dev`.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// How many nodes
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) nodes: u16,
    /// How many replicas each shard has at least
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) repl_factor: u16,
    /// How many more nodes to start outside the view, for trying view changes
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=64))]
    pub(crate) spares: u16,
    /// The first node's port; the others follow
    #[arg(long, default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port_base: u16,
}

/// Options that the single operations share.
#[derive(Debug, Args)]
pub(crate) struct ClientArgs {
    /// A node of the cluster, host:port; may be repeated
    #[arg(long = "node", value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) nodes: Vec<String>,
    /// Keep the causal context in this file from one command to the next
    #[arg(long, value_name = "FILE")]
    pub(crate) session: Option<std::path::PathBuf>,
    /// Print a JSON object instead of a text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `precede put`.
#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    /// The key
    pub(crate) key: String,
    /// The value: JSON, or any other text, which is taken as a string
    pub(crate) value: String,
    /// Store the value's bytes as they are, as text/plain
    #[arg(long, conflicts_with = "json")]
    pub(crate) raw: bool,
    /// Where and how.
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// Options of `precede get`.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The key
    pub(crate) key: String,
    /// Print the value's bytes and nothing else
    #[arg(long, conflicts_with = "json")]
    pub(crate) raw: bool,
    /// Where and how.
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// Options of `precede delete`.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The key
    pub(crate) key: String,
    /// Where and how.
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// Options of `precede health`.
#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// The node, host:port [default: 127.0.0.1 and the port]
    #[arg(long, value_name = "ADDR")]
    pub(crate) node: Option<String>,
    /// The port of the node on this host
    #[arg(long, env = "PORT", default_value_t = 8080)]
    pub(crate) port: u16,
    /// Ask only whether the process answers, not whether clients should be sent to it
    #[arg(long)]
    pub(crate) alive: bool,
    /// How long to wait for the answer
    #[arg(long, value_name = "MS", default_value_t = 2000)]
    pub(crate) timeout_ms: u64,
}

/// Options of `precede status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// A node of the cluster, host:port; may be repeated: the first that answers tells of all
    #[arg(long = "node", value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) nodes: Vec<String>,
    /// Look again every second, with rates, until Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,
    /// Print a JSON object, on one line, instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `precede view`.
#[derive(Debug, Args)]
pub(crate) struct ViewArgs {
    /// What to do; without it the view is shown.
    #[command(subcommand)]
    pub(crate) command: Option<ViewCommand>,
    /// A node of the cluster, host:port; may be repeated
    #[arg(long = "node", value_name = "ADDR", default_value = "127.0.0.1:8080", global = true)]
    pub(crate) nodes: Vec<String>,
    /// Print a JSON object instead of a table
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What `precede view` does.
#[derive(Debug, Subcommand)]
pub(crate) enum ViewCommand {
    /// Show the shards, who holds them, and how far a change is
    Show,
    /// Say what a change would move, and change nothing
    Plan(ChangeArgs),
    /// Change the view and wait until everything has moved; after Ctrl-C a change that was asked for goes on by itself
    Change(ChangeArgs),
}

/// The view asked for.
#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    /// All members of the new view; without them, the present members
    #[arg(value_name = "ADDR", value_delimiter = ',')]
    pub(crate) members: Vec<String>,
    /// A member besides these; may be repeated
    #[arg(long, value_name = "ADDR", value_delimiter = ',')]
    pub(crate) add: Vec<String>,
    /// A member that leaves; may be repeated
    #[arg(long, value_name = "ADDR", value_delimiter = ',')]
    pub(crate) remove: Vec<String>,
    /// How many replicas each shard has at least; without it, as now
    #[arg(long)]
    pub(crate) repl_factor: Option<u32>,
    /// Go on where data may be given up
    #[arg(long)]
    pub(crate) force: bool,
    /// Refuse unless the view has this epoch; without it and without a list of all members, the epoch whose members are changed
    #[arg(long)]
    pub(crate) expected_epoch: Option<u32>,
}

/// A setting as it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// The flag or variable that said it, for error messages.
    pub(crate) name: String,
    /// The text.
    pub(crate) value: String,
    /// Whether it came from the environment.
    pub(crate) from_env: bool,
}

/// Everything that was said to `precede serve`, by the setting's id (`repl_factor`). An empty variable says nothing.
#[derive(Debug, Default)]
pub(crate) struct Said(pub(crate) std::collections::BTreeMap<&'static str, Told>);

/// The settings that `said` looks for.
pub(crate) const SETTINGS: [&str; 16] = [
    "address",
    "port",
    "bind",
    "view",
    "repl_factor",
    "cluster",
    "max_key_bytes",
    "max_value_bytes",
    "max_body_bytes",
    "max_header_bytes",
    "max_window_bytes",
    "max_connections",
    "max_concurrent_requests",
    "header_timeout_ms",
    "body_timeout_ms",
    "idle_timeout_ms",
];

/// Collects what was said, flags before variables.
pub(crate) fn said(matches: &ArgMatches) -> Said {
    let told = SETTINGS.into_iter().filter_map(|id| {
        let value = matches.get_one::<String>(id)?.trim().to_owned();
        let from_env = matches.value_source(id) == Some(ValueSource::EnvVariable);
        let name = if from_env { id.to_uppercase() } else { format!("--{}", id.replace('_', "-")) };
        (!(from_env && value.is_empty())).then_some((id, Told { name, value, from_env }))
    });
    Said(told.collect())
}
