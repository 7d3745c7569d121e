//! A simulated store: replicas that apply writes in causal order and let the last writer win, or that are wrong in one
//! known way.
//!
//! It shares nothing with the real store but the promise. Sessions carry a context, which is a version vector; requests
//! time out and are applied at once, later or never; some carry no context; contexts are handed from session to
//! session.

use std::collections::BTreeMap;

use precede_checker::{Action, FinalRead, History, Operation, Outcome};

use crate::random::Draw;

/// A way to be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A replica answers without having what the request's context names.
    SkipContextCheck,
    /// Writes of others are applied before what they depend on, and contexts name only the write that was read, as
    /// they may where replicas have what it depends on.
    ApplyWithoutDependencies,
    /// Writes are ordered by clocks that disagree and do not learn from one another.
    OrderByWallClock,
    /// Of writes with equal time the one that a replica hears of last wins.
    TieByReceiver,
    /// The response to a write does not name it.
    ForgetOwnDot,
    /// Replicas apply some of the others' writes without entering them in their table.
    LoseWrites,
    /// A delete removes the entry, and with it the memory of when.
    ForgetTombstones,
    /// A delete counts as no write for the context of those who read it.
    HideDeletes,
}

pub(crate) const BUGS: [Bug; 8] = [
    Bug::SkipContextCheck,
    Bug::ApplyWithoutDependencies,
    Bug::OrderByWallClock,
    Bug::TieByReceiver,
    Bug::ForgetOwnDot,
    Bug::LoseWrites,
    Bug::ForgetTombstones,
    Bug::HideDeletes,
];

/// The size and kind of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) replicas: usize,
    pub(crate) sessions: usize,
    pub(crate) keys: usize,
    pub(crate) operations: usize,
    /// Percent of the operations that are deletes.
    pub(crate) deletes: usize,
    /// Percent of the operations that time out.
    pub(crate) unknown: usize,
    /// How many of a hundred times a write is replicated between two operations.
    pub(crate) pace: usize,
    /// How many of a hundred times a session goes to any replica instead of its own.
    pub(crate) roaming: usize,
    pub(crate) bug: Option<Bug>,
}

type Vector = Vec<usize>;
type Stamp = (u64, usize);

#[derive(Clone)]
struct Write {
    stamp: Stamp,
    /// This write and all that it depends on.
    context: Vector,
    key: usize,
    value: Option<String>,
}

#[derive(Default)]
struct Replica {
    applied: Vector,
    table: BTreeMap<usize, Write>,
    clock: u64,
}

struct Store {
    run: Run,
    draw: Draw,
    replicas: Vec<Replica>,
    /// The writes that each replica took from clients.
    logs: Vec<Vec<Write>>,
    /// Writes that timed out and are still to come.
    late: Vec<(usize, Vector, usize, Option<String>)>,
    /// The contexts of all responses.
    responses: Vec<Option<Vector>>,
    sessions: Vec<Vector>,
}

fn join(into: &mut Vector, other: &[usize]) {
    into.iter_mut().zip(other).for_each(|(a, &b)| *a = b.max(*a));
}

fn covers(vector: &[usize], other: &[usize]) -> bool {
    vector.iter().zip(other).all(|(a, b)| a >= b)
}

/// Runs the store and records what its clients saw.
pub(crate) fn simulate(run: Run, seed: u64) -> History {
    let zero = vec![0; run.replicas];
    let replica = |_| Replica { applied: zero.clone(), ..Replica::default() };
    let mut store = Store {
        run,
        draw: Draw::new(seed),
        replicas: (0..run.replicas).map(replica).collect(),
        logs: vec![Vec::new(); run.replicas],
        late: Vec::new(),
        responses: Vec::new(),
        sessions: vec![zero.clone(); run.sessions],
    };
    let mut history = History::default();
    for position in 0..run.operations {
        if store.draw.percent(run.pace) {
            store.replicate_some();
        }
        let operation = store.operation(position);
        history.operations.push(operation);
    }
    history.final_reads = store.come_to_rest();
    history
}

impl Store {
    fn has(&self, bug: Bug) -> bool {
        self.run.bug == Some(bug)
    }

    fn operation(&mut self, position: usize) -> Operation {
        let session = self.draw.below(self.run.sessions);
        let mut request = Operation {
            session: session as u64,
            key: String::new(),
            action: Action::Get,
            start: position as u64,
            end: position as u64 + 1,
            outcome: Outcome::Unknown,
            received_from: Vec::new(),
            carries_context: self.draw.percent(94),
        };
        let mut context = match request.carries_context {
            true => self.sessions[session].clone(),
            false => vec![0; self.run.replicas],
        };
        if position > 0 && self.draw.percent(6) {
            let giver = self.draw.below(position);
            request.received_from.push(giver);
            if let Some(given) = &self.responses[giver] {
                join(&mut context, given);
            }
        }
        let key = self.draw.below(self.run.keys);
        request.key = format!("k{key}");
        request.action = match self.draw.below(100) {
            p if p < self.run.deletes => Action::Delete,
            p if p < self.run.deletes + 40 => Action::Put { value: format!("v{position}") },
            _ => Action::Get,
        };
        let replica = match self.draw.percent(self.run.roaming) {
            true => self.draw.below(self.run.replicas),
            false => session % self.run.replicas,
        };
        request.outcome = self.answer(replica, &mut context, key, &request.action);
        let responded = !matches!(request.outcome, Outcome::Failed | Outcome::Unknown);
        if responded && request.carries_context {
            join(&mut self.sessions[session], &context);
        }
        self.responses.push(responded.then_some(context));
        request
    }

