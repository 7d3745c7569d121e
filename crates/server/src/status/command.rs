//! `precede status`: the state of the cluster on the terminal.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use precede_client::{ClusterStatus, Error, Health};

use crate::cli::StatusArgs;
use crate::exit::{Exit, fail};
use crate::status::table::{Rates, text};

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Moves a terminal's cursor to the top and clears what is below.
const CLEAR: &str = "\x1b[H\x1b[J";

/// Runs `precede status`.
pub(crate) async fn command(args: &StatusArgs) -> ExitCode {
    let client = match args.credentials.client(&args.nodes) {
        Ok(client) => client,
        Err(error) => return fail(Exit::Usage, error),
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
                    return Exit::Unavailable.into();
                }
                exit(status)
            }
            Err(error) => {
                eprintln!("{clear}error: {error}");
                match error {
                    Error::BadRequest { .. } | Error::Refused { status: 401 | 403, .. } => Exit::Usage,
                    _ => Exit::Unavailable,
                }
            }
        };
        if !args.watch || matches!(asked, Err(Error::BadRequest { .. } | Error::Refused { .. })) {
            return code.into();
        }
        before = asked.ok().map(|status| (now, status)).or(before);
        tokio::time::sleep_until((now + INTERVAL).into()).await;
    }
}

fn json(status: &ClusterStatus) -> String {
    serde_json::to_string(status).unwrap_or_default()
}

fn exit(status: &ClusterStatus) -> Exit {
    // Who has left the view need not be ready.
    let mut members = status.members.iter().filter(|member| member.shard_id.is_some());
    if members.all(|member| member.health == Health::Ready) { Exit::Done } else { Exit::No }
}
