//! The driver: gives the core its time and its inputs, and executes its effects in order.
//!
//! One short lock around the node; it is never held across an await. A request whose answer is among the effects of its
//! own step is answered on the thread that asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use precede_core::config::{ClusterConfig, Config};
use precede_core::effect::{Effect, Effects};
use precede_core::id::RequestId;
use precede_core::id::{Address, NodeId, ShardId, ViewId};
use precede_core::input::Input;
use precede_core::node::{ChangeReport, MemberReport, Node, NodeReport};
use precede_core::placement::view::View;
use precede_core::reader::Reader;
use precede_core::time::{Instant, WallTime};
use precede_core::wire::message::Envelope;
use precede_core::wire::request::{Reply, Request};
use tokio::sync::{Notify, oneshot, watch};

use crate::clock::Clock;
use crate::events::{self, EventCounts};
use crate::peer::outbox::Outboxes;
use crate::trace::Traces;
use crate::trace::serving::Serving;

/// A deadline that has passed already is looked at again after this, so that no mistake can make the timer spin.
const TICK_MIN: Duration = Duration::from_millis(1);
/// Without a deadline the timer looks again after this.
const TICK_MAX: Duration = Duration::from_secs(1);

/// How often the lock is tried before a thread gives up its processor.
const SPINS: u32 = 200;

/// One node, running.
pub(crate) struct Driver {
    state: Mutex<State>,
    clock: Clock,
    reader: Reader,
    timer: Notify,
    /// Messages on their way out.
    pub(crate) outboxes: Outboxes,
    /// Fires when the core wants the process to end.
    pub(crate) stop: Notify,
    /// This node's address.
    pub(crate) address: Address,
    /// This node's short name.
    pub(crate) me: NodeId,
    fingerprint: AtomicU64,
    window_bytes_max: usize,
    events: EventCounts,
    /// Whom the node wants to speak to.
    reach: watch::Sender<Vec<Address>>,
    /// The cluster's settings.
    pub(crate) cluster: ClusterConfig,
    /// Which requests are followed.
    pub(crate) traces: Traces,
}

/// It has cache lines of its own: what lies beside it is read by all threads.
#[repr(align(128))]
struct State {
    node: Node,
    effects: Effects,
    asked: HashMap<RequestId, oneshot::Sender<Box<Reply>>>,
    last_id: u64,
    /// Requests of other nodes that are followed.
    serving: Serving,
    /// What the timer sleeps until.
    armed: Instant,
}

/// What there is to know of a node at one moment.
pub(crate) struct Snapshot {
    /// Its view.
    pub(crate) view: View,
    /// Its shard; none for a spare.
    pub(crate) shard: Option<ShardId>,
    /// Its state.
    pub(crate) report: NodeReport,
    /// How far the last view change is.
    pub(crate) change: ChangeReport,
    /// What it knows of the members.
    pub(crate) members: Vec<MemberReport>,
    /// How long ago its clock was where the stable timestamp is; none at spares.
    pub(crate) stable_age: Option<Duration>,
    /// Its wall clock.
    pub(crate) wall: WallTime,
}

/// The answer to a request: here already, or to come.
pub(crate) enum Answer {
    /// It is here.
    Now(Box<Reply>),
    /// It comes, no later than the request's deadline.
    Later(oneshot::Receiver<Box<Reply>>),
}

impl Driver {
    /// A node that has just started.
    pub(crate) fn new(config: Config, traces: Traces) -> Self {
        let clock = Clock::start();
        let (address, cluster) = (config.address.clone(), config.cluster.clone());
        let members = config.bootstrap.members().map(|(_, address, _)| address.clone()).collect();
        let window_bytes_max = config.window_bytes_max;
        let node = Node::new(config, clock.now());
        let reader = node.reader();
        Self {
            clock,
            reader,
            timer: Notify::new(),
            outboxes: Outboxes::default(),
            stop: Notify::new(),
            me: address.node_id(),
            address,
            window_bytes_max,
            events: EventCounts::default(),
            fingerprint: AtomicU64::new(cluster.fingerprint()),
            reach: watch::channel(members).0,
            cluster,
            traces,
            state: Mutex::new(State {
                node,
                effects: Effects::new(),
                asked: HashMap::new(),
                last_id: 0,
                serving: Serving::default(),
                armed: Instant(u64::MAX),
            }),
        }
    }

    /// Asks the node.
    pub(crate) fn ask(&self, request: Request) -> Answer {
        let mut state = self.lock();
        state.last_id += 1;
        let id = RequestId(state.last_id);
        match self.step(&mut state, Input::Request { id, request }, Some(id)) {
            Some(reply) => Answer::Now(reply),
            None => {
                let (sender, receiver) = oneshot::channel();
                state.asked.insert(id, sender);
                Answer::Later(receiver)
            }
        }
    }

