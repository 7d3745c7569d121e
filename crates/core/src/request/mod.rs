//! Requests on their way: those that wait or are forwarded, writes that wait for their concern, and write ids.

pub mod acks;
pub mod barriers;
pub mod pending;
pub mod write_ids;
