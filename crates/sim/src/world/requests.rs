//! Requests find their nodes, or nobody; clients wait, and give up.

use precede_checker::Outcome as Learnt;
use precede_core::id::RequestId;
use precede_core::input::Input;
use precede_core::node::Node;
use precede_core::wire::request::{Action, Outcome, Reply};

use crate::machine::Waiting;
use crate::mix::Mix;
use crate::oracle::Fate;
use crate::properties::live::Must;
use crate::properties::present::{self, Known};
use crate::queue::Event;
use crate::trace::letter;
use crate::violation::Rule;
use crate::world::{MILLISECOND, Pending, Purpose, SLACK, World};

/// How long a client waits beyond its deadline.
const PATIENCE: u64 = 100 * MILLISECOND;

impl World {
    /// Hands a request to its node, as soon as that can hear it.
    pub(super) fn submit(&mut self, mut pending: Pending) {
        self.requests += 1;
        let (id, at) = (self.requests, pending.node);
        if self.trace.is_on() {
            self.trace_request(id, &pending);
        }
        let is_stray = self.is_stray(at);
        if self.machines[at].node.is_none() || is_stray {
            if !is_stray && pending.must != Must::Not && !self.clock_lost && !self.stale_start {
                self.object(Rule::Live, format!("#{id} must succeed, and {} is down", letter(at)));
            }
            self.forgo(&pending, Learnt::Failed);
            return;
        }
        let deadline = u64::try_from(pending.request.deadline.as_micros()).unwrap_or(u64::MAX);
        pending.due = self.now + deadline + SLACK;
        if let Purpose::Session(session) = pending.purpose {
            self.sessions[session].waiting = Some(id);
            self.queue.push(self.now + deadline + PATIENCE, Event::GiveUp { request: id, session });
        }
        self.queue.push(pending.due, Event::Overdue { request: id });
        self.note_known(id, &pending);
        self.stable_reached = self.stable_reached.max(pending.request.context.stable);
        self.pending.insert(id, pending);
        if self.machines[at].paused {
            self.machines[at].keep(Waiting::Request(id));
        } else {
            self.enter(id);
        }
    }

    /// Notes what there is of the key.
    fn note_known(&mut self, id: u64, pending: &Pending) {
        if !self.mix.changes_views() {
            return;
        }
        let machine = &self.machines[pending.node];
        let stable = machine.node.as_ref().filter(|_| self.mix == Mix::Views);
        let stable = stable.map(|node| node.report(machine.clock.read(self.now)).stable);
        let on_two = pending.key.and_then(|key| present::on_two(&self.oracle, key, &self.on_two));
        self.known_then.insert(id, Known { on_two, stable, losses: self.losses });
    }

    /// Whether no node has lost what it held since a request was asked for.
    pub(super) fn lossless_since(&self, id: u64) -> bool {
        self.known_then.get(&id).is_some_and(|known| known.losses == self.losses)
    }

    /// A node has lost what it held.
    pub(super) fn note_loss(&mut self) {
        self.losses += 1;
        self.on_two.clear();
    }

    /// A request reaches its node: a read asks the reader first, as in the server.
    pub(super) fn enter(&mut self, id: u64) {
        let Some(pending) = self.pending.get(&id) else { return };
        let (at, request) = (pending.node, pending.request.clone());
        if let (Action::Get { key }, Some(number)) = (&request.action, pending.key) {
            let node = self.machines[at].node.as_ref();
            let hash = self.oracle.keys[number].hash;
            let hit = node.map(Node::reader).and_then(|reader| reader.get(key, hash, &request.context));
            if let Some(hit) = hit {
                let value = hit.entry.as_ref().and_then(|entry| entry.value().map(|value| value.to_owned()));
                let reply = Reply {
                    outcome: value.map_or(Outcome::Absent, Outcome::Found),
                    context: hit.context,
                    served_by: self.machines[at].id,
                    version: hit.version,
                    acks: 0,
                    lost: false,
                    repeat_unconfirmed: false,
                };
                self.digest_reply(at, id, &reply);
                self.answer(at, id, reply, true);
                return;
            }
        }
        self.step(at, Input::Request { id: RequestId(id), request });
    }

    /// A request comes to nothing that its client learns of.
    pub(super) fn forgo(&mut self, pending: &Pending, learnt: Learnt) {
        if let (Some(issue), Learnt::Failed) = (pending.issue, &learnt) {
            self.refuse(issue);
        }
        if let Some(operation) = pending.operation {
            self.recorder.end(operation, self.now, learnt);
        }
        if let Purpose::Session(session) = pending.purpose {
            self.go_on(session);
        }
    }

    /// A write was refused: it must not have taken effect, and never may.
    pub(super) fn refuse(&mut self, issue: usize) {
        self.oracle.issues[issue].fate = Fate::Refused;
        let key = self.oracle.issues[issue].key;
        let made = self.oracle.of_key(key).iter().find(|write| self.oracle.writes[write.at()].issue == Some(issue));
        if let Some(made) = made {
            let what = format!("refused, and it took effect: {}", self.oracle.describe(*made));
            self.object(Rule::Sound, what);
        }
    }

    /// A session's next turn.
    pub(super) fn go_on(&mut self, session: usize) {
        let this = &mut self.sessions[session];
        this.waiting = None;
        this.generation += 1;
        let generation = this.generation;
        let think = self.workload.think(this, &mut self.dice);
        self.queue.push(self.now + think, Event::Turn { session, generation });
    }

    pub(super) fn give_up(&mut self, id: u64, session: usize) {
        if self.sessions[session].waiting == Some(id) {
            self.go_on(session);
        }
    }

    pub(super) fn overdue(&mut self, id: u64) {
        let Some(pending) = self.pending.get(&id) else { return };
        let at = pending.node;
        if pending.due <= self.now && self.machines[at].is_running() {
            let what = format!("#{id} at {} has no answer by its deadline: {:?}", letter(at), pending.request.action);
            self.object(Rule::Bounded, what);
        }
    }

    fn trace_request(&mut self, id: u64, pending: &Pending) {
        let who = match pending.purpose {
            Purpose::Session(session) => format!("s{session}"),
            Purpose::Probe { last } => format!("probe{}", u8::from(last)),
            Purpose::Change => "operator".to_owned(),
            Purpose::Barrier | Purpose::Named => "somebody".to_owned(),
        };
        let key = pending.key.map_or(String::new(), |key| self.oracle.name(key));
        let what = match &pending.request.action {
            Action::Get { .. } => "get".to_owned(),
            Action::Put { .. } => format!("put v{}", pending.issue.unwrap_or_default()),
            Action::Delete { .. } => format!("delete v{}", pending.issue.unwrap_or_default()),
            Action::Count { shard } => format!("count {}", shard.0),
            Action::ChangeView(asked) => format!("change view {asked:?}"),
            Action::Barrier => "barrier".to_owned(),
        };
        let (context, at) = (&pending.request.context, letter(pending.node));
        let (entries, stable) = (&context.entries, context.stable);
        let carried: Vec<_> = entries.iter().map(|(origin, time)| format!("{origin:?}:{time}")).collect();
        let carried = carried.join(" ");
        self.trace.line(self.now, format_args!("{who} {what} {key} at {at} (#{id}) {{{carried} s={stable}}}"));
    }
}