    /// The lock is held for a microsecond or two: that is waited for on the processor, because to give it up costs more.
    fn lock(&self) -> MutexGuard<'_, State> {
        for _ in 0..SPINS {
            if let Some(state) = self.state.try_lock() {
                return state;
            }
            std::hint::spin_loop();
        }
        self.state.lock()
    }

    /// Messages have arrived.
    pub(crate) fn receive(&self, envelopes: impl Iterator<Item = Envelope>) {
        let mut state = self.state.lock();
        for mut envelope in envelopes {
            let State { node, serving, .. } = &mut *state;
            serving.on_message(&mut envelope, node.view());
            self.step(&mut state, Input::Message(Box::new(envelope)), None);
        }
    }

    /// A link to a node is there.
    pub(crate) fn connected(&self, node: NodeId) {
        self.step(&mut self.state.lock(), Input::Connected(node), None);
    }

    /// A link to a node is lost or cannot be made.
    pub(crate) fn disconnected(&self, node: NodeId) {
        self.step(&mut self.state.lock(), Input::Disconnected(node), None);
    }

    /// The concurrent read path.
    pub(crate) fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The fingerprint of the cluster that this node belongs to. It changes once at most, when a cluster of another name
    /// invites, or calls back, a node whose own is only derived.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint.load(Ordering::Relaxed)
    }

    /// Whom the node wants to speak to, from now on.
    pub(crate) fn reach(&self) -> watch::Receiver<Vec<Address>> {
        self.reach.subscribe()
    }

    /// Whether a link from this node may come in, which is in a view of this epoch.
    pub(crate) fn admits(&self, cluster: u64, epoch: u32, from: NodeId) -> bool {
        self.state.lock().node.admits(cluster, epoch, from)
    }

    /// Whether a context that is none of the cluster with the fingerprint `known` may be one of the cluster that this node is a member
    /// of: it has not heard of that yet, or heard of it since it was asked for its fingerprint.
    pub(crate) fn may_hear_of(&self, view: ViewId, known: u64) -> bool {
        let state = self.state.lock();
        let has_heard = state.node.cluster() != known;
        has_heard || (state.node.may_belong_elsewhere() && view != state.node.view().id)
    }

    /// The epoch of the current view.
    pub(crate) fn epoch(&self) -> u32 {
        self.state.lock().node.view().id.epoch
    }

    /// How far the last view change is.
    pub(crate) fn change_report(&self) -> ChangeReport {
        self.state.lock().node.change_report()
    }

    /// The current view. Cheap to clone.
    pub(crate) fn view(&self) -> View {
        self.state.lock().node.view().clone()
    }

    /// The shard that this node holds; none for a spare.
    pub(crate) fn shard(&self) -> Option<ShardId> {
        self.state.lock().node.shard()
    }

    /// The node's state, for probes.
    pub(crate) fn report(&self) -> NodeReport {
        self.state.lock().node.report(self.clock.now())
    }

    /// The node's state and what it knows of others, all of one moment.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.state.lock();
        let now = self.clock.now();
        let node = &state.node;
        Snapshot {
            view: node.view().clone(),
            shard: node.shard(),
            report: node.report(now),
            change: node.change_report(),
            members: node.members(now),
            stable_age: node.stable_age(now),
            wall: now.wall,
        }
    }

    /// How often each event has happened.
    pub(crate) fn events(&self) -> &EventCounts {
        &self.events
    }

    /// Since the start.
    pub(crate) fn uptime(&self) -> Duration {
        self.clock.uptime()
    }

    /// How many bytes the window may hold.
    pub(crate) fn window_bytes_max(&self) -> usize {
        self.window_bytes_max
    }

    /// Whether nothing is lost if this node ends now.
    pub(crate) fn is_drained(&self) -> bool {
        self.state.lock().node.drained(self.clock.now())
    }

    /// Whether this node has handed over what it held under former views.
    pub(crate) fn is_handed_over(&self) -> bool {
        self.state.lock().node.is_handed_over()
    }

    /// What it has not handed over: the epoch, and how many entries. Slow.
    pub(crate) fn not_handed_over(&self) -> Vec<(u32, u64)> {
        let entries = self.state.lock().node.not_handed_over();
        entries.into_iter().map(|(view, entries)| (view.epoch, entries)).collect()
    }

    /// Gives the node its ticks. Never ends.
    pub(crate) async fn run_timer(self: Arc<Self>) {
        loop {
            let sleep = self.tick();
            tokio::select! {
                () = tokio::time::sleep(sleep) => {}
                () = self.timer.notified() => {}
            }
        }
    }

    /// One tick; returns how long to sleep.
    fn tick(&self) -> Duration {
        let mut state = self.state.lock();
        let due = state.node.next_deadline().is_none_or(|deadline| deadline <= self.clock.monotonic());
        if due {
            self.step(&mut state, Input::Tick, None);
        }
        let now = self.clock.monotonic();
        let sleep = state.node.next_deadline().map_or(TICK_MAX, |at| at.since(now)).clamp(TICK_MIN, TICK_MAX);
        state.armed = now + sleep;
        sleep
    }

    /// Advances the node and executes the effects in order. Returns the answer to `mine` if it is among them.
    fn step(&self, state: &mut State, input: Input, mine: Option<RequestId>) -> Option<Box<Reply>> {
        let now = self.clock.now();
        let mut answer = None;
        let mut effects = std::mem::take(&mut state.effects);
        state.node.step(now, input, &mut effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Send { to, envelope } => {
                    if !state.serving.is_empty() {
                        state.serving.on_send(&self.traces, to, &envelope.body, state.node.view());
                    }
                    self.outboxes.send(to, envelope);
                }
                Effect::Reply { id, reply } if Some(id) == mine => answer = Some(reply),
                Effect::Reply { id, reply } => {
                    // Nobody listens any more if the client has gone.
                    let _ = state.asked.remove(&id).map(|sender| sender.send(reply));
                }
                Effect::Event(event) => {
                    self.events.note(&event);
                    events::log(&event, state.node.view());
                }
                Effect::Discard(replica) => {
                    // Where the system has no thread to give, it is freed here.
                    let _ = std::thread::Builder::new().name("discard".to_owned()).spawn(move || drop(replica));
                }
                Effect::Reach(addresses) => {
                    self.fingerprint.store(state.node.cluster(), Ordering::Relaxed);
                    self.reach.send_replace(addresses);
                }
                Effect::Stop => self.stop.notify_one(),
            }
        }
        state.effects = effects;
        if state.node.next_deadline().is_some_and(|deadline| deadline + TICK_MIN < state.armed) {
            state.armed = now.monotonic;
            self.timer.notify_one();
        }
        answer
    }
}
