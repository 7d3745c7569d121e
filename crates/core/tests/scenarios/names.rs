//! Short names for what has long ones, and messages in a few words: what makes a recorded execution readable.
//!
//! Nodes are letters. A life is its node's letter and a number, `B2`. Writes are numbered in the order they were taken, `w1`,
//! and so is the timestamp of each; any other timestamp is the start of a life, or counts from the greatest that has a name.

use std::collections::BTreeMap;

use precede_core::causality::context::Context;
use precede_core::causality::hlc::Timestamp;
use precede_core::causality::version::Version;
use precede_core::causality::version_vector::VersionVector;
use precede_core::event::Event;
use precede_core::id::{Address, Life, NodeId, Origin, ShardId};
use precede_core::node::NodeReport;
use precede_core::recovery::Met;
use precede_core::table::value::Value;
use precede_core::wire::message::{Envelope, Message, SyncChunk};
use precede_core::wire::request::{Action, Outcome, Refusal, Reply};
use precede_core::wire::sync_entry::SyncEntry;

/// The names given so far.
#[derive(Default)]
pub(crate) struct Names {
    nodes: BTreeMap<NodeId, char>,
    lives: BTreeMap<Life, String>,
    times: BTreeMap<Timestamp, String>,
    writes: usize,
}

/// The letter of a node.
pub(crate) fn letter(at: usize) -> char {
    char::from(b'A' + u8::try_from(at).unwrap())
}

impl Names {
    pub(crate) fn add_node(&mut self, at: usize, node: NodeId) {
        self.nodes.insert(node, letter(at));
    }

    fn add_life(&mut self, life: Life) {
        let number = self.lives.keys().filter(|other| other.node == life.node).count() + 1;
        let name = format!("{}{number}", self.node(life.node));
        self.times.insert(life.start, format!("start-{name}"));
        self.lives.insert(life, name);
    }

    fn add_write(&mut self, timestamp: Timestamp) {
        if !self.times.contains_key(&timestamp) {
            self.writes += 1;
            self.times.insert(timestamp, format!("w{}", self.writes));
        }
    }

    fn node(&self, node: NodeId) -> char {
        self.nodes[&node]
    }

    fn life(&self, life: Life) -> String {
        self.lives.get(&life).cloned().unwrap_or_else(|| format!("{}?", self.node(life.node)))
    }

    fn time(&self, timestamp: Timestamp) -> String {
        if timestamp == Timestamp::ZERO {
            return "0".to_owned();
        }
        let Some((base, name)) = self.times.range(..=timestamp).next_back() else { return format!("{timestamp}") };
        match (timestamp.millis() - base.millis(), timestamp.0 - base.0) {
            (_, 0) => name.clone(),
            (0, logical) => format!("{name}+{logical}"),
            (millis, _) => format!("{name}+{millis}ms"),
        }
    }

    fn vector(&self, vector: &VersionVector) -> String {
        format!("{{{}}}", self.entries(vector).join(" "))
    }

    fn entries(&self, vector: &VersionVector) -> Vec<String> {
        let entry = |(origin, timestamp): (&Origin, Timestamp)| match timestamp == origin.start {
            true => format!("{}:start", self.life(origin.life())),
            false => format!("{}:{}", self.life(origin.life()), self.time(timestamp)),
        };
        let mut entries: Vec<_> = vector.iter().map(entry).collect();
        entries.sort();
        entries
    }

    /// A context: its entries and, behind a bar, `stable`. There is one view, so it is left out.
    pub(crate) fn context(&self, context: &Context) -> String {
        let mut words = self.entries(&context.entries);
        if context.stable > Timestamp::ZERO {
            words.push(format!("| {}", self.time(context.stable)));
        }
        format!("{{{}}}", words.join(" "))
    }

    fn action(&self, action: &Action) -> String {
        match action {
            Action::Get { key } => format!("get {}", text(key)),
            Action::Put { key, value } => format!("put {}={}", text(key), text(&value.bytes)),
            Action::Delete { key } => format!("delete {}", text(key)),
            Action::Count { shard } => format!("count shard {}", shard.0),
            Action::Barrier => "barrier".to_owned(),
            Action::ChangeView(asked) => {
                let nodes: Vec<_> =
                    asked.members.iter().map(|member| self.node(member.node_id()).to_string()).collect();
                format!("view {} with {} replicas", nodes.join(" "), asked.repl_factor)
            }
        }
    }

    fn refusal(&self, refusal: &Refusal) -> String {
        match refusal {
            Refusal::NotMet { waiting_for } => {
                let nodes: Vec<_> = waiting_for.iter().map(|node| self.node(*node).to_string()).collect();
                format!("this node has started and waits to meet {}", nodes.join(" "))
            }
            other => other.to_string(),
        }
    }

