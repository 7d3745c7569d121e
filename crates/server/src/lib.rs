//! The server of Precede, a distributed, in-memory, causally consistent key-value store: the deterministic core of
//! `precede-core`, driven by tokio, spoken to over HTTP.
//!
//! | module | responsibility |
//! |---|---|
//! | `cli`, `settings`, `config` | what was said by flags, in the environment and in a file; what it resolves to; showing and checking it |
//! | `help`, `pages`, `exit` | examples, manual pages and completions; every exit code and what it means |
//! | `serve` | one node from its start to its end |
//! | `security`, `access`, `secrets`, `tls`, `live_file` | what keeps strangers out, and the files that say so |
//! | `driver`, `clock`, `events` | the core's time, inputs and effects |
//! | `http` | clients: the accept loop, its limits, and every route |
//! | `peer` | other nodes: links out and in, on the same port |
//! | `trace` | requests that can be followed: their names, traces, and the export of spans |
//! | `credentials` | what commands show to nodes |
//! | `dev`, `commands`, `view` | a cluster on this machine for trying; single operations; the view and its changes |
//! | `status` | what this node says of itself, and what it gathers of the cluster |
//! | `health` | whether a node is well, asked from outside |
//! | `fuzzing` | entrances for the fuzz targets |
//! | `bench` | a load generator, and the bare server it is compared with |

mod access;
mod bench;
mod cli;
mod clock;
mod commands;
mod config;
mod credentials;
mod dev;
mod driver;
mod events;
mod exit;
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod help;
mod http;
mod live_file;
mod logging;
mod pages;
mod peer;
mod secrets;
mod security;
mod serve;
mod settings;
mod status;
mod tls;
mod trace;
mod view;

use std::process::ExitCode;

use clap::FromArgMatches;

use crate::cli::{Cli, Command};
use crate::exit::{Exit, fail};

/// Parses the command line and runs what it asks for.
#[must_use]
pub fn main() -> ExitCode {
    do_without_huge_pages();
    let matches = help::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let mut runtime = match &cli.command {
        // Connections have threads of their own. What is left needs no second one, each of which would keep memory for itself.
        Command::Serve(_) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(Exit::No, format_args!("the async runtime cannot start: {error}")),
    };
    let code = match cli.command {
        Command::Serve(args) => runtime.block_on(serve::command(args.said, args.exit_with_stdin)),
        Command::Config(args) => config::command(*args),
        Command::Dev(args) => runtime.block_on(dev::command(&args)),
        Command::Put(args) => runtime.block_on(commands::put(&args)),
        Command::Get(args) => runtime.block_on(commands::get(&args)),
        Command::Delete(args) => runtime.block_on(commands::delete(&args)),
        Command::Barrier(args) => runtime.block_on(commands::barrier(&args)),
        Command::Health(args) => runtime.block_on(health::command(&args)),
        Command::Status(args) => runtime.block_on(status::command::command(&args)),
        Command::View(args) => runtime.block_on(view::command(&args)),
        Command::Cert(args) => tls::make::command(&args),
        Command::Secret => access::token_command::secret(),
        Command::Token(args) => access::token_command::command(&args),
        Command::Bench(args) => runtime.block_on(bench::command(&args)),
        Command::Openapi => http::openapi::command(),
        Command::Completions(args) => pages::completions(&args),
        Command::Man(args) => pages::man(&args),
        Command::Bare(args) => runtime.block_on(bench::bare::command(&args)),
    };
    // Tasks of links and connections end with the process; nothing is gained by waiting for them.
    runtime.shutdown_background();
    code
}

/// Has memory given page by page. The allocator asks for huge pages, of which a thread that keeps a few kilobytes takes 2 MiB, and
/// which make a full table no faster: docs/performance.md has both.
fn do_without_huge_pages() {
    #[cfg(target_os = "linux")]
    {
        // Where the system refuses, the process takes more memory; there is no log yet to say so in.
        let _ = nix::sys::prctl::set_thp_disable(true);
    }
}