    /// Carries a request out, and makes of its context that of the response.
    fn answer(&mut self, replica: usize, context: &mut Vector, key: usize, action: &Action) -> Outcome {
        if !covers(&self.replicas[replica].applied, context) && !self.has(Bug::SkipContextCheck) {
            if self.draw.percent(20) {
                return Outcome::Failed;
            }
            self.catch_up_to(replica, context.clone());
        }
        let is_lost = self.draw.percent(self.run.unknown);
        let held = self.replicas[replica].table.get(&key).cloned();
        let value = match action {
            Action::Get if is_lost => return Outcome::Unknown,
            Action::Get => {
                let value = self.read(replica, held, context);
                return Outcome::Read { value };
            }
            Action::Delete if held.as_ref().is_none_or(|w| w.value.is_none()) && self.draw.percent(70) => {
                self.read(replica, held, context);
                return Outcome::NotFound;
            }
            Action::Delete => None,
            Action::Put { value } => Some(value.clone()),
        };
        match (is_lost, self.draw.below(4)) {
            (false, _) => {
                let own = self.write(replica, context, key, value);
                if !self.has(Bug::ForgetOwnDot) {
                    join(context, &own);
                }
                Outcome::Written
            }
            (true, 0) => Outcome::Unknown,
            (true, 1) => {
                self.late.push((replica, context.clone(), key, value));
                Outcome::Unknown
            }
            (true, _) => {
                self.write(replica, context, key, value);
                Outcome::Unknown
            }
        }
    }

    fn read(&mut self, replica: usize, held: Option<Write>, context: &mut Vector) -> Option<String> {
        if self.draw.percent(10) {
            // A response may always name more than it must.
            join(context, &self.replicas[replica].applied);
        }
        let held = held?;
        if held.value.is_some() || !self.has(Bug::HideDeletes) {
            let origin = held.stamp.1;
            let dot = held.context[origin].max(context[origin]);
            match self.has(Bug::ApplyWithoutDependencies) {
                true => context[origin] = dot,
                false => join(context, &held.context),
            }
        }
        held.value
    }

    /// Applies a client's write at this replica and returns its context.
    fn write(&mut self, replica: usize, context: &[usize], key: usize, value: Option<String>) -> Vector {
        let at = &mut self.replicas[replica];
        at.clock = match self.run.bug {
            Some(Bug::OrderByWallClock) => self.responses.len() as u64 + 20 * replica as u64,
            _ => at.clock + 1,
        };
        let mut context = context.to_vec();
        context[replica] = self.logs[replica].len() + 1;
        let stamp = (at.clock, replica);
        let write = Write { stamp, context: context.clone(), key, value };
        self.logs[replica].push(write.clone());
        at.applied[replica] += 1;
        self.enter(replica, write);
        context
    }

    fn enter(&mut self, replica: usize, write: Write) {
        let forgets = self.has(Bug::ForgetTombstones);
        let by_receiver = self.has(Bug::TieByReceiver);
        let table = &mut self.replicas[replica].table;
        let is_newer = table.get(&write.key).is_none_or(|held| match by_receiver {
            true => write.stamp.0 >= held.stamp.0,
            false => write.stamp > held.stamp,
        });
        if is_newer && forgets && write.value.is_none() {
            table.remove(&write.key);
        } else if is_newer {
            table.insert(write.key, write);
        }
    }

    /// Applies the next write of one replica at another, if it may be; returns whether anything changed.
    fn replicate(&mut self, from: usize, to: usize) -> bool {
        let applied = self.replicas[to].applied[from];
        let Some(write) = self.logs[from].get(applied).cloned() else {
            return false;
        };
        let mut needed = write.context.clone();
        needed[from] = applied;
        if from == to || !covers(&self.replicas[to].applied, &needed) && !self.has(Bug::ApplyWithoutDependencies) {
            return false;
        }
        let at = &mut self.replicas[to];
        at.applied[from] += 1;
        at.clock = at.clock.max(write.stamp.0);
        if !(self.has(Bug::LoseWrites) && self.draw.percent(5)) {
            self.enter(to, write);
        }
        true
    }

    fn replicate_some(&mut self) {
        let (from, to) = (self.draw.below(self.run.replicas), self.draw.below(self.run.replicas));
        // Some links are slow, so that writes go round about and overtake.
        if (from + 2 * to) % 3 != 1 || self.draw.percent(10) {
            self.replicate(from, to);
        }
        if self.draw.percent(5) {
            self.apply_late();
        }
    }

    /// Applies what the replica needs to have these writes, and no more.
    fn catch_up_to(&mut self, replica: usize, mut wanted: Vector) {
        while !covers(&self.replicas[replica].applied, &wanted) {
            for from in 0..self.run.replicas {
                let applied = self.replicas[replica].applied[from];
                if applied < wanted[from] && !self.replicate(from, replica) {
                    join(&mut wanted, &self.logs[from][applied].context);
                }
            }
        }
    }

    fn apply_late(&mut self) {
        if let Some((replica, context, key, value)) = self.late.pop() {
            self.catch_up_to(replica, context.clone());
            self.write(replica, &context, key, value);
        }
    }

    fn catch_up(&mut self, replica: usize) {
        while (0..self.run.replicas).any(|from| self.replicate(from, replica)) {}
    }

    fn come_to_rest(&mut self) -> Vec<FinalRead> {
        while !self.late.is_empty() && self.draw.percent(80) {
            self.apply_late();
        }
        for _ in 0..self.run.replicas {
            (0..self.run.replicas).for_each(|replica| self.catch_up(replica));
        }
        let mut reads = Vec::new();
        for (number, replica) in self.replicas.iter().enumerate() {
            for key in 0..self.run.keys {
                let value = replica.table.get(&key).and_then(|write| write.value.clone());
                reads.push(FinalRead { replica: format!("n{number}"), key: format!("k{key}"), value });
            }
        }
        reads
    }
}
