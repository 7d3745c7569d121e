//! What this node gathers of the cluster: it asks every member what it says of itself, all at once and for a bounded time, and adds what
//! it knows of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use precede_client::{Client, ClusterStatus, Error, Health, MemberStatus, NodeStatus, ShardStatus, ViewStatus};
use precede_core::id::Address;
use precede_core::node::MemberReport;
use precede_core::placement::view::Shard;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::driver::Snapshot;
use crate::http::App;
use crate::status::{millis, of_node};
use crate::tls::Identity;

/// Who does not answer within this is told of as silent.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
/// Whoever wants to know the state again so soon is told the same.
const FRESH: Duration = Duration::from_millis(250);
/// Bytes of one answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Asks the members, however many want to know, once at a time.
#[derive(Default)]
pub(crate) struct Watch(Mutex<Option<(Instant, Arc<ClusterStatus>)>>);

/// Asks other nodes as this one may: by TLS if it speaks that, with the token that it was shown itself.
fn client(app: &App, shown: Option<&str>) -> Option<Client> {
    let mut builder = Client::builder([app.driver.address.as_str()]).direct(false).response_bytes_max(ANSWER_BYTES_MAX);
    if let Some(tls) = &app.tls {
        builder = builder.authorities(tls.look(Identity::authorities));
    }
    if let Some(token) = shown {
        builder = builder.token(token);
    }
    builder.build().ok()
}

/// The state of the cluster, of this moment or a quarter of a second before it.
///
/// `shown`: the token of who asks.
pub(crate) async fn of_cluster(app: &App, shown: Option<&str>) -> Arc<ClusterStatus> {
    let mut last = app.watch.0.lock().await;
    if let Some((at, status)) = &*last
        && at.elapsed() < FRESH
    {
        return Arc::clone(status);
    }
    let status = Arc::new(ask_all(app, shown).await);
    *last = Some((Instant::now(), Arc::clone(&status)));
    status
}

async fn ask_all(app: &App, shown: Option<&str>) -> ClusterStatus {
    let client = client(app, shown);
    let snapshot = app.driver.snapshot();
    let mut asked = JoinSet::new();
    for member in snapshot.members.iter().filter(|member| member.address != app.driver.address) {
        asked.spawn(ask(client.clone(), member.address.clone()));
    }
    let mut answers: BTreeMap<Address, Result<NodeStatus, String>> = asked.join_all().await.into_iter().collect();
    answers.insert(app.driver.address.clone(), Ok(of_node(app, &snapshot)));
    merge(&app.driver.address, &snapshot, answers)
}

async fn ask(client: Option<Client>, address: Address) -> (Address, Result<NodeStatus, String>) {
    let (Some(client), Ok(node)) = (client, address.as_str().parse()) else {
        return (address, Err("its address is none that can be asked over HTTP".to_owned()));
    };
    let answer = client.status_of(&node, ANSWER_TIMEOUT).await.map_err(|error| match error {
        Error::Unavailable { reason, .. } => reason,
        error => error.to_string(),
    });
    (address, answer)
}

/// Puts together what this node knows and what the members say.
fn merge(
    me: &Address,
    snapshot: &Snapshot,
    mut answers: BTreeMap<Address, Result<NodeStatus, String>>,
) -> ClusterStatus {
    let mut members: Vec<MemberStatus> = Vec::with_capacity(answers.len());
    for report in &snapshot.members {
        if let Some(answer) = answers.remove(&report.address) {
            members.push(member(report, answer));
        }
    }
    // This node itself, if it is a spare.
    for (address, answer) in answers {
        let (address, shard, up) = (address, None, true);
        members.push(member(&MemberReport { address, shard, up, heard: None, lag: None, wall_ahead_ms: None }, answer));
    }
    members.sort_by_key(|member| (member.shard_id.is_none(), member.shard_id, member.node.clone()));
    let told = || members.iter().filter_map(|member| member.status.as_ref()).map(|status| &status.view_change);
    let view = ViewStatus {
        epoch: snapshot.view.id.epoch,
        repl_factor: snapshot.view.repl_factor as u64,
        settled: snapshot.change.former.is_empty(),
        former_epochs: snapshot.change.former.clone(),
        hand_offs_done: told().map(|change| change.hand_offs_done).sum(),
        hand_offs_required: told().map(|change| change.hand_offs_required).sum(),
        received_keys: told().map(|change| change.received_keys).sum(),
        received_bytes: told().map(|change| change.received_bytes).sum(),
    };
    let shards = snapshot.view.shards().iter().map(|held| shard(held, snapshot, &members)).collect();
    ClusterStatus { node: me.to_string(), view, shards, members }
}

fn member(report: &MemberReport, answer: Result<NodeStatus, String>) -> MemberStatus {
    let (health, error, status) = match answer {
        Ok(status) if status.ready => (Health::Ready, None, Some(status)),
        Ok(status) => (Health::NotReady, None, Some(status)),
        Err(error) => (Health::Silent, Some(error), None),
    };
    // One that does not answer may lack whatever was written since it was heard.
    let silence = report.heard.filter(|_| health == Health::Silent).unwrap_or_default();
    MemberStatus {
        node: report.address.to_string(),
        shard_id: report.shard.map(|shard| shard.0),
        health,
        error,
        up: report.up,
        heard_ms: report.heard.map(millis),
        lag_ms: report.lag.map(|lag| millis(lag.max(silence))),
        wall_ahead_ms: report.wall_ahead_ms,
        status,
    }
}

fn shard(shard: &Shard, snapshot: &Snapshot, members: &[MemberStatus]) -> ShardStatus {
    let id = shard.id.0;
    let replicas: Vec<&MemberStatus> = members.iter().filter(|member| member.shard_id == Some(id)).collect();
    let statuses = replicas.iter().filter_map(|member| member.status.as_ref());
    let of_view = |status: &&NodeStatus| status.epoch == snapshot.view.id.epoch && status.shard_id == Some(id);
    let fullest = statuses.filter(of_view).max_by_key(|status| (status.recovered, status.keys));
    ShardStatus {
        shard_id: id,
        replicas: shard.replicas.iter().map(ToString::to_string).collect(),
        settled: !snapshot.change.outstanding.contains(&shard.id),
        ready: replicas.iter().filter(|member| member.health == Health::Ready).count() as u64,
        keys: fullest.map(|status| status.keys),
        bytes: fullest.map(|status| status.bytes),
        lag_ms: replicas.iter().filter_map(|member| member.lag_ms).max(),
    }
}
