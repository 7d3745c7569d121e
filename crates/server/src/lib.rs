//! The server of Precede, a distributed, in-memory, causally consistent key-value store: the deterministic core of
//! `precede-core`, driven by tokio, spoken to over HTTP.
//!
//! | module | responsibility |
//! |---|---|
//! | `cli`, `settings` | what was said on the command line and in the environment; what it resolves to |
//! | `serve` | one node from its start to its end |
//! | `driver`, `clock`, `events` | the core's time, inputs and effects |
//! | `http` | clients: the accept loop, its limits, and every route |
//! | `peer` | other nodes: links out and in, on the same port |
//! | `dev`, `commands`, `view` | a cluster on this machine for trying; single operations; the view and its changes |
//! | `status` | what this node says of itself, and what it gathers of the cluster |
//! | `health` | whether a node is well, asked from outside |
//! | `fuzzing` | entrances for the fuzz targets |
//! | `bench` | a load generator, and the bare server it is compared with |

mod bench;
mod cli;
mod clock;
mod commands;
mod dev;
mod driver;
mod events;
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod http;
mod logging;
mod peer;
mod serve;
mod settings;
mod status;
mod view;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::cli::{Cli, Command};

/// Exit code of a usage or configuration error.
const EXIT_USAGE: u8 = 2;

/// Parses the command line and runs what it asks for.
#[must_use]
pub fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the async runtime cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = match cli.command {
        Command::Serve(args) => {
            let said = cli::said(matches.subcommand_matches("serve").expect("it is this subcommand"));
            runtime.block_on(serve::command(&said, args.exit_with_stdin))
        }
        Command::Dev(args) => runtime.block_on(dev::command(&args)),
        Command::Put(args) => runtime.block_on(commands::put(&args)),
        Command::Get(args) => runtime.block_on(commands::get(&args)),
        Command::Delete(args) => runtime.block_on(commands::delete(&args)),
        Command::Health(args) => runtime.block_on(health::command(&args)),
        Command::Status(args) => runtime.block_on(status::command::command(&args)),
        Command::View(args) => runtime.block_on(view::command(&args)),
        Command::Bench(args) => runtime.block_on(bench::command(&args)),
        Command::Bare(args) => runtime.block_on(bench::bare::command(&args)),
    };
    // Tasks of links and connections end with the process; nothing is gained by waiting for them.
    runtime.shutdown_background();
    code
}
