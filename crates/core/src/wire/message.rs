//! Messages between nodes.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::causality::context::Context;
use crate::causality::hlc::Timestamp;
use crate::causality::version_vector::VersionVector;
use crate::id::{Life, NodeId, Origin, ShardId, ViewId};
use crate::placement::view::ViewRecord;
use crate::table::value::Value;
use crate::time::WallTime;
use crate::wire::named::{KnownName, Name, NamedWrite};
use crate::wire::request::{Reply, Request};
use crate::wire::sync_entry::SyncEntry;

/// What every message carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The cluster's fingerprint; others are refused.
    pub cluster: u64,
    /// The sender's view.
    pub view: ViewId,
    /// The sender.
    pub from: NodeId,
    /// The start of the sender's life; none before it has met its shard, and for spares.
    pub life: Option<Timestamp>,
    /// The sender's clock.
    pub clock: Timestamp,
    /// The message itself.
    pub body: Message,
}

/// A message. Appended to only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// A starting node asks who is there.
    Hello {
        /// Random, to tell this start from others.
        boot: u64,
        /// Whether the sender's cluster name is only derived from its bootstrap view.
        is_derived: bool,
    },
    /// The answer.
    Welcome {
        /// As asked.
        boot: u64,
        /// Whether the answering node has recovered.
        recovered: bool,
        /// The newest life of the asking address that the answering node knows.
        known_life: Option<Timestamp>,
    },
    /// Writes of the sender's origin, in order; empty as a heartbeat.
    Frame(Frame),
    /// What a receiver has of the sender's origin.
    Ack(Ack),
    /// What a replica has in all.
    Status(Status),
    /// What is known of everyone's `covered`, and the sender's wall clock.
    Gossip {
        /// The sender's wall clock, for comparison only.
        wall: WallTime,
        /// What the sender knows of former views.
        former: Vec<FormerReport>,
        /// The views known to be settled under the sender's.
        settled: Vec<ViewId>,
        /// Lives in which members have handed over although the sender's view names earlier ones.
        late: Vec<Life>,
        /// Nodes that are known to have adopted the sender's view.
        adopted: Vec<NodeId>,
        /// The greatest `covered` timestamp heard of each member.
        covered: Vec<(NodeId, Timestamp)>,
    },
    /// Asks for the next chunk of a sync.
    SyncPull(SyncPull),
    /// A chunk of a sync.
    SyncChunk(SyncChunk),
    /// A request for a replica.
    Forward(Forward),
    /// Its answer.
    ForwardReply {
        /// As asked.
        id: u64,
        /// The answer.
        reply: Reply,
    },
    /// A packet of the failure detector.
    Swim(Bytes),
    /// To a sender whose address has a newer life.
    Superseded {
        /// The newer life's start.
        by: Timestamp,
    },
    /// Asks for the receiver's view.
    ViewAsk,
    /// The sender's view, with the former ones.
    Views(Box<ViewNews>),
    /// A coordinator prepares a view change (design 11.1).
    Prepare(Prepare),
    /// The answer.
    Prepared(Prepared),
    /// The attempt is over: the lease is free.
    Release {
        /// Names it.
        change: u64,
    },
    /// Asks an old owner for one key of a former view.
    Fetch {
        /// Names the question.
        id: u64,
        /// The former view.
        view: ViewId,
        /// The key.
        key: Bytes,
        /// The name of a write of it, if that is asked for too.
        name: Option<Name>,
    },
    /// The answer.
    Fetched(Box<Fetched>),
    /// Asks a replica whether it has these writes of its shard, on behalf of a barrier.
    Confirm {
        /// Names the question.
        round: u64,
        /// Up to where, by origin.
        entries: VersionVector,
    },
    /// The answer.
    Confirmed {
        /// As asked.
        round: u64,
        /// Whether it has all of them.
        has: bool,
    },
}

/// Views, as they spread: the current one, the former ones that are not settled, and those that are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewNews {
    /// The sender's current view.
    pub current: ViewRecord,
    /// Views below it that are not known to be settled.
    pub former: Vec<ViewRecord>,
    /// Views known to be settled under the current one.
    pub settled: Vec<ViewId>,
}

/// What a coordinator asks (design 11.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepare {
    /// Names the attempt.
    pub change: u64,
    /// The newest life of the receiver that the sender knows.
    pub known_life: Option<Timestamp>,
    /// Whether a lease is asked for: a plan needs none.
    pub lease: bool,
}

/// What a node says when a coordinator prepares (design 11.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// As asked.
    pub change: u64,
    /// Whether the lease is granted; if not, another coordinator holds it.
    pub granted: bool,
    /// The sender's life, if it has begun one.
    pub life: Option<Timestamp>,
    /// Whether it holds a shard of its view, and has recovered.
    pub recovered: bool,
    /// Former views that it does not know to be settled.
    pub former: Vec<ViewId>,
    /// Views that it knows to be settled.
    pub settled: Vec<ViewId>,
    /// Its live keys.
    pub keys: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

