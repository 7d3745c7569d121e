//! View changes (design 11): who gets which shard, and the coordinator's part. What follows, the hand-off, is
//! replication's.

pub mod change;
pub mod plan;
