//! Barriers: beside the sessions somebody asks now and then whether what a client has seen is on every replica (design 7.7).
//!
//! Whom, when and with what is drawn from dice of their own, and nobody goes on from the answers.

use std::collections::BTreeMap;
use std::time::Duration;

use precede_core::wire::request::{Action, Outcome, Reply};

use crate::properties::live::Must;
use crate::properties::{Holding, barrier};
use crate::queue::Event;
use crate::trace::letter;
use crate::violation::Rule;
use crate::workload::Kept;
use crate::world::{MILLISECOND, Pending, Purpose, SECOND, START, World, plain_request};

/// Mean time between two barriers.
const INTERVAL: u64 = 150 * MILLISECOND;

/// So long before the end of a run everything must be stable: after the change that is asked for at rest.
const AT_REST: u64 = 2 * SECOND;

impl World {
    pub(super) fn schedule_barriers(&mut self) {
        let Some(dice) = &mut self.barriers else { return };
        let first = START + dice.below(SECOND);
        self.queue.push(first, Event::Barrier);
        self.queue.push(self.end - AT_REST, Event::BarriersAtRest);
    }

    /// Somebody asks with what a session has just now, or with a kept context.
    pub(super) fn ask_barrier(&mut self) {
        let Some(mut dice) = self.barriers.take() else { return };
        let of_session = |world: &Self, at: usize| {
            let session = &world.sessions[at];
            Kept { context: session.context.clone(), past: session.past.clone(), sources: Vec::new() }
        };
        let kept = match dice.chance(200) && !self.kept.is_empty() {
            true => dice.pick(&self.kept).clone(),
            false => of_session(self, dice.index(self.sessions.len())),
        };
        let node = dice.index(self.machines.len());
        let wait = dice.chance(500).then(|| Duration::from_millis(dice.below(1_500)));
        let next = self.now + dice.wait(INTERVAL);
        self.barriers = Some(dice);
        if next < self.end - AT_REST {
            self.queue.push(next, Event::Barrier);
        }
        if self.machines[node].is_running() {
            self.submit_barrier(node, kept, wait, Must::Not);
        }
    }

    /// What is kept from all times is stable, wherever one asks.
    pub(super) fn ask_barriers_at_rest(&mut self) {
        let Some(mut dice) = self.barriers.take() else { return };
        let strayed = self.machines.iter().any(|machine| machine.strayed);
        for kept in self.kept.clone() {
            let node = dice.index(self.machines.len());
            // Where a member was started with another view, others may wait for it: whoever does is found when the run ends.
            self.submit_barrier(node, kept, None, if strayed { Must::Not } else { Must::AtRest });
        }
        self.barriers = Some(dice);
    }

    fn submit_barrier(&mut self, node: usize, kept: Kept, wait: Option<Duration>, must: Must) {
        let mut request = plain_request(Action::Barrier, kept.context);
        request.wait = wait;
        let pending = Pending { must, ..self.pending(Purpose::Barrier, node, request, kept.past) };
        self.submit(pending);
    }

    /// Judges the answer to a barrier by what the replicas hold in the view of whoever gave it.
    pub(super) fn judge_barrier(&mut self, id: u64, pending: &Pending, reply: &Reply) {
        match &reply.outcome {
            Outcome::Stable => {}
            Outcome::Unstable(missing) if !missing.is_nothing() => return,
            Outcome::Refused(_) => return,
            outcome => {
                self.object(Rule::Sound, format!("#{id} is a barrier, answered with {outcome:?}"));
                return;
            }
        }
        let view = reply.context.view.and_then(|view| self.views.get(&view)).unwrap_or(&self.shape.view).clone();
        if self.siblings || self.stale_start || self.clock_lost {
            return;
        }
        let mut held: BTreeMap<_, Vec<(char, Holding)>> = BTreeMap::new();
        for at in (0..self.machines.len()).filter(|at| !self.is_stray(*at)) {
            let table = self.machines[at].node.as_ref().and_then(|node| node.table(&view.id));
            if let Some(table) = table.filter(|table| table.recovered) {
                held.entry(table.shard).or_default().push((letter(at), Holding::of(&table)));
            }
        }
        let replicas = |key: usize| {
            let shard = view.shard_of_hash(self.oracle.keys[key].hash).id;
            held.get(&shard).into_iter().flatten().map(|(at, holding)| (*at, holding)).collect()
        };
        let judgement =
            barrier::check(&self.oracle, &pending.past, &pending.request.context, self.losses == 0, replicas);
        self.judge(Rule::Stable, judgement, || format!("#{id} at {}", letter(pending.node)));
    }
}