/// What a node knows of one former view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerReport {
    /// Which.
    pub view: ViewId,
    /// Whether the sender holds a recovered legacy of it.
    pub holds: bool,
    /// Shards of the current view that have got everything, each as its replicas said.
    pub statements: Vec<Statement>,
}

/// A shard of the current view has settled a former view: all its replicas, in these lives, hold all that can be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The shard.
    pub shard: ShardId,
    /// Its replicas' lives. The statement counts while one of them lives (design 11.6).
    pub lives: Vec<Life>,
}

/// What a replica holds of a former view (design 11.3 to 11.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldReport {
    /// Which.
    pub view: ViewId,
    /// Its claims.
    pub vector: VersionVector,
    /// Per origin the greatest timestamp ever put in the table.
    pub seen: VersionVector,
    /// Whether entries of earlier views were put in the table of which nobody who holds them all has handed over.
    pub older: bool,
    /// Lives that were closed under that view.
    pub closed: Vec<ClosedLives>,
    /// Who has handed over.
    pub done: Vec<(NodeId, HandedOver)>,
    /// Whether everybody required has.
    pub complete: bool,
    /// Whether it has also taken all there is from its shard peers.
    pub resolved: bool,
}

/// A hand-off that is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedOver {
    /// The life of the old member that handed over.
    pub life: Timestamp,
    /// Whether what it held was recovered: only such a one shows what is absent.
    pub recovered: bool,
    /// What it reflected of the views before its own.
    pub past: Past,
}

/// What a replica reflects of the views before its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Past {
    /// Nothing for sure: its shard has lost its memory under its view.
    Lost,
    /// Perhaps not everything.
    Partial,
    /// Everything that was handed over, by all who had to.
    Whole,
    /// Everything, and that was settled: what others still hold of those views tells it nothing, and what was deleted of it may have
    /// been collected.
    Settled,
}

/// One key, as an old owner holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// As asked.
    pub id: u64,
    /// As asked.
    pub view: ViewId,
    /// The entry; none if the old owner has none.
    pub entry: Option<SyncEntry>,
    /// The write that has the name, if one was asked for and is known.
    pub known: Option<KnownName>,
    /// Its vector.
    pub vector: VersionVector,
    /// Lives closed under that view.
    pub closed: Vec<ClosedLives>,
    /// Whether it was recovered.
    pub recovered: bool,
    /// What it reflected of the views before its own.
    pub past: Past,
    /// It has everything at or below it.
    pub covered: Timestamp,
    /// The greatest tombstone it ever collected.
    pub horizon: Timestamp,
    /// Dependencies that left its window early, and up to where they stand for versions.
    pub floor: (Context, Timestamp),
}

/// A write, as it travels in a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamWrite {
    /// Its timestamp; the origin is the stream's.
    pub timestamp: Timestamp,
    /// The key.
    pub key: Bytes,
    /// The value, or none for a tombstone.
    pub value: Option<Value>,
    /// The context it was made with.
    pub dependencies: Context,
    /// The write id, if it was forwarded.
    pub write_id: Option<WriteId>,
    /// Its client's name for it, if it has one.
    pub named: Option<NamedWrite>,
}

/// Part of a stream (design 8.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The origin whose writes these are; its node is the sender.
    pub origin: Origin,
    /// The stream was complete up to here before this frame.
    pub previous: Timestamp,
    /// The writes, in timestamp order.
    pub writes: Vec<StreamWrite>,
    /// With this frame it is complete up to here.
    pub up_to: Timestamp,
}

/// An acknowledgement: held in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The origin acknowledged; its node is the receiver of this message.
    pub origin: Origin,
    /// All writes up to here.
    pub applied: Timestamp,
    /// And these beyond a gap.
    pub beyond: Vec<Timestamp>,
    /// Whether there is a gap: the frame acknowledged did not join on to what the receiver has.
    pub gap: bool,
}

/// What a replica tells its shard peers in every heartbeat (design 6.4, 8.4, 10.4).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Status {
    /// Whether it has recovered.
    pub recovered: bool,
    /// Its vector, without closed origins.
    pub applied: VersionVector,
    /// Per origin the greatest timestamp it ever put in its table.
    pub seen: VersionVector,
    /// The greatest timestamp at or below which it has everything of its shard.
    pub covered: Timestamp,
    /// Below this tombstones may be missing.
    pub horizon: Timestamp,
    /// The newest life it knows of each shard member.
    pub lives: Vec<Life>,
    /// For each shard member: lives that started before are closed.
    pub closed: Vec<ClosedLives>,
    /// The shard members whose former lives it has taken all there is of, in agreement with `lives`.
    pub resolved: Vec<NodeId>,
    /// Digest of its live entries.
    pub digest: u64,
    /// What it holds of former views.
    pub held: Vec<HeldReport>,
}

