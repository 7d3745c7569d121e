//! What nodes say to each other as there are more of them: messages and bytes, at rest and under load, in clusters in which nothing
//! fails. Faults, and what must hold under them, are for [`crate::world`]; here it only counts what is sent, and that every request is
//! answered as it should be.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use precede_core::causality::context::Context;
use precede_core::causality::token;
use precede_core::config::Config;
use precede_core::effect::{Effect, Effects};
use precede_core::id::{Address, NodeId, RequestId};
use precede_core::input::Input;
use precede_core::node::Node;
use precede_core::placement::hash::key_hash;
use precede_core::placement::view::View;
use precede_core::table::value::Value;
use precede_core::wire::codec;
use precede_core::wire::message::Envelope;
use precede_core::wire::request::{Action, Outcome, Reply, Request};

use crate::clock::Clock;
use crate::dice::Dice;
use crate::queue::Queue;

/// The clusters and their load, for people.
pub const SET_UP: &str = "simulated nodes, 2 replicas for each shard, 0.5 ms from node to node; under load each node is asked\n\
    50 times a second, half reads and half writes of 10000 keys with values of 32 bytes, with contexts carried";

const SECOND: u64 = 1_000_000;
const FACTOR: usize = 2;
const LATENCY: u64 = 500;
/// Between two requests to one node.
const PAUSE: u64 = SECOND / 50;
const KEYS: u64 = 10_000;
/// The quotes of a JSON text are two of them.
const VALUE_BYTES: usize = 32 + 2;
/// Until all have met and nothing of it is left.
const WARM_UP: u64 = 20 * SECOND;
/// Until the load is steady.
const RISE: u64 = 2 * SECOND;

/// What was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages between nodes.
    pub messages: u64,
    /// Their bytes, encoded.
    pub bytes: u64,
}

/// What one cluster said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its nodes.
    pub nodes: u16,
    /// The simulated seconds of each part.
    pub seconds: u64,
    /// All that was sent while nobody asked anything.
    pub rest: Traffic,
    /// And while clients asked.
    pub load: Traffic,
    /// Requests under load.
    pub requests: u64,
    /// The size of a context as a header, in bytes, which 99 of a hundred responses do not exceed.
    pub token_bytes_p99: usize,
}

impl Row {
    /// The columns as which it prints.
    pub const COLUMNS: &str =
        "nodes, messages/s at rest, bytes/s at rest, messages/s under load, bytes/s under load, context bytes p99";

    /// How often a node does what all of them do so often in all, in a second.
    fn per_node(&self, count: u64) -> f64 {
        count as f64 / f64::from(self.nodes) / self.seconds as f64
    }
}

/// Per node and second.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {:>10}", self.nodes)?;
        for count in [self.rest.messages, self.rest.bytes, self.load.messages, self.load.bytes] {
            write!(f, "  {:>10.1}", self.per_node(count))?;
        }
        write!(f, "  {:>10}", self.token_bytes_p99)
    }
}

enum Happening {
    /// A message arrives.
    Deliver { to: usize, bytes: Bytes },
    /// A node's deadline has come.
    Wake { at: usize, generation: u64 },
    /// A node's client asks.
    Ask { at: usize },
}

/// A node, and what its client carries.
struct Station {
    node: Node,
    wakes_at: Option<u64>,
    generation: u64,
    context: Context,
}

struct Cluster {
    stations: Vec<Station>,
    index: BTreeMap<NodeId, usize>,
    clock: Clock,
    queue: Queue<Happening>,
    dice: Dice,
    now: u64,
    effects: Effects,
    traffic: Traffic,
    asked: u64,
    answered: u64,
    token_bytes: Vec<usize>,
}

/// Runs a cluster, and counts what its nodes send in so many seconds at rest and in as many under load.
///
/// # Panics
/// If there are fewer than two nodes, or a request is not answered as it should be: a bug of the core.
#[must_use]
pub fn measure(nodes: u16, seconds: u64) -> Row {
    let mut cluster = Cluster::new(nodes);
    cluster.run_for(WARM_UP);
    let rest = cluster.count_for(seconds * SECOND);
    cluster.begin_load();
    cluster.run_for(RISE);
    cluster.token_bytes.clear();
    let before = cluster.answered;
    let load = cluster.count_for(seconds * SECOND);
    let requests = cluster.answered - before;
    // Those of the last moment are still under way.
    let open = cluster.asked - cluster.answered;
    assert!(open <= u64::from(nodes), "{open} requests are not answered");
    cluster.token_bytes.sort_unstable();
    let token_bytes_p99 = cluster.token_bytes[(cluster.token_bytes.len() - 1) * 99 / 100];
    Row { nodes, seconds, rest, load, requests, token_bytes_p99 }
}

