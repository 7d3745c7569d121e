//! The core's events: as log lines, and counted.

use std::sync::atomic::{AtomicU64, Ordering};

use precede_core::event::Event;
use precede_core::id::NodeId;
use precede_core::placement::view::View;
use tracing::{debug, error, info, warn};

/// The names under which events are counted.
pub(crate) const NAMES: [&str; 19] = [
    "met",
    "recovered",
    "shard-memory-lost",
    "legacy-lost",
    "sync-started",
    "sync-done",
    "peer-up",
    "peer-down",
    "lives-closed",
    "window-evicted",
    "stranger-refused",
    "clock-ahead",
    "digest-mismatch",
    "bad-message",
    "view-adopted",
    "view-settled",
    "handed-over",
    "discarded",
    "memory-full",
];

/// How often each event has happened since the start.
#[derive(Debug, Default)]
pub(crate) struct EventCounts {
    events: [AtomicU64; NAMES.len()],
    /// Writes that left the window because it was full.
    pub(crate) evicted_writes: AtomicU64,
}

impl EventCounts {
    /// It has happened once more.
    pub(crate) fn note(&self, event: &Event) {
        let at = match event {
            Event::Met { .. } => 0,
            Event::Recovered { .. } => 1,
            Event::ShardMemoryLost => 2,
            Event::LegacyLost { .. } => 3,
            Event::SyncStarted { .. } => 4,
            Event::SyncDone { .. } => 5,
            Event::PeerUp(_) => 6,
            Event::PeerDown(_) => 7,
            Event::LivesClosed { .. } => 8,
            Event::WindowEvicted { writes } => {
                self.evicted_writes.fetch_add(*writes, Ordering::Relaxed);
                9
            }
            Event::StrangerRefused { .. } => 10,
            Event::ClockAhead { .. } => 11,
            Event::DigestMismatch(_) => 12,
            Event::BadMessage { .. } => 13,
            Event::ViewAdopted(_) => 14,
            Event::ViewSettled(_) => 15,
            Event::HandedOver { .. } => 16,
            Event::Discarded { .. } => 17,
            Event::MemoryFull { .. } => 18,
            // Part of every restart, once for each message under way; and the end, after which nobody asks.
            Event::FormerLifeRefused(_) | Event::Superseded(_) => return,
        };
        self.events[at].fetch_add(1, Ordering::Relaxed);
    }

    /// Each with its count.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        NAMES.into_iter().zip(self.events.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}

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