/// All lives of a member before one are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedLives {
    /// The member.
    pub node: NodeId,
    /// Lives that started before this are closed.
    pub before: Timestamp,
    /// The last closed life and the timestamp that all members agreed on for it.
    pub last: Option<(Timestamp, Timestamp)>,
}

/// Asks for the next chunk of a sync (design 8.3). The source keeps no state: it can be repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncPull {
    /// Names the pass; parts of different passes are never combined.
    pub pass: u64,
    /// What the target has; entries that it covers are left out, or only named.
    pub have: VersionVector,
    /// The target's closed lives, if it may rely on them.
    pub closed: Vec<ClosedLives>,
    /// Whether every key is to be named, so that absence is told.
    pub full: bool,
    /// The former view whose legacy is asked for; none for a sync between replicas of the current view.
    pub legacy: Option<ViewId>,
    /// What the target has of former views.
    pub held: Vec<HeldReport>,
    /// Whether the target has everything of views that are older than these.
    pub has_older: bool,
    /// Where the chunk begins, in the order of the table's walk.
    pub from: u64,
}

/// A chunk of a sync: every key whose place in the walk is in `from..next` (to the end if none).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncChunk {
    /// As asked.
    pub pass: u64,
    /// As asked.
    pub from: u64,
    /// Where the next chunk begins; none at the end.
    pub next: Option<u64>,
    /// As asked.
    pub legacy: Option<ViewId>,
    /// Whether the source has recovered.
    pub recovered: bool,
    /// The views that the source knows to be settled; the target takes that first.
    pub settled: Vec<ViewId>,
    /// What the source reflects of the views before its own.
    pub past: Past,
    /// What the source holds of former views now; the target keeps that of the first chunk.
    pub held: Vec<HeldReport>,
    /// The source's vector now; the target keeps that of the first chunk.
    pub vector: VersionVector,
    /// The source's `seen` now; the target keeps that of the first chunk.
    pub seen: VersionVector,
    /// The newest lives that the source knows now; the target keeps those of the first chunk.
    pub lives: Vec<Life>,
    /// The source's closed lives now; the target keeps those of the first chunk.
    pub closed: Vec<ClosedLives>,
    /// The source's horizon now.
    pub horizon: Timestamp,
    /// What the source knows of everyone's `covered`; the target takes it first, so that both agree on what is stable.
    pub covered: Vec<(NodeId, Timestamp)>,
    /// The least last words of the members of former views: a target that was no member of them has heard none.
    pub former: Vec<(ViewId, Timestamp)>,
    /// Dependencies that left the source's window early, and the timestamp up to which they stand for versions.
    pub floor: (Context, Timestamp),
    /// The entries.
    pub entries: Vec<SyncEntry>,
    /// The names of writes of keys in this part of the walk that the target lacks, whether the keys are still there or not.
    pub names: Vec<KnownName>,
}

/// Names a client's write across tries at several replicas (design 15.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WriteId {
    /// The router's clock when it took the request.
    pub taken: Timestamp,
    /// Random.
    pub nonce: u64,
}

impl SyncChunk {
    /// The answer of one that held nothing: the first chunk, and the last.
    #[must_use]
    pub fn nothing(pull: &SyncPull) -> Self {
        Self {
            pass: pull.pass,
            from: pull.from,
            next: None,
            legacy: pull.legacy,
            recovered: false,
            settled: Vec::new(),
            past: Past::Partial,
            held: Vec::new(),
            vector: VersionVector::default(),
            seen: VersionVector::default(),
            lives: Vec::new(),
            closed: Vec::new(),
            horizon: Timestamp::ZERO,
            covered: Vec::new(),
            former: Vec::new(),
            floor: (Context::default(), Timestamp::ZERO),
            entries: Vec::new(),
            names: Vec::new(),
        }
    }
}

impl Fetched {
    /// The answer of one that held nothing.
    #[must_use]
    pub fn nothing(id: u64, view: ViewId) -> Self {
        Self {
            id,
            view,
            entry: None,
            known: None,
            vector: VersionVector::default(),
            closed: Vec::new(),
            recovered: false,
            past: Past::Partial,
            covered: Timestamp::ZERO,
            horizon: Timestamp::ZERO,
            floor: (Context::default(), Timestamp::ZERO),
        }
    }
}

/// A request on its way to a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// Chosen by the sender, to be named in the answer.
    pub id: u64,
    /// Hops so far.
    pub hops: u8,
    /// For a write: the newest life of the receiver that the sender knows. A later one does not take it: the one that is over may
    /// have, and what it had taken is forgotten with it.
    pub life: Option<Timestamp>,
    /// For a write: the greatest timestamp it may get (design 7.1).
    pub not_after: Option<Timestamp>,
    /// For a write: its name across tries.
    pub write_id: Option<WriteId>,
    /// For a write: the greatest timestamp that earlier tries may have got; zero at the first try.
    pub repeat_of: Timestamp,
    /// Time left for this try.
    pub attempt: Duration,
    /// The request.
    pub request: Request,
}
