//! The command line: what can be said. The options of a node come from `settings::table`.

use clap::{Args, Parser, Subcommand};

use crate::access::token_command::TokenArgs;
use crate::bench::args::{BareArgs, BenchArgs};
use crate::credentials::CredentialArgs;
use crate::settings::said::Said;
use crate::tls::make::CertArgs;

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
    /// Check or show the settings of a node, without starting it
    Config(Box<ConfigArgs>),
    /// Run a whole cluster on this machine, for trying: without TLS, tokens and secrets, whatever the environment says
    Dev(DevArgs),
    /// Write a key
    Put(PutArgs),
    /// Read a key
    Get(GetArgs),
    /// Delete a key
    Delete(DeleteArgs),
    /// Wait until all that a session has seen is on every replica
    Barrier(BarrierArgs),
    /// Ask a node whether it is well; the exit code says so
    Health(HealthArgs),
    /// Show how every member of a cluster is
    Status(StatusArgs),
    /// Look at the view, or change it: add and remove nodes, change the replication factor
    View(ViewArgs),
    /// Make certificates, for trying TLS
    Cert(CertArgs),
    /// Make a secret for the nodes of a cluster: a line of the file that all of them get
    Secret,
    /// Make tokens, which nodes with a file of tokens ask for
    Token(TokenArgs),
    /// Measure what a running node sustains
    Bench(BenchArgs),
    /// Print the HTTP interface as an OpenAPI document
    Openapi,
    /// Print what makes a shell complete the names of commands and options
    Completions(CompletionsArgs),
    /// Print the manual page of a command, or write all of them
    Man(ManArgs),
    /// Serve fixed answers with the same HTTP server and no store, to compare with
    #[command(hide = true)]
    Bare(BareArgs),
}

/// Options of `precede serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The settings.
    #[command(flatten)]
    pub(crate) said: Said,
    /// End when standard input ends (for processes that start nodes).
    #[arg(long, hide = true)]
    pub(crate) exit_with_stdin: bool,
}

/// Options of `precede config`.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

/// What `precede config` does.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say everything that is wrong with the settings that a node would start with
    Check(CheckArgs),
    /// Show every setting that a node would start with, and where it comes from
    Show(ShowArgs),
}

/// Options of `precede config check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The configuration file; the environment counts too
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<std::path::PathBuf>,
    /// The settings.
    #[command(flatten)]
    pub(crate) said: Said,
}

/// Options of `precede config show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The settings.
    #[command(flatten)]
    pub(crate) said: Said,
    /// Print a JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
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
    /// What is shown to the nodes.
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
}

/// Options of `precede put`.
#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    /// The key
    pub(crate) key: String,
    /// The value: JSON, or any other text, which is taken as a string
    pub(crate) value: String,
    /// A name for the write: a repeat with the same name is not made again where the first is known
    #[arg(long, value_name = "NAME")]
    pub(crate) idempotency_key: Option<String>,
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
    /// A name for the write: a repeat with the same name is not made again where the first is known
    #[arg(long, value_name = "NAME")]
    pub(crate) idempotency_key: Option<String>,
    /// Where and how.
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// Options of `precede barrier`.
#[derive(Debug, Args)]
pub(crate) struct BarrierArgs {
    /// How long to wait, at most a minute
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(..=60_000))]
    pub(crate) wait_ms: u64,
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
    /// A file with the authorities of the node's certificate, if it speaks TLS
    #[arg(long, env = "TLS_CA_FILE", value_name = "FILE")]
    pub(crate) ca_file: Option<std::path::PathBuf>,
    /// The name in the node's certificate [default: that by which it is reached]
    #[arg(long, env = "ADDRESS", value_name = "HOST")]
    pub(crate) certified: Option<String>,
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
    /// What is shown to the nodes.
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
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
    /// What is shown to the nodes.
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
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

/// Options of `precede completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// Options of `precede man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The command whose page is printed, for example `view change`; without it that of precede itself
    pub(crate) command: Vec<String>,
    /// Write all pages into this directory instead, which is made if it is not there
    #[arg(long, conflicts_with = "command")]
    pub(crate) dir: Option<std::path::PathBuf>,
}
