//! The verdict: what was found, in words, and how much was looked at.

use std::fmt;

use serde::Serialize;

use crate::history::History;

/// How many findings of one pattern a report spells out; the others are only counted.
const FINDINGS_PER_PATTERN_MAX: usize = 100;

/// What is wrong. The first five are the bad patterns of CCv (Bouajjani et al., POPL 2017, table 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Pattern {
    /// An operation causally precedes itself.
    CyclicCo,
    /// A read returned the initial absence, though a write of the key is in its causal past.
    WriteCoInitRead,
    /// A read returned a value that nobody wrote, or whose write surely failed.
    ThinAirRead,
    /// A read returned a write that another one of its causal past had overwritten.
    WriteCoRead,
    /// No single order of the writes agrees with causality and with what the reads returned.
    CyclicCf,
    /// Diagnosis (Terry et al. 1994): a session did not see its own write.
    ReadYourWrites,
    /// Diagnosis: a session saw a write, and later did not.
    MonotonicReads,
    /// Diagnosis: a later write of a session was seen, and an earlier one was not.
    MonotonicWrites,
    /// Diagnosis: a write was seen, and one that its session had read before was not.
    WritesFollowReads,
    /// Replicas at rest hold different values of a key.
    Divergence,
    /// Replicas at rest lack an acknowledged write that nothing can have overwritten.
    LostWrite,
    /// Replicas at rest hold a value that was deleted after it was written.
    Resurrection,
    /// The recorder broke the rules of a history; nothing else is judged.
    MalformedHistory,
}

/// One violation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its kind.
    pub pattern: Pattern,
    /// For people: what was read or held, and the shortest causal path that makes it wrong.
    pub explanation: String,
    /// Positions in the history of the operations that the explanation names.
    pub operations: Vec<usize>,
}

/// The judge's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// All violations, the bad patterns of operations first. At most 100 for each pattern.
    pub findings: Vec<Finding>,
    /// Violations beyond that bound, not spelt out.
    pub omitted: usize,
    /// How many operations were judged.
    pub operations: usize,
    /// How many final reads were judged.
    pub final_reads: usize,
}

impl Report {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether a violation of this kind was found.
    #[must_use]
    pub fn has(&self, pattern: Pattern) -> bool {
        self.findings.iter().any(|f| f.pattern == pattern)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.pattern, self.explanation)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}\n")?;
        }
        if self.omitted > 0 {
            writeln!(f, "{} more findings are not shown\n", self.omitted)?;
        }
        let (operations, finals) = (self.operations, self.final_reads);
        match self.findings.len() + self.omitted {
            0 => write!(f, "clean: ")?,
            1 => write!(f, "1 finding: ")?,
            n => write!(f, "{n} findings: ")?,
        }
        write!(f, "{operations} operations and {finals} final reads judged")
    }
}

/// Findings as they come in.
#[derive(Default)]
pub(crate) struct Findings {
    list: Vec<Finding>,
    omitted: usize,
}

impl Findings {
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn has(&self, pattern: Pattern) -> bool {
        self.list.iter().any(|f| f.pattern == pattern)
    }

    /// Adds a finding. The explanation, which may take a search, is only made if it will be shown.
    pub(crate) fn add(&mut self, pattern: Pattern, explain: impl FnOnce() -> (String, Vec<usize>)) {
        let same = self.list.iter().filter(|f| f.pattern == pattern).count();
        if same == FINDINGS_PER_PATTERN_MAX {
            self.omitted += 1;
            return;
        }
        let (explanation, operations) = explain();
        self.list.push(Finding { pattern, explanation, operations });
    }

    pub(crate) fn into_report(self, history: &History) -> Report {
        Report {
            findings: self.list,
            omitted: self.omitted,
            operations: history.operations.len(),
            final_reads: history.final_reads.len(),
        }
    }
}
