//! At rest every kept context is tried at every node (rule 7), and new writes are made.

use crate::properties::live::Must;
use crate::workload::{Kept, Session};
use crate::world::clients::Kind;
use crate::world::{Purpose, World};

/// Chance, in a thousandth, that a context writes where it could read.
const WRITES: u64 = 30;

impl World {
    pub(super) fn probe(&mut self, last: bool) {
        let of_session = |session: &Session| {
            let sources = session.received.iter().copied().chain(session.source).collect();
            Kept { context: session.context.clone(), past: session.past.clone(), sources }
        };
        let contexts: Vec<Kept> = self.kept.iter().cloned().chain(self.sessions.iter().map(of_session)).collect();
        for Kept { context, past, sources } in contexts {
            for node in 0..self.machines.len() {
                let (key, _) = self.workload.key(&mut self.dice);
                let kind = match self.dice.below(1000) {
                    _ if last => Kind::Get,
                    roll if roll < WRITES / 2 => Kind::Delete,
                    roll if roll < WRITES => Kind::Put,
                    _ => Kind::Get,
                };
                let purpose = Purpose::Probe { last };
                let mut pending = self.draft(purpose, node, kind, key, context.clone(), past.clone());
                pending.must = Must::AtRest;
                // Reads of probes are left out of the history: the record judges them, and they are many.
                if pending.request.action.is_write() {
                    let session = (self.requests + 1_000) * 100;
                    self.record_as(&mut pending, session, key, sources.clone());
                }
                self.submit(pending);
            }
        }
    }
}
