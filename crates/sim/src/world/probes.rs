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
        // Where a member was started with another view, the others may have to wait for a majority, as long as they wait for anybody. Whoever
        // still waits then is found when the run ends.
        let strayed = self.machines.iter().any(|machine| machine.strayed);
        let waits = strayed && !last && self.machines.iter().any(|machine| machine.life.is_none());
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
                pending.must = if waits { Must::Not } else { Must::AtRest };
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
