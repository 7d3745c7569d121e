//! Contexts that the cluster never issued: from the far future, of another cluster, of views and writes that do not exist.
//!
//! They are sent with reads, those from the far future with writes too, and nobody goes on from the answers: whatever they claim, an answer or a refusal comes by
//! the deadline, and no clock moves to what they name.

use precede_core::causality::context::Context;
use precede_core::causality::hlc::Timestamp;
use precede_core::causality::version_vector::VersionVector;
use precede_core::id::{Origin, ViewId};
use precede_core::wire::request::Outcome;

use crate::clock::Clock;
use crate::past::Past;
use crate::violation::Rule;
use crate::world::clients::Kind;
use crate::world::nodes::DRIFT_MS;
use crate::world::{Purpose, World};

impl World {
    /// Asks for a key under a forged context.
    pub(super) fn ask_forged(&mut self, session: usize, node: usize) {
        let (key, _) = self.workload.key(&mut self.dice);
        let context = self.forge();
        let past = Past::nothing(self.oracle.keys.len());
        // A write under one is refused: taken, it would set the clocks of all who hear of it.
        let kind = match (context.greatest().millis() > self.clock_bound_ms(), context.greatest().0 >> 20 & 3) {
            (true, 0) => Kind::Put,
            (true, 1) => Kind::Delete,
            (true, _) | (false, _) => Kind::Get,
        };
        let mut pending = self.draft(Purpose::Session(session), node, kind, key, context, past);
        pending.carries = false;
        pending.is_forged = true;
        self.submit(pending);
    }

    fn forge(&mut self) -> Context {
        let member = self.dice.index(self.shape.members);
        let machine = &self.machines[member];
        let node = machine.id;
        let view = self.shape.view.id;
        let start = machine.starts.last().copied().unwrap_or_default();
        let far = Timestamp((self.clock_bound_ms() + 1_000 + self.dice.below(1 << 44)) << 16);
        let lag = self.dice.below(100);
        let never = Timestamp(start.0.saturating_sub(lag));
        let strange = ViewId { coordinator: precede_core::id::NodeId(self.dice.any()), ..view };
        let entry = |view, start, timestamp| {
            let origin = Origin { view, node, start };
            Context { entries: VersionVector::from_iter([(origin, timestamp)]), ..Context::default() }
        };
        match self.dice.below(6) {
            0 => Context { stable: far, ..Context::default() },
            1 => entry(view, start, far),
            2 => entry(view, never, start),
            3 => Context { view: Some(strange), ..entry(strange, start, start) },
            4 => Context { view: Some(ViewId { epoch: view.epoch + 1, ..view }), ..Context::default() },
            _ => entry(view, Timestamp(0), never),
        }
    }

    /// No clock of a run may be beyond this: the most advanced wall clock there can be, where a life begins (twice the drift
    /// above it), what a client may name above that (once the drift), and some seconds for the logical part.
    pub(super) fn clock_bound_ms(&self) -> u64 {
        let ahead = Clock::new(self.shape.skew_ms_max, self.shape.aged_by_ms).read(self.now).wall;
        let drift = u64::try_from(DRIFT_MS).unwrap_or(u64::MAX);
        ahead.0 + 3 * drift + 10_000
    }

    /// A context from the far future must not be answered as if it could be judged.
    pub(super) fn check_forged(&mut self, id: u64, context: &Context, outcome: &Outcome) {
        let far = context.greatest().millis() > self.clock_bound_ms();
        if far && !matches!(outcome, Outcome::Refused(_)) {
            self.object(Rule::Bounded, format!("#{id} is from the far future and is answered {outcome:?}"));
        }
    }
}
