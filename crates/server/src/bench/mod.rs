//! `precede bench`: what a running node sustains, measured from outside over HTTP/1.1.
//!
//! Without a rate the loop is closed: every connection sends the next requests when the answers to the last are there. Latencies
//! are then those of a saturated node, and not those that clients with a rate of their own would see. With a rate, requests are due
//! at fixed times, and latencies count from those: a node that stops for a second is seen to by all who would have asked in it
//! ("coordinated omission", Tene, "How NOT to Measure Latency").
//!
//! | module | responsibility |
//! |---|---|
//! | `args` | what was said on the command line |
//! | `wire` | one connection: writes requests, reads responses |
//! | `stream` | what it goes over: a socket, with TLS or without |
//! | `load` | the connections' work: loads the keys, then asks until the time is over |
//! | `tally` | what was counted |
//! | `progress` | a line on the terminal meanwhile |
//! | `report` | what is printed in the end |
//! | `bare` | the yardstick: the same HTTP server with nothing behind it |

pub(crate) mod args;
pub(crate) mod bare;
mod load;
mod progress;
mod report;
mod stream;
mod tally;
mod wire;

use std::process::ExitCode;

use crate::bench::args::BenchArgs;
use crate::bench::report::Report;
use crate::exit::{Exit, fail, print_line};

/// Runs `precede bench`. It fails if no request was answered as it should be.
pub(crate) async fn command(args: &BenchArgs) -> ExitCode {
    let shown = match args.credentials.shown() {
        Ok(shown) => shown,
        Err(error) => return fail(Exit::Usage, error),
    };
    let tally = match load::run(args, &shown).await {
        Ok(tally) => tally,
        Err(error) => return fail(Exit::No, format_args!("{error:#}")),
    };
    let report = Report::new(args, &tally);
    let text = if args.json { report.json() } else { report.text() };
    print_line(&text, if report.requests > 0 { Exit::Done } else { Exit::No })
}
