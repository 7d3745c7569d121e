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
use crate::id::{Life, NodeId, Origin, ShardId, ViewId};
use crate::limits::SYNC_CHUNK_ENTRIES_MAX;
use crate::placement::hash::key_hash;
use crate::placement::views::Views;
use crate::planted::{self, Planted};
use crate::replication::claims::Claims;
use crate::replication::held::Held;
use crate::replication::lives::{Lives, Standing};
use crate::replication::names::{Names, Naming};
use crate::replication::stability::Stability;
use crate::replication::sync::Before;
use crate::replication::window::{Window, WindowWrite};
use crate::replication::{Shared, Visible, belongs, is_closed};
use crate::table::entry::Entry;
use crate::table::memory::shared_bytes;
use crate::table::value::ValueRef;
use crate::table::{Applied, Table};
use crate::time::Instant;
use crate::wire::message::{Ack, ClosedLives, Frame, HeldReport, Past, Status, StreamWrite, WriteId};
use crate::wire::named::{KnownName, NamedWrite};

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
    /// The names of recent writes.
    pub names: Names,
    /// Whether it holds all that its shard's recovered replicas held.
    pub recovered: bool,
    /// Whether all replicas of the shard have lost their memory under this view, and with it what older ones had written.
    pub has_lost: bool,
    /// Everything of the shard at or below it is here.
    pub covered: Timestamp,
    /// The greatest tombstone ever collected, here or at a source of a sync.
    pub horizon: Timestamp,
    /// Per former view, what hand-offs have brought.
    pub held: BTreeMap<ViewId, Held>,
    graveyard: BTreeSet<(Timestamp, Bytes)>,
    window_bytes_max: usize,
    /// Bytes of entries in the table that this node's legacies hold as well, in the same allocations.
    pub(super) shared_bytes: u64,
    pub(super) sync_chunk_entries: usize,
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
    /// Its client's name for it.
    pub named: Option<NamedWrite>,
}

impl Replica {
    /// An empty replica of `shard` of the current view.
    #[must_use]
    pub fn new(config: &Config, views: &Views, shard: ShardId, table: Table) -> Self {
        let view = views.current();
        let members = view.members_of(shard);
        let visible = Visible::default().into();
        let mut lives = Lives::default();
        lives.begin(members.iter().filter_map(|node| Some(Life { node: *node, start: view.life(*node)? })));
        Self {
            me: config.address.node_id(),
            members,
            shared: Arc::new(Shared { view: view.clone(), shard, table, visible }),
            origin: None,
            applied: VersionVector::default(),
            seen: VersionVector::default(),
            lives,
            window: Window::default(),
            names: Names::new(config.cluster.name_retention),
            recovered: false,
            has_lost: false,
            covered: Timestamp::ZERO,
            horizon: Timestamp::ZERO,
            held: views.former().map(|former| (former.id, Held::new(former, views, shard))).collect(),
            graveyard: BTreeSet::new(),
            window_bytes_max: config.window_bytes_max,
            shared_bytes: 0,
            sync_chunk_entries: config.sync_chunk_entries.min(SYNC_CHUNK_ENTRIES_MAX),
            evicted: 0,
        }
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.shared.table
    }

