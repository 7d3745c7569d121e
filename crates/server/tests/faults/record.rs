//! The record of what clients saw, and which of it can be judged.
//!
//! Three things are allowed that the judge does not know of, and their keys are left out of what it is given. A write
//! whose outcome got lost between nodes may have taken effect twice; its answer says so, if there is one, and two
//! versions of one value show it. A delete that took effect twice cannot be seen, so one without an answer counts as
//! such. And a write that was not yet on two replicas may have been read at the one that then was killed.

use std::collections::{BTreeMap, BTreeSet};

use precede_checker::{Action, FinalRead, History, Operation, Outcome};

use crate::finals::Final;
use crate::raw::{Answer, Silence};

/// One operation, with what the judge is not told.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) operation: Operation,
    /// Who served it; empty without an answer.
    pub(crate) served_by: String,
    /// The version read or written, if an answer told it.
    pub(crate) version: Option<String>,
    /// The answer said that the write may have taken effect twice.
    pub(crate) may_be_repeated: bool,
}

/// The death of a node, by the recorder's clock.
#[derive(Debug)]
pub(crate) struct Crash {
    pub(crate) node: String,
    /// All that was seen up to here had other holders.
    pub(crate) held: u64,
    /// Nothing took effect at the node from here on.
    pub(crate) died: u64,
    /// The node served again from here on.
    pub(crate) back: u64,
}

/// How long before its effect a request may have begun, in microseconds.
const REQUEST_MAX: u64 = 5_000_000;

/// Judges a record and fails with what is wrong.
pub(crate) fn judge(entries: &[Entry], crashes: &[Crash], finals: &[Final]) {
    let repeated = repeated(entries, finals);
    let left_out: BTreeSet<&str> = repeated.union(&lost(entries, crashes)).copied().collect();
    let history = history(entries, finals, &left_out);
    let keys: BTreeSet<&str> = entries.iter().map(|entry| entry.operation.key.as_str()).collect();
    println!("{} crashes, {} of {} keys left out", crashes.len(), left_out.len(), keys.len());
    assert!(left_out.len() * 2 < keys.len(), "too little is left to be judged");
    let report = precede_checker::check(&history);
    println!("{report}; {}", outcomes(entries));
    assert!(report.is_clean(), "{report}");
}

/// What a session learns from an answer, or from none. A write on fewer replicas than `copies` may yet be lost.
pub(crate) fn outcome(action: &Action, key: &str, answer: &Result<Answer, Silence>, copies: usize) -> Outcome {
    let answer = match answer {
        Ok(answer) => answer,
        Err(Silence::Unsent(_)) => return Outcome::Failed,
        Err(Silence::Unknown(_)) => return Outcome::Unknown,
    };
    match (action, answer.status) {
        (Action::Get, 200) => Outcome::Read { value: Some(answer.value()) },
        (Action::Get, 404) => Outcome::Read { value: None },
        (Action::Delete, 404) if answer.may_be_repeated() => Outcome::Unknown,
        (Action::Delete, 404) => Outcome::NotFound,
        (Action::Put { .. } | Action::Delete, 200..=202) if answer.acks() < copies => Outcome::Unknown,
        (Action::Put { .. }, 200..=202) | (Action::Delete, 200 | 202) => Outcome::Written,
        (_, 503) => Outcome::Failed,
        (_, 504) => Outcome::Unknown,
        (action, _) => panic!("{action:?} of {key} was answered with {}", answer.describe()),
    }
}

/// How many operations ended how.
fn outcomes(entries: &[Entry]) -> String {
    let of = |wanted: fn(&Outcome) -> bool| entries.iter().filter(|entry| wanted(&entry.operation.outcome)).count();
    let (unknown, failed) = (of(|outcome| *outcome == Outcome::Unknown), of(|outcome| *outcome == Outcome::Failed));
    format!("of {} in all {unknown} unknown, {failed} failed", entries.len())
}

