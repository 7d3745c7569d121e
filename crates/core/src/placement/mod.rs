//! Placement: keys to slots, slots to shards, shards to replicas.

pub mod hash;
pub mod view;
pub mod views;
