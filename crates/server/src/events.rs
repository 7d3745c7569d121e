//! The core's events as log lines.

use precede_core::event::Event;
use precede_core::id::NodeId;
use precede_core::placement::view::View;
use tracing::{debug, error, info, warn};

/// Logs an event. Nodes are named by their address where the view knows it.
pub(crate) fn log(event: &Event, view: &View) {
    let name = |node: &NodeId| view.address(*node).map_or_else(|| format!("{node:?}"), ToString::to_string);
    match event {
        Event::Met { life, how } => info!(start = %life.start, ?how, "met its shard: writes are accepted"),
        Event::Recovered { entries } => info!(entries, "recovered"),
        Event::ShardMemoryLost => {
            error!("all replicas of this shard had lost their memory: what only they held is gone");
        }
        Event::LegacyLost { view, shard } => error!(
            epoch = view.epoch,
            shard = shard.0,
            "nobody who is left held all of this shard of the former view: what only the others held is gone"
        ),
        Event::SyncStarted { from, full } => info!(from = name(from), full, "sync started"),
        Event::SyncDone { from, entries, dropped } => info!(from = name(from), entries, dropped, "sync done"),
        Event::PeerUp(node) => info!(peer = name(node), "peer is up"),
        Event::PeerDown(node) => warn!(peer = name(node), "peer is down"),
        Event::LivesClosed { node, before } => info!(peer = name(node), %before, "former lives are closed"),
        Event::WindowEvicted { writes } => {
            warn!(writes, "the window is full: its oldest writes left it (a replica is silent for long)");
        }
        Event::MemoryFull { held, limit } => {
            warn!(held, limit, "the memory limit is reached: values that need more are refused (MAX_MEMORY_BYTES)");
        }
        Event::StrangerRefused { node, messages } => {
            warn!(peer = name(node), messages, "refused messages of another cluster or view");
        }
        Event::FormerLifeRefused(life) => {
            debug!(peer = name(&life.node), start = %life.start, "refused a message of a life that is over");
        }
        Event::ClockAhead { node, ahead_ms } => {
            warn!(peer = name(node), ahead_ms, "a peer's clock is ahead by more than the drift allowed");
        }
        Event::DigestMismatch(node) => {
            error!(peer = name(node), "replicas with equal vectors hold different entries (a bug): repairing");
        }
        Event::BadMessage { node, what } => warn!(peer = name(node), what, "dropped a message that makes no sense"),
        Event::ViewAdopted(id) => info!(epoch = id.epoch, "adopted a view"),
        Event::ViewSettled(id) => info!(epoch = id.epoch, "a former view is settled: everything of it is handed over"),
        Event::HandedOver { from, entries } => info!(from = name(from), entries, "handed over"),
        Event::Discarded { entries, written_off: true } => {
            error!(entries, "this node was written off: it has given up what it held");
        }
        Event::Discarded { entries, written_off: false } => {
            warn!(entries, "gave up what was held of a view that nobody waits for any more");
        }
        Event::Superseded(life) => {
            error!(start = %life.start, "another process with this node's address started later: this one ends");
        }
    }
}