fn history(entries: &[Entry], finals: &[Final], left_out: &BTreeSet<&str>) -> History {
    let mut positions = vec![None; entries.len()];
    let mut operations: Vec<Operation> = Vec::new();
    for (old, entry) in entries.iter().enumerate() {
        if !left_out.contains(entry.operation.key.as_str()) {
            positions[old] = Some(operations.len());
            operations.push(entry.operation.clone());
        }
    }
    for operation in &mut operations {
        operation.received_from = operation.received_from.iter().filter_map(|old| positions[*old]).collect();
    }
    let judged = finals.iter().filter(|read| !left_out.contains(read.key.as_str()));
    let final_reads = judged
        .map(|read| FinalRead { replica: read.replica.clone(), key: read.key.clone(), value: read.value.clone() })
        .collect();
    History { operations, final_reads }
}

/// The keys on which a write may have taken effect twice. One that did so although its answer promised otherwise is an
/// error.
fn repeated<'e>(entries: &'e [Entry], finals: &'e [Final]) -> BTreeSet<&'e str> {
    let mut versions: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    let mut promised = BTreeSet::new();
    let mut keys = BTreeSet::new();
    for entry in entries {
        let Operation { key, action, outcome, .. } = &entry.operation;
        let is_unanswered = entry.served_by.is_empty() && *outcome == Outcome::Unknown;
        if entry.may_be_repeated || is_unanswered && *action == Action::Delete {
            keys.insert(key.as_str());
        }
        let value = match (action, outcome) {
            (Action::Put { value }, _) | (Action::Get, Outcome::Read { value: Some(value) }) => value,
            _ => continue,
        };
        if *action != Action::Get && entry.version.is_some() && !entry.may_be_repeated {
            promised.insert((key.as_str(), value.as_str()));
        }
        versions.entry((key, value)).or_default().extend(entry.version.as_deref());
    }
    for read in finals {
        if let Some(value) = &read.value {
            versions.entry((&read.key, value)).or_default().extend(read.version.as_deref());
        }
    }
    for (write, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        assert!(!promised.contains(write), "{write:?} took effect twice, and nothing was said: {versions:?}");
        keys.insert(write.0);
    }
    keys
}

/// The keys of which a write may have been read at a node that then took it to its grave.
fn lost<'e>(entries: &'e [Entry], crashes: &[Crash]) -> BTreeSet<&'e str> {
    let mut reads: BTreeMap<(&str, Option<&str>), Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        let value = match &entry.operation.outcome {
            Outcome::Read { value } => value.as_deref(),
            Outcome::NotFound => None,
            Outcome::Written | Outcome::Failed | Outcome::Unknown => continue,
        };
        reads.entry((&entry.operation.key, value)).or_default().push(entry);
    }
    let of = |key, value| reads.get(&(key, value)).map_or(&[][..], Vec::as_slice);
    let mut keys = BTreeSet::new();
    for entry in entries.iter().filter(|entry| entry.operation.outcome == Outcome::Unknown) {
        let Operation { key, action, start, .. } = &entry.operation;
        let is_lost = crashes.iter().any(|crash| match action {
            Action::Put { value } => {
                let reads = of(key.as_str(), Some(value.as_str()));
                !reads.is_empty() && reads.iter().all(|read| crash.took(read))
            }
            Action::Delete => {
                let may_be_of_it = crash.held.saturating_sub(REQUEST_MAX) <= *start && *start <= crash.died;
                may_be_of_it && of(key.as_str(), None).iter().any(|read| crash.took(read))
            }
            Action::Get => false,
        });
        if is_lost {
            keys.insert(key.as_str());
        }
    }
    keys
}

impl Crash {
    /// Whether what was read may have been at the dying node alone.
    fn took(&self, read: &Entry) -> bool {
        read.served_by == self.node && (self.held..=self.back).contains(&read.operation.end)
    }
}
