//! The node: owns the parts and carries facts between them.
//!
//! [`Node::step`] is one exhaustive match over the inputs, followed by one pass over what may have become due.

mod answers;
mod barrier;
mod beat;
mod coordinate;
mod handoff;
mod lag;
mod memory;
mod messages;
mod names;
mod recover;
mod repeats;
mod report;
mod requests;
mod routing;
mod settle;
mod spread;
mod strangers;
mod writes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

pub use crate::node::lag::MemberReport;
pub use crate::node::report::{NodeReport, PeerReport, TableReport};
pub use crate::node::settle::ChangeReport;

use crate::causality::hlc::{Hlc, Timestamp};
use crate::config::Config;
use crate::effect::{Effect, Effects};
use crate::event::Event;
use crate::id::{Address, NodeId, ShardId, ViewId};
use crate::input::Input;
use crate::membership::{self, Membership};
use crate::node::lag::Lags;
use crate::node::strangers::Refused;
use crate::placement::view::View;
use crate::placement::views::Views;
use crate::reader::Reader;
use crate::recovery::Boot;
use crate::replication::replica::Replica;
use crate::replication::stability::Stability;
use crate::replication::stream::Outgoing;
use crate::replication::sync::Pass;
use crate::request::acks::Acks;
use crate::request::barriers::Barrier;
use crate::request::pending::PendingRequests;
use crate::request::write_ids::{SeenForwards, WriteIds};
use crate::table::Table;
use crate::table::origins::Origins;
use crate::time::{Instant, Now};
use crate::view_change::change::{Change, Lease};
use crate::wire::message::{Envelope, Message, Statement, Status};

/// What a replica knows of a shard peer.
#[derive(Debug, Default)]
struct Peer {
    heard_at: Option<Instant>,
    up: bool,
    out: Outgoing,
    status: Option<Status>,
    behind_since: Option<Instant>,
    gap_since: Option<Instant>,
    mismatches: u32,
}

/// One node of the cluster, as a deterministic state machine.
#[derive(Debug)]
pub struct Node {
    config: Config,
    cluster: u64,
    me: NodeId,
    views: Views,
    /// What this node held as a member of former views: frozen, the only thing that it hands over for them.
    legacies: BTreeMap<ViewId, Replica>,
    /// Short names of origins, for the tables of the replica and of the legacies: so they can share entries.
    origins: Arc<Origins>,
    /// This run's start; none before it has met its shard.
    life: Option<Timestamp>,
    /// The first life of this process: what is meant for an older one was sent to a process that is gone.
    first_life: Option<Timestamp>,
    /// The newest life heard of every node.
    lives: BTreeMap<NodeId, Timestamp>,
    /// Somebody knows of an earlier life of this address.
    has_lived: bool,
    /// Nodes known to have adopted the current view.
    adopted: BTreeSet<NodeId>,
    /// Per former view, who was heard under the current one to hold a recovered legacy of it.
    holders: BTreeMap<ViewId, BTreeSet<NodeId>>,
    /// Which shards of the current view have got everything of a former one.
    statements: BTreeMap<(ViewId, ShardId), Statement>,
    /// The last nodes that have left the view.
    departed: VecDeque<Address>,
    /// When a member was last heard in the current view.
    heard: BTreeMap<NodeId, Instant>,
    /// Views that contexts name and that are not known here: since when, and by this node's clock.
    unknown: BTreeMap<ViewId, (Instant, Timestamp)>,
    /// What a member's clock was when it last said which views it knows.
    told: BTreeMap<NodeId, Timestamp>,
    /// To whom views were offered since the last heartbeat, and whose were asked for.
    offered: BTreeSet<NodeId>,
    /// Of whom messages were refused lately.
    refused: BTreeMap<NodeId, Refused>,
    lease: Option<Lease>,
    change: Option<Change>,
    /// Questions to old owners that are not answered: the pending request.
    fetches: BTreeMap<u64, u64>,
    /// Keys, and bytes, that were handed over under the current view.
    received: (u64, u64),
    reader: Reader,
    clock: Hlc,
    rng: ChaCha8Rng,
    started: Instant,
    boot: Option<Boot>,
    replica: Option<Replica>,
    peers: BTreeMap<NodeId, Peer>,
    stability: Stability,
    lags: Lags,
    membership: Membership,
    disconnected: BTreeSet<NodeId>,
    /// Whom the transport was told to keep connections to.
    reached: BTreeSet<NodeId>,
    avoid: BTreeMap<NodeId, Instant>,
    /// Old members that have not handed over when they were asked, and until when they are left alone.
    unwilling: BTreeMap<NodeId, Instant>,
    /// Hand-offs that broke off, by former view and old member. A legacy does not change: they go on where they were.
    broken: BTreeMap<(ViewId, NodeId), Pass>,
    pass: Option<Pass>,
    pending: PendingRequests,
    forwards: BTreeMap<u64, u64>,
    next_forward: u64,
    acks: Acks,
    /// Barriers under way, by their pending request.
    barriers: BTreeMap<u64, Barrier>,
    write_ids: WriteIds,
    seen_forwards: SeenForwards,
    beat_at: Instant,
    beats: u64,
    ahead: BTreeSet<NodeId>,
    /// By how many milliseconds the wall clocks of others are ahead of this node's, when last heard.
    walls: BTreeMap<NodeId, i64>,
    progress: bool,
    /// PUTs were refused for want of memory, and little was free since.
    is_full: bool,
    stopped: bool,
}

