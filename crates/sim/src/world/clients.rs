//! Clients act: sessions shuffle their contexts and ask.

use std::time::Duration;

use precede_checker::Action as Asked;
use precede_core::causality::context::Context;
use precede_core::wire::request::{Action, Request, WriteConcern};

use crate::history::operation;
use crate::mix::Mix;
use crate::oracle::{Fate, Issue};
use crate::past::Past;
use crate::properties::live::Must;
use crate::world::{Pending, Purpose, SECOND, START, World, plain_request};

/// What a client does to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Get,
    Put,
    Delete,
}

impl World {
    pub(super) fn turn(&mut self, session: usize, generation: u64) {
        let this = &self.sessions[session];
        if this.generation != generation || this.waiting.is_some() || self.now >= self.heal_at {
            return;
        }
        self.shuffle(session);
        let node = self.choose_node(session);
        if self.dice.chance(10) {
            self.ask_count(session, node);
            return;
        }
        if self.dice.chance(10) {
            self.ask_forged(session, node);
            return;
        }
        let (key, once) = self.workload.key(&mut self.dice);
        let kind = match self.dice.below(100) {
            _ if once && self.workload.is_unwritten(key) => {
                self.workload.written_once += 1;
                Kind::Put
            }
            _ if once => Kind::Get,
            0..50 => Kind::Get,
            50..85 => Kind::Put,
            _ => Kind::Delete,
        };
        let carries = !self.dice.chance(30);
        let (context, past) = if carries {
            (self.sessions[session].context.clone(), self.sessions[session].past.clone())
        } else {
            (Context::default(), Past::nothing(self.oracle.keys.len()))
        };
        let mut pending = self.draft(Purpose::Session(session), node, kind, key, context, past);
        pending.carries = carries;
        self.vary(&mut pending);
        pending.must = self.must(&pending, key);
        self.record(&mut pending, session, key);
        self.submit(pending);
    }

    /// Now and then a session starts over, goes on from a kept context, or is handed another's.
    fn shuffle(&mut self, session: usize) {
        let roll = self.dice.below(1000);
        let this = &self.sessions[session];
        if this.brief && this.burst == 0 {
            self.start_over(session, Context::default(), Past::nothing(self.oracle.keys.len()), Vec::new());
        }
        match roll {
            0..10 => self.start_over(session, Context::default(), Past::nothing(self.oracle.keys.len()), Vec::new()),
            10..25 if !self.kept.is_empty() => {
                let kept = self.dice.pick(&self.kept).clone();
                self.start_over(session, kept.context, kept.past, kept.sources);
            }
            25..40 if self.kept.len() > 1 => {
                let mut merged = self.dice.pick(&self.kept).clone();
                let other = self.dice.pick(&self.kept).clone();
                merged.context.merge(&other.context);
                merged.past.join(&other.past, |write| self.oracle.version(write));
                merged.sources.extend(other.sources);
                self.start_over(session, merged.context, merged.past, merged.sources);
            }
            40..80 => {
                let other = self.dice.index(self.sessions.len());
                let (context, past) = (self.sessions[other].context.clone(), self.sessions[other].past.clone());
                let mut handed = self.sessions[other].received.clone();
                handed.extend(self.sessions[other].source);
                let this = &mut self.sessions[session];
                this.context.merge(&context);
                let oracle = &self.oracle;
                this.past.join(&past, |write| oracle.version(write));
                this.received.extend(handed);
            }
            _ => {}
        }
    }

    fn start_over(&mut self, session: usize, context: Context, past: Past, sources: Vec<usize>) {
        let name = self.requests + 1_000;
        let this = &mut self.sessions[session];
        this.name = name * 100 + this.name % 100;
        this.context = context;
        this.past = past;
        this.own = Past::nothing(self.oracle.keys.len());
        this.source = None;
        this.received = sources;
    }

    fn choose_node(&mut self, session: usize) -> usize {
        let any = self.dice.index(self.machines.len());
        let node = self.sessions[session].home.unwrap_or(any);
        if self.machines[node].is_running() { node } else { any }
    }

    fn ask_count(&mut self, session: usize, node: usize) {
        let view = self.view_now();
        let shard = self.dice.pick(view.shards()).id;
        let context = self.sessions[session].context.clone();
        let past = self.sessions[session].past.clone();
        let request = plain_request(Action::Count { shard }, context);
        let pending = self.pending(Purpose::Session(session), node, request, past);
        self.submit(pending);
    }

