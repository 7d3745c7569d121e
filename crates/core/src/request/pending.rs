//! Requests that are not answered yet: waiting for their context here, forwarded elsewhere, or both.

use std::collections::{BTreeMap, BTreeSet};

use crate::causality::hlc::Timestamp;
use crate::id::{NodeId, Source, ViewId};
use crate::replication::claims::Fetches;
use crate::time::Instant;
use crate::wire::message::WriteId;
use crate::wire::request::{Refusal, Request};

/// A try at another node.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// Names it in the answer.
    pub id: u64,
    /// At whom.
    pub at: NodeId,
    /// In which view it is an owner.
    pub view: ViewId,
    /// For a write: in which life of it, if one was known.
    pub life: Option<Timestamp>,
    /// For a write: the greatest timestamp that it may get there.
    pub not_after: Option<Timestamp>,
    /// When the next node is tried.
    pub until: Instant,
    /// Whether that time has come.
    pub given_up: bool,
}

/// A request not answered yet.
#[derive(Debug)]
pub struct Pending {
    /// Whom to answer.
    pub source: Source,
    /// What is asked.
    pub request: Request,
    /// Hops so far.
    pub hops: u8,
    /// For a write: the greatest timestamp it may get here.
    pub not_after: Option<Timestamp>,
    /// For a write: its name across tries.
    pub write_id: Option<WriteId>,
    /// For a write: the greatest timestamp that earlier tries may have got.
    pub repeat_of: Timestamp,
    /// When an answer must be given.
    pub deadline: Instant,
    /// For a read: how long it may wait for its context, wherever it does. From then on a replica's word that it lacks it is final.
    pub wait_until: Instant,
    /// If this replica may still answer by itself: how long it waits for the context.
    pub local_until: Option<Instant>,
    /// When another node is tried, if none is being tried.
    pub forward_at: Option<Instant>,
    /// Nodes tried.
    pub tried: Vec<NodeId>,
    /// Tries not answered.
    pub attempts: Vec<Attempt>,
    /// Its context names a time further ahead than this node accepts: it waits for word from the cluster that the time
    /// has come.
    pub from_future: bool,
    /// The last refusal.
    pub refused: Option<Refusal>,
    /// For a write: whether a try was sent whose fate is unknown.
    pub unknown: bool,
    /// What old owners said of the key.
    pub fetched: Fetches,
    /// Old owners that were asked.
    pub fetch_tried: Vec<(ViewId, NodeId)>,
    /// When the next one is asked.
    pub fetching: Option<Instant>,
    /// Old owners that did not answer in time.
    pub silent: BTreeSet<NodeId>,
}

impl Pending {
    /// When there is something to do for it.
    #[must_use]
    pub fn next_deadline(&self) -> Instant {
        let attempts = self.attempts.iter().filter(|attempt| !attempt.given_up).map(|attempt| attempt.until);
        // While a node is being tried, the next one waits for it.
        let forward_at = self.forward_at.filter(|_| !self.is_trying());
        attempts.chain(self.local_until).chain(forward_at).chain(self.fetching).fold(self.deadline, Instant::min)
    }

    /// Whether a node is being tried that has not been given up.
    #[must_use]
    pub fn is_trying(&self) -> bool {
        self.attempts.iter().any(|attempt| !attempt.given_up)
    }
}

/// All pending requests of a node, oldest first.
#[derive(Debug, Default)]
pub struct PendingRequests {
    requests: BTreeMap<u64, Pending>,
    next: u64,
}

impl PendingRequests {
    /// Adds one; returns its key here.
    pub fn insert(&mut self, pending: Pending) -> u64 {
        self.next += 1;
        self.requests.insert(self.next, pending);
        self.next
    }

    /// Puts back what was taken out with [`PendingRequests::remove`].
    pub fn restore(&mut self, key: u64, pending: Pending) {
        self.requests.insert(key, pending);
    }

    /// One by its key.
    pub fn get_mut(&mut self, key: u64) -> Option<&mut Pending> {
        self.requests.get_mut(&key)
    }

    /// Whether it still waits.
    #[must_use]
    pub fn contains(&self, key: u64) -> bool {
        self.requests.contains_key(&key)
    }

    /// Takes one out.
    pub fn remove(&mut self, key: u64) -> Option<Pending> {
        self.requests.remove(&key)
    }

    /// All keys, oldest first.
    #[must_use]
    pub fn keys(&self) -> Vec<u64> {
        self.requests.keys().copied().collect()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Pending)> {
        self.requests.iter().map(|(key, pending)| (*key, pending))
    }

    /// How many wait here, and how many are forwarded.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let waiting = self.requests.values().filter(|pending| pending.local_until.is_some()).count();
        (waiting, self.requests.len() - waiting)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// When there is something to do for one.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.requests.values().map(Pending::next_deadline).min()
    }
}
