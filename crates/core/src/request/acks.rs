//! Writes that wait for their write concern (design 7.5).

use std::collections::{BTreeMap, BTreeSet};

use crate::causality::hlc::Timestamp;
use crate::id::{NodeId, Source};
use crate::time::Instant;
use crate::wire::message::Ack;
use crate::wire::request::Reply;

/// A write that stands, and whose answer waits.
#[derive(Debug)]
pub struct Unacked {
    /// Whom to answer.
    pub source: Source,
    /// The answer, but for the number of replicas.
    pub reply: Reply,
    /// Replicas wanted, this one included.
    pub wanted: usize,
    /// Whether the client asked for that number.
    pub explicit: bool,
    /// When it is answered with what there is.
    pub until: Instant,
    /// Who else has it.
    pub holders: BTreeSet<NodeId>,
}

/// Writes of this life by timestamp.
#[derive(Debug, Default)]
pub struct Acks {
    writes: BTreeMap<Timestamp, Unacked>,
}

impl Acks {
    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// A write waits.
    pub fn insert(&mut self, timestamp: Timestamp, write: Unacked) {
        self.writes.insert(timestamp, write);
    }

    /// A peer has acknowledged.
    pub fn on_ack(&mut self, from: NodeId, ack: &Ack) {
        for (_, write) in self.writes.range_mut(..=ack.applied) {
            write.holders.insert(from);
        }
        for timestamp in &ack.beyond {
            if let Some(write) = self.writes.get_mut(timestamp) {
                write.holders.insert(from);
            }
        }
    }

    /// Takes out the writes that need not wait longer: enough replicas have them, their time is up, or none of those who
    /// are `able` to acknowledge is left.
    pub fn take_done(&mut self, now: Instant, able: &[NodeId]) -> Vec<Unacked> {
        let done = |write: &Unacked| {
            write.holders.len() + 1 >= write.wanted
                || now >= write.until
                || able.iter().all(|node| write.holders.contains(node))
        };
        let timestamps: Vec<_> = self.writes.iter().filter(|(_, write)| done(write)).map(|(at, _)| *at).collect();
        timestamps.iter().filter_map(|timestamp| self.writes.remove(timestamp)).collect()
    }

    /// Takes out all of them.
    pub fn take_all(&mut self) -> Vec<Unacked> {
        std::mem::take(&mut self.writes).into_values().collect()
    }

    /// When the next one's time is up.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.writes.values().map(|write| write.until).min()
    }
}
