//! A replica as the source and the target of syncs and hand-offs (design 8.3, 11.4): what it gives, what it takes, and what
//! it drops because others have deleted and collected it.

use std::collections::BTreeSet;

use crate::causality::context::Context;
use crate::causality::hlc::Timestamp;
use crate::causality::version::Version;
use crate::id::{Life, NodeId, Origin, ViewId};
use crate::limits::{
    CONTEXT_ENTRIES_MAX, HAND_OFF_CHUNK_BYTES_TARGET, HAND_OFF_CHUNK_ENTRIES_MAX, SYNC_CHUNK_BYTES_TARGET,
};
use crate::placement::hash::key_hash;
use crate::placement::views::Views;
use crate::planted::{self, Planted};
use crate::replication::belongs;
use crate::replication::claims::Claims;
use crate::replication::held::Held;
use crate::replication::replica::Replica;
use crate::replication::stability::Stability;
use crate::replication::sync::{Before, Kind};
use crate::replication::window::CONTEXT_ENTRY_BYTES;
use crate::table::entry::Entry;
use crate::table::memory::shared_bytes;
use crate::table::{Bounds, Walk};
use crate::time::Instant;
use crate::wire::message::{Fetched, HandedOver, HeldReport, Past, SyncChunk, SyncPull};
use crate::wire::named::{KnownName, Name};
use crate::wire::sync_entry::{SyncEntry, SyncPayload};

impl Replica {
    /// A chunk of a sync, as its source. `views` are the node's; `owned` tells which keys, by hash, the target wants.
    #[must_use]
    pub fn sync_chunk(
        &self,
        now: Instant,
        pull: &SyncPull,
        stability: &Stability,
        views: &Views,
        held: Vec<HeldReport>,
        owned: impl Fn(u64) -> bool,
    ) -> SyncChunk {
        let stable = stability.stable();
        let theirs = Claims::new(views.current().id, &pull.have, &pull.closed, &pull.held);
        let target_has = |version: &Version| theirs.cover(version, pull.has_older);
        let (entries_max, bytes_max) = match pull.legacy {
            None => (self.sync_chunk_entries, SYNC_CHUNK_BYTES_TARGET),
            Some(_) => (self.sync_chunk_entries.min(HAND_OFF_CHUNK_ENTRIES_MAX), HAND_OFF_CHUNK_BYTES_TARGET),
        };
        let (walk, (mut names, next)) = match pull.full || !self.is_all_claimed(&theirs, pull.has_older) {
            true => {
                let walk = self.table().walk(pull.from, Bounds { entries_max, bytes_max }, &owned);
                let names = self.names.walk(now, pull.from, walk.next, entries_max);
                (walk, names)
            }
            false => (Walk { entries: Vec::new(), next: None }, Default::default()),
        };
        let are_forgotten = match pull.legacy {
            None => planted::is(Planted::NamesNotSynced),
            Some(_) => planted::is(Planted::NamesNotHandedOver),
        };
        names.retain(|known| owned(known.key_hash) && !target_has(&known.version) && !are_forgotten);
        // Where there are many names the chunk ends before the walk.
        let end = next.filter(|_| next != walk.next);
        let mut entries: Vec<SyncEntry> = Vec::with_capacity(walk.entries.len());
        let (mut next, mut dependencies_bytes) = (next, 0);
        for entry in walk.entries {
            let hash = || key_hash(entry.key());
            if end.is_some_and(|end| hash() >= end) {
                break;
            }
            // The walk knows nothing of dependencies. Keys of one hash stay together.
            let is_other = |last: &SyncEntry| key_hash(last.entry.key()) != hash();
            if dependencies_bytes >= bytes_max && entries.last().is_some_and(is_other) {
                next = Some(hash());
                break;
            }
            let version = self.table().version(&entry);
            let has = target_has(&version);
            if has && !pull.full {
                continue;
            }
            let payload = (!has).then(|| self.payload(&version, stable));
            let dependencies = payload.as_ref().and_then(|payload| payload.dependencies.as_ref());
            dependencies_bytes += dependencies.map_or(0, |context| context.entries.len()) * CONTEXT_ENTRY_BYTES;
            entries.push(SyncEntry { version, entry, payload });
        }
        // What is still in the table goes with its dependencies.
        let is_current = |known: &&KnownName| {
            self.window.get(&known.version).is_some_and(|write| self.holds(&known.version, &write.entry))
        };
        let floor = self.floor_with(names.iter().filter(|known| !is_current(known)), stable);
        SyncChunk {
            pass: pull.pass,
            from: pull.from,
            next,
            legacy: pull.legacy,
            recovered: self.recovered,
            settled: views.settled().iter().copied().collect(),
            past: self.past(),
            held,
            vector: self.applied.clone(),
            seen: self.seen.clone(),
            lives: self.lives.all(),
            closed: self.lives.closed().values().copied().collect(),
            horizon: self.horizon,
            covered: stability.words(),
            former: stability.former_words(),
            floor,
            entries,
            names,
        }
    }

