//! `precede status`: the state of the cluster on the terminal.
//!
//! Exit codes: 0 every member is ready, 1 some are not, 2 a mistake of the caller, 3 no node that was asked answers.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use precede_client::{Client, ClusterStatus, Error, Health};

use crate::EXIT_USAGE;
use crate::cli::StatusArgs;
use crate::status::table::{Rates, text};

/// The exit codes, for the help of the command.
pub(crate) const EXIT_CODES: &str =
    "Exit codes: 0 every member is ready, 1 some are not, 2 a mistake of the caller, 3 no node answers";
const EXIT_NOT_READY: u8 = 1;
const EXIT_SILENT: u8 = 3;
/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Moves a terminal's cursor to the top and clears what is below.
const CLEAR: &str = "\x1b[H\x1b[J";

/// Runs `precede status`.
pub(crate) async fn command(args: &StatusArgs) -> ExitCode {
    let client = match Client::builder(&args.nodes).direct(false).build() {
        Ok(client) => client,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let is_terminal = std::io::stdout().is_terminal();
    let in_colour = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|said| said.is_empty());
    let mut before: Option<(Instant, ClusterStatus)> = None;
    loop {
        let asked = client.status().await;
        let now = Instant::now();
        let clear = match (args.watch && !args.json, is_terminal) {
            (true, true) => CLEAR,
            (true, false) if before.is_some() => "\n",
            (true | false, _) => "",
        };
        let code = match &asked {
            Ok(status) => {
                let rates = before.as_ref().map(|(at, before)| Rates::between(before, status, now - *at));
                let shown = if args.json { json(status) } else { text(status, rates.as_ref(), in_colour) };
                // Whoever reads no more wants no more.
                if writeln!(std::io::stdout(), "{clear}{shown}").is_err() {
                    return ExitCode::FAILURE;
                }
                exit_code(status)
            }
            Err(error) => {
                eprintln!("{clear}error: {error}");
                EXIT_SILENT
            }
        };
        if !args.watch || matches!(asked, Err(Error::BadRequest { .. } | Error::Refused { .. })) {
            return ExitCode::from(code);
        }
        before = asked.ok().map(|status| (now, status)).or(before);
        tokio::time::sleep_until((now + INTERVAL).into()).await;
    }
}

fn json(status: &ClusterStatus) -> String {
    serde_json::to_string(status).unwrap_or_default()
}

fn exit_code(status: &ClusterStatus) -> u8 {
    // Who has left the view need not be ready.
    let mut members = status.members.iter().filter(|member| member.shard_id.is_some());
    if members.all(|member| member.health == Health::Ready) { 0 } else { EXIT_NOT_READY }
}
