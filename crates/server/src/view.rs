//! The view from the command line: shown, planned, changed.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use precede_client::{Address, Client, Error, Move, ShardState, ViewChange, ViewChanged, ViewState};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{ChangeArgs, ViewArgs, ViewCommand};
use crate::exit::{Exit, fail, print_line};

/// The answer to the change itself is waited for so long; then its progress is asked for.
const FIRST_WAIT_MS: u64 = 300;
/// Between two looks at the progress.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Runs `precede view`.
pub(crate) async fn command(args: &ViewArgs) -> ExitCode {
    match run(args).await {
        Ok(code) => code,
        Err(error) => {
            let usage = matches!(
                error,
                Error::BadRequest { .. } | Error::InvalidAddress { .. } | Error::Refused { status: 401 | 403, .. }
            );
            fail(if usage { Exit::Usage } else { Exit::Unavailable }, error)
        }
    }
}

async fn run(args: &ViewArgs) -> Result<ExitCode, Error> {
    let client = args.credentials.client(&args.nodes)?;
    match &args.command {
        None | Some(ViewCommand::Show) => Ok(print_line(&shown(&client.view_state().await?, args.json), Exit::Done)),
        Some(ViewCommand::Plan(change)) => {
            let asked = asked(&client, change).await?;
            let changed = client.change_view(&ViewChange { dry_run: true, ..asked }).await?;
            Ok(print_line(&planned(&changed, args.json), Exit::Done))
        }
        Some(ViewCommand::Change(change)) => {
            let progress = Cell::new(Progress::Planning);
            // Heard from the first request on.
            let mut interrupt = match signal(SignalKind::interrupt()) {
                Ok(interrupt) => interrupt,
                Err(error) => return Ok(fail(Exit::No, format_args!("signals cannot be heard: {error}"))),
            };
            let change = async {
                let asked = asked(&client, change).await?;
                carry_out(&client, asked, args.json, &progress).await
            };
            tokio::select! {
                done = change => done,
                _ = interrupt.recv() => {
                    eprintln!("\n{}", progress.get().when_interrupted());
                    Ok(Exit::Unavailable.into())
                }
            }
        }
    }
}

/// How far a change has come, as its command knows.
#[derive(Debug, Clone, Copy)]
enum Progress {
    /// The change itself was not asked for.
    Planning,
    /// It was, and there is no answer.
    Asked,
    /// The view has changed.
    Moving,
}

impl Progress {
    fn when_interrupted(self) -> &'static str {
        match self {
            Self::Planning => "nothing was changed: the change was not asked for yet",
            Self::Asked => {
                "the change was asked for, and there was no answer yet: it may go on by itself; `precede view` shows \
                 whether it does"
            }
            Self::Moving => "the change goes on by itself; `precede view` shows how far it is",
        }
    }
}

/// The change that the arguments ask for, of the view that is asked for if they do not name all members.
async fn asked(client: &Client, args: &ChangeArgs) -> Result<ViewChange, Error> {
    match args.members.is_empty() {
        true => asked_of(&client.view_state().await?, args),
        false => with_members(args.members.iter().cloned().collect(), args),
    }
}

/// The change of this view and no other: somebody else may be changing it too.
fn asked_of(view: &ViewState, args: &ChangeArgs) -> Result<ViewChange, Error> {
    let members = view.shards.iter().flat_map(|shard| shard.replicas.iter().cloned()).collect();
    let asked = with_members(members, args)?;
    Ok(ViewChange { expected_epoch: asked.expected_epoch.or(Some(view.epoch)), ..asked })
}

fn with_members(mut members: BTreeSet<String>, args: &ChangeArgs) -> Result<ViewChange, Error> {
    for leaving in &args.remove {
        if !members.remove(leaving) {
            return Err(Error::BadRequest { message: format!("--remove {leaving}: it is no member of the view") });
        }
    }
    members.extend(args.add.iter().cloned());
    Ok(ViewChange {
        view: Some(members.into_iter().collect()),
        repl_factor: args.repl_factor,
        force: args.force,
        expected_epoch: args.expected_epoch,
        ..ViewChange::default()
    })
}

