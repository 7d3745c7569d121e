//! The cluster's view: looking at it and changing it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::request::Request;
use crate::retry::Deadline;
use crate::{Address, Client, Context, Error};

/// A view that is asked for. What is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ViewChange {
    /// Its members; their order does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view: Option<Vec<String>>,
    /// Replicas of each shard at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repl_factor: Option<u32>,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Go on where data may be given up; the answer says what was.
    pub force: bool,
    /// Refuse unless the current view has this epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_epoch: Option<u32>,
    /// How long the answer waits for the change to be done, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// The current view, and how far the change to it is, as one node tells.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ViewState {
    /// Counts view changes.
    pub epoch: u32,
    /// Replicas of each shard at least.
    pub repl_factor: u32,
    /// Whether everything has been handed over.
    pub settled: bool,
    /// The shards.
    pub shards: Vec<ShardState>,
    /// Keys that were handed over to this node under this view.
    pub received_keys: u64,
    /// Bytes of them and their values.
    pub received_bytes: u64,
    /// Live keys of this node.
    pub live_keys: u64,
}

/// One shard of a view.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ShardState {
    /// Its id.
    pub shard_id: u32,
    /// Who holds it.
    pub replicas: Vec<String>,
    /// Its live keys, where they were counted.
    #[serde(default)]
    pub key_count: Option<u64>,
    /// Whether it has got everything, where that was asked.
    #[serde(default)]
    pub settled: Option<bool>,
}

/// What became of a view change, or would.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ViewChanged {
    /// The shards of the new view.
    pub shards: Vec<ShardState>,
    /// Shards that have not got everything yet.
    #[serde(default)]
    pub outstanding: Vec<u32>,
    /// What was given up by force.
    #[serde(default)]
    pub given_up: Vec<String>,
    /// With `dry_run`: what would move.
    #[serde(default)]
    pub moves: Vec<Move>,
    /// Whether it is done.
    #[serde(skip)]
    pub settled: bool,
}

/// Keys on their way to a node that does not hold them yet.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Move {
    /// The old shard.
    pub from_shard: u32,
    /// The node that gets them.
    pub to: String,
    /// The shard that they belong to then.
    pub to_shard: u32,
    /// About how many.
    pub keys: u64,
    /// About how many bytes of keys and values.
    pub bytes: u64,
}

impl ViewChange {
    /// Whether a view is the one that was asked for, as far as it was said.
    fn is_made(&self, state: &ViewState) -> bool {
        let members: BTreeSet<&String> = state.shards.iter().flat_map(|shard| &shard.replicas).collect();
        self.view.as_ref().is_none_or(|asked| asked.iter().collect::<BTreeSet<_>>() == members)
            && self.repl_factor.is_none_or(|factor| factor == state.repl_factor)
            && self.expected_epoch.is_none_or(|before| before.checked_add(1) == Some(state.epoch))
    }
}

impl ViewChanged {
    /// What has become of a change, by the view and its progress.
    fn told_by(state: ViewState) -> Self {
        let outstanding = state.shards.iter().filter(|shard| shard.settled == Some(false)).map(|shard| shard.shard_id);
        Self {
            outstanding: outstanding.collect(),
            shards: state.shards,
            given_up: Vec::new(),
            moves: Vec::new(),
            settled: state.settled,
        }
    }
}

impl Client {
    /// The current view, and how far the change to it is.
    ///
    /// # Errors
    ///
    /// As a read's.
    pub async fn view_state(&self) -> Result<ViewState, Error> {
        let reply = self.send(&Request::view(), &Context::default(), Deadline::after(self.timeout())).await?;
        reply.json()
    }

    /// Asks for another view, and waits for it as long as the change says. A repeat does no harm: a view that is already
    /// the current one is left as it is. Should an answer be lost and the repeat be refused, the view tells whether the
    /// change was made. It goes on without this client in any case.
    ///
    /// # Errors
    ///
    /// [`Error::BadRequest`] if no such view can be, or a new member does not answer; [`Error::Refused`] with status 409
    /// while another change is under way, or if the view has not the epoch expected; [`Error::Unavailable`] if the
    /// change would give up data, or nobody answers; [`Error::OutcomeUnknown`] if an answer was lost and the view is not,
    /// or not yet, the one asked for.
    pub async fn change_view(&self, change: &ViewChange) -> Result<ViewChanged, Error> {
        let body = serde_json::to_vec(change).map_err(|error| Error::BadRequest { message: error.to_string() })?;
        let patience = Duration::from_millis(change.timeout_ms.unwrap_or_default()) + self.timeout();
        let request = Request::change_view(body, patience, !change.dry_run);
        match self.send(&request, &Context::default(), Deadline::after(patience)).await {
            Ok(reply) => {
                let settled = reply.status == hyper::StatusCode::OK;
                Ok(ViewChanged { settled, ..reply.json()? })
            }
            Err(error @ Error::OutcomeUnknown { .. }) => match self.view_state().await {
                Ok(state) if change.is_made(&state) => Ok(ViewChanged::told_by(state)),
                Ok(_) | Err(_) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// A client of one other node of the cluster, which asks nobody else. It shares this one's connections and what it shows to
    /// nodes.
    #[must_use]
    pub fn of_node(&self, node: &Address) -> Self {
        self.with_nodes(vec![node.clone()])
    }
}
