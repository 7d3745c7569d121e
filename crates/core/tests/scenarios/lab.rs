//! A few cores in a row, with messages delivered at once and links that can be cut: for executions that are written down
//! step by step. Random executions are the simulator's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use precede_core::causality::context::Context;
use precede_core::config::Config;
use precede_core::effect::{Effect, Effects};
use precede_core::event::Event;
use precede_core::id::RequestId;
use precede_core::id::{Address, NodeId};
use precede_core::input::Input;
use precede_core::node::Node;
use precede_core::placement::hash::key_hash;
use precede_core::placement::view::View;
use precede_core::table::value::Value;
use precede_core::time::{Instant, Now, WallTime};
use precede_core::wire::message::{Envelope, Message};
use precede_core::wire::request::{Action, Outcome, Reply, Request};

const EPOCH_MS: u64 = 1_700_000_000_000;

/// Something that happened, in the order it did.
pub(crate) enum Happening {
    /// A node sent a message: its place in [`Lab::sent`], and whether it is lost.
    Sent(usize, bool),
    /// A node told of an event: its place in [`Lab::events`].
    Told(usize),
}

/// Whether a message from the first to the second is lost.
pub(crate) type Lose = Box<dyn Fn(usize, usize, &Message) -> bool>;

pub(crate) struct Lab {
    pub(crate) view: View,
    pub(crate) nodes: Vec<Option<Node>>,
    pub(crate) events: Vec<(usize, Event)>,
    /// Messages from the first to the second are lost.
    pub(crate) cut: BTreeSet<(usize, usize)>,
    /// And so are those of which this is true.
    pub(crate) lose: Option<Lose>,
    /// What was sent, for scenarios that deliver it again.
    pub(crate) sent: Vec<(usize, usize, Envelope)>,
    /// What happened, with its time.
    pub(crate) story: Vec<(u64, Happening)>,
    pub(crate) now_ms: u64,
    /// The memory limit of nodes that are started from now on.
    pub(crate) memory_bytes_max: Option<u64>,
    skews_ms: BTreeMap<usize, u64>,
    starts: u64,
    pub(crate) addresses: Vec<Address>,
    queue: VecDeque<(usize, usize, Envelope)>,
    pub(crate) replies: BTreeMap<u64, Reply>,
    next: u64,
}

impl Lab {
    /// A fresh cluster, recovered.
    pub(crate) fn new(nodes: usize, factor: usize) -> Self {
        Self::with_spares(nodes, factor, 0)
    }

    /// A fresh cluster, recovered, and behind its nodes some that hold no shard.
    pub(crate) fn with_spares(members: usize, factor: usize, spares: usize) -> Self {
        let nodes = members + spares;
        let addresses: Vec<_> =
            (0..nodes).map(|at| Address::parse(&format!("10.0.0.{at}:80"), None).unwrap()).collect();
        let view = View::bootstrap(&addresses[..members], factor).unwrap();
        let mut lab = Self {
            view,
            nodes: Vec::new(),
            events: Vec::new(),
            cut: BTreeSet::new(),
            lose: None,
            sent: Vec::new(),
            story: Vec::new(),
            now_ms: 0,
            memory_bytes_max: None,
            skews_ms: BTreeMap::new(),
            starts: 0,
            addresses,
            queue: VecDeque::new(),
            replies: BTreeMap::new(),
            next: 0,
        };
        for at in 0..nodes {
            lab.nodes.push(None);
            lab.start(at);
        }
        lab.run(1000);
        let members = &lab.nodes[..members];
        assert!(members.iter().flatten().all(|node| node.report(lab.now()).recovered), "a fresh cluster recovers");
        lab
    }

    pub(crate) fn now(&self) -> Now {
        Now { monotonic: Instant(self.now_ms * 1000), wall: WallTime(EPOCH_MS + self.now_ms) }
    }

    /// Sets a node's wall clock ahead.
    pub(crate) fn skew(&mut self, at: usize, ms: u64) {
        self.skews_ms.insert(at, ms);
    }

    /// Starts a node with nothing in memory.
    pub(crate) fn start(&mut self, at: usize) {
        let view = self.view.clone();
        self.start_with(at, view, None);
    }

    /// Starts a node with nothing in memory and an environment of its own.
    pub(crate) fn start_with(&mut self, at: usize, view: View, cluster: Option<&str>) {
        self.starts += 1;
        let mut config = Config::new(self.addresses[at].clone(), view, self.starts);
        config.memory_bytes_max = self.memory_bytes_max;
        if let Some(name) = cluster {
            name.clone_into(&mut config.cluster.name);
            config.cluster.is_derived = false;
        }
        self.nodes[at] = Some(Node::new(config, self.now()));
    }

    pub(crate) fn crash(&mut self, at: usize) {
        self.nodes[at] = None;
    }

    /// Cuts a node off from the others, both ways, or from one.
    pub(crate) fn cut(&mut self, a: usize, b: usize) {
        self.cut.extend([(a, b), (b, a)]);
    }

    pub(crate) fn heal(&mut self) {
        self.cut.clear();
    }

