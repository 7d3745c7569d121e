//! The deterministic replica of Precede.
//!
//! Given the time, a message, a request or a timer, a [`node::Node`] returns messages to send and replies to give.
//! It has no sockets, reads no clock, starts no threads and draws no randomness that is not passed in, so what the
//! simulator tests is what production runs.
//!
//! Modules form layers; each imports only lower ones:
//!
//! | layer | modules |
//! |---|---|
//! | 0 | [`id`], [`time`], [`limits`], [`excerpt`], [`config`], [`planted`] |
//! | 1 | [`causality`] |
//! | 2 | [`table`], [`placement`] |
//! | 3 | [`wire`] (and the values that travel on it: [`request`]'s vocabulary) |
//! | 4 | [`request`], [`replication`], [`recovery`], [`membership`] |
//! | 5 | [`input`], [`effect`], [`event`], [`reader`], [`node`] |

pub mod causality;
pub mod config;
pub mod effect;
pub mod event;
pub mod excerpt;
pub mod id;
pub mod input;
pub mod limits;
pub mod membership;
pub mod node;
pub mod placement;
pub mod planted;
pub mod reader;
pub mod recovery;
pub mod replication;
pub mod request;
pub mod table;
pub mod time;
pub mod view_change;
pub mod wire;
