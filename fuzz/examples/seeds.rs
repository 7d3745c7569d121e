//! Writes the seeds that nobody can write by hand, as the code now encodes them: one message of each kind that three nodes
//! send one another over a short life, tokens, and a node's certificates. To be run in `fuzz/` when an encoding has changed:
//! `cargo run --example seeds`.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use precede::fuzzing;
use precede_core::causality::context::Context;
use precede_core::causality::hlc::Timestamp;
use precede_core::causality::token;
use precede_core::causality::version_vector::VersionVector;
use precede_core::config::Config;
use precede_core::effect::{Effect, Effects};
use precede_core::id::RequestId;
use precede_core::id::{Address, NodeId, Origin, ViewId};
use precede_core::input::Input;
use precede_core::node::Node;
use precede_core::placement::view::View;
use precede_core::table::value::Value;
use precede_core::time::{Instant, Now, WallTime};
use precede_core::wire::codec;
use precede_core::wire::mark::{Mark, Trace};
use precede_core::wire::message::{Envelope, Message};
use precede_core::wire::named::Named;
use precede_core::wire::request::{Action, Outcome, Request, ViewChange, WriteConcern};
use precede_fuzz::{files, sealed};

/// Three nodes, two of which share a shard, and what they have sent.
struct Trio {
    view: View,
    nodes: Vec<Node>,
    now_ms: u64,
    asked: u64,
    queue: VecDeque<(NodeId, Envelope)>,
    sent: BTreeMap<String, Bytes>,
    status_of: BTreeMap<NodeId, Envelope>,
    /// The context of the last answer.
    context: Context,
}

impl Trio {
    fn new() -> Self {
        let addresses: Vec<_> =
            (1..=5).map(|at| Address::parse(&format!("n{at}:80"), None).expect("it is an address")).collect();
        let view = View::bootstrap(&addresses, 2).expect("five make two shards");
        let (queue, sent, status_of, context) = Default::default();
        let mut trio = Self { view, nodes: Vec::new(), now_ms: 0, asked: 0, queue, sent, status_of, context };
        trio.nodes = addresses.iter().map(|address| trio.start(address.clone())).collect();
        trio
    }

    fn start(&self, address: Address) -> Node {
        Node::new(Config::new(address, self.view.clone(), self.now_ms), self.now())
    }

    fn now(&self) -> Now {
        Now { monotonic: Instant(self.now_ms * 1000), wall: WallTime(1_700_000_000_000 + self.now_ms) }
    }

    fn step(&mut self, at: usize, input: Input) {
        let mut effects = Effects::new();
        let now = self.now();
        self.nodes[at].step(now, input, &mut effects);
        for effect in effects {
            if let Effect::Send { to, envelope } = effect {
                self.sent.entry(kind(&envelope.body)).or_insert_with(|| codec::encode(&envelope));
                if matches!(envelope.body, Message::Status(_)) {
                    self.status_of.insert(envelope.from, (*envelope).clone());
                }
                self.queue.push_back((to, *envelope));
            } else if let Effect::Reply { reply, .. } = effect {
                self.context = reply.context;
            }
        }
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms / 5 {
            self.now_ms += 5;
            for at in 0..self.nodes.len() {
                self.step(at, Input::Tick);
            }
            while !self.queue.is_empty() {
                self.deliver_one();
            }
        }
    }

    /// Delivers the next message, or lets a little time pass where there is none.
    fn deliver_one(&mut self) {
        let Some((to, envelope)) = self.queue.pop_front() else { return self.run(5) };
        if let Some(at) = self.nodes.iter().position(|node| node.id() == to) {
            self.step(at, Input::Message(Box::new(envelope)));
        }
    }

    fn ask(&mut self, at: usize, action: Action) {
        self.submit(at, action);
        self.run(200);
    }

    fn submit(&mut self, at: usize, action: Action) {
        self.submit_after(at, action, context(2));
    }

