//! Diagnosis: which session guarantees a bad read breaks, told from the causal path that makes it bad.
//!
//! The guarantees are those of Terry et al., *Session Guarantees for Weakly Consistent Replicated Data* (PDIS 1994). A
//! context that is handed over makes one session of the giver's past and the receiver's future.

use crate::explain::Step;
use crate::order::EdgeKind;
use crate::report::Pattern;

/// The guarantees that a read breaks if it did not see the write at which this path to it starts.
///
/// A path is cut into stretches of one session each, at the reads that took a write over from another session. Without
/// a cut, the session misses its own write; with one cut, right behind the write, it misses what it had read. Else
/// stretches end in writes that were seen: the first starts with the missing write, any other with a read.
pub(crate) fn broken(path: &[Step]) -> Vec<Pattern> {
    let cuts: Vec<usize> = (0..path.len()).filter(|&i| path[i].by == Some(EdgeKind::ReadsFrom)).collect();
    let Some((&first, others)) = cuts.split_first() else {
        return vec![Pattern::ReadYourWrites];
    };
    let mut guarantees = Vec::new();
    if first > 1 {
        guarantees.push(Pattern::MonotonicWrites);
    }
    if !others.is_empty() {
        guarantees.push(Pattern::WritesFollowReads);
    }
    if guarantees.is_empty() {
        guarantees.push(Pattern::MonotonicReads);
    }
    guarantees
}