impl Node {
    /// A node that has just started, with nothing in memory. The first [`Input::Tick`] is due at once.
    #[must_use]
    pub fn new(config: Config, now: Now) -> Self {
        let me = config.address.node_id();
        let view = config.bootstrap.clone();
        let views = Views::new(view.clone());
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed ^ me.0);
        let origins = Arc::<Origins>::default();
        let table = Table::new(random(&mut rng), Arc::clone(&origins));
        let replica = view.shard_of_member(me).map(|shard| Replica::new(&config, &views, shard, table));
        let reader = Reader::default();
        reader.follow(replica.as_ref().map(|replica| replica.shared.clone()));
        let peers = replica.iter().flat_map(|replica| &replica.members).filter(|node| **node != me);
        let peers: BTreeMap<_, _> = peers.map(|node| (*node, Peer::default())).collect();
        let members: Vec<NodeId> = view.members().map(|(node, _, _)| node).collect();
        let incarnation = Timestamp::from_wall(now.wall).0;
        let membership = Membership::new(me, incarnation, random(&mut rng), &members, now.monotonic);
        Self {
            cluster: config.cluster.fingerprint(),
            me,
            clock: Hlc::default(),
            started: now.monotonic,
            boot: Some(Boot::new(random(&mut rng), now.monotonic)),
            stability: Stability::new(&view),
            lags: Lags::new(now.monotonic),
            membership,
            replica,
            peers,
            disconnected: BTreeSet::new(),
            reached: members.iter().copied().collect(),
            avoid: BTreeMap::new(),
            unwilling: BTreeMap::new(),
            broken: BTreeMap::new(),
            pass: None,
            pending: PendingRequests::default(),
            forwards: BTreeMap::new(),
            next_forward: random(&mut rng) >> 1,
            acks: Acks::default(),
            barriers: BTreeMap::new(),
            write_ids: WriteIds::default(),
            seen_forwards: SeenForwards::default(),
            beat_at: now.monotonic,
            beats: 0,
            ahead: BTreeSet::new(),
            walls: BTreeMap::new(),
            progress: false,
            is_full: false,
            stopped: false,
            rng,
            views,
            legacies: BTreeMap::new(),
            origins,
            life: None,
            first_life: None,
            lives: BTreeMap::new(),
            has_lived: false,
            adopted: BTreeSet::from([me]),
            holders: BTreeMap::new(),
            statements: BTreeMap::new(),
            departed: VecDeque::new(),
            heard: BTreeMap::new(),
            unknown: BTreeMap::new(),
            told: BTreeMap::new(),
            offered: BTreeSet::new(),
            refused: BTreeMap::new(),
            lease: None,
            change: None,
            fetches: BTreeMap::new(),
            received: (0, 0),
            reader,
            config,
        }
    }

    /// Advances the node by one input. Deterministic: equal state, `now` and `input` give equal state and effects.
    /// EFFECTS ARE EXECUTED IN ORDER.
    pub fn step(&mut self, now: Now, input: Input, effects: &mut Effects) {
        if self.stopped {
            return;
        }
        match input {
            Input::Request { id, request } => self.on_request(now, id, request, effects),
            Input::Message(envelope) => self.on_message(now, *envelope, effects),
            Input::Connected(node) => {
                self.disconnected.remove(&node);
            }
            Input::Disconnected(node) => self.on_disconnected(now, node, effects),
            Input::Tick => {}
        }
        self.on_due(now, effects);
        if self.stopped {
            let end = effects.iter().position(|effect| matches!(effect, Effect::Stop)).expect("it says that it stops");
            effects.truncate(end + 1);
        }
    }

    /// Earliest time at which a tick has work to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.stopped {
            return None;
        }
        let deadlines = [
            Some(self.beat_at),
            self.membership.next_deadline(),
            self.pending.next_deadline(),
            self.acks.next_deadline(),
            self.pass.as_ref().and_then(|pass| pass.resume_at),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// The concurrent read path. It follows this node from view to view.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// The fingerprint of the cluster that this node belongs to.
    #[must_use]
    pub fn cluster(&self) -> u64 {
        self.cluster
    }

    /// The current view.
    #[must_use]
    pub fn view(&self) -> &View {
        self.views.current()
    }

    /// This node's short name.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.me
    }

    /// The shard that this node holds; none for a spare.
    #[must_use]
    pub fn shard(&self) -> Option<ShardId> {
        self.replica.as_ref().map(|replica| replica.shared.shard)
    }

    /// Everything that follows from the input or the time: timers, what the vector's progress allows, what is to be
    /// sent.
    fn on_due(&mut self, now: Now, effects: &mut Effects) {
        if now.monotonic >= self.beat_at {
            self.beat(now, effects);
        }
        self.run_membership(now, effects);
        self.resume_pass(now, effects);
        self.settle(now, effects);
        self.run_pending(now, effects);
        if self.progress {
            // Pending writes were taken: they obey the same bounds, and go out in the same step.
            self.settle(now, effects);
        }
        self.send_frames(now, effects, false);
        self.run_acks(now, effects);
    }

    fn run_membership(&mut self, now: Now, effects: &mut Effects) {
        if self.membership.next_deadline().is_some_and(|at| at <= now.monotonic) {
            self.membership.on_tick(now.monotonic);
        }
        for (to, packet) in self.membership.take_packets() {
            self.send(to, Message::Swim(packet), effects);
        }
        for change in self.membership.take_changes() {
            match change {
                membership::Change::Up(node) => {
                    self.avoid.remove(&node);
                }
                membership::Change::Down(_) => {}
            }
        }
    }

    /// Recomputes stability, and with it the window and the tombstones.
    fn settle(&mut self, now: Now, effects: &mut Effects) {
        let clock = self.clock.follow(now.wall);
        match &mut self.replica {
            Some(replica) => {
                let evicted = replica.settle(&mut self.stability, clock);
                if evicted > 0 {
                    effects.push(Effect::Event(Event::WindowEvicted { writes: evicted }));
                }
            }
            None => {
                self.stability.advance();
            }
        }
    }

    fn send_frames(&mut self, now: Now, effects: &mut Effects, heartbeat: bool) {
        let Some((origin, replica)) = self.replica.as_ref().and_then(|r| r.origin.map(|origin| (origin, r))) else {
            return;
        };
        let complete_to = replica.applied.get(&origin);
        let mut frames = Vec::new();
        for (node, peer) in &mut self.peers {
            if replica.lives.newest(*node).is_none() {
                continue;
            }
            let mut beat = heartbeat;
            while let Some(frame) = peer.out.next_frame(now.monotonic, origin, &replica.window, complete_to, beat) {
                frames.push((*node, frame));
                beat = false;
            }
        }
        for (node, frame) in frames {
            self.send(node, Message::Frame(frame), effects);
        }
    }

    fn send(&self, to: NodeId, body: Message, effects: &mut Effects) {
        self.send_as(self.cluster, to, body, effects);
    }

    /// Sends as a member of another cluster: only to answer one that invites this node.
    fn send_as(&self, cluster: u64, to: NodeId, body: Message, effects: &mut Effects) {
        let (view, from, life, clock) = (self.views.current().id, self.me, self.life, self.clock.last());
        effects.push(Effect::Send { to, envelope: Box::new(Envelope { cluster, view, from, life, clock, body }) });
    }

    /// What this replica tells its shard peers.
    fn status(&self) -> Option<Status> {
        let replica = self.replica.as_ref()?;
        Some(replica.status(&self.statuses(), self.held_reports()))
    }

    fn statuses(&self) -> BTreeMap<NodeId, &Status> {
        self.peers.iter().filter_map(|(node, peer)| Some((*node, peer.status.as_ref()?))).collect()
    }

    fn is_up(&self, node: NodeId) -> bool {
        !self.disconnected.contains(&node)
            && match self.peers.get(&node) {
                Some(peer) => peer.up,
                None => self.membership.is_up(node),
            }
    }
}

fn random(rng: &mut ChaCha8Rng) -> u64 {
    use rand::Rng;
    rng.next_u64()
}