    pub(crate) fn step(&mut self, at: usize, input: Input) {
        let mut now = self.now();
        now.wall.0 += self.skews_ms.get(&at).copied().unwrap_or_default();
        let Some(node) = &mut self.nodes[at] else { return };
        let mut effects = Effects::new();
        node.step(now, input, &mut effects);
        node.check_invariants();
        for effect in effects {
            assert!(self.nodes[at].is_some(), "who stops does nothing more: {effect:?}");
            match effect {
                Effect::Send { to, envelope } => {
                    if let Some(to) = self.index(to) {
                        let lost = self.cut.contains(&(at, to))
                            || self.lose.as_ref().is_some_and(|lose| lose(at, to, &envelope.body));
                        self.story.push((self.now_ms, Happening::Sent(self.sent.len(), lost)));
                        self.sent.push((at, to, (*envelope).clone()));
                        if !lost {
                            self.queue.push_back((at, to, *envelope));
                        }
                    }
                }
                Effect::Reply { id, reply } => {
                    assert!(self.replies.insert(id.0, *reply).is_none(), "a request is answered once");
                }
                Effect::Event(event) => {
                    self.story.push((self.now_ms, Happening::Told(self.events.len())));
                    self.events.push((at, event));
                }
                // Messages go to whoever is there.
                Effect::Reach(_) | Effect::Discard(_) => {}
                Effect::Stop => self.nodes[at] = None,
            }
        }
    }

    pub(crate) fn deliver(&mut self) {
        while let Some((_, to, envelope)) = self.queue.pop_front() {
            self.step(to, Input::Message(Box::new(envelope)));
        }
    }

    /// Delivers messages one by one until something holds.
    pub(crate) fn deliver_until(&mut self, test: impl Fn(&Self) -> bool) {
        while !test(self) {
            let (_, to, envelope) = self.queue.pop_front().expect("it holds before all is delivered");
            self.step(to, Input::Message(Box::new(envelope)));
        }
    }

    /// Delivers as many messages as said, one by one, and lets time pass where there are none.
    pub(crate) fn deliver_some(&mut self, count: usize) {
        for _ in 0..count {
            while self.queue.is_empty() {
                self.pass_time(usize::MAX);
            }
            let (_, to, envelope) = self.queue.pop_front().expect("there is one");
            self.step(to, Input::Message(Box::new(envelope)));
        }
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, ms: u64) {
        self.run_without(usize::MAX, ms);
    }

    /// The same, with one node that stands still.
    pub(crate) fn run_without(&mut self, paused: usize, ms: u64) {
        for _ in 0..ms.div_ceil(5) {
            self.pass_time(paused);
            self.deliver();
        }
    }

    fn pass_time(&mut self, paused: usize) {
        self.now_ms += 5;
        for at in (0..self.nodes.len()).filter(|at| *at != paused) {
            let due = self.nodes[at].as_ref().and_then(Node::next_deadline);
            if due.is_some_and(|due| due <= self.now().monotonic) {
                self.step(at, Input::Tick);
            }
        }
    }

    /// Asks a node something; [`Lab::replies`] will have the answer.
    pub(crate) fn submit(&mut self, at: usize, action: Action, context: &Context, deadline: Duration) -> u64 {
        let request =
            Request { action, context: context.clone(), wait: None, concern: None, deadline, mark: None, named: None };
        self.submit_request(at, request)
    }

    /// The same of a request with all its ornaments.
    pub(crate) fn submit_request(&mut self, at: usize, request: Request) -> u64 {
        self.next += 1;
        let id = self.next;
        self.step(at, Input::Request { id: RequestId(id), request });
        id
    }

    /// Lets time pass until a request is answered.
    pub(crate) fn answer(&mut self, id: u64, deadline: Duration) -> Reply {
        self.deliver();
        for _ in 0..deadline.as_millis() / 5 + 100 {
            if let Some(reply) = self.replies.remove(&id) {
                return reply;
            }
            self.run(5);
        }
        panic!("a request was not answered by its deadline");
    }

    pub(crate) fn ask(&mut self, at: usize, action: Action, context: &Context) -> Reply {
        let deadline = Duration::from_secs(3);
        let id = self.submit(at, action, context, deadline);
        self.answer(id, deadline)
    }

    pub(crate) fn put(&mut self, at: usize, key: &str, value: &str, context: &Context) -> Reply {
        let value = Value::json(Bytes::copy_from_slice(value.as_bytes()));
        let reply = self.ask(at, Action::Put { key: Bytes::copy_from_slice(key.as_bytes()), value }, context);
        assert!(matches!(reply.outcome, Outcome::Written { .. }), "{:?}", reply.outcome);
        reply
    }

    pub(crate) fn get(&mut self, at: usize, key: &str, context: &Context) -> Reply {
        self.ask(at, Action::Get { key: Bytes::copy_from_slice(key.as_bytes()) }, context)
    }

    pub(crate) fn delete(&mut self, at: usize, key: &str, context: &Context) -> Reply {
        self.ask(at, Action::Delete { key: Bytes::copy_from_slice(key.as_bytes()) }, context)
    }

    pub(crate) fn node(&self, at: usize) -> &Node {
        self.nodes[at].as_ref().unwrap()
    }

    /// A key of the shard that a node holds.
    pub(crate) fn key_of(&self, at: usize, name: &str) -> String {
        let shard = self.view.shard_of_member(self.addresses[at].node_id()).unwrap();
        (0..)
            .map(|n| format!("{name}{n}"))
            .find(|k| self.view.shard_of_hash(key_hash(k.as_bytes())).id == shard)
            .unwrap()
    }

    pub(crate) fn happened(&self, test: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(|(_, event)| test(event))
    }

    /// Which node it is.
    pub(crate) fn index(&self, node: NodeId) -> Option<usize> {
        self.addresses.iter().position(|address| address.node_id() == node)
    }
}

/// What a reply says of the key.
pub(crate) fn value(reply: &Reply) -> Option<String> {
    match &reply.outcome {
        Outcome::Found(value) => Some(String::from_utf8(value.bytes.to_vec()).unwrap()),
        Outcome::Absent => None,
        other => panic!("no read: {other:?}"),
    }
}

/// Whether a message is a stream frame with writes.
pub(crate) fn is_write_frame(envelope: &Envelope) -> bool {
    matches!(&envelope.body, Message::Frame(frame) if !frame.writes.is_empty())
}
