//! The view from the command line: shown, planned, changed.
//!
//! Exit codes: 0 done, 2 a mistake of the caller, 3 refused for now, not done yet, or nobody answers.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use precede_client::{Address, Client, Error, ShardState, ViewChange, ViewChanged, ViewState};
use serde_json::json;

use crate::EXIT_USAGE;
use crate::cli::{ChangeArgs, ViewArgs, ViewCommand};

const EXIT_UNAVAILABLE: u8 = 3;
/// The answer to the change itself is waited for so long; then its progress is asked for.
const FIRST_WAIT_MS: u64 = 300;
/// Between two looks at the progress.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Runs `precede view`.
pub(crate) async fn command(args: &ViewArgs) -> ExitCode {
    match run(args).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            let usage = matches!(error, Error::BadRequest { .. } | Error::InvalidAddress { .. });
            ExitCode::from(if usage { EXIT_USAGE } else { EXIT_UNAVAILABLE })
        }
    }
}

async fn run(args: &ViewArgs) -> Result<ExitCode, Error> {
    let client = Client::new(&args.nodes)?;
    match &args.command {
        None | Some(ViewCommand::Show) => {
            show(&client.view_state().await?, args.json);
            Ok(ExitCode::SUCCESS)
        }
        Some(ViewCommand::Plan(change)) => {
            let asked = asked(&client, change).await?;
            plan(&client.change_view(&ViewChange { dry_run: true, ..asked }).await?, args.json);
            Ok(ExitCode::SUCCESS)
        }
        Some(ViewCommand::Change(change)) => {
            let asked = asked(&client, change).await?;
            tokio::select! {
                done = carry_out(&client, asked, args.json) => done,
                _ = tokio::signal::ctrl_c() => {
                    eprintln!("\nthe change goes on by itself; `precede view` shows how far it is");
                    Ok(ExitCode::from(EXIT_UNAVAILABLE))
                }
            }
        }
    }
}

/// The change that the arguments ask for.
async fn asked(client: &Client, args: &ChangeArgs) -> Result<ViewChange, Error> {
    let mut members: BTreeSet<String> = args.members.iter().cloned().collect();
    if members.is_empty() {
        let view = client.view_state().await?;
        members = view.shards.into_iter().flat_map(|shard| shard.replicas).collect();
    }
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

async fn carry_out(client: &Client, asked: ViewChange, as_json: bool) -> Result<ExitCode, Error> {
    let plan = client.change_view(&ViewChange { dry_run: true, ..asked.clone() }).await?;
    let (keys, bytes) = plan.moves.iter().fold((0, 0), |sum, step| (sum.0 + step.keys, sum.1 + step.bytes));
    let bar = ProgressBar::new(keys);
    let style = "{bar:30} {pos}/{len} keys of about {msg}, {per_sec}, {eta} left";
    bar.set_style(ProgressStyle::with_template(style).expect("the template is well formed"));
    bar.set_message(HumanBytes(bytes).to_string());
    let mut changed = client.change_view(&ViewChange { timeout_ms: Some(FIRST_WAIT_MS), ..asked }).await?;
    while !changed.settled {
        let state = client.view_state().await?;
        bar.set_position(received(&changed).await.min(keys));
        if state.settled {
            changed.settled = true;
            break;
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    bar.finish_and_clear();
    for given_up in &changed.given_up {
        eprintln!("given up: {given_up}");
    }
    show(&client.view_state().await?, as_json);
    Ok(ExitCode::SUCCESS)
}

/// Keys that the members of the new view have got so far. Who does not answer counts with none.
async fn received(changed: &ViewChanged) -> u64 {
    let mut keys = 0;
    for node in changed.shards.iter().flat_map(|shard| &shard.replicas) {
        let Ok(address) = node.parse::<Address>() else { continue };
        let Ok(client) = Client::of_node(&address) else { continue };
        keys += client.view_state().await.map_or(0, |state| state.received_keys);
    }
    keys
}

fn show(state: &ViewState, as_json: bool) {
    if as_json {
        let shard = |shard: &ShardState| json!({ "shard-id": shard.shard_id, "replicas": shard.replicas });
        let shards: Vec<_> = state.shards.iter().map(shard).collect();
        println!("{}", json!({ "epoch": state.epoch, "settled": state.settled, "shards": shards }));
        return;
    }
    let progress = if state.settled { "settled" } else { "keys are on their way" };
    println!("epoch {}, {} replicas per shard at least, {progress}\n", state.epoch, state.repl_factor);
    println!("  {:<6} replicas", "shard");
    for shard in &state.shards {
        let waits = if shard.settled == Some(false) { "  (waits for keys)" } else { "" };
        println!("  {:<6} {}{waits}", shard.shard_id, shard.replicas.join(", "));
    }
}

fn plan(changed: &ViewChanged, as_json: bool) {
    if as_json {
        let step = |step: &precede_client::Move| {
            json!({ "from-shard": step.from_shard, "to": step.to, "to-shard": step.to_shard, "keys": step.keys,
                    "bytes": step.bytes })
        };
        let shard = |shard: &ShardState| json!({ "shard-id": shard.shard_id, "replicas": shard.replicas });
        let shards: Vec<_> = changed.shards.iter().map(shard).collect();
        let moves: Vec<_> = changed.moves.iter().map(step).collect();
        println!("{}", json!({ "shards": shards, "moves": moves, "given-up": changed.given_up }));
        return;
    }
    println!("  {:<6} replicas", "shard");
    for shard in &changed.shards {
        println!("  {:<6} {}", shard.shard_id, shard.replicas.join(", "));
    }
    println!("\n  {:<6} {:<24} {:<6} {:>10} {:>10}", "from", "to", "shard", "keys", "bytes");
    for step in &changed.moves {
        let bytes = HumanBytes(step.bytes).to_string();
        println!("  {:<6} {:<24} {:<6} {:>10} {bytes:>10}", step.from_shard, step.to, step.to_shard, step.keys);
    }
    for given_up in &changed.given_up {
        println!("\nwould give up {given_up}");
    }
}