    /// A reply: what happened, on how many replicas a write is, and the context.
    pub(crate) fn reply(&mut self, reply: &Reply) -> String {
        if let Some(version) = &reply.version {
            self.add_write(version.timestamp);
        }
        let at = reply.version.map(|version| format!("@{}", self.time(version.timestamp))).unwrap_or_default();
        let met = |met: bool| if met { "" } else { ", less than asked for" };
        let what = match &reply.outcome {
            Outcome::Found(value) => format!("found {}{at}", text(&value.bytes)),
            Outcome::Absent => format!("absent{at}"),
            Outcome::Written { replaced, concern_met } => {
                let word = if *replaced { "replaced" } else { "created" };
                format!("{word}{at} on {}{}", reply.acks, met(*concern_met))
            }
            Outcome::Deleted { concern_met } => format!("deleted{at} on {}{}", reply.acks, met(*concern_met)),
            Outcome::Counted(count) => format!("counted {count}"),
            Outcome::Stable => "all is stable".to_owned(),
            Outcome::Unstable(missing) => format!("not stable: {missing:?}"),
            Outcome::Refused(refusal) => format!("refused: {}", self.refusal(refusal)),
            Outcome::Changed(changed) => {
                let settled = if changed.settled { "settled" } else { "not settled yet" };
                format!("view {} {settled}: {}", changed.epoch, self.shards(&changed.shards))
            }
        };
        let lost = if reply.lost { ", lost" } else { "" };
        format!("{what}{lost}, context {}", self.context(&reply.context))
    }

    /// Shards: who holds each, and how many keys it has.
    fn shards(&self, shards: &[(ShardId, Vec<Address>, Option<u64>)]) -> String {
        let shard = |(id, replicas, keys): &(ShardId, Vec<Address>, Option<u64>)| {
            let nodes: String = replicas.iter().map(|replica| self.node(replica.node_id())).collect();
            let keys = keys.map(|keys| format!(" with {keys} keys")).unwrap_or_default();
            format!("shard {} at {nodes}{keys}", id.0)
        };
        shards.iter().map(shard).collect::<Vec<_>>().join(", ")
    }

    fn write(&mut self, key: &[u8], timestamp: Timestamp, value: Option<&Value>) -> String {
        self.add_write(timestamp);
        match value {
            Some(value) => format!("{}={}@{}", text(key), text(&value.bytes), self.time(timestamp)),
            None => format!("{}=deleted@{}", text(key), self.time(timestamp)),
        }
    }

    fn told(&mut self, entry: &SyncEntry) -> String {
        let value = entry.entry.value().map(|value| value.to_owned());
        self.write(entry.entry.key(), entry.version.timestamp, value.as_ref())
    }

    /// A message in a few words; none for a heartbeat that carries no write.
    pub(crate) fn message(&mut self, envelope: &Envelope) -> Option<String> {
        let text = match &envelope.body {
            Message::Frame(frame) if frame.writes.is_empty() => return None,
            Message::Ack(ack) if !ack.gap => {
                format!("ack {}:{}", self.life(ack.origin.life()), self.time(ack.applied))
            }
            Message::Ack(ack) if ack.beyond.is_empty() => {
                format!("ack {}:{}, and there is a gap", self.life(ack.origin.life()), self.time(ack.applied))
            }
            Message::Ack(ack) => {
                let beyond: Vec<_> = ack.beyond.iter().map(|timestamp| self.time(*timestamp)).collect();
                let (life, applied) = (self.life(ack.origin.life()), self.time(ack.applied));
                format!("ack {life}:{applied}, and beyond a gap: {}", beyond.join(" "))
            }
            Message::Status(_) | Message::Gossip { .. } | Message::Swim(_) => return None,
            Message::Frame(frame) => {
                let mut writes = Vec::new();
                for write in &frame.writes {
                    let what = self.write(&write.key, write.timestamp, write.value.as_ref());
                    writes.push(format!("{what} after {}", self.context(&write.dependencies)));
                }
                let (previous, up_to) = (self.time(frame.previous), self.time(frame.up_to));
                format!(
                    "writes of {} from {previous} to {up_to}: {}",
                    self.life(frame.origin.life()),
                    writes.join(", ")
                )
            }
            Message::Hello { .. } => "hello".to_owned(),
            Message::Welcome { recovered, known_life, .. } => {
                let known = known_life.map_or("no life of you".to_owned(), |start| self.time(start));
                format!("welcome: recovered {}, knows {known}", yes(*recovered))
            }
            Message::SyncPull(pull) => {
                let kind = if pull.full { "everything" } else { "what is new" };
                format!("pull {kind} to {}", self.vector(&pull.have))
            }
            Message::SyncChunk(chunk) => self.chunk(chunk),
            Message::Forward(forward) => {
                let action = self.action(&forward.request.action);
                let by = forward.not_after.map(|last| format!(" by {}", self.time(last))).unwrap_or_default();
                format!("forward {action}{by}, context {}", self.context(&forward.request.context))
            }
            Message::ForwardReply { reply, .. } => format!("reply {}", self.reply(reply)),
            Message::Superseded { by } => format!("superseded by {}", self.time(*by)),
            Message::ViewAsk => "what view are you in?".to_owned(),
            Message::Views(news) => {
                let shards = news.current.shards.iter().map(|shard| (shard.id, shard.replicas.clone(), None));
                format!("view {}: {}", news.current.id.epoch, self.shards(&shards.collect::<Vec<_>>()))
            }
            Message::Prepare(_) => "prepare".to_owned(),
            Message::Prepared(answer) => {
                format!("prepared: granted {}, recovered {}", yes(answer.granted), yes(answer.recovered))
            }
            Message::Release { .. } => "release".to_owned(),
            Message::Confirm { entries, .. } => format!("confirm {}", self.entries(entries).join(" ")),
            Message::Confirmed { has, .. } => format!("confirmed: {has}"),
            Message::Fetch { view, key, .. } => format!("fetch {} of view {}", text(key), view.epoch),
            Message::Fetched(answer) => {
                let entry = answer.entry.as_ref().and_then(|entry| Some((entry, entry.payload.as_ref()?)));
                let what = entry.map(|(entry, _)| self.told(entry));
                format!("fetched {}", what.unwrap_or("nothing".to_owned()))
            }
        };
        Some(text)
    }

