//! A view change at its coordinator: whom it has asked, what they said, and whether it may be (design 11.1, 11.2).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::causality::context::Context;
use crate::causality::hlc::Timestamp;
use crate::id::{Address, NodeId, ShardId, Source, ViewId};
use crate::limits::FORMER_VIEWS_MAX;
use crate::placement::view::View;
use crate::placement::views::Views;
use crate::time::Instant;
use crate::view_change::plan::Size;
use crate::wire::message::Prepared;
use crate::wire::request::{Refusal, ViewChange};

/// How long a lease lasts that is not released. Longer than a coordinator takes to decide.
pub const LEASE: Duration = Duration::from_secs(2);

/// How long a coordinator waits for answers before it decides without those that are missing.
pub const PATIENCE: Duration = Duration::from_millis(800);

/// Who may make the next view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The coordinator.
    pub coordinator: NodeId,
    /// Its attempt.
    pub change: u64,
    /// When it ends by itself.
    pub until: Instant,
}

/// How far a change has come.
#[derive(Debug)]
pub enum Stage {
    /// Members are asked.
    Preparing {
        /// What they said.
        answers: BTreeMap<NodeId, Prepared>,
        /// When it is decided at the latest.
        until: Instant,
        /// When the leases that were granted first end: a decision after that is none.
        void: Instant,
    },
    /// The view is out.
    Spreading {
        /// Which.
        view: ViewId,
        /// Once it is settled: the live keys of its shards, as they answer.
        counts: BTreeMap<ShardId, u64>,
        /// Whether they have been asked.
        counting: bool,
    },
}

/// A change under way.
#[derive(Debug)]
pub struct Change {
    /// Names the attempt.
    pub id: u64,
    /// What is asked for.
    pub asked: ViewChange,
    /// Whom to answer.
    pub source: Source,
    /// With the context that came with the request.
    pub context: Context,
    /// When an answer must be given.
    pub deadline: Instant,
    /// Whether it was.
    pub answered: bool,
    /// What `force` gave up, in words.
    pub given_up: Vec<String>,
    /// How far it is.
    pub stage: Stage,
}

/// What a coordinator has decided.
#[derive(Debug, PartialEq, Eq)]
pub struct Decision {
    /// The lives that were reached.
    pub lives: BTreeMap<NodeId, Timestamp>,
    /// Old members that did not answer and are not in the new view.
    pub written_off: BTreeSet<NodeId>,
    /// What is known to be settled.
    pub settled: BTreeSet<ViewId>,
    /// What is given up.
    pub given_up: Vec<String>,
}

/// Everyone who has to be asked: the members of the current and of former views, and those asked for.
#[must_use]
pub fn concerned(views: &Views, asked: &ViewChange) -> BTreeMap<NodeId, Address> {
    let known = views.former().chain([views.current()]).flat_map(View::members);
    let known = known.map(|(node, address, _)| (node, address.clone()));
    known.chain(asked.members.iter().map(|address| (address.node_id(), address.clone()))).collect()
}

/// Judges the answers.
///
/// # Errors
/// The refusal, which names what is in the way.
pub fn decide(views: &Views, asked: &ViewChange, answers: &BTreeMap<NodeId, Prepared>) -> Result<Decision, Refusal> {
    let starting = views.current().members().filter(|(node, _, _)| answers.get(node).is_some_and(|a| a.life.is_none()));
    let starting: Vec<&str> = starting.map(|(_, address, _)| address.as_str()).collect();
    if !starting.is_empty() && !asked.force {
        return Err(Refusal::ViewChangeInProgress(format!("members are just starting: {}", starting.join(", "))));
    }
    if answers.values().any(|answer| !answer.granted) {
        return Err(Refusal::ViewChangeInProgress("another one is being prepared".to_owned()));
    }
    // Whoever knows that a view is settled knows it for all: the others have not heard yet.
    let settled: BTreeSet<ViewId> =
        answers.values().flat_map(|answer| &answer.settled).chain(views.settled()).copied().collect();
    let told = answers.values().flat_map(|answer| answer.former.iter().copied());
    let unsettled = views.former().map(|view| view.id).chain(told).any(|view| !settled.contains(&view));
    if unsettled && !asked.force {
        return Err(Refusal::ViewChangeInProgress("the last one has not settled".to_owned()));
    }
    // Who is told of a view is told of so many former ones; of one that is not told of nobody would ask for what it holds.
    let chained = views.former().filter(|view| !settled.contains(&view.id)).count() + 1;
    if chained > FORMER_VIEWS_MAX {
        return Err(Refusal::ViewChangeInProgress(format!(
            "{chained} views have not settled, and no more than {FORMER_VIEWS_MAX} can be kept, forced or not; wait until \
             `precede view` shows fewer"
        )));
    }
    let silent = asked.members.iter().filter(|address| !answers.contains_key(&address.node_id()));
    let silent: Vec<&str> = silent.map(Address::as_str).collect();
    if !silent.is_empty() {
        return Err(Refusal::BadView(format!("members of the new view do not answer: {}", silent.join(", "))));
    }
    let new: BTreeSet<NodeId> = asked.members.iter().map(Address::node_id).collect();
    let mut given_up = Vec::new();
    let mut written_off = BTreeSet::new();
    for view in views.former().chain([views.current()]) {
        for shard in view.shards() {
            let replicas: Vec<NodeId> = shard.replicas.iter().map(Address::node_id).collect();
            let silent: Vec<&Address> =
                shard.replicas.iter().filter(|address| !answers.contains_key(&address.node_id())).collect();
            written_off.extend(silent.iter().map(|address| address.node_id()).filter(|node| !new.contains(node)));
            if view.id != views.current().id {
                continue;
            }
            let names: Vec<&str> = silent.iter().map(|address| address.as_str()).collect();
            let recovered = replicas.iter().any(|node| answers.get(node).is_some_and(|answer| answer.recovered));
            if !recovered && !silent.is_empty() {
                given_up.push(format!(
                    "all that shard {} holds: no replica of it that has recovered answers ({} silent)",
                    shard.id.0,
                    names.join(", ")
                ));
            } else if silent.len() > 1 {
                given_up.push(format!(
                    "writes of shard {} that only {} hold: more than one of its replicas does not answer",
                    shard.id.0,
                    names.join(" and ")
                ));
            }
        }
    }
    if !given_up.is_empty() && !asked.force {
        let what = given_up.join("; ");
        return Err(Refusal::WouldGiveUp(format!("the change would give up {what}; `force` overrides")));
    }
    let lives = answers.iter().filter_map(|(node, answer)| Some((*node, answer.life?))).collect();
    Ok(Decision { lives, written_off, settled, given_up })
}

/// The sizes of the old shards, as their recovered replicas tell.
#[must_use]
pub fn sizes(view: &View, answers: &BTreeMap<NodeId, Prepared>) -> BTreeMap<ShardId, Size> {
    let size = |shard: ShardId| {
        let answers = view.members_of(shard).into_iter().filter_map(|node| answers.get(&node));
        let sizes = answers.filter(|answer| answer.recovered).map(|answer| (answer.keys, answer.bytes));
        sizes.max().map(|(keys, bytes)| (shard, Size { keys, bytes }))
    };
    view.shards().iter().filter_map(|shard| size(shard.id)).collect()
}
