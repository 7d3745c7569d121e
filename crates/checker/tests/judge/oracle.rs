//! The definitions, taken literally: the whole transitive closure, all pairs, and every way to explain absence.
//!
//! Written apart from the checker and slow on purpose. A final read is an operation of its own that follows every
//! acknowledged write of its key.

use std::collections::BTreeSet;

use precede_checker::{Action, History, Outcome, Pattern};

/// Beyond this many ways to explain absence, a history is too large for this judge.
const WAYS_MAX: usize = 20_000;

/// What a read has read.
#[derive(Debug, Clone, Copy, PartialEq)]
enum From {
    Initial,
    Write(usize),
    ThinAir,
}

struct Reading {
    /// The node of the read: an operation, or beyond these a final read.
    node: usize,
    choices: Vec<From>,
}

type Matrix = Vec<Vec<bool>>;

/// Whether some explanation of the absences is free of bad patterns, and replicas at rest agree.
pub(crate) fn is_valid(history: &History) -> bool {
    let finals = &history.final_reads;
    let diverges = |a: usize, b: usize| finals[a].key == finals[b].key && finals[a].value != finals[b].value;
    if (0..finals.len()).any(|a| (0..a).any(|b| diverges(a, b))) {
        return false;
    }
    let readings = readings(history);
    let mut ways = Ways::new(&readings);
    while let Some(way) = ways.next_way() {
        if bad_patterns(history, &readings, &way).is_empty() {
            return true;
        }
    }
    false
}

/// Whether the ways to explain this history can be counted through.
pub(crate) fn is_small(history: &History) -> bool {
    let choices = readings(history).into_iter().map(|reading| reading.choices.len());
    choices.fold(1, usize::saturating_mul) <= WAYS_MAX
}

/// The bad patterns of a history in which no absence is ambiguous.
pub(crate) fn patterns(history: &History) -> BTreeSet<Pattern> {
    let readings = readings(history);
    assert!(readings.iter().all(|reading| reading.choices.len() == 1), "ambiguous");
    let way: Vec<From> = readings.iter().map(|reading| reading.choices[0]).collect();
    bad_patterns(history, &readings, &way)
}

/// Counts through all combinations of choices.
struct Ways<'r> {
    readings: &'r [Reading],
    digits: Option<Vec<usize>>,
}

impl<'r> Ways<'r> {
    fn new(readings: &'r [Reading]) -> Self {
        Self { readings, digits: Some(vec![0; readings.len()]) }
    }

    fn next_way(&mut self) -> Option<Vec<From>> {
        let digits = self.digits.as_mut()?;
        let way = digits.iter().zip(self.readings).map(|(&digit, reading)| reading.choices[digit]).collect();
        let lengths = self.readings.iter().map(|reading| reading.choices.len());
        let raised = digits.iter_mut().zip(lengths).any(|(digit, length)| {
            *digit = (*digit + 1) % length;
            *digit != 0
        });
        if !raised {
            self.digits = None;
        }
        Some(way)
    }
}

fn may_write(history: &History, node: usize) -> bool {
    let Some(operation) = history.operations.get(node) else {
        return false;
    };
    operation.action != Action::Get && matches!(operation.outcome, Outcome::Written | Outcome::Unknown)
}

fn responded(history: &History, node: usize) -> bool {
    !matches!(history.operations[node].outcome, Outcome::Failed | Outcome::Unknown)
}

fn key(history: &History, node: usize) -> &str {
    match node.checked_sub(history.operations.len()) {
        None => &history.operations[node].key,
        Some(read) => &history.final_reads[read].key,
    }
}

fn readings(history: &History) -> Vec<Reading> {
    let n = history.operations.len();
    let mut readings = Vec::new();
    for node in 0..n {
        match &history.operations[node].outcome {
            Outcome::Read { value } => readings.push(reading(history, node, value.as_deref())),
            Outcome::NotFound => readings.push(reading(history, node, None)),
            Outcome::Written | Outcome::Failed | Outcome::Unknown => {}
        }
    }
    let finals = history.final_reads.iter().enumerate();
    readings.extend(finals.map(|(read, r)| reading(history, n + read, r.value.as_deref())));
    readings
}

fn reading(history: &History, node: usize, value: Option<&str>) -> Reading {
    let writes = (0..history.operations.len())
        .filter(|&w| may_write(history, w) && history.operations[w].key == key(history, node));
    let choices = match value {
        None => {
            let deletes = writes.filter(|&w| history.operations[w].action == Action::Delete);
            [From::Initial].into_iter().chain(deletes.map(From::Write)).collect()
        }
        Some(value) => {
            let put = Action::Put { value: value.to_owned() };
            let mut puts = writes.filter(|&w| history.operations[w].action == put);
            vec![puts.next().map_or(From::ThinAir, From::Write)]
        }
    };
    Reading { node, choices }
}

/// The causal order: session order, handed contexts, reads-from, and final reads after all acknowledged writes of their
/// key.
fn causal_order(history: &History, readings: &[Reading], way: &[From]) -> Matrix {
    let operations = &history.operations;
    let n = operations.len() + history.final_reads.len();
    let mut co = vec![vec![false; n]; n];
    for (a, first) in operations.iter().enumerate().filter(|&(a, _)| responded(history, a)) {
        for (b, second) in operations.iter().enumerate() {
            let in_session = first.session == second.session
                && first.carries_context
                && second.carries_context
                && (first.start, a) < (second.start, b);
            co[a][b] = in_session || second.received_from.contains(&a);
        }
    }
    for (reading, from) in readings.iter().zip(way) {
        if let From::Write(write) = *from {
            co[write][reading.node] = true;
        }
    }
    for read in operations.len()..n {
        for (write, row) in co.iter_mut().enumerate().take(operations.len()) {
            row[read] |= operations[write].outcome == Outcome::Written && operations[write].key == key(history, read);
        }
    }
    close(co)
}

/// The transitive closure by Warshall.
fn close(mut relation: Matrix) -> Matrix {
    for via in 0..relation.len() {
        let reached = relation[via].clone();
        for row in relation.iter_mut().filter(|row| row[via]) {
            row.iter_mut().zip(&reached).for_each(|(to, &reached)| *to |= reached);
        }
    }
    relation
}

fn is_cyclic(closed: &Matrix) -> bool {
    closed.iter().enumerate().any(|(node, row)| row[node])
}

/// Table 2 of the paper, for one explanation of all reads.
fn bad_patterns(history: &History, readings: &[Reading], way: &[From]) -> BTreeSet<Pattern> {
    let co = causal_order(history, readings, way);
    let mut bad = BTreeSet::new();
    if is_cyclic(&co) {
        bad.insert(Pattern::CyclicCo);
    }
    let mut conflict = co.clone();
    for (reading, from) in readings.iter().zip(way) {
        let read = reading.node;
        let on_key = |w: usize| may_write(history, w) && key(history, w) == key(history, read);
        let past: Vec<usize> = (0..co.len()).filter(|&w| on_key(w) && co[w][read]).collect();
        match *from {
            From::ThinAir => {
                bad.insert(Pattern::ThinAirRead);
            }
            From::Initial if !past.is_empty() => {
                bad.insert(Pattern::WriteCoInitRead);
            }
            From::Initial => {}
            From::Write(write) => {
                if past.iter().any(|&other| other != write && co[write][other]) {
                    bad.insert(Pattern::WriteCoRead);
                }
                past.iter().filter(|&&other| other != write).for_each(|&other| conflict[other][write] = true);
            }
        }
    }
    if is_cyclic(&close(conflict)) {
        bad.insert(Pattern::CyclicCf);
    }
    bad
}
