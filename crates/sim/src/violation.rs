//! What was found wrong.

use std::fmt;

/// Which rule was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A read contradicted its client's causal past.
    Causal,
    /// A session does not see what it has seen or done itself.
    Monotone,
    /// A replica claims a write that its table does not reflect.
    RuleA,
    /// Replicas at rest differ.
    Convergent,
    /// A write that somebody held is gone.
    NoLostWrite,
    /// A deleted key is back.
    NoResurrection,
    /// A node at rest is in another view, has unsettled ones, or holds what is not its to hold.
    OneHome,
    /// A request that had to succeed did not.
    Live,
    /// Something that should pass away at rest did not.
    EmptyWindow,
    /// A limit or a deadline was exceeded.
    Bounded,
    /// A barrier was passed by what is not on every replica.
    Stable,
    /// The repeat of a named write did not get the first outcome.
    Named,
    /// Dots, values or lives that cannot be.
    Sound,
    /// The judge of client histories found something.
    History,
    /// The core panicked.
    Panic,
}

/// One violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which rule.
    pub rule: Rule,
    /// When, in virtual microseconds.
    pub at: u64,
    /// What happened.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}.{:06}: {}", self.rule, self.at / 1_000_000, self.at % 1_000_000, self.what)
    }
}