    fn submit_after(&mut self, at: usize, action: Action, context: Context) {
        self.asked += 1;
        let request = Request {
            action,
            context,
            wait: Some(Duration::from_millis(50)),
            concern: Some(WriteConcern::Majority),
            deadline: Duration::from_secs(1),
            mark: self.asked.is_multiple_of(2).then(|| Box::new(mark())),
            named: None,
        };
        // Writes that are asked of the first node have a name.
        let named = Named::of(&request.action, b"name").filter(|_| at == 0).map(Box::new);
        let request = Request { named, ..request };
        self.step(at, Input::Request { id: RequestId(self.asked), request });
    }
}

/// What a client calls its request, in a trace of its own.
fn mark() -> Mark {
    let trace = Trace { id: [7; 16], span: [9; 8], flags: Trace::SAMPLED, state: "a=b".to_owned() };
    Mark { request_id: "r-1".to_owned(), trace: Some(trace) }
}

/// Tells messages apart that ought to have a seed each.
fn kind(message: &Message) -> String {
    match message {
        Message::Frame(frame) => {
            let is_named = frame.writes.iter().any(|write| write.named.is_some());
            format!("frame-{}{}", frame.writes.len().min(2), if is_named { "-named" } else { "" })
        }
        Message::Ack(ack) => format!("ack-{}", ack.gap),
        Message::SyncChunk(chunk) => {
            let named = if chunk.names.is_empty() { "" } else { "-named" };
            format!("sync-chunk-{}{named}", chunk.entries.len().min(2))
        }
        Message::Forward(forward) => match forward.request.action {
            Action::Get { .. } => "forward-get".to_owned(),
            Action::Put { .. } => "forward-put".to_owned(),
            Action::Delete { .. } => "forward-delete".to_owned(),
            Action::Count { .. } => "forward-count".to_owned(),
            Action::ChangeView(_) => "forward-change".to_owned(),
            Action::Barrier => "forward-barrier".to_owned(),
        },
        Message::ForwardReply { reply, .. } => match &reply.outcome {
            Outcome::Found(_) => "reply-found".to_owned(),
            Outcome::Absent => "reply-absent".to_owned(),
            Outcome::Written { .. } => "reply-written".to_owned(),
            Outcome::Deleted { .. } => "reply-deleted".to_owned(),
            Outcome::Counted(_) => "reply-counted".to_owned(),
            Outcome::Changed(_) => "reply-changed".to_owned(),
            Outcome::Stable => "reply-stable".to_owned(),
            Outcome::Unstable(_) => "reply-unstable".to_owned(),
            Outcome::Refused(_) => "reply-refused".to_owned(),
        },
        Message::Hello { .. } => "hello".to_owned(),
        Message::Welcome { .. } => "welcome".to_owned(),
        Message::Status(status) => format!("status-{}", status.closed.len()),
        Message::Gossip { .. } => "gossip".to_owned(),
        Message::SyncPull(_) => "sync-pull".to_owned(),
        Message::Swim(_) => "swim".to_owned(),
        Message::Superseded { .. } => "superseded".to_owned(),
        Message::ViewAsk => "view-ask".to_owned(),
        Message::Views(_) => "views".to_owned(),
        Message::Prepare(_) => "prepare".to_owned(),
        Message::Prepared(_) => "prepared".to_owned(),
        Message::Release { .. } => "release".to_owned(),
        Message::Fetch { .. } => "fetch".to_owned(),
        Message::Confirm { .. } => "confirm".to_owned(),
        Message::Confirmed { .. } => "confirmed".to_owned(),
        Message::Fetched(answer) => format!("fetched-{}", answer.entry.is_some()),
    }
}

fn context(entries: u64) -> Context {
    let view = ViewId { epoch: 0, activation: Timestamp::ZERO, coordinator: NodeId(9) };
    let start = Timestamp(1_700_000_000_000 << 16);
    let entry = |node| (Origin { view, node: NodeId(node), start }, Timestamp(start.0 + node));
    Context { view: Some(view), stable: start, entries: (0..entries).map(entry).collect::<VersionVector>() }
}

