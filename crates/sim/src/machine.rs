//! A place where a node runs: its address, its clocks, the process or none, and what waits while it stands still.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use precede_core::causality::hlc::Timestamp;
use precede_core::causality::version_vector::VersionVector;
use precede_core::id::{Address, Life, NodeId, ShardId, ViewId};
use precede_core::node::Node;
use precede_core::placement::view::View;

use crate::clock::Clock;

/// Messages that queue up at a node that stands still; more are dropped.
const BACKLOG_MAX: usize = 2_000;

/// Something that waits for a node to go on.
#[derive(Debug)]
pub enum Waiting {
    /// A message and its sender's index.
    Message(usize, Bytes),
    /// A request's number.
    Request(u64),
}

/// One machine.
pub struct Machine {
    /// Its name in the view.
    pub address: Address,
    /// Its short name.
    pub id: NodeId,
    /// The process, if one runs.
    pub node: Option<Node>,
    /// The clocks of the process.
    pub clock: Clock,
    /// Whether the process stands still.
    pub paused: bool,
    /// The life of the process, once it has met its shard.
    pub life: Option<Life>,
    /// When its lives started.
    pub starts: Vec<Timestamp>,
    /// Whether a life of it began below a former one.
    pub set_back: bool,
    /// Counts wakes: an older one is out of date.
    pub generation: u64,
    /// When it will be woken; none if never.
    pub wakes_at: Option<u64>,
    /// Times it was woken in the current millisecond.
    pub woken: u32,
    /// The millisecond that `woken` counts.
    pub woken_in: u64,
    /// Processes that ran here.
    pub boots: u64,
    /// The view in its environment, if it has one of its own for good.
    pub environment: Option<View>,
    /// Whether a process here ever started with another view than the first.
    pub strayed: bool,
    /// Since when the process has been in a view, or was.
    pub views: BTreeMap<ViewId, u64>,
    /// What the process has claimed of its view so far.
    pub claimed: (Option<ViewId>, VersionVector),
    backlog: VecDeque<Waiting>,
}

impl Machine {
    /// Whether the process here was in a view by then.
    #[must_use]
    pub fn was_in(&self, view: &ViewId, by: u64) -> bool {
        self.node.is_some() && self.views.get(view).is_some_and(|since| *since <= by)
    }

    /// The view that the process was in then.
    #[must_use]
    pub fn view_at(&self, at: u64) -> Option<ViewId> {
        self.views.iter().rfind(|(_, since)| **since <= at).map(|(view, _)| *view)
    }

    /// A machine on which nothing runs.
    #[must_use]
    pub fn new(address: Address, clock: Clock) -> Self {
        let id = address.node_id();
        Self {
            address,
            id,
            node: None,
            clock,
            paused: false,
            life: None,
            starts: Vec::new(),
            set_back: false,
            generation: 0,
            wakes_at: None,
            woken: 0,
            woken_in: 0,
            boots: 0,
            environment: None,
            strayed: false,
            views: BTreeMap::new(),
            claimed: Default::default(),
            backlog: VecDeque::new(),
        }
    }

    /// The shard that the process holds.
    #[must_use]
    pub fn shard(&self) -> Option<ShardId> {
        self.node.as_ref().and_then(Node::shard)
    }

    /// Whether a process runs and does not stand still.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.node.is_some() && !self.paused
    }

    /// Keeps something for later.
    pub fn keep(&mut self, waiting: Waiting) {
        if self.backlog.len() < BACKLOG_MAX || matches!(waiting, Waiting::Request(_)) {
            self.backlog.push_back(waiting);
        }
    }

    /// Takes what was kept.
    pub fn take_backlog(&mut self) -> VecDeque<Waiting> {
        std::mem::take(&mut self.backlog)
    }

    /// Counts a wake-up; false if there are too many in one millisecond, which only a node that spins makes.
    pub fn may_wake(&mut self, time: u64) -> bool {
        let millisecond = time / 1000;
        if self.woken_in != millisecond {
            (self.woken_in, self.woken) = (millisecond, 0);
        }
        self.woken += 1;
        self.woken < 500
    }
}
