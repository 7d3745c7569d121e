//! The replicas of one shard, and what is under way between them.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use precede_core::causality::context::Context;
use precede_core::config::Config;
use precede_core::effect::{Effect, Effects};
use precede_core::id::{Address, NodeId, RequestId};
use precede_core::input::Input;
use precede_core::node::Node;
use precede_core::placement::view::View;
use precede_core::reader::Reader;
use precede_core::time::{Instant, Now, WallTime};
use precede_core::wire::message::Envelope;
use precede_core::wire::request::{Outcome, Request};

use crate::operations::put;

/// Time that passes with each write.
const STEP_MICROS: u64 = 20;

pub(crate) struct Shard {
    nodes: Vec<(NodeId, Node, Reader)>,
    queue: VecDeque<(NodeId, Box<Envelope>)>,
    /// The context of the one client, who writes at the first node.
    pub(crate) context: Context,
    micros: u64,
    requests: u64,
}

impl Shard {
    /// Nodes that know each other and hold nothing.
    pub(crate) fn new(nodes: usize) -> Self {
        let address = |at| Address::parse(&format!("10.0.0.{at}:80"), None).expect("it is one");
        let addresses: Vec<_> = (1..=nodes).map(address).collect();
        let view = View::bootstrap(&addresses, nodes).expect("it is one");
        let mut shard =
            Self { nodes: Vec::new(), queue: VecDeque::new(), context: Context::default(), micros: 0, requests: 0 };
        for address in addresses {
            let node = Node::new(Config::new(address.clone(), view.clone(), 1), now(0));
            let reader = node.reader();
            shard.nodes.push((address.node_id(), node, reader));
        }
        for _ in 0..100 {
            shard.micros += 10_000;
            shard.tick();
            shard.deliver();
        }
        let now = now(shard.micros);
        assert!(shard.nodes.iter().all(|(_, node, _)| node.report(now).recovered), "a fresh cluster recovers");
        shard
    }

    /// What reads at the first node.
    pub(crate) fn reader(&self) -> &Reader {
        &self.nodes[0].2
    }

    /// Writes a key at the first node, as a client that carries its context.
    pub(crate) fn put(&mut self, key: Bytes) {
        self.put_at_once(std::iter::once(key));
    }

    /// Writes keys at the same moment.
    pub(crate) fn put_at_once(&mut self, keys: impl Iterator<Item = Bytes>) {
        self.micros += STEP_MICROS;
        for key in keys {
            self.requests += 1;
            let request = Request {
                action: put(key),
                context: std::mem::take(&mut self.context),
                wait: None,
                concern: None,
                deadline: Duration::from_secs(3),
                mark: None,
                named: None,
            };
            self.step(0, Input::Request { id: RequestId(self.requests), request });
        }
        self.tick();
    }

    /// Delivers what is under way, and what is sent thereupon.
    pub(crate) fn deliver(&mut self) {
        while let Some((to, envelope)) = self.queue.pop_front() {
            if let Some(at) = self.nodes.iter().position(|(id, ..)| *id == to) {
                self.step(at, Input::Message(envelope));
            }
        }
    }

    /// What is under way.
    pub(crate) fn sent(&self) -> impl Iterator<Item = &(NodeId, Box<Envelope>)> {
        self.queue.iter()
    }

    fn tick(&mut self) {
        let now = now(self.micros).monotonic;
        for at in 0..self.nodes.len() {
            if self.nodes[at].1.next_deadline().is_some_and(|deadline| deadline <= now) {
                self.step(at, Input::Tick);
            }
        }
    }

    fn step(&mut self, at: usize, input: Input) {
        let mut effects = Effects::new();
        self.nodes[at].1.step(now(self.micros), input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Send { to, envelope } => self.queue.push_back((to, envelope)),
                Effect::Reply { reply, .. } => {
                    assert!(matches!(reply.outcome, Outcome::Written { .. }), "{:?}", reply.outcome);
                    self.context = reply.context;
                }
                Effect::Event(_) | Effect::Reach(_) | Effect::Discard(_) => {}
                Effect::Stop => panic!("no node has a later life"),
            }
        }
    }
}

fn now(micros: u64) -> Now {
    Now { monotonic: Instant(1_000_000 + micros), wall: WallTime(1_700_000_000_000 + micros / 1000) }
}
