//! A replica as the source and the target of syncs and hand-offs (design 8.3, 11.4): what it gives, what it takes, and what
//! it drops because others have deleted and collected it.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::causality::hlc::Timestamp;
use crate::causality::version::Version;
use crate::id::{Life, NodeId, Origin, ViewId};
use crate::limits::{HAND_OFF_CHUNK_BYTES_TARGET, HAND_OFF_CHUNK_ENTRIES_MAX, SYNC_CHUNK_BYTES_TARGET};
use crate::placement::hash::key_hash;
use crate::placement::views::Views;
use crate::planted::{self, Planted};
use crate::replication::belongs;
use crate::replication::claims::Claims;
use crate::replication::held::HandedOver;
use crate::replication::replica::{Incoming, Replica};
use crate::replication::stability::Stability;
use crate::replication::sync::{Before, Kind};
use crate::table::entry::Entry;
use crate::wire::message::{Fetched, HeldReport, SyncChunk, SyncEntry, SyncPayload, SyncPull};

impl Replica {
    /// A chunk of a sync, as its source. `views` are the node's; `owned` tells which keys, by hash, the target wants.
    #[must_use]
    pub fn sync_chunk(
        &self,
        pull: &SyncPull,
        stability: &Stability,
        views: &Views,
        held: Vec<HeldReport>,
        owned: impl Fn(u64) -> bool,
    ) -> SyncChunk {
        let stable = stability.stable();
        let theirs = Claims::new(views.current().id, &pull.have, &pull.closed, &pull.held);
        let target_has = |version: &Version| theirs.cover(version, pull.has_older);
        let weigh = |entry: &Entry| entry.content_bytes() + 64;
        let (entries_max, bytes_max) = match pull.legacy {
            None => (self.sync_chunk_entries, SYNC_CHUNK_BYTES_TARGET),
            Some(_) => (self.sync_chunk_entries.min(HAND_OFF_CHUNK_ENTRIES_MAX), HAND_OFF_CHUNK_BYTES_TARGET),
        };
        let walk = self.table().walk(pull.from, entries_max, bytes_max, weigh);
        let mut entries = Vec::new();
        for entry in walk.entries.iter().filter(|entry| owned(key_hash(entry.key()))) {
            let version = self.table().version(entry);
            let has = target_has(&version);
            if has && !pull.full {
                continue;
            }
            let payload = (!has).then(|| self.payload(entry, &version, stable));
            entries.push(SyncEntry { key: Bytes::copy_from_slice(entry.key()), version, payload });
        }
        let (floor, floor_at) = self.window.floor();
        SyncChunk {
            pass: pull.pass,
            from: pull.from,
            next: walk.next,
            legacy: pull.legacy,
            recovered: self.recovered,
            settled: views.settled().iter().copied().collect(),
            is_settled: views.is_settled(),
            held,
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
    /// `legacy`: the former view that is handed over, and by whom.
    pub fn on_sync_chunk(
        &mut self,
        chunk: &SyncChunk,
        kind: Kind,
        legacy: Option<(ViewId, NodeId)>,
        before: &Before,
    ) -> u64 {
        // Settled at the end of the step: what is stable leaves the window again.
        self.window.merge_floor(&chunk.floor.0, chunk.floor.1);
        self.raise_horizon(chunk.horizon);
        for entry in &chunk.entries {
            let reflected = match kind {
                Kind::Missing | Kind::Full => self.covers(&entry.version),
                Kind::Replacing => entry.version.timestamp <= self.horizon,
            };
            if !reflected {
                self.take_entry(entry);
            }
        }
        let names = kind.names_all() && !planted::is(Planted::AbsenceUntold);
        if let Some(held) = legacy.and_then(|(id, _)| self.held.get_mut(&id)) {
            held.touched |= !chunk.entries.is_empty();
        }
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
        let older = before.recovered && self.held.len() == 1;
        let named: BTreeSet<&[u8]> = chunk.entries.iter().map(|entry| &entry.key[..]).collect();
        let theirs = Claims::new(id, &before.vector, &before.closed, &[]);
        let mut dropped = 0;
        for entry in self.table().range(chunk.from, chunk.next) {
            let version = self.table().version(&entry);
            let of_shard = held.view.shard_of_hash(key_hash(entry.key())).id == shard;
            let is_new = version.origin.view == self.shared.view.id;
            if of_shard && !is_new && theirs.cover(&version, older) && !named.contains(entry.key()) {
                let same = |held: &Entry| self.table().version(held) == version;
                dropped += u64::from(self.table().remove_if(entry.key(), key_hash(entry.key()), same));
            }
        }
        dropped
    }

    /// Takes an entry that an old owner or a peer has given.
    pub fn take_entry(&mut self, entry: &SyncEntry) {
        let Some(payload) = &entry.payload else { return };
        self.put(Incoming {
            version: entry.version,
            key: &entry.key,
            value: payload.value.as_ref().map(|value| value.as_ref()),
            // One that comes without is stable, or stands in the floor that came along.
            dependencies: payload.dependencies.clone().unwrap_or_default(),
            write_id: payload.write_id,
        });
    }

    /// An entry as a sync tells it to a target that lacks it.
    fn payload(&self, entry: &Entry, version: &Version, stable: Timestamp) -> SyncPayload {
        let write = self.window.get(version);
        SyncPayload {
            value: entry.value().map(|value| value.to_owned()),
            dependencies: (version.timestamp > stable)
                .then(|| write.map(|write| (*write.dependencies).clone()))
                .flatten(),
            write_id: write.and_then(|write| write.write_id),
        }
    }

    /// One key, for a new owner that does not have it yet (design 11.4).
    #[must_use]
    pub fn fetch(&self, id: u64, key: &[u8], stable: Timestamp) -> Fetched {
        let entry = self.table().get(key, key_hash(key)).map(|entry| {
            let version = self.table().version(&entry);
            let payload = Some(self.payload(&entry, &version, stable));
            SyncEntry { key: Bytes::copy_from_slice(key), version, payload }
        });
        let (floor, floor_at) = self.window.floor();
        Fetched {
            id,
            view: self.shared.view.id,
            entry,
            vector: self.applied.clone(),
            closed: self.lives.closed().values().copied().collect(),
            recovered: self.recovered,
            covered: self.covered,
            horizon: self.horizon,
            floor: (floor.clone(), floor_at),
        }
    }

    /// Takes over what an old owner said of one key.
    pub fn on_fetched(&mut self, answer: &Fetched) {
        self.window.merge_floor(&answer.floor.0, answer.floor.1);
        self.raise_horizon(answer.horizon);
        if let Some(held) = self.held.get_mut(&answer.view) {
            held.touched |= answer.entry.is_some();
        }
        if let Some(entry) = &answer.entry
            && !self.covers(&entry.version)
        {
            self.take_entry(entry);
        }
    }

    fn drop_unnamed(&self, chunk: &SyncChunk, kind: Kind, before: &Before) -> u64 {
        let named: BTreeSet<&[u8]> = chunk.entries.iter().map(|entry| &entry.key[..]).collect();
        let theirs = Claims::new(self.shared.view.id, &before.vector, &before.closed, &before.held);
        let mut dropped = 0;
        for entry in self.table().range(chunk.from, chunk.next) {
            let version = self.table().version(&entry);
            let source_had = match kind {
                Kind::Missing => false,
                Kind::Full => theirs.cover(&version, before.recovered && before.is_settled),
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
        for theirs in &before.held {
            if let Some(held) = self.held.get_mut(&theirs.view) {
                held.on_synced(source.node, source.start, theirs);
            }
        }
    }

    /// An old member has handed over all that it held of a former view.
    pub fn on_handed_over(&mut self, former: ViewId, source: Life, before: &Before) {
        if let Some(held) = self.held.get_mut(&former) {
            let over = HandedOver { life: source.start, recovered: before.recovered };
            held.on_handed_over(source.node, over, &before.vector, &before.closed);
        }
    }
}
