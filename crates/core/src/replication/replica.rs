//! A replica's state: the table with its vector, window and lives. Applies writes, wherever they come from, and keeps
//! Rule A (design 6.2): for every origin the table reflects every write up to `applied`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::causality::context::Context;
use crate::causality::hlc::Timestamp;
use crate::causality::version::Version;
use crate::causality::version_vector::VersionVector;
use crate::config::Config;
use crate::id::{Life, NodeId, Origin, ShardId};
use crate::limits::{SYNC_CHUNK_BYTES_TARGET, SYNC_CHUNK_ENTRIES_MAX};
use crate::placement::hash::key_hash;
use crate::placement::view::View;
use crate::planted::{self, Planted};
use crate::replication::lives::{Lives, Standing};
use crate::replication::stability::Stability;
use crate::replication::sync::{Before, Kind};
use crate::replication::window::{Window, WindowWrite};
use crate::replication::{Shared, Visible, belongs, is_closed};
use crate::table::Table;
use crate::table::entry::Entry;
use crate::table::value::ValueRef;
use crate::wire::message::{Ack, Frame, Status, SyncChunk, SyncEntry, SyncPayload, SyncPull, WriteId};

/// Everything a replica holds. Knows nothing of peers, requests or time-outs.
#[derive(Debug)]
pub struct Replica {
    /// This node.
    pub me: NodeId,
    /// All members of the shard, this node included.
    pub members: Vec<NodeId>,
    /// What readers share.
    pub shared: Arc<Shared>,
    /// This life's origin; none before the shard is met.
    pub origin: Option<Origin>,
    /// Rule A's vector, without closed origins.
    pub applied: VersionVector,
    /// Per origin the greatest timestamp ever put in the table.
    pub seen: VersionVector,
    /// Newest and closed lives.
    pub lives: Lives,
    /// Recent writes.
    pub window: Window,
    /// Whether it holds all that its shard's recovered replicas held.
    pub recovered: bool,
    /// Everything of the shard at or below it is here.
    pub covered: Timestamp,
    /// The greatest tombstone ever collected, here or at a source of a sync.
    pub horizon: Timestamp,
    graveyard: BTreeSet<(Timestamp, Bytes)>,
    window_bytes_max: usize,
    sync_chunk_entries: usize,
    evicted: u64,
}

/// A write on its way into the table.
#[derive(Debug, Clone)]
pub struct Incoming<'a> {
    /// Its dot.
    pub version: Version,
    /// The key.
    pub key: &'a [u8],
    /// The value, or none for a tombstone.
    pub value: Option<ValueRef<'a>>,
    /// The context it was made with.
    pub dependencies: Context,
    /// Its name across tries.
    pub write_id: Option<WriteId>,
}

impl Replica {
    /// An empty replica of `shard`.
    #[must_use]
    pub fn new(config: &Config, view: &View, shard: ShardId, seed: u64) -> Self {
        let members = view.members().filter(|(_, _, of)| *of == shard).map(|(node, _, _)| node).collect();
        let visible = Visible::default().into();
        Self {
            me: config.address.node_id(),
            members,
            shared: Arc::new(Shared { view: view.clone(), shard, table: Table::new(seed), visible }),
            origin: None,
            applied: VersionVector::default(),
            seen: VersionVector::default(),
            lives: Lives::default(),
            window: Window::default(),
            recovered: false,
            covered: view.id.activation,
            horizon: Timestamp::ZERO,
            graveyard: BTreeSet::new(),
            window_bytes_max: config.window_bytes_max,
            sync_chunk_entries: config.sync_chunk_entries.min(SYNC_CHUNK_ENTRIES_MAX),
            evicted: 0,
        }
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.shared.table
    }

    /// Begins a life.
    pub fn begin(&mut self, origin: Origin) {
        self.lives.learn(origin.life());
        self.applied.advance(origin, origin.start);
        self.origin = Some(origin);
        self.recovered |= planted::is(Planted::EmptinessCopied);
    }

    /// Whether a write is reflected in the table already. At a recovered replica closed lives are: all members agreed.
    #[must_use]
    pub fn covers(&self, version: &Version) -> bool {
        let covered = self.applied.covers(version) && !planted::is(Planted::LateCopyApplied);
        covered || (self.recovered && is_closed(self.lives.closed(), &version.origin))
    }

