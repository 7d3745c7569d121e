//! The state of the cluster: what this node says of itself (`node`, `process`), what it gathers of the others (`cluster`),
//! and how that is shown on a terminal (`command`, `table`).

mod cluster;
pub(crate) mod command;
mod node;
mod process;
mod table;

pub(crate) use crate::status::cluster::{Watch, of_cluster};
pub(crate) use crate::status::node::of_node;

use std::time::Duration;

/// Whole milliseconds, as they stand in a status.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
