//! What travels between nodes: requests and replies, messages, and their encoding.

pub mod codec;
pub mod mark;
pub mod message;
pub mod named;
pub mod request;
pub mod sync_entry;