    /// Whether an answer from the table is allowed under a context, whether recovered or not (design 7.2).
    #[must_use]
    pub fn satisfies(&self, context: &Context) -> bool {
        let (view, shard) = (&self.shared.view, self.shared.shard);
        if planted::is(Planted::ContextUnchecked) {
            return true;
        }
        (self.covered >= context.stable || planted::is(Planted::OwnCoveredUnchecked))
            && context.entries.iter().all(|(origin, timestamp)| {
                !belongs(origin, view, shard)
                    || self.applied.get(origin) >= timestamp
                    || (self.recovered && is_closed(self.lives.closed(), origin))
            })
    }

    /// Whether the context names writes that died with all their holders (design 15.7).
    #[must_use]
    pub fn names_lost(&self, context: &Context) -> bool {
        context.entries.iter().any(|(origin, timestamp)| {
            belongs(origin, &self.shared.view, self.shared.shard)
                && self.lives.closed().get(&origin.node).is_some_and(|closed| {
                    origin.start < closed.before
                        && closed.last.is_none_or(|(start, agreed)| {
                            origin.start > start || (origin.start == start && timestamp > agreed)
                        })
                })
        })
    }

    /// Takes a write of this node: "take a timestamp, apply, append to the window, advance" is one step (design 6.5).
    /// Returns what was there before.
    pub fn write(&mut self, write: Incoming<'_>) -> Option<Entry> {
        let version = write.version;
        let previous = self.put(write);
        self.applied.advance(version.origin, version.timestamp);
        previous
    }

    /// Says that this node has made no further write up to `timestamp`: its own entry rises with the clock.
    pub fn idle_to(&mut self, timestamp: Timestamp) {
        if let Some(origin) = self.origin {
            self.applied.advance(origin, timestamp);
        }
    }

    /// Takes a frame of a stream. The caller has checked that it comes from the newest life known.
    pub fn on_frame(&mut self, frame: &Frame) -> Ack {
        let origin = frame.origin;
        let mut beyond = Vec::new();
        let known = self.applied.get(&origin).max(origin.start);
        let gap = known < frame.previous && !planted::is(Planted::AppliedFirst);
        for write in &frame.writes {
            let version = Version { timestamp: write.timestamp, origin };
            if gap {
                beyond.push(write.timestamp);
            }
            if !self.covers(&version) {
                self.put(Incoming {
                    version,
                    key: &write.key,
                    value: write.value.as_ref().map(|value| value.as_ref()),
                    dependencies: write.dependencies.clone(),
                    write_id: write.write_id,
                });
            }
        }
        self.applied.advance(origin, if gap { known } else { frame.up_to.max(known) });
        Ack { origin, applied: self.applied.get(&origin), beyond, gap }
    }

    /// The dependencies of a version, as a reader of it must carry them (design 5.2), given what is stable.
    #[must_use]
    pub fn dependencies(&self, version: &Version, stable: Timestamp) -> Context {
        if version.timestamp <= stable {
            return Context { stable: version.timestamp, ..Context::default() };
        }
        if planted::is(Planted::DependenciesForgotten) {
            return Context::default();
        }
        self.window.dependencies(version)
    }

    /// What this replica tells its peers.
    #[must_use]
    pub fn status(&self, statuses: &BTreeMap<NodeId, &Status>) -> Status {
        Status {
            recovered: self.recovered,
            applied: self.applied.clone(),
            seen: self.seen.clone(),
            covered: self.covered,
            horizon: self.horizon,
            lives: self.lives.all(),
            closed: self.lives.closed().values().copied().collect(),
            resolved: self.lives.resolved(self.me, &self.members, statuses),
            digest: self.table().digest(),
        }
    }

