//! The state of the cluster: what this node says of itself (`node`, `process`), and what it gathers of the others (`cluster`).

mod cluster;
mod node;
mod process;

pub(crate) use crate::status::cluster::{Watch, of_cluster};
pub(crate) use crate::status::node::of_node;

use std::time::Duration;

/// Whole milliseconds, as they stand in a status.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
