//! What is worth a log line or a count. Events carry no keys and no values.

use crate::causality::hlc::Timestamp;
use crate::id::{Life, NodeId, ShardId, ViewId};
use crate::recovery::Met;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// This node has met its shard and begun a life: it accepts writes.
    Met {
        /// The new life.
        life: Life,
        /// How it was met.
        how: Met,
    },
    /// This node has recovered: it holds all that its shard's recovered replicas held.
    Recovered {
        /// Entries in the table.
        entries: u64,
    },
    /// All members of this shard had lost their memory; what only they held is gone (design 10.3).
    ShardMemoryLost,
    /// Everybody of a former view's shard has answered, and nobody held all there was: what only those held who have started again
    /// since, or were written off, is gone.
    LegacyLost {
        /// The view.
        view: ViewId,
        /// Its shard.
        shard: ShardId,
    },
    /// A sync from a peer began.
    SyncStarted {
        /// The source.
        from: NodeId,
        /// Whether absence is named too.
        full: bool,
    },
    /// A sync is complete.
    SyncDone {
        /// The source.
        from: NodeId,
        /// Entries received.
        entries: u64,
        /// Entries dropped because the source no longer held them.
        dropped: u64,
    },
    /// A peer is heard again after a silence.
    PeerUp(NodeId),
    /// A peer is silent or its connection is lost.
    PeerDown(NodeId),
    /// All lives of a member before `before` are closed.
    LivesClosed {
        /// The member.
        node: NodeId,
        /// The start of its first open life.
        before: Timestamp,
    },
    /// The window reached its limit and its oldest writes left it for the floor (design 6.3).
    WindowEvicted {
        /// How many writes.
        writes: u64,
    },
    /// A PUT was refused for want of memory. Told once, and again when a tenth of the limit was free meanwhile.
    MemoryFull {
        /// Bytes that tables and windows take, about.
        held: u64,
        /// `memory_bytes_max`.
        limit: u64,
    },
    /// Messages of another cluster, or of another bootstrap view, were refused. Told once in a while per sender.
    StrangerRefused {
        /// Who sends them.
        node: NodeId,
        /// How many since it was told last.
        messages: u64,
    },
    /// A message of a life that is over was refused.
    FormerLifeRefused(Life),
    /// A peer's clock is ahead by more than the drift; its data was accepted all the same (design 4.2).
    ClockAhead {
        /// Whose clock.
        node: NodeId,
        /// By how much.
        ahead_ms: u64,
    },
    /// Replicas with equal vectors hold different entries: a bug, repaired by a replacing sync (design 8.4).
    DigestMismatch(NodeId),
    /// A message that no correct node sends was dropped.
    BadMessage {
        /// From whom.
        node: NodeId,
        /// What was wrong.
        what: &'static str,
    },
    /// A view was adopted.
    ViewAdopted(ViewId),
    /// A former view is settled: everything has been handed over.
    ViewSettled(ViewId),
    /// An old member of a former view has handed over what it held.
    HandedOver {
        /// The old member.
        from: NodeId,
        /// Entries received.
        entries: u64,
    },
    /// This node gave up what it held of a view in which nobody waits for it any more.
    Discarded {
        /// Live entries that were given up.
        entries: u64,
        /// Whether a coordinator wrote it off.
        written_off: bool,
    },
    /// A later life of this address exists; this process ends.
    Superseded(Life),
}
