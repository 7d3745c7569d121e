//! Causality: timestamps, dots, vectors and contexts, and their wire forms.

pub mod context;
pub mod hlc;
pub mod token;
pub mod version;
pub mod version_vector;
