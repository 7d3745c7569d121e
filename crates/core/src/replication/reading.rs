//! What a replica may say of a key: by its table, and, while former views are not settled, by what old owners said (design 7.2,
//! 11.4, 11.5).

use bytes::Bytes;

use crate::causality::context::Context;
use crate::causality::hlc::Timestamp;
use crate::causality::version::Version;
use crate::id::ViewId;
use crate::placement::hash::key_hash;
use crate::placement::views::{Place, Views};
use crate::planted::{self, Planted};
use crate::replication::belongs;
use crate::replication::claims::{Fetched, Fetches};
use crate::replication::held::Held;
use crate::replication::passes::dependencies;
use crate::replication::replica::Replica;
use crate::table::entry::Entry;

/// What is to be said of a key.
#[derive(Debug)]
pub struct Shown {
    /// The newest version, a tombstone included.
    pub entry: Option<(Version, Entry)>,
    /// What a reader of it must carry.
    pub dependencies: Context,
    /// How far absence reaches: tombstones at or below it may be gone.
    pub horizon: Timestamp,
}

impl Shown {
    /// Whether the key is there.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        self.entry.as_ref().is_some_and(|(_, entry)| !entry.is_tombstone())
    }
}

impl Replica {
    /// The former view under which a key has not been handed over yet, nor fetched: until then its absence means nothing.
    #[must_use]
    pub fn lacks(&self, key_hash: u64, fetched: &Fetches) -> Option<ViewId> {
        let lacks = |(id, held): (&ViewId, &Held)| {
            let here = held.has_bulk(held.view.shard_of_hash(key_hash).id) || fetched.are_recovered(*id);
            (!here).then_some(*id)
        };
        self.held.iter().find_map(lacks).filter(|_| !planted::is(Planted::AbsentInTransit))
    }

    /// Whether an answer is allowed under a context, whether recovered or not (design 5.4, 7.2, 11.5): for a key with this hash,
    /// of which `fetched` was said by old owners.
    #[must_use]
    pub fn satisfies(&self, context: &Context, key_hash: u64, views: &Views, fetched: &Fetches) -> bool {
        let (view, shard) = (&self.shared.view, self.shared.shard);
        if planted::is(Planted::ContextUnchecked) {
            return true;
        }
        let own = if self.recovered { self.covered_now() } else { Timestamp::ZERO };
        let covered = self.held.iter().map(|(id, held)| {
            let here = held.covered(held.view.shard_of_hash(key_hash).id);
            here.max(fetched.covered(*id))
        });
        context.view.is_none_or(|met| met <= view.id)
            && (covered.fold(own, Timestamp::min) >= context.stable || planted::is(Planted::OwnCoveredUnchecked))
            && context.entries.iter().all(|(origin, timestamp)| match views.place_of(origin) {
                Place::Current => {
                    !belongs(origin, view, shard) || self.applied.get(origin) >= timestamp || self.has_closed(origin)
                }
                Place::Former(_) if planted::is(Planted::FormerEntriesIgnored) => true,
                Place::Former(former) => self.held.get(&former.id).is_some_and(|held| {
                    held.satisfies(origin, timestamp, former.shard_of_hash(key_hash).id)
                        || fetched.satisfy(former.id, origin, timestamp)
                }),
                Place::Settled => self.recovered,
                Place::Unknown => false,
            })
    }

    /// What the table and the old owners have of a key, as if one had synced from the other: the greatest version, of those
    /// that nobody has seen without keeping them. Who covers a version and holds another has seen a greater one; and if it
    /// holds none, the greater one was a delete, which was collected there.
    #[must_use]
    pub fn shown(&self, key: &Bytes, stable: Timestamp, fetched: &Fetches) -> Shown {
        let hash = key_hash(key);
        let mut horizon = self.horizon;
        let held = self.table().get(key, hash);
        let mut best = held.map(|entry| (self.table().version(&entry), entry));
        let mut from = None;
        let heard: Vec<&Fetched> = self.held.keys().flat_map(|id| fetched.of(*id)).collect();
        for answer in &heard {
            horizon = horizon.max(answer.answer.horizon);
            let theirs = answer.answer.entry.as_ref();
            let replaced = best.as_ref().is_some_and(|(version, _)| {
                let same = theirs.is_some_and(|entry| entry.version == *version);
                !same && self.reflects(answer, version)
            });
            if replaced {
                (best, from) = (None, None);
            }
        }
        for answer in &heard {
            let Some(theirs) = answer.answer.entry.as_ref().filter(|entry| entry.payload.is_some()) else { continue };
            let is_greater = best.as_ref().is_none_or(|(version, _)| theirs.version > *version);
            let others = heard
                .iter()
                .filter(|other| other.answer.entry.as_ref().is_none_or(|entry| entry.version != theirs.version));
            if is_greater
                && !self.covers(&theirs.version, key)
                && !others.into_iter().any(|other| self.reflects(other, &theirs.version))
            {
                best = Some((theirs.version, theirs.entry.clone()));
                from = Some(*answer);
            }
        }
        let dependencies = match (&best, from) {
            (None, _) => Context::default(),
            (Some((version, _)), None) => self.dependencies(version, stable),
            (Some((version, _)), Some(answer)) => fetched_dependencies(answer, version),
        };
        Shown { entry: best, dependencies, horizon }
    }

    /// Whether an old owner reflects a write of the key that it was asked for.
    fn reflects(&self, answer: &Fetched, version: &Version) -> bool {
        let needed = self.held.get(&answer.answer.view).and_then(|held| self.past_needed(held, &version.origin));
        answer.covers(version, needed.is_some_and(|needed| answer.answer.past >= needed))
    }
}

fn fetched_dependencies(fetched: &Fetched, version: &Version) -> Context {
    let answer = &fetched.answer;
    let payload = answer.entry.as_ref().and_then(|entry| entry.payload.as_ref());
    let mut context = dependencies(version, payload);
    if version.timestamp <= answer.floor.1 {
        context.merge(&answer.floor.0);
    }
    context
}