async fn carry_out(
    client: &Client,
    asked: ViewChange,
    as_json: bool,
    progress: &Cell<Progress>,
) -> Result<ExitCode, Error> {
    let plan = client.change_view(&ViewChange { dry_run: true, ..asked.clone() }).await?;
    let bar = Bar::new(&plan);
    progress.set(Progress::Asked);
    let mut changed = client.change_view(&ViewChange { timeout_ms: Some(FIRST_WAIT_MS), ..asked }).await?;
    progress.set(Progress::Moving);
    while !changed.settled {
        let state = client.view_state().await?;
        bar.show(received(client, &changed).await);
        if state.settled {
            changed.settled = true;
            break;
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    drop(bar);
    for given_up in &changed.given_up {
        eprintln!("given up: {given_up}");
    }
    Ok(print_line(&shown(&client.view_state().await?, as_json), Exit::Done))
}

/// Keys on their way, and the bytes of them and their values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Amount {
    keys: u64,
    bytes: u64,
}

/// The line on the terminal that shows how much has arrived. Without a terminal there is none.
struct Bar {
    line: ProgressBar,
    planned: Amount,
}

impl Bar {
    /// Nothing of what the plan moves has arrived.
    fn new(plan: &ViewChanged) -> Self {
        let planned = plan
            .moves
            .iter()
            .fold(Amount::default(), |sum, step| Amount { keys: sum.keys + step.keys, bytes: sum.bytes + step.bytes });
        let line = ProgressBar::new(planned.bytes);
        let style = "{bar:30} {msg}, {binary_bytes_per_sec}, {eta} left";
        line.set_style(ProgressStyle::with_template(style).expect("the template is well formed"));
        let bar = Self { line, planned };
        bar.show(Amount::default());
        bar
    }

    fn show(&self, arrived: Amount) {
        self.line.set_position(arrived.bytes.min(self.planned.bytes));
        self.line.set_message(self.text(arrived));
    }

    /// What was planned is an estimate: there may come more.
    fn text(&self, arrived: Amount) -> String {
        let (bytes, planned) = (HumanBytes(arrived.bytes), HumanBytes(self.planned.bytes));
        format!("{} of about {} keys, {bytes} of {planned}", arrived.keys, self.planned.keys)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.line.finish_and_clear();
    }
}

/// What the members of the new view have got so far. Who does not answer counts with nothing.
async fn received(client: &Client, changed: &ViewChanged) -> Amount {
    let mut sum = Amount::default();
    for node in changed.shards.iter().flat_map(|shard| &shard.replicas) {
        let Ok(address) = node.parse::<Address>() else { continue };
        if let Ok(state) = client.of_node(&address).view_state().await {
            sum = Amount { keys: sum.keys + state.received_keys, bytes: sum.bytes + state.received_bytes };
        }
    }
    sum
}

fn shown(state: &ViewState, as_json: bool) -> String {
    if as_json {
        let shard = |shard: &ShardState| json!({ "shard-id": shard.shard_id, "replicas": shard.replicas });
        let shards: Vec<_> = state.shards.iter().map(shard).collect();
        let (epoch, repl_factor) = (state.epoch, state.repl_factor);
        let view = json!({ "epoch": epoch, "repl-factor": repl_factor, "settled": state.settled, "shards": shards });
        return view.to_string();
    }
    let progress = if state.settled { "settled" } else { "keys are on their way" };
    let mut text = format!("epoch {}, {} replicas per shard at least, {progress}\n\n", state.epoch, state.repl_factor);
    text += &format!("  {:<6} replicas", "shard");
    for shard in &state.shards {
        let waits = if shard.settled == Some(false) { "  (waits for keys)" } else { "" };
        text += &format!("\n  {:<6} {}{waits}", shard.shard_id, shard.replicas.join(", "));
    }
    text
}

fn planned(changed: &ViewChanged, as_json: bool) -> String {
    if as_json {
        let step = |step: &Move| {
            json!({ "from-shard": step.from_shard, "to": step.to, "to-shard": step.to_shard, "keys": step.keys,
                    "bytes": step.bytes })
        };
        let shard = |shard: &ShardState| json!({ "shard-id": shard.shard_id, "replicas": shard.replicas });
        let shards: Vec<_> = changed.shards.iter().map(shard).collect();
        let moves: Vec<_> = changed.moves.iter().map(step).collect();
        return json!({ "shards": shards, "moves": moves, "given-up": changed.given_up }).to_string();
    }
    let mut text = format!("  {:<6} replicas", "shard");
    for shard in &changed.shards {
        text += &format!("\n  {:<6} {}", shard.shard_id, shard.replicas.join(", "));
    }
    text += &format!("\n\n  {:<6} {:<24} {:<6} {:>10} {:>10}", "from", "to", "shard", "keys", "bytes");
    for step in &changed.moves {
        let bytes = HumanBytes(step.bytes).to_string();
        let (from, to, shard) = (step.from_shard, &step.to, step.to_shard);
        text += &format!("\n  {from:<6} {to:<24} {shard:<6} {:>10} {bytes:>10}", step.keys);
    }
    for given_up in &changed.given_up {
        text += &format!("\n\nwould give up {given_up}");
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn members_that_were_read_are_changed_in_that_epoch_only() {
        let replicas = vec!["a:1".to_owned(), "b:1".to_owned()];
        let shards = vec![ShardState { shard_id: 1, replicas, key_count: None, settled: None }];
        let (received_keys, received_bytes, live_keys) = (0, 0, 0);
        let settled = true;
        let view = ViewState { epoch: 7, repl_factor: 1, settled, shards, received_keys, received_bytes, live_keys };
        let asked = |said: &[&str]| {
            let cli = crate::cli::Cli::try_parse_from(["precede", "view", "change"].iter().chain(said)).unwrap();
            let crate::cli::Command::View(ViewArgs { command: Some(ViewCommand::Change(args)), .. }) = cli.command
            else {
                unreachable!("it was said so")
            };
            asked_of(&view, &args).map(|asked| (asked.view.unwrap().join(","), asked.expected_epoch))
        };
        assert_eq!(asked(&["--add", "c:1"]), Ok(("a:1,b:1,c:1".to_owned(), Some(7))));
        assert_eq!(asked(&["--remove", "a:1", "--expected-epoch", "5"]), Ok(("b:1".to_owned(), Some(5))));
        assert!(asked(&["--remove", "d:1"]).unwrap_err().to_string().contains("--remove d:1"));
    }

    #[test]
    fn bytes_are_the_progress() {
        let step = |keys, bytes| Move { from_shard: 1, to: "a:1".to_owned(), to_shard: 2, keys, bytes };
        let (shards, outstanding, given_up) = Default::default();
        let moves = vec![step(10, 3 << 20), step(5, 1 << 20)];
        let bar = Bar::new(&ViewChanged { shards, outstanding, given_up, moves, settled: false });
        let arrived = Amount { keys: 7, bytes: 1 << 20 };
        bar.show(arrived);
        assert_eq!((bar.line.position(), bar.line.length()), (1 << 20, Some(4 << 20)));
        assert_eq!(bar.text(arrived), "7 of about 15 keys, 1.00 MiB of 4.00 MiB");
        bar.show(Amount { keys: 16, bytes: 5 << 20 });
        assert_eq!(bar.line.position(), 4 << 20, "what was planned is an estimate");
    }
}
