//! What is to be sent: one bounded queue per node. Whatever does not fit, or has no link to go by, is dropped: the
//! protocol repeats what matters.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use precede_core::causality::context::Context;
use precede_core::id::NodeId;
use precede_core::limits::{MEMBERS_MAX, NAME_WIRE_BYTES_MAX};
use precede_core::placement::view::ViewRecord;
use precede_core::wire::message::{Envelope, Message};
use precede_core::wire::request::{Action, Outcome};
use tokio::sync::Notify;

/// Bytes that may wait for one node.
const QUEUE_BYTES_MAX: usize = 64 << 20;
/// Bytes that may wait for the first link to a node.
const FIRST_BYTES_MAX: usize = 1 << 20;
/// What a message weighs at least.
const MESSAGE_BYTES: usize = 256;

/// The outboxes of all nodes known.
#[derive(Default)]
pub(crate) struct Outboxes {
    boxes: RwLock<HashMap<NodeId, Arc<Outbox>>>,
}

/// The outbox for one node.
pub(crate) struct Outbox {
    /// Which.
    pub(crate) node: NodeId,
    /// Whether this node wants to speak to it: its link is kept for ever.
    wanted: AtomicBool,
    /// Messages dropped since the start.
    pub(crate) dropped: AtomicU64,
    queue: Mutex<Queue>,
    ready: Notify,
}

#[derive(Default)]
struct Queue {
    linked: bool,
    /// Whether there was a link before: what comes between two links is dropped, what comes before the first waits for it. A
    /// node that has just made its link to this one may be owed an answer before there is one back.
    was_linked: bool,
    envelopes: VecDeque<(usize, Box<Envelope>)>,
    bytes: usize,
}

impl Outboxes {
    /// Puts a message into the outbox of its receiver, if there is one and it has room. Never waits.
    pub(crate) fn send(&self, to: NodeId, envelope: Box<Envelope>) {
        if let Some(outbox) = self.boxes.read().get(&to) {
            outbox.push(envelope);
        }
    }

    /// Makes an outbox for a node, unless it has one or there are too many.
    pub(crate) fn open(&self, node: NodeId, wanted: bool) -> Option<Arc<Outbox>> {
        let mut boxes = self.boxes.write();
        if let Some(outbox) = boxes.get(&node) {
            outbox.wanted.fetch_or(wanted, Ordering::Relaxed);
            return None;
        }
        if !wanted && boxes.len() >= 2 * MEMBERS_MAX {
            return None;
        }
        let outbox = Arc::new(Outbox {
            node,
            wanted: AtomicBool::new(wanted),
            dropped: AtomicU64::new(0),
            queue: Mutex::default(),
            ready: Notify::new(),
        });
        boxes.insert(node, Arc::clone(&outbox));
        Some(outbox)
    }

    /// From now on only these nodes are wanted. Links to others stay as long as they last.
    pub(crate) fn keep_only(&self, wanted: &HashSet<NodeId>) {
        for (node, outbox) in self.boxes.read().iter() {
            outbox.wanted.store(wanted.contains(node), Ordering::Relaxed);
        }
    }

    /// Messages dropped for all nodes that there is an outbox for.
    pub(crate) fn dropped(&self) -> u64 {
        self.boxes.read().values().map(|outbox| outbox.dropped.load(Ordering::Relaxed)).sum()
    }

    /// Forgets the outbox of a node that is not wanted and has gone.
    pub(crate) fn close(&self, node: NodeId) {
        self.boxes.write().remove(&node);
    }
}

impl Outbox {
    /// Whether its link is kept for ever.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    fn push(&self, envelope: Box<Envelope>) {
        let weight = weight(&envelope.body);
        let mut queue = self.queue.lock();
        let room = match (queue.linked, queue.was_linked) {
            (true, _) => QUEUE_BYTES_MAX,
            (false, false) => FIRST_BYTES_MAX,
            (false, true) => 0,
        };
        if queue.bytes + weight > room {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        queue.bytes += weight;
        queue.envelopes.push_back((weight, envelope));
        drop(queue);
        self.ready.notify_one();
    }

