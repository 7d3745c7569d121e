//! The judge: decides from a recorded client history whether causal convergence (CCv) was kept.
//!
//! It shares no code with the store, and trusts neither its timestamps nor its version vectors. What it goes by is only
//! what clients saw: who asked what in which session, what came back, and whose context was handed to whom.
//!
//! The definition is that of Bouajjani, Enea, Guerraoui and Hamza, *On Verifying Causal Consistency* (POPL 2017): where
//! every write is unique, a history is causally convergent exactly if it shows none of five bad patterns ([`Pattern`]).
//! The session guarantees of Terry et al., *Session Guarantees for Weakly Consistent Replicated Data* (PDIS 1994), are
//! named as diagnosis of a bad read. Reads taken from every replica after healing are judged for convergence.
//!
//! Two things a real history has are not in that paper, and both are treated such that a valid history never raises an
//! alarm:
//!
//! - **Unknown writes** (timed out) are legal if seen and legal if not. One that somebody read has happened.
//! - **Absence** may be the initial state or any delete of the key. A read of absence is blamed only if nothing can
//!   explain it, and is used as evidence only if exactly one delete can. What remains ambiguous is left alone, so
//!   the judge is exact for histories without deletes, and sound for all.
//!
//! The parts: [`History`] is the input ([`History::read_jsonl`] documents its file form), `evidence` what it says
//! before any judgement, `order` the causal order, `absence` finds the deletes that were read, `patterns` and
//! `conflict` look for the bad patterns, `finals` for what was lost, `sessions` names guarantees, `explain` writes
//! sentences, and [`Report`] is the output.

mod absence;
mod chains;
mod conflict;
mod cycles;
mod evidence;
mod explain;
mod finals;
mod history;
mod jsonl;
mod ledger;
mod order;
mod patterns;
mod report;
mod sessions;
mod shape;

pub use history::{Action, FinalRead, History, Operation, Outcome};
pub use jsonl::HistoryError;
pub use report::{Finding, Pattern, Report};

use evidence::Evidence;
use ledger::Ledger;
use order::Order;
use report::Findings;

/// A history together with its causal order: what the searches for bad patterns go by.
struct Case<'h> {
    evidence: Evidence<'h>,
    order: Order,
    ledger: Ledger,
}

/// Judges a history.
///
/// A clean report means that no violation can be shown, a finding means that no causally convergent store could have
/// answered like this. A history that is malformed is not judged further.
///
/// Takes time near-linear in the operations times the sessions, and memory of eight bytes for each such pair.
#[must_use]
pub fn check(history: &History) -> Report {
    let mut findings = Findings::default();
    shape::inspect(history, &mut findings);
    if findings.is_empty() {
        judge(history, &mut findings);
    }
    findings.into_report(history)
}

fn judge(history: &History, findings: &mut Findings) {
    let evidence = Evidence::new(history);
    patterns::thin_air_reads(&evidence, findings);
    let case = absence::settle(evidence, findings);
    let conflicts = patterns::overwritten_reads(&case, findings);
    conflict::cycles(&case, &conflicts, findings);
    finals::judge(&case, &conflicts, findings);
}