impl Cluster {
    fn new(nodes: u16) -> Self {
        let address = |at: u16| format!("10.0.{}.{}:8080", at / 256, at % 256);
        let address = |at| Address::parse(&address(at), None).expect("it has a host and a port");
        let addresses: Vec<Address> = (0..nodes).map(address).collect();
        let view = View::bootstrap(&addresses, FACTOR).expect("the nodes are enough for the factor");
        let clock = Clock::new(0, 0);
        let mut queue = Queue::default();
        let mut dice = Dice::new(u64::from(nodes));
        let mut stations = Vec::new();
        for (at, address) in addresses.iter().enumerate() {
            let node = Node::new(Config::new(address.clone(), view.clone(), dice.any()), clock.read(0));
            // They do not beat all at once.
            let start = dice.below(SECOND / 10);
            queue.push(start, Happening::Wake { at, generation: 0 });
            stations.push(Station { node, wakes_at: Some(start), generation: 0, context: Context::default() });
        }
        Self {
            stations,
            index: addresses.iter().enumerate().map(|(at, address)| (address.node_id(), at)).collect(),
            clock,
            queue,
            dice,
            now: 0,
            effects: Effects::new(),
            traffic: Traffic::default(),
            asked: 0,
            answered: 0,
            token_bytes: Vec::new(),
        }
    }

    fn begin_load(&mut self) {
        for at in 0..self.stations.len() {
            self.queue.push(self.now + self.dice.below(PAUSE), Happening::Ask { at });
        }
    }

    fn count_for(&mut self, length: u64) -> Traffic {
        self.traffic = Traffic::default();
        self.run_for(length);
        self.traffic
    }

    fn run_for(&mut self, length: u64) {
        let end = self.now + length;
        while let Some((time, happening)) = self.queue.pop_until(end) {
            self.now = time;
            match happening {
                Happening::Deliver { to, bytes } => {
                    let envelope = codec::decode(&bytes).expect("what a node has encoded can be decoded");
                    self.step(to, Input::Message(Box::new(envelope)));
                }
                Happening::Wake { at, generation } if self.stations[at].generation == generation => {
                    self.stations[at].wakes_at = None;
                    self.step(at, Input::Tick);
                }
                // The node has since wished for an earlier time.
                Happening::Wake { .. } => {}
                Happening::Ask { at } => self.ask(at),
            }
        }
        self.now = end;
    }

    /// Asks for a random key: a read tries the reader first, as in the server.
    fn ask(&mut self, at: usize) {
        self.queue.push(self.now + PAUSE, Happening::Ask { at });
        self.asked += 1;
        let key = Bytes::from(format!("key-{:012}", self.dice.below(KEYS)));
        let station = &self.stations[at];
        let context = station.context.clone();
        let action = if self.dice.chance(500) {
            if let Some(hit) = station.node.reader().get(&key, key_hash(&key), &context) {
                self.hear(at, hit.context);
                return;
            }
            Action::Get { key }
        } else {
            Action::Put { key, value: Value::json(vec![b'1'; VALUE_BYTES]) }
        };
        let deadline = Duration::from_secs(3);
        let request = Request { action, context, wait: None, concern: None, deadline, mark: None, named: None };
        self.step(at, Input::Request { id: RequestId(self.asked), request });
    }

    fn step(&mut self, at: usize, input: Input) {
        let mut effects = std::mem::take(&mut self.effects);
        self.stations[at].node.step(self.clock.read(self.now), input, &mut effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Send { to, envelope } => self.send(to, &envelope),
                Effect::Reply { reply, .. } => self.hear_reply(at, *reply),
                Effect::Event(_) | Effect::Reach(_) | Effect::Discard(_) => {}
                Effect::Stop => panic!("a node stops, and no address was started twice"),
            }
        }
        self.effects = effects;
        self.schedule(at);
    }

    fn send(&mut self, to: NodeId, envelope: &Envelope) {
        let bytes = codec::encode(envelope);
        self.traffic.messages += 1;
        self.traffic.bytes += bytes.len() as u64;
        self.queue.push(self.now + LATENCY, Happening::Deliver { to: self.index[&to], bytes });
    }

    fn hear_reply(&mut self, at: usize, reply: Reply) {
        match reply.outcome {
            Outcome::Found(_) | Outcome::Absent | Outcome::Written { .. } => self.hear(at, reply.context),
            other @ (Outcome::Deleted { .. }
            | Outcome::Counted(_)
            | Outcome::Refused(_)
            | Outcome::Changed(_)
            | Outcome::Stable
            | Outcome::Unstable(_)) => {
                panic!("a request in a healthy cluster comes to this: {other:?}")
            }
        }
    }

    fn hear(&mut self, at: usize, context: Context) {
        self.answered += 1;
        let station = &mut self.stations[at];
        self.token_bytes.push(token::encode(&context, station.node.cluster()).len());
        station.context = context;
    }

    fn schedule(&mut self, at: usize) {
        let station = &mut self.stations[at];
        let Some(deadline) = station.node.next_deadline() else { return };
        let time = self.clock.time_of(deadline).max(self.now);
        if station.wakes_at.is_none_or(|wakes_at| time < wakes_at) {
            station.generation += 1;
            station.wakes_at = Some(time);
            self.queue.push(time, Happening::Wake { at, generation: station.generation });
        }
    }
}