    /// A link is there, or lost: what waited for a former one is dropped.
    pub(crate) fn set_linked(&self, linked: bool) {
        let mut queue = self.queue.lock();
        let was_linked = queue.was_linked;
        if was_linked {
            *queue = Queue::default();
        }
        (queue.linked, queue.was_linked) = (linked, was_linked || linked);
        drop(queue);
        self.ready.notify_one();
    }

    /// Waits for messages and takes them out, oldest first, about `bytes_max` bytes at once.
    pub(crate) async fn take(&self, bytes_max: usize) -> Vec<Envelope> {
        loop {
            let taken = self.take_some(bytes_max);
            if !taken.is_empty() {
                return taken;
            }
            self.ready.notified().await;
        }
    }

    fn take_some(&self, bytes_max: usize) -> Vec<Envelope> {
        let mut queue = self.queue.lock();
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while bytes < bytes_max
            && let Some((weight, envelope)) = queue.envelopes.pop_front()
        {
            bytes += weight;
            taken.push(*envelope);
        }
        queue.bytes -= bytes;
        taken
    }
}

/// About how many bytes a message holds on to.
fn weight(message: &Message) -> usize {
    let context = |context: &Context| 64 * context.entries.len();
    let content = match message {
        Message::Frame(frame) => {
            let write = frame.writes.iter().map(|write| {
                128 + write.key.len()
                    + write.value.as_ref().map_or(0, |value| value.bytes.len())
                    + context(&write.dependencies)
            });
            write.sum()
        }
        Message::SyncChunk(chunk) => {
            let entry = chunk.entries.iter().map(|entry| {
                let dependencies = entry.payload.as_ref().and_then(|payload| payload.dependencies.as_ref());
                128 + entry.entry.content_bytes() + dependencies.map_or(0, context)
            });
            entry.sum::<usize>() + NAME_WIRE_BYTES_MAX * chunk.names.len()
        }
        Message::Forward(forward) => {
            let action = match &forward.request.action {
                Action::Put { key, value } => key.len() + value.bytes.len(),
                Action::Get { key } | Action::Delete { key } => key.len(),
                Action::Count { .. } | Action::ChangeView(_) | Action::Barrier => 0,
            };
            action + context(&forward.request.context)
        }
        Message::ForwardReply { reply, .. } => {
            let value = if let Outcome::Found(value) = &reply.outcome { value.bytes.len() } else { 0 };
            value + context(&reply.context)
        }
        Message::Swim(packet) => packet.len(),
        Message::Ack(ack) => 8 * ack.beyond.len(),
        Message::Status(status) => 64 * (status.applied.len() + status.seen.len() + status.lives.len()),
        Message::Gossip { covered, .. } => 16 * covered.len(),
        Message::SyncPull(pull) => 64 * pull.have.len(),
        Message::Views(news) => {
            let view = |view: &ViewRecord| 64 * (view.lives.len() + view.shards.len() + view.settled.len());
            view(&news.current) + news.former.iter().map(view).sum::<usize>()
        }
        Message::Prepared(answer) => 24 * (answer.former.len() + answer.settled.len()),
        Message::Fetch { key, .. } => key.len() + 16,
        Message::Fetched(answer) => {
            answer.entry.as_ref().map_or(0, |entry| entry.entry.content_bytes()) + 64 * answer.vector.len()
        }
        Message::Confirm { entries, .. } => 64 * entries.len(),
        Message::Confirmed { .. } => 0,
        Message::ViewAsk | Message::Prepare(_) | Message::Release { .. } => 0,
        Message::Hello { .. } | Message::Welcome { .. } | Message::Superseded { .. } => 0,
    };
    MESSAGE_BYTES + content
}
