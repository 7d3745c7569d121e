//! Whether the recorder kept the rules that every judgement rests on. Says nothing about the store.

use std::collections::HashMap;

use crate::explain::describe;
use crate::history::{Action, History, Operation, Outcome};
use crate::report::{Findings, Pattern};

/// Reports what makes the history unfit to be judged: repeated values, outcomes that do not fit, contexts from nowhere.
pub(crate) fn inspect(history: &History, findings: &mut Findings) {
    let mut first_put = HashMap::new();
    for (position, operation) in history.operations.iter().enumerate() {
        if !outcome_fits(operation) {
            malformed(history, findings, vec![position], "has an outcome that its action cannot have");
        }
        for &source in &operation.received_from {
            if source == position || source >= history.operations.len() {
                malformed(history, findings, vec![position], "received its context from no other operation");
            }
        }
        if let Action::Put { value } = &operation.action {
            let first = *first_put.entry((&operation.key, value)).or_insert(position);
            if first != position {
                malformed(history, findings, vec![position, first], "repeats the value of an earlier put");
            }
        }
    }
}

fn malformed(history: &History, findings: &mut Findings, operations: Vec<usize>, what: &str) {
    findings.add(Pattern::MalformedHistory, || {
        let mut text = format!("{} {what}", describe(history, operations[0]));
        for &other in &operations[1..] {
            text += &format!(": {}", describe(history, other));
        }
        (text, operations)
    });
}

fn outcome_fits(operation: &Operation) -> bool {
    match operation.outcome {
        Outcome::Failed | Outcome::Unknown => true,
        Outcome::Read { .. } => operation.action == Action::Get,
        Outcome::Written => operation.action != Action::Get,
        Outcome::NotFound => operation.action == Action::Delete,
    }
}
