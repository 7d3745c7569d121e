//! What the record learns from messages between nodes.

use precede_core::causality::version::Version;
use precede_core::wire::message::{Envelope, Forward, Message};
use precede_core::wire::request::{Action, Outcome};

use crate::oracle::{Fate, Sighting};
use crate::past::WriteIx;
use crate::properties::{Holding, once};
use crate::violation::Rule;
use crate::world::World;
use crate::world::views::{Table, is_held};

impl World {
    /// Notes a write; objects if it cannot be.
    pub(super) fn learn(&mut self, seen: Sighting<'_>) -> Option<WriteIx> {
        match self.oracle.learn(seen) {
            Ok((write, new)) => {
                if new {
                    self.check_allowed(write);
                }
                if new && self.mix.has_crashes() {
                    self.bury_if_dead(write);
                }
                if let Some(issue) = self.oracle.writes[write.at()].issue.filter(|_| new) {
                    self.check_once(issue);
                }
                Some(write)
            }
            Err(objection) => {
                self.object(Rule::Sound, objection);
                None
            }
        }
    }

    /// A forwarded put must not have a timestamp above what its router allowed. Repeated writes have no excuse here.
    fn check_allowed(&mut self, write: WriteIx) {
        let record = &self.oracle.writes[write.at()];
        let Version { timestamp, origin } = record.version;
        let allowed = record.issue.and_then(|issue| self.allowed.get(&(issue, origin.node)).copied());
        if allowed.is_some_and(|allowed| timestamp > allowed) {
            let what = format!("{} came too late and was taken, allowed {allowed:?}", self.oracle.describe(write));
            self.object(Rule::Sound, what);
        }
    }

    /// Views that did not know one another have writes of their own.
    pub(super) fn check_once(&mut self, issue: usize) {
        if !self.siblings && !self.stale_start {
            let judgement = once::check(&self.oracle, issue);
            self.judge(Rule::Sound, judgement, || "a repeat".to_owned());
        }
    }

    /// A write may become known after its last holder crashed: it was lost before it was known. So was one that is made by a node that a
    /// view has given up: what others hold of its key, though greater, was not made of it.
    fn bury_if_dead(&mut self, write: WriteIx) {
        let Version { timestamp, origin } = self.oracle.version(write);
        let Some(at) = self.index.get(&origin.node).copied() else { return };
        let is_given_up = self.is_written_off(at, &origin.view);
        if self.machines[at].life == Some(origin.life()) && !is_given_up {
            return;
        }
        let holders = self.holders();
        let key = &self.oracle.keys[self.oracle.writes[write.at()].key].name;
        let has_it = |table: &Table| {
            table.holding.entries.get(key).is_some_and(|(version, _)| *version == Version { timestamp, origin })
        };
        let is_held = match is_given_up {
            true => holders.iter().any(has_it),
            false => is_held(&self.oracle, &holders, write),
        };
        if !is_held {
            self.oracle.writes[write.at()].lost = true;
        }
    }

    /// Notes all that a replica holds.
    pub(super) fn learn_holding(&mut self, holding: &Holding) {
        for (name, (version, value)) in &holding.entries {
            match self.oracle.key_number(name) {
                Some(key) => {
                    let value = value.as_ref().map(|value| &*value.bytes);
                    self.learn(Sighting { version: *version, key, value, issue: None });
                }
                None => self.object(Rule::Sound, format!("nobody wrote the key {name:?}")),
            }
        }
    }

    /// Reads a message on its way.
    pub(super) fn observe(&mut self, at: usize, to: usize, envelope: &Envelope) {
        match &envelope.body {
            Message::Frame(frame) => {
                self.observe_names(frame);
                for write in &frame.writes {
                    let version = Version { timestamp: write.timestamp, origin: frame.origin };
                    let value = write.value.as_ref().map(|value| &*value.bytes);
                    if let Some(key) = self.oracle.key_number(&write.key) {
                        self.learn(Sighting { version, key, value, issue: None });
                    }
                }
            }
            Message::SyncChunk(chunk) => {
                for entry in &chunk.entries {
                    if entry.payload.is_none() {
                        continue;
                    }
                    let value = entry.entry.value().map(|value| value.bytes);
                    if let Some(key) = self.oracle.key_number(entry.entry.key()) {
                        self.learn(Sighting { version: entry.version, key, value, issue: None });
                    }
                }
            }
            Message::Forward(forward) => self.observe_forward(at, to, forward),
            Message::ForwardReply { id, reply } => {
                self.note_answer(at, (Some(self.machines[to].id), *id));
                let written = matches!(reply.outcome, Outcome::Written { .. } | Outcome::Deleted { .. });
                if let (true, Some(version)) = (written, reply.version)
                    && let Some((key, value)) = self.forwards.get(&(to, *id)).cloned()
                {
                    self.learn(Sighting { version, key, value: value.as_deref(), issue: None });
                }
                if let Some((key, _)) = self.forwards.get(&(to, *id)) {
                    self.check_in_hand(at, *key, reply);
                }
            }
            Message::Fetch { id, key, name, .. } => self.observe_fetch(at, *id, key, *name),
            Message::Fetched(answer) => {
                self.observe_fetched(at, answer.id, &answer.view);
                if let Some(entry) = &answer.entry
                    && entry.payload.is_some()
                    && let Some(key) = self.oracle.key_number(entry.entry.key())
                {
                    let value = entry.entry.value().map(|value| value.bytes);
                    self.learn(Sighting { version: entry.version, key, value, issue: None });
                }
            }
            Message::ViewAsk
            | Message::Views(_)
            | Message::Prepare(_)
            | Message::Prepared(_)
            | Message::Release { .. }
            | Message::Confirm { .. }
            | Message::Confirmed { .. }
            | Message::Hello { .. }
            | Message::Welcome { .. }
            | Message::Ack(_)
            | Message::Status(_)
            | Message::Gossip { .. }
            | Message::SyncPull(_)
            | Message::Swim(_)
            | Message::Superseded { .. } => {}
        }
    }

    fn observe_forward(&mut self, at: usize, to: usize, forward: &Forward) {
        let (key, value) = match &forward.request.action {
            Action::Put { key, value } => (key, Some(value.bytes.clone())),
            Action::Delete { key } | Action::Get { key } => (key, None),
            Action::Count { .. } | Action::ChangeView(_) | Action::Barrier => return,
        };
        let Some(key) = self.oracle.key_number(key) else { return };
        if let (Some(value), Some(last)) = (&value, forward.not_after)
            && let Ok(issue) = self.oracle.issue_of(value, key)
        {
            let allowed = self.allowed.entry((issue, self.machines[to].id)).or_default();
            *allowed = (*allowed).max(last);
        }
        if forward.repeat_of > precede_core::causality::hlc::Timestamp::ZERO {
            self.mark_repeated(key, value.as_deref());
        }
        self.forwards.insert((at, forward.id), (key, value));
    }

    /// A write is tried again elsewhere. Which delete it is cannot be told: every one in progress may be it.
    fn mark_repeated(&mut self, key: usize, value: Option<&[u8]>) {
        match value {
            Some(value) => {
                if let Ok(issue) = self.oracle.issue_of(value, key) {
                    self.oracle.issues[issue].repeated = true;
                }
            }
            None => {
                for issue in &mut self.oracle.issues {
                    if issue.key == key && issue.delete && issue.fate == Fate::Open {
                        issue.repeated = true;
                    }
                }
            }
        }
    }
}
