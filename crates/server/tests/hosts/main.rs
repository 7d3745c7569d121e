//! Clusters on hosts of their own, whose network is cut, slowed and thinned out, and whose processes are killed, stopped and
//! started again, while clients on all sides go on. What clients saw is judged; what it cost is measured and printed.
//!
//! They need root and take minutes: `scripts/hosts` runs them.

mod change;
mod clocks;
mod coordinator;
mod crash;
#[path = "../faults/dice.rs"]
mod dice;
mod engine;
mod figures;
#[path = "../faults/finals.rs"]
mod finals;
mod lab;
mod links;
mod load;
mod network;
mod partition;
mod pause;
#[path = "../faults/raw.rs"]
mod raw;
#[path = "../faults/record.rs"]
mod record;
mod removed;
mod slow;
mod soak;
mod story;
#[path = "../faults/until.rs"]
mod until;
mod upgrade;