    /// A request without ornaments.
    pub(super) fn draft(
        &mut self,
        purpose: Purpose,
        node: usize,
        kind: Kind,
        key: usize,
        context: Context,
        past: Past,
    ) -> Pending {
        let name = self.oracle.keys[key].name.clone();
        let mut issue = |delete: bool| {
            let padding = if self.dice.chance(50) { self.dice.index(2000) } else { self.dice.index(20) };
            let issue = Issue { key, delete, past: past.clone(), fate: Fate::Open, repeated: false, told_once: false };
            self.oracle.ask(issue, padding)
        };
        let (issue, action) = match kind {
            Kind::Get => (None, Action::Get { key: name }),
            Kind::Put => {
                let (issue, value) = issue(false);
                (Some(issue), Action::Put { key: name, value })
            }
            Kind::Delete => (Some(issue(true).0), Action::Delete { key: name }),
        };
        let request = plain_request(action, context);
        Pending { key: Some(key), issue, ..self.pending(purpose, node, request, past) }
    }

    /// A request that need not succeed, of which nothing is said in the history.
    pub(super) fn pending(&self, purpose: Purpose, node: usize, request: Request, past: Past) -> Pending {
        Pending {
            node,
            purpose,
            key: None,
            issue: None,
            request,
            past,
            must: Must::Not,
            asked_at: self.now,
            due: self.now,
            operation: None,
            carries: true,
            is_forged: false,
        }
    }

    fn vary(&mut self, pending: &mut Pending) {
        let request = &mut pending.request;
        if request.action.is_write() && self.dice.chance(250) {
            let concerns = [WriteConcern::One, WriteConcern::Two, WriteConcern::Majority, WriteConcern::All];
            request.concern = Some(*self.dice.pick(&concerns));
        }
        if self.dice.chance(80) {
            request.wait = Some(Duration::from_millis(self.dice.below(2_000)));
        }
        if self.dice.chance(80) {
            request.deadline = Duration::from_millis(self.dice.between(300, 2_000));
        }
    }

    /// Decides whether a request must succeed.
    fn must(&self, pending: &Pending, key: usize) -> Must {
        let node = pending.node;
        let Some(view) = self.machines[node].node.as_ref().map(|node| node.view()) else { return Must::Not };
        let shard = view.shard_of_hash(self.oracle.keys[key].hash).id;
        let request = &pending.request;
        let machine = &self.machines[node];
        let at_replica = machine.shard() == Some(shard) && machine.life.is_some() && machine.is_running();
        let at_replica = at_replica && !self.mix.changes_views();
        if request.action.is_write() && at_replica {
            return Must::WriteAtReplica;
        }
        let ample = request.wait.is_none() && request.deadline >= Duration::from_secs(3);
        // `stable` stands for what has no room in a short context, and whom a cut keeps from hearing may not reach it.
        let is_short = self.shape.context_entries_max.is_some();
        let healthy = match self.mix {
            Mix::OneWayHeld | Mix::Held if is_short => false,
            Mix::Calm | Mix::Views => self.now > START + SECOND,
            Mix::OneWayHeld => self.now > START + 4 * SECOND && self.is_beside_the_cut(node, shard),
            Mix::Held => self.now > START + 4 * SECOND && self.can_be_served(pending, shard),
            Mix::Partitions
            | Mix::Pauses
            | Mix::Loss
            | Mix::Crash
            | Mix::Single
            | Mix::Clocks
            | Mix::TinyWindow
            | Mix::Comebacks
            | Mix::TotalLoss
            | Mix::ViewSingle
            | Mix::ViewFaults
            | Mix::ViewLags
            | Mix::ViewSplits
            | Mix::Everything => false,
        };
        if ample && healthy { Must::Healthy } else { Must::Not }
    }

    fn record(&mut self, pending: &mut Pending, session: usize, key: usize) {
        let this = &mut self.sessions[session];
        let received = if pending.carries { std::mem::take(&mut this.received) } else { Vec::new() };
        let name = this.name;
        self.record_as(pending, name, key, received);
    }

    /// Notes the beginning of an operation in the history.
    pub(super) fn record_as(&mut self, pending: &mut Pending, session: u64, key: usize, received: Vec<usize>) {
        let action = match &pending.request.action {
            Action::Put { value, .. } => Asked::Put { value: String::from_utf8_lossy(&value.bytes).into_owned() },
            Action::Delete { .. } => Asked::Delete,
            Action::Get { .. } | Action::Count { .. } | Action::ChangeView(_) | Action::Barrier => Asked::Get,
        };
        let mut operation = operation(session, self.oracle.name(key), action, self.now);
        operation.carries_context = pending.carries;
        operation.received_from = received;
        pending.operation = Some(self.recorder.begin(operation));
    }
}