fn messages() -> BTreeMap<String, Bytes> {
    let mut trio = Trio::new();
    trio.run(500);
    let keys: Vec<_> = (0..4).map(|n| Bytes::from(format!("key{n}"))).collect();
    for key in &keys {
        trio.ask(0, Action::Put { key: key.clone(), value: Value::json("1") });
        let text = Value { content_type: Some("text/plain".to_owned()), bytes: Bytes::from_static(b"\xff") };
        trio.ask(2, Action::Put { key: key.clone(), value: text });
        trio.ask(1, Action::Get { key: key.clone() });
    }
    for shard in trio.view.clone().shards() {
        trio.ask(0, Action::Count { shard: shard.id });
    }
    let address = trio.view.shards()[0].replicas[1].clone();
    let at = trio.nodes.iter().position(|node| node.id() == address.node_id()).expect("it is one of them");
    let late = trio.status_of.get(&address.node_id()).expect("it has spoken").clone();
    trio.nodes[at] = trio.start(address);
    for key in &keys {
        trio.ask(2, Action::Delete { key: key.clone() });
        trio.ask(1, Action::Get { key: key.clone() });
    }
    trio.run(1000);
    // What a life that is over has sent comes late.
    for other in (0..trio.nodes.len()).filter(|other| *other != at) {
        trio.step(other, Input::Message(Box::new(late.clone())));
    }
    trio.run(50);
    // Whether all have a write, which may well be none of theirs.
    let view = trio.view.id;
    let origin = |(node, _, _): (NodeId, &Address, _)| (Origin { view, node, start: Timestamp(1) }, Timestamp(2));
    let entries = trio.view.members().map(origin).collect();
    let unknown = Context { view: Some(view), stable: Timestamp::ZERO, entries };
    trio.submit_after(0, Action::Barrier, unknown);
    trio.run(200);
    // And of a node outside the view, which passes the question on.
    trio.submit_after(0, Action::Put { key: keys[0].clone(), value: Value::json("2") }, Context::default());
    trio.run(200);
    let spare = trio.nodes.len();
    trio.nodes.push(trio.start(Address::parse("n6:80", None).expect("it is an address")));
    trio.submit_after(spare, Action::Barrier, trio.context.clone());
    trio.run(1000);
    trio.nodes.truncate(spare);
    // The shards grow into each other: everybody hands something over. Keys are asked for before all is here.
    let members = trio.view.members().map(|(_, address, _)| address.clone()).collect();
    let change = ViewChange { members, repl_factor: 5, dry_run: true, force: false, expected_epoch: None };
    trio.ask(0, Action::ChangeView(change.clone()));
    trio.submit(0, Action::ChangeView(ViewChange { dry_run: false, ..change }));
    while trio.nodes.iter().any(|node| node.view().id.epoch == 0) {
        trio.deliver_one();
    }
    for key in &keys {
        for at in 0..trio.nodes.len() {
            trio.submit(at, Action::Get { key: key.clone() });
        }
    }
    trio.run(1000);
    trio.sent
}

fn main() -> std::io::Result<()> {
    for (kind, bytes) in messages() {
        let length = u16::try_from(bytes.len()).expect("they are short").to_le_bytes();
        // Half a heartbeat passes after it.
        fs::write(format!("seeds/peer_step/{kind}"), [&length[..], &[25], &bytes[..]].concat())?;
        fs::write(format!("seeds/peer_frame/{kind}"), bytes)?;
    }
    for entries in [0, 1, 3] {
        let token = token::encode(&context(entries), sealed::CLUSTER);
        let content = sealed::content(&token).expect("it is a token");
        fs::write(format!("seeds/context_token/raw-{entries}"), [b"\x00", token.as_bytes()].concat())?;
        fs::write(format!("seeds/context_token/sealed-{entries}"), [b"\x01", &content[..]].concat())?;
        fs::write(format!("seeds/context_json/one-{entries}"), [b"{\"token\":\"@\"}\n", &content[..]].concat())?;
        let list = b"[{\"token\":\"@\"}, null, {\"more\":1, \"token\":\"@\"}]\n";
        fs::write(format!("seeds/context_json/list-{entries}"), [list, &content[..]].concat())?;
    }
    // They are others each time: those that are there are kept.
    let path = Path::new("seeds/certificates/sealed");
    if !path.exists() {
        let made = fuzzing::made("n1").expect("there are random numbers");
        fs::write(path, files::sealed(&made).expect("it is PEM"))?;
    }
    Ok(())
}
