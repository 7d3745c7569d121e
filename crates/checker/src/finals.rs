//! What replicas hold at rest: Divergence, LostWrite and Resurrection.
//!
//! At rest, every replica has every acknowledged write, so what it holds must be the newest: no acknowledged write of
//! the key may be newer by causality, nor by the order of writes that reads prove. A write of unknown outcome may be
//! held, but need not be.

use std::collections::BTreeMap;

use crate::Case;
use crate::conflict::{Arbitration, Conflict};
use crate::evidence::Source;
use crate::explain::{self, describe, quote, quote_read, shortest_path};
use crate::report::{Findings, Pattern};

/// The replicas that hold each value of a key.
type Holders<'h> = BTreeMap<Option<&'h str>, Vec<&'h str>>;

/// Judges the final reads.
pub(crate) fn judge(case: &Case<'_>, conflicts: &[Conflict], findings: &mut Findings) {
    let mut by_key: BTreeMap<&str, Holders<'_>> = BTreeMap::new();
    for read in &case.evidence.history.final_reads {
        let holders = by_key.entry(&read.key).or_default();
        holders.entry(read.value.as_deref()).or_default().push(&read.replica);
    }
    if by_key.is_empty() {
        return;
    }
    let is_ordered = !findings.has(Pattern::CyclicCo) && !findings.has(Pattern::CyclicCf);
    let mut newest = Vec::new();
    for (key, holders) in &by_key {
        if holders.len() > 1 {
            findings.add(Pattern::Divergence, || (divergence(key, holders), Vec::new()));
        }
        for &value in holders.keys() {
            let write = value_at_rest(case, key, value, findings);
            newest.extend(write.filter(|_| holders.len() == 1));
        }
    }
    if is_ordered {
        order_at_rest(case, conflicts, &newest, findings);
    }
}

fn divergence(key: &str, holders: &Holders<'_>) -> String {
    let mut text = format!("replicas at rest differ on {}:", quote(key));
    for (value, replicas) in holders {
        text += &format!("\n    {} at {}", quote_read(*value), replicas.join(", "));
    }
    text
}

/// Judges one value by causality alone. Returns the write that must be the newest if the value is right, where it is
/// one certain write.
fn value_at_rest<'h>(case: &Case<'h>, key: &str, value: Option<&'h str>, findings: &mut Findings) -> Option<usize> {
    let held = format!("at rest {} is {}", quote(key), quote_read(value));
    let source = match case.evidence.key_number(key) {
        Some(number) => case.evidence.source_of(number, value),
        None if value.is_none() => Source::None,
        None => Source::ThinAir(None),
    };
    match source {
        Source::None => None,
        Source::ThinAir(None) => {
            findings.add(Pattern::ThinAirRead, || (format!("{held}, which no put wrote"), Vec::new()));
            None
        }
        Source::ThinAir(Some(put)) => {
            let text = || format!("{held}, whose write failed: {}", describe(case.evidence.history, put));
            findings.add(Pattern::ThinAirRead, || (text(), vec![put]));
            None
        }
        Source::Write(write) => put_at_rest(case, write, &held, findings),
        Source::Absent => absence_at_rest(case, case.evidence.key_number(key)?, &held, findings),
    }
}

fn put_at_rest(case: &Case<'_>, put: usize, held: &str, findings: &mut Findings) -> Option<usize> {
    let key = case.evidence.key_of[put];
    let newer = |wants_delete: bool| {
        let wanted = |w: usize| is_written(case, w) && case.evidence.is_delete(w) == wants_delete;
        let last = case.ledger.last(key, wanted);
        last.into_iter().find(|&write| case.order.precedes(put, write))
    };
    let kinds = [(Pattern::LostWrite, newer(false), "written over"), (Pattern::Resurrection, newer(true), "deleted")];
    for (pattern, write, what) in kinds {
        let Some(write) = write else {
            continue;
        };
        findings.add(pattern, || {
            let path = shortest_path(&case.order, put, write);
            explain::along(case, &format!("{held}, though that was {what}:"), &path)
        });
    }
    (kinds.iter().all(|kind| kind.1.is_none())).then_some(put)
}

fn absence_at_rest(case: &Case<'_>, key: usize, held: &str, findings: &mut Findings) -> Option<usize> {
    let written = case.ledger.last(key, |write| is_written(case, write));
    let puts = case.ledger.last(key, |write| is_written(case, write) && !case.evidence.is_delete(write));
    let put = *puts.iter().find(|&&put| !puts.iter().any(|&other| case.order.precedes(put, other)))?;
    let mut deletes = case.ledger.last(key, |write| case.evidence.is_delete(write));
    deletes.retain(|&delete| !written.iter().any(|&other| case.order.precedes(delete, other)));
    match deletes[..] {
        [] => {
            findings.add(Pattern::LostWrite, || {
                let text =
                    format!("{held}, and no delete can explain where {} went", describe(case.evidence.history, put));
                (text, vec![put])
            });
            None
        }
        [delete] => Some(delete),
        _ => None,
    }
}

fn is_written(case: &Case<'_>, write: usize) -> bool {
    case.evidence.history.operations[write].is_written()
}

/// Judges all values at rest together, by causality and the order of writes that is proven: none of the writes in
/// `newest` may be older than an acknowledged write of its key.
fn order_at_rest(case: &Case<'_>, conflicts: &[Conflict], newest: &[usize], findings: &mut Findings) {
    let mut at_rest = Vec::new();
    for &held in newest {
        let written = case.ledger.last(case.evidence.key_of[held], |write| is_written(case, write));
        at_rest.extend(written.into_iter().filter(|&older| older != held).map(|older| (older, held)));
    }
    let arbitration = Arbitration::new(case, conflicts, &at_rest);
    for cycle in arbitration.cycles(at_rest.iter().copied()) {
        let is_deleted = cycle.last().is_some_and(|&older| case.evidence.is_delete(older));
        let pattern = match is_deleted && !case.evidence.is_delete(cycle[0]) {
            true => Pattern::Resurrection,
            false => Pattern::LostWrite,
        };
        findings.add(pattern, || {
            let words = "replicas at rest do not hold the newest of these writes:";
            explain::arbitration_cycle(case, &arbitration, &cycle, words)
        });
    }
}
