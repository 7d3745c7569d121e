//! The history of a run as its clients saw it, and the judge's opinion of it.

use std::collections::BTreeSet;

use precede_checker::{Action, FinalRead, History, Operation, Outcome};

/// Findings spelt out for one run.
const FINDINGS_MAX: usize = 3;

/// Records what clients see.
#[derive(Debug, Default)]
pub struct Recorder {
    operations: Vec<Operation>,
}

impl Recorder {
    /// Notes that an operation begins; its position. Its outcome is unknown until said otherwise.
    pub fn begin(&mut self, mut operation: Operation) -> usize {
        operation.outcome = Outcome::Unknown;
        self.operations.push(operation);
        self.operations.len() - 1
    }

    /// Notes an outcome.
    pub fn end(&mut self, position: usize, time: u64, outcome: Outcome) {
        let operation = &mut self.operations[position];
        operation.end = time;
        operation.outcome = outcome;
    }

    /// How many operations there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Has the history judged, without the keys named: what was found, in words.
    ///
    /// An operation that received its context from one that is left out receives it from the last one before that in its
    /// session: an order that is weaker, hence no alarm that the whole history would not raise.
    #[must_use]
    pub fn judge(self, without: &BTreeSet<String>, final_reads: Vec<FinalRead>) -> Vec<String> {
        let history = History {
            operations: leave_out(self.operations, without),
            final_reads: final_reads.into_iter().filter(|read| !without.contains(&read.key)).collect(),
        };
        let report = precede_checker::check(&history);
        let mut found: Vec<String> = report.findings.iter().take(FINDINGS_MAX).map(ToString::to_string).collect();
        if report.findings.len() > FINDINGS_MAX {
            found.push(format!("and {} more findings", report.findings.len() - FINDINGS_MAX));
        }
        found
    }
}

fn leave_out(operations: Vec<Operation>, without: &BTreeSet<String>) -> Vec<Operation> {
    if without.is_empty() {
        return operations;
    }
    let mut last = std::collections::BTreeMap::new();
    let mut places: Vec<Option<usize>> = Vec::with_capacity(operations.len());
    let mut kept: Vec<Operation> = Vec::new();
    for operation in operations {
        let answered = !matches!(operation.outcome, Outcome::Failed | Outcome::Unknown);
        if without.contains(&operation.key) {
            let stands_for = if operation.carries_context { last.get(&operation.session).copied() } else { None };
            places.push(stands_for);
            continue;
        }
        let mut operation = operation;
        operation.received_from = operation.received_from.iter().filter_map(|from| places[*from]).collect();
        if answered && operation.carries_context {
            last.insert(operation.session, kept.len());
        }
        places.push(Some(kept.len()));
        kept.push(operation);
    }
    kept
}

/// An operation at its beginning.
#[must_use]
pub fn operation(session: u64, key: String, action: Action, start: u64) -> Operation {
    Operation {
        session,
        key,
        action,
        start,
        end: start,
        outcome: Outcome::Unknown,
        received_from: Vec::new(),
        carries_context: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_can_be_left_out_without_losing_the_order_around_it() {
        let mut recorder = Recorder::default();
        let put = |value: &str| Action::Put { value: value.to_owned() };
        for (session, key, action) in [(1, "a", put("1")), (1, "b", put("2")), (2, "a", Action::Get)] {
            let position = recorder.begin(operation(session, key.to_owned(), action, 0));
            recorder.operations[position].outcome = Outcome::Written;
        }
        recorder.operations[2].received_from = vec![1];
        let kept = leave_out(recorder.operations, &BTreeSet::from(["b".to_owned()]));
        assert_eq!(kept.len(), 2);
        assert_eq!(kept[1].received_from, [0]);
    }
}