    /// A chunk of a sync, as its source.
    #[must_use]
    pub fn sync_chunk(&self, pull: &SyncPull, stability: &Stability) -> SyncChunk {
        let stable = stability.stable();
        let closed: BTreeMap<NodeId, _> = pull.closed.iter().map(|closed| (closed.node, *closed)).collect();
        let target_has = |version: &Version| pull.have.covers(version) || is_closed(&closed, &version.origin);
        let weigh = |entry: &Entry| entry.content_bytes() + 64;
        let walk = self.table().walk(pull.from, self.sync_chunk_entries, SYNC_CHUNK_BYTES_TARGET, weigh);
        let mut entries = Vec::new();
        for entry in &walk.entries {
            let version = self.table().version(entry);
            let has = target_has(&version);
            if has && !pull.full {
                continue;
            }
            let payload = (!has).then(|| {
                let write = self.window.get(&version);
                SyncPayload {
                    value: entry.value().map(|value| value.to_owned()),
                    dependencies: (version.timestamp > stable)
                        .then(|| write.map(|write| (*write.dependencies).clone()))
                        .flatten(),
                    write_id: write.and_then(|write| write.write_id),
                }
            });
            entries.push(SyncEntry { key: Bytes::copy_from_slice(entry.key()), version, payload });
        }
        let (floor, floor_at) = self.window.floor();
        SyncChunk {
            pass: pull.pass,
            from: pull.from,
            next: walk.next,
            recovered: self.recovered,
            vector: self.applied.clone(),
            seen: self.seen.clone(),
            lives: self.lives.all(),
            closed: self.lives.closed().values().copied().collect(),
            horizon: self.horizon,
            covered: stability.words(),
            floor: (floor.clone(), floor_at),
            entries,
        }
    }

    /// Takes a chunk of a sync, as its target; returns how many entries were dropped because a pass that names all keys
    /// did not name them although the source, before the walk, had them or greater versions.
    pub fn on_sync_chunk(&mut self, chunk: &SyncChunk, kind: Kind, before: &Before) -> u64 {
        // Settled at the end of the step: what is stable leaves the window again.
        self.window.merge_floor(&chunk.floor.0, chunk.floor.1);
        self.raise_horizon(chunk.horizon);
        for entry in &chunk.entries {
            let reflected = match kind {
                Kind::Missing | Kind::Full => self.covers(&entry.version),
                Kind::Replacing => entry.version.timestamp <= self.horizon,
            };
            if let Some(payload) = &entry.payload
                && !reflected
            {
                let left_out = Context { stable: entry.version.timestamp, ..Context::default() };
                self.put(Incoming {
                    version: entry.version,
                    key: &entry.key,
                    value: payload.value.as_ref().map(|value| value.as_ref()),
                    dependencies: payload.dependencies.clone().unwrap_or(left_out),
                    write_id: payload.write_id,
                });
            }
        }
        let names = kind.names_all() && !planted::is(Planted::AbsenceUntold);
        if names { self.drop_unnamed(chunk, kind, before) } else { 0 }
    }

    fn drop_unnamed(&self, chunk: &SyncChunk, kind: Kind, before: &Before) -> u64 {
        let named: BTreeSet<&[u8]> = chunk.entries.iter().map(|entry| &entry.key[..]).collect();
        let closed: BTreeMap<NodeId, _> = before.closed.iter().map(|closed| (closed.node, *closed)).collect();
        let mut dropped = 0;
        for entry in self.table().range(chunk.from, chunk.next) {
            let version = self.table().version(&entry);
            let source_had = match kind {
                Kind::Missing => false,
                Kind::Full => {
                    before.vector.covers(&version) || (before.recovered && is_closed(&closed, &version.origin))
                }
                Kind::Replacing => version.timestamp <= before.horizon,
            };
            if source_had && !named.contains(entry.key()) {
                let same = |held: &Entry| self.table().version(held) == version;
                dropped += u64::from(self.table().remove_if(entry.key(), key_hash(entry.key()), same));
            }
        }
        dropped
    }

    /// A pass is complete.
    pub fn on_synced(&mut self, source: Life, before: &Before, kind: Kind) {
        let (view, shard) = (self.shared.view.clone(), self.shared.shard);
        let own = |origin: &Origin| belongs(origin, &view, shard);
        for (vector, target) in [(&before.vector, &mut self.applied), (&before.seen, &mut self.seen)] {
            for (origin, timestamp) in vector.iter().filter(|(origin, _)| own(origin)) {
                target.advance(*origin, timestamp);
            }
        }
        for life in &before.lives {
            self.learn(*life);
        }
        self.lives.on_synced(source, &before.lives);
        if kind == Kind::Full && before.recovered {
            self.recovered = true;
        }
        if self.recovered && before.recovered {
            self.merge_closed(&before.closed);
        }
    }

