//! What somebody claims to hold: of one view by vector and closed lives, of former views by reports, and of one key by what
//! an old owner said.

use std::collections::BTreeMap;

use crate::causality::context::Context;
use crate::causality::hlc::Timestamp;
use crate::causality::version::Version;
use crate::causality::version_vector::VersionVector;
use crate::id::{NodeId, Origin, ViewId};
use crate::replication::is_closed;
use crate::wire::message::{self, ClosedLives, HeldReport};
use crate::wire::named::KnownName;

/// What an old owner said of one key. Its claims hold for that key: of what they cover, it had this entry or a lesser one.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Who said it.
    pub from: NodeId,
    /// What it said.
    pub answer: message::Fetched,
    closed: BTreeMap<NodeId, ClosedLives>,
}

impl Fetched {
    /// Whether the old owner reflects a write of the key. `older`: what holds for the views before its own.
    #[must_use]
    pub fn covers(&self, version: &Version, older: bool) -> bool {
        let (view, origin) = (self.answer.view, &version.origin);
        match origin.view == view {
            true => self.answer.vector.covers(version) || is_closed(&self.closed, origin),
            false => older && origin.view < view,
        }
    }
}

/// What old owners said of the key of one request. It counts for that request and leaves nothing in the table: there only
/// complete passes earn claims.
#[derive(Debug, Clone, Default)]
pub struct Fetches(Vec<Fetched>);

impl Fetches {
    /// Takes note of an answer.
    pub fn hear(&mut self, from: NodeId, answer: message::Fetched) {
        self.0.retain(|known| (known.from, known.answer.view) != (from, answer.view));
        let closed = if answer.recovered { by_node(&answer.closed) } else { BTreeMap::new() };
        self.0.push(Fetched { from, answer, closed });
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// What owners under one former view said.
    pub fn of(&self, view: ViewId) -> impl Iterator<Item = &Fetched> {
        self.0.iter().filter(move |fetched| fetched.answer.view == view)
    }

    /// What one of them said.
    #[must_use]
    pub fn from(&self, view: ViewId, node: NodeId) -> Option<&Fetched> {
        self.of(view).find(|fetched| fetched.from == node)
    }

    /// What they know of the name that they were asked for.
    pub fn names(&self) -> impl Iterator<Item = &KnownName> {
        self.0.iter().filter_map(|fetched| fetched.answer.known.as_ref())
    }

    /// What the answer to a repeat must carry by what those say who know its name.
    pub fn floors(&self) -> impl Iterator<Item = &Context> {
        let known = self.0.iter().filter(|fetched| fetched.answer.known.is_some());
        known.map(|fetched| &fetched.answer.floor.0)
    }

    /// Whether one of them had recovered: only then absence means something.
    #[must_use]
    pub fn are_recovered(&self, view: ViewId) -> bool {
        self.of(view).any(|fetched| fetched.answer.recovered)
    }

    /// One of them had everything at or below it.
    #[must_use]
    pub fn covered(&self, view: ViewId) -> Timestamp {
        self.of(view).map(|fetched| fetched.answer.covered).max().unwrap_or_default()
    }

    /// Whether an entry of a context is satisfied for the key.
    #[must_use]
    pub fn satisfy(&self, view: ViewId, origin: &Origin, timestamp: Timestamp) -> bool {
        self.of(view)
            .any(|fetched| fetched.answer.vector.get(origin) >= timestamp || is_closed(&fetched.closed, origin))
    }
}

/// The claims that come with a sync.
pub struct Claims<'a> {
    view: ViewId,
    vector: &'a VersionVector,
    closed: BTreeMap<NodeId, ClosedLives>,
    held: Vec<(&'a HeldReport, BTreeMap<NodeId, ClosedLives>)>,
}

impl<'a> Claims<'a> {
    /// Claims about `view` and about former ones.
    #[must_use]
    pub fn new(view: ViewId, vector: &'a VersionVector, closed: &[ClosedLives], held: &'a [HeldReport]) -> Self {
        let held = held.iter().map(|held| (held, by_node(&held.closed))).collect();
        Self { view, vector, closed: by_node(closed), held }
    }

    /// Whether a version is claimed. `older`: what holds for views that nothing is said of.
    #[must_use]
    pub fn cover(&self, version: &Version, older: bool) -> bool {
        let origin = &version.origin;
        if origin.view == self.view {
            return self.vector.covers(version) || is_closed(&self.closed, origin);
        }
        match self.held.iter().find(|(held, _)| held.view == origin.view) {
            Some((held, closed)) => held.vector.covers(version) || is_closed(closed, origin),
            None => older,
        }
    }

    /// Whether these lives of a view are claimed to be closed.
    #[must_use]
    pub fn have_closed(&self, view: &ViewId, lives: &ClosedLives) -> bool {
        let mine = match *view == self.view {
            true => Some(&self.closed),
            false => self.held.iter().find(|(held, _)| held.view == *view).map(|(_, closed)| closed),
        };
        mine.and_then(|closed| closed.get(&lives.node)).is_some_and(|closed| closed.before >= lives.before)
    }
}

fn by_node(closed: &[ClosedLives]) -> BTreeMap<NodeId, ClosedLives> {
    closed.iter().map(|closed| (closed.node, *closed)).collect()
}
