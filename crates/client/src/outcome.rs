//! What successful operations return.

use crate::{Address, Value};

/// A value that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The value.
    pub value: Value,
    /// The version read, opaque: equal versions of a key are the same write.
    pub version: String,
    /// The node that served the read.
    pub node: Address,
}

/// A write that has taken effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Whether the key had a value before.
    pub replaced: bool,
    /// On how many replicas the write was when it was answered; it spreads on.
    pub acks: u32,
    /// The version written, opaque.
    pub version: String,
    /// The node that took the write.
    pub node: Address,
    /// False if a write concern was asked for and not reached in time. The write stands nevertheless.
    pub concern_reached: bool,
}

/// A deletion that has taken effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// On how many replicas the deletion was when it was answered; it spreads on.
    pub acks: u32,
    /// The version written, opaque.
    pub version: String,
    /// The node that took the deletion.
    pub node: Address,
    /// False if a write concern was asked for and not reached in time. The deletion stands nevertheless.
    pub concern_reached: bool,
}
