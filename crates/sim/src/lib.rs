//! The simulator: runs a cluster of real cores on virtual time, with faults, and checks what must hold.
//!
//! One seed is one run, bit for bit. The nodes are [`precede_core::node::Node`]s as they run in production; the messages
//! between them pass through the real encoding. What the simulator adds is a world that misbehaves, clients that pass
//! contexts around, and a record that knows everything: it follows what every client has really seen, not what contexts say.
//!
//! | module | what |
//! |---|---|
//! | [`world`] | virtual time, machines, messages on their way, clients, faults in effect |
//! | [`options`] | how a run is made, and what is left out of it |
//! | [`faults`], [`mix`], [`shape`] | what is drawn from the seed: the schedule of faults and the cluster |
//! | [`workload`] | keys, sessions, kept contexts |
//! | [`oracle`], [`past`] | the omniscient record |
//! | [`properties`] | what must hold, one file each |
//! | [`history`] | what clients saw, for the judge that trusts nothing else |
//! | [`runner`] | many seeds on several threads; a panic is a violation |
//! | [`shorten`] | makes a failing run small enough to read |
//! | [`growth`] | no faults and no checks: what nodes say to each other as there are more of them |

pub mod clock;
pub mod dice;
pub mod faults;
pub mod growth;
pub mod history;
pub mod machine;
pub mod mix;
pub mod network;
pub mod options;
pub mod oracle;
pub mod past;
pub mod properties;
pub mod queue;
pub mod runner;
pub mod shape;
pub mod shorten;
pub mod trace;
pub mod violation;
pub mod workload;
pub mod world;
