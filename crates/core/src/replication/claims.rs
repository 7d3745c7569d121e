//! What somebody claims to hold: of one view by vector and closed lives, of former views by reports, and of one key by what
//! an old owner said.

use std::collections::BTreeMap;

use crate::causality::hlc::Timestamp;
use crate::causality::version::Version;
use crate::causality::version_vector::VersionVector;
use crate::id::{NodeId, Origin, ViewId};
use crate::replication::is_closed;
use crate::wire::message::{self, ClosedLives, HeldReport};

/// What an old owner said when it gave one key: its claims hold for that key.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The old owner's vector.
    pub vector: VersionVector,
    /// Lives closed under that view.
    pub closed: BTreeMap<NodeId, ClosedLives>,
    /// The old owner had everything at or below it.
    pub covered: Timestamp,
    /// Whether it was recovered: only then absence means something.
    pub recovered: bool,
}

/// What was fetched for one request, by former view.
pub type Fetches = BTreeMap<ViewId, Fetched>;

impl Fetched {
    /// The claims of an answer.
    #[must_use]
    pub fn new(answer: &message::Fetched) -> Self {
        let closed = by_node(&answer.closed);
        let (covered, recovered) = (answer.covered, answer.recovered);
        Self {
            vector: answer.vector.clone(),
            closed: if recovered { closed } else { BTreeMap::new() },
            covered,
            recovered,
        }
    }

    /// Adds what another old owner said of the same key.
    pub fn merge(&mut self, other: &Self) {
        self.vector.merge(&other.vector);
        for (node, closed) in &other.closed {
            let known = self.closed.entry(*node).or_insert(*closed);
            if closed.before > known.before {
                *known = *closed;
            }
        }
        self.covered = self.covered.max(other.covered);
        self.recovered |= other.recovered;
    }

    /// Whether an entry of a context is satisfied for the key.
    #[must_use]
    pub fn covers(&self, origin: &Origin, timestamp: Timestamp) -> bool {
        self.vector.get(origin) >= timestamp || is_closed(&self.closed, origin)
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
}

impl Claims<'_> {
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