    fn chunk(&mut self, chunk: &SyncChunk) -> String {
        let mut entries = Vec::new();
        for entry in &chunk.entries {
            entries.push(match &entry.payload {
                Some(payload) => {
                    let what = self.told(entry);
                    let after = payload.dependencies.as_ref().map(|context| self.context(context));
                    after.map_or(what.clone(), |after| format!("{what} after {after}"))
                }
                None => format!("{} as you have it", text(entry.entry.key())),
            });
        }
        let entries = if entries.is_empty() { "nothing".to_owned() } else { entries.join(", ") };
        let horizon = self.time(chunk.horizon);
        format!("chunk: {entries}; covers {}, horizon {horizon}", self.vector(&chunk.vector))
    }

    /// An event in a few words.
    pub(crate) fn event(&mut self, event: &Event) -> String {
        match event {
            Event::Met { life, how } => {
                self.add_life(*life);
                let how = match how {
                    Met::RecoveredReplica => "a recovered replica answered",
                    Met::FreshCluster => "all are here and as new",
                    Met::Majority => "a majority is here",
                    Met::Spare => "it has none",
                };
                format!("has met its shard as {}: {how}", self.life(*life))
            }
            Event::Recovered { entries } => format!("has recovered with {entries} keys"),
            Event::LegacyLost { view, shard } => {
                format!("says that nobody held all of shard {} of view {}", shard.0, view.epoch)
            }
            Event::ShardMemoryLost => "says that its shard lost its memory".to_owned(),
            Event::SyncStarted { from, full } => {
                let kind = if *full { "a full" } else { "a" };
                format!("begins {kind} sync from {}", self.node(*from))
            }
            Event::SyncDone { from, entries, dropped } => {
                format!("ends the sync from {}: {entries} entries, {dropped} dropped", self.node(*from))
            }
            Event::PeerUp(node) => format!("hears {}", self.node(*node)),
            Event::PeerDown(node) => format!("no longer hears {}", self.node(*node)),
            Event::LivesClosed { node, before } => {
                format!("closes the lives of {} before {}", self.node(*node), self.time(*before))
            }
            Event::FormerLifeRefused(life) => format!("refuses a message of {}", self.life(*life)),
            Event::Superseded(life) => format!("ends: {} exists", self.life(*life)),
            other => format!("{other:?}"),
        }
    }

    /// What a node holds, in two lines.
    pub(crate) fn state(&self, report: &NodeReport, entries: &[(bytes::Bytes, Version, Option<Value>)]) -> String {
        let life = report.life.map_or("no life yet".to_owned(), |life| self.life(life));
        let entries: Vec<_> = entries
            .iter()
            .map(|(key, version, value)| {
                let value = value.as_ref().map_or("deleted".to_owned(), |value| text(&value.bytes));
                format!("{}={value}@{}", text(key), self.time(version.timestamp))
            })
            .collect();
        format!(
            "{life}, recovered {}: {}\napplied {}, covered {}, stable {}, horizon {}, window {}",
            yes(report.recovered),
            if entries.is_empty() { "nothing".to_owned() } else { entries.join(" ") },
            self.vector(&report.applied),
            self.time(report.covered),
            self.time(report.stable),
            self.time(report.horizon),
            report.window_writes,
        )
    }
}

fn yes(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
