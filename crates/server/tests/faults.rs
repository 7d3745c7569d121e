//! Clusters of real processes that are killed and stopped while clients go on: what must go on, and what no client may
//! ever see.
//!
//! `PRECEDE_CHAOS_SECONDS` says how long the random faults last, for each cluster (default: 10).

#[path = "faults/chaos.rs"]
mod chaos;
mod cluster;
#[path = "faults/dice.rs"]
mod dice;
#[path = "faults/finals.rs"]
mod finals;
#[path = "faults/full_speed.rs"]
mod full_speed;
#[path = "faults/least.rs"]
mod least;
#[path = "faults/nodes.rs"]
mod nodes;
#[path = "faults/raw.rs"]
mod raw;
#[path = "faults/record.rs"]
mod record;
#[path = "faults/restart.rs"]
mod restart;
#[path = "faults/stopped.rs"]
mod stopped;
#[path = "faults/until.rs"]
mod until;

/// The tests take the whole machine each: they run one after the other.
static MACHINE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
