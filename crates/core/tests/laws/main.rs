//! Laws: what must hold of the parts for every input. Each file states the laws of one part as properties; what they rest on
//! is in `docs/protocol/README.md`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod apply;
mod assignment;
mod merge;
mod messages;
mod order;
mod passes;
mod placement;
mod prune;
mod round_trip;
mod values;
mod views;
