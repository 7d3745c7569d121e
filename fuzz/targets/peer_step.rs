//! Messages of a peer that lost its mind, and clients between them: a node takes whatever decodes, and does not stop. It may
//! come to believe anything; what it says can still be heard.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use precede_core::causality::context::Context;
use precede_core::causality::hlc::Timestamp;
use precede_core::config::Config;
use precede_core::effect::{Effect, Effects};
use precede_core::id::RequestId;
use precede_core::id::{Address, Life, NodeId};
use precede_core::input::Input;
use precede_core::node::Node;
use precede_core::placement::view::View;
use precede_core::table::value::Value;
use precede_core::time::{Instant, Now, WallTime};
use precede_core::wire::codec;
use precede_core::wire::message::{Envelope, Message, Past, Status, SyncChunk, SyncPull};
use precede_core::wire::request::{Action, Request};

static VIEW: LazyLock<View> = LazyLock::new(|| {
    let address = |at| Address::parse(&format!("n{at}:80"), None).expect("it is an address");
    View::bootstrap(&[address(0), address(1), address(2)], 3).expect("three make a shard")
});

/// A recovered node, and the peer that all messages come from.
struct Pair {
    node: Node,
    cluster: u64,
    peer: Life,
    now_ms: u64,
    asked: u64,
    sent: Vec<(NodeId, Envelope)>,
}

impl Pair {
    fn new() -> Self {
        let replicas = &VIEW.shards()[0].replicas;
        let config = Config::new(replicas[0].clone(), VIEW.clone(), 1);
        let cluster = config.cluster.fingerprint();
        let peer = Life { node: replicas[1].node_id(), start: Timestamp(1_700_000_000_000 << 16) };
        let now = Now { monotonic: Instant(0), wall: WallTime(1_700_000_000_000) };
        let mut pair = Self { node: Node::new(config, now), cluster, peer, now_ms: 0, asked: 0, sent: Vec::new() };
        pair.tick(0);
        let hello = pair.sent.iter().find_map(|(_, envelope)| match envelope.body {
            Message::Hello { boot, .. } => Some(boot),
            _ => None,
        });
        let boot = hello.expect("a node that starts asks who is there");
        pair.hear(Message::Welcome { boot, recovered: true, known_life: None });
        pair.hear(Message::Status(Status { recovered: true, ..Status::default() }));
        pair.tick(50);
        let pull = pair.take_pull().expect("it recovers from the recovered peer");
        pair.hear(Message::SyncChunk(chunk(&pull)));
        pair.sent.clear();
        pair
    }

    fn take_pull(&mut self) -> Option<SyncPull> {
        std::mem::take(&mut self.sent).into_iter().rev().find_map(|(_, envelope)| match envelope.body {
            Message::SyncPull(pull) => Some(pull),
            _ => None,
        })
    }

    fn hear(&mut self, body: Message) {
        let (from, life) = (self.peer.node, Some(self.peer.start));
        // A sane clock: one in the last years of time is taken over like any other, and then no timestamp rises any more.
        let clock = Timestamp((1_700_000_000_000 + self.now_ms) << 16);
        let envelope = Envelope { cluster: self.cluster, view: VIEW.id, from, life, clock, body };
        self.step(Input::Message(Box::new(envelope)));
    }

    fn ask(&mut self, action: Action) {
        self.asked += 1;
        let deadline = Duration::from_millis(200);
        let context = Context::default();
        let request = Request { action, context, wait: None, concern: None, deadline, mark: None, named: None };
        self.step(Input::Request { id: RequestId(self.asked), request });
    }

    fn tick(&mut self, ms: u64) {
        self.now_ms += ms;
        self.step(Input::Tick);
    }

    fn step(&mut self, input: Input) {
        let now = Now { monotonic: Instant(self.now_ms * 1000), wall: WallTime(1_700_000_000_000 + self.now_ms) };
        let mut effects = Effects::new();
        self.node.step(now, input, &mut effects);
        for effect in effects {
            if let Effect::Send { to, envelope } = effect {
                // What a node says, others must be able to hear.
                assert_eq!(codec::decode(&codec::encode(&envelope)).as_ref(), Ok(&*envelope));
                self.sent.push((to, *envelope));
            }
        }
    }
}

/// A peer that has nothing.
fn chunk(pull: &SyncPull) -> SyncChunk {
    SyncChunk { recovered: true, past: Past::Settled, ..SyncChunk::nothing(pull) }
}

/// Puts the message where the node expects it: in the pass that runs, from the origin of the sender.
fn aimed(mut message: Message, pair: &mut Pair) -> Message {
    match &mut message {
        Message::Frame(frame) => {
            frame.origin.view = VIEW.id;
            frame.origin.node = pair.peer.node;
            frame.origin.start = pair.peer.start;
        }
        Message::SyncChunk(chunk) => {
            if let Some(pull) = pair.take_pull() {
                (chunk.pass, chunk.from) = (pull.pass, pull.from);
            }
        }
        _ => {}
    }
    message
}

fuzz_target!(|data: &[u8]| {
    let mut pair = Pair::new();
    let mut rest = data;
    while let Some((&[low, high, wait], after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes([low, high])).min(after.len());
        let (bytes, after) = after.split_at(length);
        rest = after;
        if let Ok(envelope) = codec::decode(bytes) {
            let body = aimed(envelope.body, &mut pair);
            pair.hear(body);
        }
        pair.tick(u64::from(wait));
        if wait % 4 == 0 {
            let key = Bytes::from_static(b"key0");
            pair.ask(Action::Put { key: key.clone(), value: Value::json("1") });
            pair.ask(Action::Get { key });
        }
    }
    let _ = pair.node.dump();
});