    /// Takes note of a life of a shard member.
    pub fn learn(&mut self, life: Life) -> Standing {
        self.lives.learn(life)
    }

    /// Takes over closed lives, if this replica may; forgets what they no longer need.
    pub fn merge_closed(
        &mut self,
        closed: &[crate::wire::message::ClosedLives],
    ) -> Vec<crate::wire::message::ClosedLives> {
        if !self.recovered {
            return Vec::new();
        }
        let news = self.lives.merge_closed(closed);
        self.forget_closed();
        news
    }

    /// Drops closed origins from the vectors.
    pub fn forget_closed(&mut self) {
        let closed = self.lives.closed();
        self.applied.retain(|origin, _| !is_closed(closed, origin));
        self.seen.retain(|origin, _| !is_closed(closed, origin));
        self.window.forget(|origin| is_closed(closed, origin));
    }

    /// Recomputes what follows from the vector: `covered`, stability, the window, tombstones. Returns how many writes
    /// the window had to give up early. Publishes the result to readers.
    pub fn settle(&mut self, stability: &mut Stability, clock: Timestamp) -> u64 {
        let activation = self.shared.view.id.activation;
        self.covered =
            if self.recovered { self.lives.covered(&self.members, &self.applied, activation) } else { activation };
        stability.hear(self.me, self.covered);
        if stability.advance() || !self.window.is_empty() {
            let stable = match planted::is(Planted::WindowByOwnShard) {
                true => stability.least(&self.members),
                false => stability.stable(),
            };
            self.window.settle(stable);
        }
        self.evicted += self.window.evict(self.window_bytes_max);
        self.publish(stability.stable(), clock);
        self.collect(stability.stable(), clock);
        std::mem::take(&mut self.evicted)
    }

    /// Drops tombstones at or below min(stable, own `covered`): then every replica has them, and no older write can still
    /// arrive. None while unrecovered. The horizon rises, visibly, before the tombstone goes.
    fn collect(&mut self, stable: Timestamp, clock: Timestamp) {
        let mut bound = stable.min(self.covered);
        if planted::is(Planted::TombstonesByTimer) {
            bound =
                bound.max(Timestamp(clock.0.saturating_sub(Timestamp::ZERO.later_by(Duration::from_millis(500)).0)));
        }
        if !self.recovered || self.graveyard.first().is_none_or(|first| first.0 > bound) {
            return;
        }
        let keep = self.graveyard.split_off(&(bound.next(), Bytes::new()));
        let gone = std::mem::replace(&mut self.graveyard, keep);
        if let Some(last) = gone.last() {
            self.raise_horizon(last.0);
        }
        for (timestamp, key) in gone {
            let same = |held: &Entry| held.is_tombstone() && held.timestamp() == timestamp;
            self.table().remove_if(&key, key_hash(&key), same);
        }
    }

    fn raise_horizon(&mut self, horizon: Timestamp) {
        if horizon > self.horizon {
            self.horizon = horizon;
            self.shared.visible.write().horizon = horizon;
        }
    }

    fn publish(&self, stable: Timestamp, clock: Timestamp) {
        let mut visible = self.shared.visible.write();
        let Visible { serving, applied, closed, covered, stable: known, horizon, clock: reading } = &mut *visible;
        *serving = self.recovered;
        applied.clone_from(&self.applied);
        if closed.len() != self.lives.closed().len() || closed.iter().ne(self.lives.closed().iter()) {
            closed.clone_from(self.lives.closed());
        }
        *covered = self.covered;
        *known = stable;
        *horizon = self.horizon;
        *reading = clock;
    }

    fn put(&mut self, write: Incoming<'_>) -> Option<Entry> {
        let Version { timestamp, origin } = write.version;
        let entry = Entry::new(write.key, timestamp, self.table().origins.intern(&origin), write.value);
        let applied = self.table().apply(key_hash(write.key), entry.clone());
        if applied.stored && entry.is_tombstone() {
            self.graveyard.insert((timestamp, Bytes::copy_from_slice(write.key)));
        }
        self.seen.advance(origin, timestamp);
        let dependencies = Arc::new(write.dependencies);
        self.window.insert(origin, WindowWrite { entry, dependencies, write_id: write.write_id });
        applied.previous
    }
}
