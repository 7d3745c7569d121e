//! The bad patterns that concern one read: ThinAirRead, WriteCOInitRead and WriteCORead.

use crate::Case;
use crate::absence::{Explanation, explain_absence};
use crate::conflict::Conflict;
use crate::evidence::{Evidence, Source};
use crate::explain::{self, describe, shortest_path};
use crate::report::{Findings, Pattern};
use crate::sessions;

/// How many of the writes that make a read wrong are compared for the shortest explanation.
const CULPRITS_MAX: usize = 8;

/// Reports reads of values that nobody can have written.
pub(crate) fn thin_air_reads(evidence: &Evidence<'_>, findings: &mut Findings) {
    let history = evidence.history;
    for (read, source) in evidence.sources.iter().enumerate() {
        let Source::ThinAir(failed) = *source else {
            continue;
        };
        findings.add(Pattern::ThinAirRead, || match failed {
            None => (format!("{}, which no put wrote", describe(history, read)), vec![read]),
            Some(put) => {
                let text = format!("{}, whose write failed: {}", describe(history, read), describe(history, put));
                (text, vec![put, read])
            }
        });
    }
}

/// Reports reads of writes, or of absence, that were overwritten in the read's causal past. Of all other reads returns
/// the order of writes that they prove.
pub(crate) fn overwritten_reads(case: &Case<'_>, findings: &mut Findings) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    for (read, source) in case.evidence.sources.iter().enumerate() {
        match *source {
            Source::Write(write) if case.order.into[read].len() > 1 => {
                // A read that follows only its write proves nothing that causality does not.
                read_of(case, read, write, findings, &mut conflicts);
            }
            Source::Absent => read_of_absence(case, read, findings),
            Source::Write(_) | Source::None | Source::ThinAir(_) => {}
        }
    }
    conflicts
}

fn read_of(case: &Case<'_>, read: usize, write: usize, findings: &mut Findings, conflicts: &mut Vec<Conflict>) {
    let mut past = case.ledger.past(&case.order, case.evidence.key_of[read], read);
    past.retain(|&other| other != write);
    let newer = past.iter().copied().filter(|&other| case.order.precedes(write, other));
    let newer: Vec<usize> = newer.take(CULPRITS_MAX).collect();
    if newer.is_empty() {
        let older = past.into_iter().filter(|&other| !case.order.precedes(other, write));
        conflicts.extend(older.map(|earlier| Conflict { earlier, later: write, read }));
    } else {
        report(case, Pattern::WriteCoRead, read, Some(write), &newer, findings);
    }
}

fn read_of_absence(case: &Case<'_>, read: usize, findings: &mut Findings) {
    let (evidence, order) = (&case.evidence, &case.order);
    if explain_absence(evidence, order, &case.ledger, read) != Explanation::Nothing {
        return;
    }
    let key = evidence.key_of[read];
    let past = case.ledger.past(order, key, read);
    // The newest ones are all puts: a delete would explain the read.
    let mut newest = past.clone();
    newest.retain(|&write| !past.iter().any(|&other| order.precedes(write, other)));
    let deletes = || evidence.writes[key].iter().copied().filter(|&write| evidence.is_delete(write));
    let overwritten = deletes().find(|&delete| order.precedes(delete, read));
    if let Some(delete) = overwritten {
        newest.retain(|&write| order.precedes(delete, write));
    }
    newest.truncate(CULPRITS_MAX);
    let pattern = match overwritten {
        Some(_) => Pattern::WriteCoRead,
        None => Pattern::WriteCoInitRead,
    };
    report(case, pattern, read, overwritten, &newest, findings);
}

/// Reports a read of `stale` (or of the initial state) that each of `newer`, which precede the read, makes wrong; and
/// the session guarantees that this breaks.
fn report(
    case: &Case<'_>,
    pattern: Pattern,
    read: usize,
    stale: Option<usize>,
    newer: &[usize],
    findings: &mut Findings,
) {
    let paths = newer.iter().map(|&write| shortest_path(&case.order, write, read));
    let Some(path) = paths.min_by_key(|path| (explain::hops(path), path.len())) else {
        return;
    };
    findings.add(pattern, || explain::stale_read(case, read, stale, &path));
    for guarantee in sessions::broken(&path) {
        findings.add(guarantee, || explain::guarantee(case, guarantee, read, &path));
    }
}
