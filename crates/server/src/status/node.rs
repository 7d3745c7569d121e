//! What this node says of itself.

use std::sync::atomic::Ordering;

use precede_client::{HandOffStatus, NodeStatus, PeerStatus, RequestCounts, WindowStatus, WorkStatus};

use crate::driver::Snapshot;
use crate::http::{App, health};
use crate::status::{millis, process};

/// The state of this node, as it was at the moment of `snapshot`.
pub(crate) fn of_node(app: &App, snapshot: &Snapshot) -> NodeStatus {
    let Snapshot { view, report, change, wall, .. } = snapshot;
    let reasons = health::reasons(app, report, view);
    NodeStatus {
        node: app.driver.address.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_ms: millis(app.driver.uptime()),
        epoch: view.id.epoch,
        shard_id: snapshot.shard.map(|shard| shard.0),
        ready: reasons.is_empty(),
        reasons,
        recovered: report.recovered,
        keys: report.live_keys,
        tombstones: report.tombstones,
        bytes: report.bytes,
        window: WindowStatus {
            writes: report.window_writes,
            bytes: report.window_bytes,
            bytes_max: app.driver.window_bytes_max() as u64,
        },
        stable: report.stable.to_string(),
        stable_age_ms: snapshot.stable_age.map(millis),
        clock_ahead_ms: report.clock.millis().saturating_sub(wall.0),
        wall_ahead_ms: report.wall_ahead_ms,
        view_change: HandOffStatus {
            former_epochs: change.former.clone(),
            hand_offs_done: change.hand_offs_done as u64,
            hand_offs_required: change.hand_offs_required as u64,
            received_keys: change.received_keys,
            received_bytes: change.received_bytes,
        },
        requests: requests(app),
        work: WorkStatus {
            requests: app.in_progress() as u64,
            waiting: report.waiting as u64,
            forwarded: report.forwarded as u64,
            unacknowledged: report.unacked as u64,
            unread_bytes: app.unread_bytes() as u64,
            connections: app.connections() as u64,
            links: app.peers.links.load(Ordering::Relaxed) as u64,
        },
        memory_bytes: process::memory_bytes(),
        cpu_ms: process::cpu_time().map(millis),
        peers: peers(snapshot),
    }
}

fn peers(snapshot: &Snapshot) -> Vec<PeerStatus> {
    let peers = snapshot.report.peers.iter().filter_map(|peer| {
        let member = snapshot.members.iter().find(|member| member.address.node_id() == peer.node)?;
        Some(PeerStatus {
            node: member.address.to_string(),
            up: peer.up,
            recovered: peer.recovered,
            lag_ms: peer.lag.map(millis),
        })
    });
    peers.collect()
}

/// Requests for keys.
fn requests(app: &App) -> RequestCounts {
    let totals = app.counts.totals();
    let [gets, puts, deletes, _] = totals.requests[0];
    let [_, _, not_found, client_errors, server_errors] =
        std::array::from_fn(|status| totals.requests[0].iter().map(|by_status| by_status[status]).sum());
    RequestCounts {
        gets: gets.iter().sum(),
        puts: puts.iter().sum(),
        deletes: deletes.iter().sum(),
        not_found,
        client_errors,
        server_errors,
        context_bytes: totals.context_bytes,
        contexts: totals.contexts,
    }
}
