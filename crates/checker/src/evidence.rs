//! What a history says before any judgement: which write each read returned, and the direct causal edges.

use std::collections::HashMap;

use crate::history::{Action, History, Operation, Outcome};
use crate::order::{Edge, EdgeKind};

/// What an operation read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// It is no read, or got no answer.
    None,
    /// This write.
    Write(usize),
    /// Absence, which is the initial state or some delete.
    Absent,
    /// A value that no put wrote, or only the given one that failed.
    ThinAir(Option<usize>),
}

/// The operations of a history with keys numbered and reads matched to writes.
pub(crate) struct Evidence<'h> {
    pub(crate) history: &'h History,
    /// The number of each operation's key.
    pub(crate) key_of: Vec<usize>,
    /// What each operation read.
    pub(crate) sources: Vec<Source>,
    /// For each key the writes that were applied or may have been, ascending.
    pub(crate) writes: Vec<Vec<usize>>,
    key_numbers: HashMap<&'h str, usize>,
    puts: HashMap<(usize, &'h str), usize>,
}

impl<'h> Evidence<'h> {
    pub(crate) fn new(history: &'h History) -> Self {
        let mut evidence = Self {
            history,
            key_of: Vec::with_capacity(history.operations.len()),
            sources: Vec::new(),
            writes: Vec::new(),
            key_numbers: HashMap::new(),
            puts: HashMap::new(),
        };
        for (position, operation) in history.operations.iter().enumerate() {
            let next = evidence.key_numbers.len();
            let key = *evidence.key_numbers.entry(&operation.key).or_insert(next);
            evidence.key_of.push(key);
            evidence.writes.resize(evidence.key_numbers.len(), Vec::new());
            if let Action::Put { value } = &operation.action {
                evidence.puts.insert((key, value), position);
            }
            if operation.may_write() {
                evidence.writes[key].push(position);
            }
        }
        evidence.sources = (0..history.operations.len()).map(|position| evidence.read_by(position)).collect();
        evidence
    }

    fn read_by(&self, position: usize) -> Source {
        match &self.history.operations[position].outcome {
            Outcome::Read { value } => self.source_of(self.key_of[position], value.as_deref()),
            Outcome::NotFound => Source::Absent,
            Outcome::Written | Outcome::Failed | Outcome::Unknown => Source::None,
        }
    }

    /// What a read of the key that returned `value` has read.
    pub(crate) fn source_of(&self, key: usize, value: Option<&'h str>) -> Source {
        let Some(value) = value else {
            return Source::Absent;
        };
        match self.puts.get(&(key, value)) {
            Some(&put) if self.history.operations[put].may_write() => Source::Write(put),
            failed => Source::ThinAir(failed.copied()),
        }
    }

    /// The number of a key, or `None` if no operation touched it.
    pub(crate) fn key_number(&self, key: &str) -> Option<usize> {
        self.key_numbers.get(key).copied()
    }

    pub(crate) fn is_delete(&self, position: usize) -> bool {
        self.history.operations[position].is_delete()
    }

    /// The direct causal edges into each operation: session order, contexts handed over, and reads of values.
    ///
    /// A write of unknown outcome follows its session's earlier operations, since its request carried their context;
    /// but no response told the session of it, so nothing follows it except its readers.
    pub(crate) fn edges(&self) -> Vec<Vec<Edge>> {
        let operations = &self.history.operations;
        let mut into = vec![Vec::new(); operations.len()];
        let mut by_session: Vec<usize> = (0..operations.len())
            .filter(|&position| operations[position].carries_context)
            .filter(|&position| operations[position].has_response() || operations[position].may_write())
            .collect();
        by_session.sort_by_key(|&position| (operations[position].session, operations[position].start, position));
        let mut last: Option<usize> = None;
        for position in by_session {
            let operation = &operations[position];
            let kind = answered(operation, EdgeKind::Session);
            match last {
                Some(from) if operations[from].session == operation.session => into[position].push(Edge { from, kind }),
                _ => {}
            }
            if operation.has_response() {
                last = Some(position);
            }
        }
        for (position, operation) in operations.iter().enumerate() {
            let handed = operation.received_from.iter().copied();
            let kind = answered(operation, EdgeKind::Received);
            for from in handed.filter(|&from| operations[from].has_response()) {
                into[position].push(Edge { from, kind });
            }
            if let Source::Write(from) = self.sources[position] {
                into[position].push(Edge { from, kind: EdgeKind::ReadsFrom });
            }
        }
        into
    }
}

/// The kind of an edge into an operation that carried a context.
fn answered(operation: &Operation, kind: EdgeKind) -> EdgeKind {
    match operation.has_response() {
        true => kind,
        false => EdgeKind::Unanswered,
    }
}