    /// Bytes that it takes in memory, about: an entry that is in the window too counts there as well.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.table().memory_bytes() + (self.window.bytes() + self.names.bytes()) as u64
    }

    /// How many of these bytes this node's legacies take as well.
    #[must_use]
    pub fn shared_bytes(&self) -> u64 {
        self.shared_bytes
    }

    /// Begins a life.
    pub fn begin(&mut self, origin: Origin) {
        self.lives.learn(origin.life());
        self.applied.advance(origin, origin.start);
        self.origin = Some(origin);
        self.recovered |= planted::is(Planted::EmptinessCopied);
    }

    /// Whether a write of a key is reflected in the table already. At a recovered replica closed lives are: all
    /// members agreed; and so is everything of views that are no former ones, as soon as a replica of the key's former
    /// shard, which held all of them, has handed over (design 8.2).
    #[must_use]
    pub fn covers(&self, version: &Version, key: &[u8]) -> bool {
        if version.origin.view == self.shared.view.id {
            let covered = self.applied.covers(version) && !planted::is(Planted::LateCopyApplied);
            return covered || self.has_closed(&version.origin);
        }
        let hash = key_hash(key);
        let has_older = |held: &Held, needed| held.has_older(held.view.shard_of_hash(hash).id, needed);
        match self.held.get(&version.origin.view) {
            Some(held) if held.covers(version) => true,
            None if self.held.is_empty() => self.recovered,
            Some(_) | None => self.has_older(&version.origin, has_older),
        }
    }

    /// Whether everything that an origin wrote is here, since it has come with one of the former views that stand for its own, as
    /// `has_come` tells; or, where its own is no former one, there are none, since the current view comes after it and all that was
    /// between has settled.
    pub(super) fn has_older(&self, origin: &Origin, has_come: impl Fn(&Held, Past) -> bool) -> bool {
        let is_former = self.held.contains_key(&origin.view);
        let mut between =
            self.held.values().filter_map(|held| Some((held, self.past_needed(held, origin)?))).peekable();
        match between.peek() {
            Some(_) => between.any(|(held, needed)| has_come(held, needed)),
            None => self.recovered && self.shared.view.comes_after(&origin.view) && !is_former,
        }
    }

    /// What a legacy of a former view must reflect of the views before that to stand for what an origin of those wrote; none if it
    /// cannot. Where the origin's view is a former one too, that view's own legacies are asked as well: they may have what nobody else
    /// had got, unless it was settled; and what lives wrote that began later.
    pub(super) fn past_needed(&self, held: &Held, origin: &Origin) -> Option<Past> {
        match self.held.contains_key(&origin.view) {
            _ if !held.stands_for(&origin.view) => None,
            true => (!held.came_before(origin.life())).then_some(Past::Settled),
            false => Some(Past::Whole),
        }
    }

    /// What it reflects of the views before its own. As a legacy, one that the next view found on the way stands for its own view alone.
    #[must_use]
    pub fn past(&self) -> Past {
        match self.recovered {
            _ if self.has_lost => Past::Lost,
            true if self.held.is_empty() => Past::Settled,
            true if self.held.values().all(|held| held.complete) => Past::Whole,
            _ => Past::Partial,
        }
    }

    /// Takes note of the former views: those that are settled are forgotten, those that are new begin.
    pub fn on_views(&mut self, views: &Views) {
        self.held.retain(|id, _| views.former().any(|former| former.id == *id));
        for former in views.former() {
            let begin = || Held::new(former, views, self.shared.shard);
            self.held.entry(former.id).or_insert_with(begin);
        }
    }

    /// Whether the life behind an origin of this view is closed, as far as this replica may rely on it.
    #[must_use]
    pub fn has_closed(&self, origin: &Origin) -> bool {
        self.recovered && origin.view == self.shared.view.id && is_closed(self.lives.closed(), origin)
    }

    /// Everything of the shard that was written under the current view, at or below it, is here.
    pub(super) fn covered_now(&self) -> Timestamp {
        self.lives.covered(&self.members, &self.applied, self.shared.view.id.activation)
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
    pub fn write(&mut self, now: Instant, write: Incoming<'_>) {
        let version = write.version;
        self.put(now, write);
        self.applied.advance(version.origin, version.timestamp);
    }

    /// Says that this node has made no further write up to `timestamp`: its own entry rises with the clock.
    pub fn idle_to(&mut self, timestamp: Timestamp) {
        if let Some(origin) = self.origin {
            self.applied.advance(origin, timestamp);
        }
    }

    /// Takes a frame of a stream. The caller has checked that it comes from the newest life known. `naming`: what the source of
    /// a sync had before it began to name all its keys: what that covers the sync brings, unless it was deleted and collected
    /// there, and the keys passed already are not named again.
    pub fn on_frame(&mut self, now: Instant, frame: &Frame, naming: Option<&Before>) -> Ack {
        let origin = frame.origin;
        let mut beyond = Vec::new();
        let known = self.applied.get(&origin).max(origin.start);
        let theirs = naming.map(|before| Claims::new(origin.view, &before.vector, &before.closed, &[]));
        let named = |version: &Version| theirs.as_ref().is_some_and(|theirs| theirs.cover(version, false));
        let is_named = |write: &StreamWrite| {
            let version = Version { timestamp: write.timestamp, origin };
            named(&version) && !self.covers(&version, &write.key)
        };
        let gap = known < frame.previous || (naming.is_some() && frame.writes.iter().any(is_named));
        let gap = gap && !planted::is(Planted::AppliedFirst);
        for write in &frame.writes {
            let version = Version { timestamp: write.timestamp, origin };
            let is_here = self.covers(&version, &write.key);
            if !is_here && named(&version) {
                continue;
            }
            if gap {
                beyond.push(write.timestamp);
            }
            if !is_here {
                let incoming = Incoming {
                    version,
                    key: &write.key,
                    value: write.value.as_ref().map(|value| value.as_ref()),
                    dependencies: write.dependencies.clone(),
                    write_id: write.write_id,
                    named: write.named,
                };
                self.put(now, incoming);
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
    pub fn status(&self, statuses: &BTreeMap<NodeId, &Status>, held: Vec<HeldReport>) -> Status {
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
            held,
        }
    }

    /// Takes note of a life of a shard member.
    pub fn learn(&mut self, life: Life) -> Standing {
        self.lives.learn(life)
    }

    /// Takes over closed lives, if this replica may; forgets what they no longer need.
    pub fn merge_closed(&mut self, closed: &[ClosedLives]) -> Vec<ClosedLives> {
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
        self.covered = if self.recovered {
            let former = self.held.values().flat_map(|held| held.shards.iter().map(|shard| held.covered(*shard)));
            former.fold(self.covered_now(), Timestamp::min)
        } else {
            Timestamp::ZERO
        };
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
        if !self.recovered || !self.held.is_empty() || self.graveyard.first().is_none_or(|first| first.0 > bound) {
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

    pub(super) fn raise_horizon(&mut self, horizon: Timestamp) {
        if horizon > self.horizon {
            self.horizon = horizon;
            self.shared.visible.write().horizon = horizon;
        }
    }

    fn publish(&self, stable: Timestamp, clock: Timestamp) {
        let mut visible = self.shared.visible.write();
        let Visible { serving, applied, closed, covered, stable: known, horizon, clock: reading } = &mut *visible;
        *serving = self.recovered && self.held.is_empty();
        applied.clone_from(&self.applied);
        if closed.len() != self.lives.closed().len() || closed.iter().ne(self.lives.closed().iter()) {
            closed.clone_from(self.lives.closed());
        }
        *covered = self.covered;
        *known = stable;
        *horizon = self.horizon;
        *reading = clock;
    }

    pub(super) fn put(&mut self, now: Instant, write: Incoming<'_>) {
        let Version { timestamp, origin } = write.version;
        let entry = Entry::new(write.key, timestamp, self.table().origins.intern(&origin), write.value);
        let naming = write.named.and_then(|named| self.names.naming(now, &named));
        if let Some(naming) = naming {
            self.names.insert(key_hash(write.key), write.version, naming);
        }
        self.store(write.version, entry, write.dependencies, write.write_id, naming);
    }

    /// Takes note of a name that a sync has told of.
    pub fn hear_name(&mut self, now: Instant, known: &KnownName) {
        if let Some(naming) = self.names.naming(now, &known.write) {
            self.names.insert(known.key_hash, known.version, naming);
        }
    }

    /// The same of an entry that is built already, and that names its origin as the table does.
    pub(super) fn store(
        &mut self,
        version: Version,
        entry: Entry,
        dependencies: Context,
        write_id: Option<WriteId>,
        naming: Option<Naming>,
    ) -> Applied {
        let Version { timestamp, origin } = version;
        let hash = key_hash(entry.key());
        let applied = self.table().apply(hash, entry.clone());
        if applied.stored && entry.is_tombstone() {
            self.graveyard.insert((timestamp, Bytes::copy_from_slice(entry.key())));
        }
        if let Some(previous) = applied.previous.as_ref().filter(|_| applied.stored && self.shared_bytes > 0)
            && self.table().version(previous).origin.view != self.shared.view.id
        {
            // A legacy may be the only one that holds it now.
            self.shared_bytes = self.shared_bytes.saturating_sub(shared_bytes(previous));
        }
        if origin.view == self.shared.view.id {
            self.seen.advance(origin, timestamp);
        } else {
            let is_told = self.held.contains_key(&origin.view);
            for held in self.held.values_mut() {
                held.note(&version, hash, is_told);
            }
        }
        let named = naming.map(Box::new);
        self.window.insert(origin, WindowWrite { entry, dependencies: Arc::new(dependencies), write_id, named });
        applied
    }
}
