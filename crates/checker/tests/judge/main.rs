//! The judge is judged: by hand-written histories, by a literal second implementation of the definitions, and by a
//! simulated store that is right, or wrong in known ways.

mod agreement;
mod by_hand;
mod explanations;
mod files;
mod large;
mod notation;
mod oracle;
mod random;
mod store;
mod stores_judged;