    /// The floor, with what the answers to repeats of these writes must carry. A target may not get the writes, which may be overwritten
    /// here: then there is no other place for it.
    fn floor_with<'a>(
        &self,
        names: impl IntoIterator<Item = &'a KnownName>,
        stable: Timestamp,
    ) -> (Context, Timestamp) {
        let (floor, floor_at) = self.window.floor();
        let mut floor = (floor.clone(), floor_at);
        for known in names.into_iter().filter(|known| known.version.timestamp > stable) {
            if let Some(write) = self.window.get(&known.version) {
                floor.0.merge(&write.dependencies);
                floor.0.bound(&Context::default(), CONTEXT_ENTRIES_MAX);
                floor.1 = floor.1.max(known.version.timestamp);
            }
        }
        floor
    }

    fn holds(&self, version: &Version, entry: &Entry) -> bool {
        let held = self.table().get(entry.key(), key_hash(entry.key()));
        held.is_some_and(|held| self.table().version(&held) == *version)
    }

    /// Whether claims cover all that this replica has ever put in its table, so that there is nothing to look for.
    fn is_all_claimed(&self, theirs: &Claims<'_>, has_older: bool) -> bool {
        let covered = |(origin, timestamp)| theirs.cover(&Version { timestamp, origin }, has_older);
        has_older
            && self.held.is_empty()
            && self.seen.iter().all(|(origin, timestamp)| covered((*origin, timestamp)))
            && self.lives.closed().values().all(|closed| theirs.have_closed(&self.shared.view.id, closed))
    }

    /// Takes a chunk of a sync, as its target; returns how many entries were dropped because a pass that names all keys
    /// did not name them although the source, before the walk, had them or greater versions.
    /// `legacy`: the former view that is handed over, and by whom.
    pub fn on_sync_chunk(
        &mut self,
        now: Instant,
        chunk: &mut SyncChunk,
        kind: Kind,
        legacy: Option<(ViewId, NodeId)>,
        before: &Before,
    ) -> u64 {
        // Settled at the end of the step: what is stable leaves the window again.
        self.window.merge_floor(&chunk.floor.0, chunk.floor.1);
        self.raise_horizon(chunk.horizon);
        for known in &chunk.names {
            self.hear_name(now, known);
        }
        for entry in &mut chunk.entries {
            let reflected = match kind {
                Kind::Missing | Kind::Full => self.covers(&entry.version, entry.entry.key()),
                Kind::Replacing => entry.version.timestamp <= self.horizon,
            };
            if !reflected {
                let is_own = legacy.is_some_and(|(_, from)| from == self.me);
                self.take_entry(entry, is_own);
            }
        }
        let names = kind.names_all() && !planted::is(Planted::AbsenceUntold);
        match (names, legacy) {
            (false, _) => 0,
            (true, None) => self.drop_unnamed(chunk, kind, before),
            (true, Some((id, from))) => self.drop_unnamed_of(id, from, chunk, before),
        }
    }

    /// What a legacy covers and does not name was deleted and collected there: only entries of the old owner's own shard, and
    /// none that the new view has written (design 8.3, 9).
    fn drop_unnamed_of(&self, id: ViewId, from: NodeId, chunk: &SyncChunk, before: &Before) -> u64 {
        let Some(held) = self.held.get(&id) else { return 0 };
        let Some(shard) = held.view.shard_of_member(from) else { return 0 };
        let named = named(chunk);
        let theirs = Claims::new(id, &before.vector, &before.closed, &[]);
        let mut dropped = 0;
        for entry in self.table().range(chunk.from, chunk.next) {
            let version = self.table().version(&entry);
            let of_shard = held.view.shard_of_hash(key_hash(entry.key())).id == shard;
            let is_new = version.origin.view == self.shared.view.id;
            let older = self.past_needed(held, &version.origin).is_some_and(|needed| before.past >= needed);
            if of_shard && !is_new && theirs.cover(&version, older) && !named.contains(entry.key()) {
                let same = |held: &Entry| self.table().version(held) == version;
                dropped += u64::from(self.table().remove_if(entry.key(), key_hash(entry.key()), same));
            }
        }
        dropped
    }

    /// Takes an entry that an old owner or a peer has given; `is_own`: a legacy of this node, which goes on holding it.
    fn take_entry(&mut self, entry: &mut SyncEntry, is_own: bool) {
        let Some(payload) = &entry.payload else { return };
        let dependencies = dependencies(&entry.version, Some(payload));
        // Before it is shared with the table: then the allocation that the message was decoded to serves.
        entry.entry.set_origin(self.table().origins.intern(&entry.version.origin));
        let applied = self.store(entry.version, entry.entry.clone(), dependencies, payload.write_id, None);
        if is_own && applied.stored {
            self.shared_bytes += shared_bytes(&entry.entry);
        }
    }

    /// An entry as a sync tells it to a target that lacks it.
    fn payload(&self, version: &Version, stable: Timestamp) -> SyncPayload {
        let write = self.window.get(version);
        SyncPayload {
            // Where a full window has given it up, the floor stands for it.
            dependencies: (version.timestamp > stable)
                .then(|| write.map(|write| (*write.dependencies).clone()).unwrap_or_default()),
            write_id: write.and_then(|write| write.write_id),
        }
    }

    /// One key, for a new owner that does not have it yet (design 11.4).
    #[must_use]
    pub fn fetch(&self, now: Instant, id: u64, key: &[u8], name: Option<&Name>, stable: Timestamp) -> Fetched {
        let hash = key_hash(key);
        let name = name.filter(|_| !planted::is(Planted::NameNotTold));
        let known = name.and_then(|name| self.names.get(hash, name)?.told(hash, now));
        let entry = self.table().get(key, hash).map(|entry| {
            let version = self.table().version(&entry);
            let payload = Some(self.payload(&version, stable));
            SyncEntry { version, entry, payload }
        });
        let floor = self.floor_with(&known, stable);
        Fetched {
            id,
            view: self.shared.view.id,
            entry,
            known,
            vector: self.applied.clone(),
            closed: self.lives.closed().values().copied().collect(),
            recovered: self.recovered,
            past: self.past(),
            covered: self.covered,
            horizon: self.horizon,
            floor,
        }
    }

    fn drop_unnamed(&self, chunk: &SyncChunk, kind: Kind, before: &Before) -> u64 {
        let named = named(chunk);
        let theirs = Claims::new(self.shared.view.id, &before.vector, &before.closed, &before.held);
        let mut dropped = 0;
        for entry in self.table().range(chunk.from, chunk.next) {
            let version = self.table().version(&entry);
            let source_had = match kind {
                Kind::Missing => false,
                Kind::Full => {
                    theirs.cover(&version, false) || self.source_had_older(before, &version, key_hash(entry.key()))
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

    /// Whether a peer, before a pass, reflected a write of a former view by what it had of later ones: as [`Replica::covers`].
    fn source_had_older(&self, before: &Before, version: &Version, key_hash: u64) -> bool {
        let had_older = |held: &Held, needed| {
            let shard = held.view.shard_of_hash(key_hash).id;
            let theirs = before.held.iter().find(|theirs| theirs.view == held.view.id);
            theirs.is_some_and(|theirs| held.is_older_in(theirs.done.iter().copied(), shard, needed))
        };
        // It may not have heard yet of a view that two coordinators at once have made.
        let is_told = self.held.contains_key(&version.origin.view);
        let is_claimed =
            |view: &ViewId| *view == self.shared.view.id || before.held.iter().any(|held| held.view == *view);
        match is_told {
            false if is_claimed(&version.origin.view) => false,
            false if before.held.is_empty() => before.recovered,
            _ => before.recovered && self.has_older(&version.origin, had_older),
        }
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
        self.lives.on_synced(source, &before.lives);
        if kind == Kind::Full && before.recovered {
            self.recovered = true;
            self.has_lost |= before.past == Past::Lost;
        }
        if self.recovered && before.recovered {
            self.merge_closed(&before.closed);
        }
        for theirs in &before.held {
            if let Some(held) = self.held.get_mut(&theirs.view) {
                held.on_synced(source.node, &before.lives, theirs);
            }
        }
    }

    /// An old member has handed over all that it held of a former view.
    pub fn on_handed_over(&mut self, former: ViewId, source: Life, before: &Before) {
        if let Some(held) = self.held.get_mut(&former) {
            let over = HandedOver { life: source.start, recovered: before.recovered, past: before.past };
            held.on_handed_over(source.node, over, &before.vector, &before.closed);
        }
    }
}

/// What a reader of an entry must carry that came with a sync: one without dependencies was stable at its source.
pub(super) fn dependencies(version: &Version, payload: Option<&SyncPayload>) -> Context {
    let left_out = Context { stable: version.timestamp, ..Context::default() };
    payload.and_then(|payload| payload.dependencies.clone()).unwrap_or(left_out)
}

/// The keys that a chunk names.
fn named(chunk: &SyncChunk) -> BTreeSet<&[u8]> {
    chunk.entries.iter().map(|entry| entry.entry.key()).collect()
}
