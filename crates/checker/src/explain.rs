//! Sentences for people: operations in one line, the shortest causal path to a bad read, and cycles step by step.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt::Write as _;

use crate::Case;
use crate::conflict::{Arbitration, Proof};
use crate::evidence::Source;
use crate::history::{Action, History, Outcome};
use crate::order::{Edge, EdgeKind, Order};
use crate::report::Pattern;

/// How many characters of a key or value are shown.
const SHOWN_CHARS_MAX: usize = 48;

/// One operation of a causal path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) operation: usize,
    /// How the path got here; `None` for its start.
    pub(crate) by: Option<EdgeKind>,
}

/// An operation in one line.
pub(crate) fn describe(history: &History, position: usize) -> String {
    let operation = &history.operations[position];
    let mut text = format!("#{position} session {}: ", operation.session);
    text += &match &operation.action {
        Action::Put { value } => format!("put {} = {}", quote(&operation.key), quote(value)),
        Action::Get => format!("get {}", quote(&operation.key)),
        Action::Delete => format!("delete {}", quote(&operation.key)),
    };
    text += &match &operation.outcome {
        Outcome::Read { value } => format!(" -> {}", quote_read(value.as_deref())),
        Outcome::NotFound => " -> absent".to_owned(),
        Outcome::Written => String::new(),
        Outcome::Failed => " (failed)".to_owned(),
        Outcome::Unknown => " (outcome unknown)".to_owned(),
    };
    let _ = write!(text, " [{}..{} µs]", operation.start, operation.end);
    text
}

/// A value read, or "absent".
pub(crate) fn quote_read(value: Option<&str>) -> String {
    value.map_or_else(|| "absent".to_owned(), quote)
}

pub(crate) fn quote(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// The path from one operation to another that it precedes, with the fewest steps between sessions and then the fewest
/// steps.
pub(crate) fn shortest_path(order: &Order, from: usize, to: usize) -> Vec<Step> {
    let mut next: HashMap<usize, Step> = HashMap::new();
    let mut open = BinaryHeap::from([Reverse(((0, 0), to))]);
    let mut best = HashMap::from([(to, (0, 0))]);
    while let Some(Reverse(((hops, steps), node))) = open.pop() {
        if node == from {
            break;
        }
        for edge in &order.into[node] {
            if edge.from != from && !order.precedes(from, edge.from) {
                continue;
            }
            let cost = (hops + usize::from(edge.kind != EdgeKind::Session), steps + 1);
            if best.get(&edge.from).is_none_or(|&known| cost < known) {
                best.insert(edge.from, cost);
                next.insert(edge.from, Step { operation: node, by: Some(edge.kind) });
                open.push(Reverse((cost, edge.from)));
            }
        }
    }
    let mut path = vec![Step { operation: from, by: None }];
    while let Some(&step) = path.last().and_then(|last| next.get(&last.operation)) {
        path.push(step);
    }
    path
}

/// How often a path goes from one session to another.
pub(crate) fn hops(path: &[Step]) -> usize {
    path.iter().filter(|step| step.by != Some(EdgeKind::Session)).count()
}

/// A path without what lies between the first and last operation of a stretch in one session.
fn shortened(path: &[Step]) -> Vec<Step> {
    let inner = |i: usize| {
        let by_session = |j: usize| path.get(j).is_some_and(|s| s.by == Some(EdgeKind::Session));
        by_session(i) && by_session(i + 1)
    };
    (0..path.len()).filter(|&i| !inner(i)).map(|i| path[i]).collect()
}

fn link(step: Step) -> &'static str {
    match step.by {
        None => "",
        Some(EdgeKind::Session) => "later in that session ",
        Some(EdgeKind::Unanswered) => "its context went along with the unanswered ",
        Some(EdgeKind::Received) => "its context was handed to ",
        Some(EdgeKind::ReadsFrom) => "was read by ",
    }
}

/// Appends the path to the text, a line for each step, and returns the operations shown.
fn write_path(text: &mut String, history: &History, path: &[Step]) -> Vec<usize> {
    let path = shortened(path);
    for &step in &path {
        let _ = write!(text, "\n    {}{}", link(step), describe(history, step.operation));
    }
    path.iter().map(|step| step.operation).collect()
}

/// Why a read of `stale` (or the initial state) is wrong: `path` leads to it from a newer write.
pub(crate) fn stale_read(case: &Case<'_>, read: usize, stale: Option<usize>, path: &[Step]) -> (String, Vec<usize>) {
    let history = case.evidence.history;
    let newer = path[0].operation;
    let mut text = describe(history, read);
    text += match (stale, case.evidence.sources[read]) {
        (None, _) => ", though a write is in its causal past and no delete can explain it:",
        (Some(_), Source::Absent) => ", though every delete that could explain it was overwritten in its causal past:",
        (Some(_), _) => ", though that was overwritten in its causal past:",
    };
    let mut operations = Vec::new();
    if let Some(stale) = stale {
        let overwriting = shortest_path(&case.order, stale, newer);
        operations = write_path(&mut text, history, &overwriting);
        operations.pop();
        operations.extend(write_path_on(&mut text, history, path));
    } else {
        operations.extend(write_path(&mut text, history, path));
    }
    (text, operations)
}

/// As [`write_path`], of which the first step was written already.
fn write_path_on(text: &mut String, history: &History, path: &[Step]) -> Vec<usize> {
    let shown = shortened(path);
    for &step in &shown[1..] {
        let _ = write!(text, "\n    {}{}", link(step), describe(history, step.operation));
    }
    shown.iter().map(|step| step.operation).collect()
}

/// Why a bad read breaks a session guarantee.
pub(crate) fn guarantee(case: &Case<'_>, guarantee: Pattern, read: usize, path: &[Step]) -> (String, Vec<usize>) {
    let history = case.evidence.history;
    let newer = describe(history, path[0].operation);
    let read = describe(history, read);
    let mut text = match guarantee {
        Pattern::ReadYourWrites => format!("{read} misses its session's own write {newer}:"),
        Pattern::MonotonicReads => format!("{read} misses what its session had read, {newer}:"),
        Pattern::MonotonicWrites => format!("{read} misses {newer}, though it sees later writes of that session:"),
        _ => format!("{read} misses {newer}, though it sees writes that followed reads of it:"),
    };
    let operations = write_path(&mut text, history, path);
    (text, operations)
}

/// A cycle of causality, step by step.
pub(crate) fn causal_cycle(history: &History, into: &[Vec<Edge>], cycle: &[usize]) -> (String, Vec<usize>) {
    let mut text = "operations causally precede themselves:".to_owned();
    let mut path = vec![Step { operation: cycle[0], by: None }];
    path.extend(around(cycle).map(|(from, operation)| Step { operation, by: direct(into, from, operation) }));
    let mut operations = write_path(&mut text, history, &path);
    operations.pop();
    (text, operations)
}

/// The edges of a cycle of these nodes, from the first node on.
fn around(cycle: &[usize]) -> impl Iterator<Item = (usize, usize)> + '_ {
    cycle.iter().copied().zip(cycle.iter().copied().cycle().skip(1))
}

fn direct(into: &[Vec<Edge>], from: usize, to: usize) -> Option<EdgeKind> {
    into[to].iter().find(|e| e.from == from).map(|e| e.kind)
}

/// A cycle of causality and of the order of writes that reads prove, step by step, after these words.
pub(crate) fn arbitration_cycle(
    case: &Case<'_>,
    arbitration: &Arbitration<'_>,
    cycle: &[usize],
    words: &str,
) -> (String, Vec<usize>) {
    let history = case.evidence.history;
    let mut text = words.to_owned();
    let mut operations = Vec::new();
    let mut stretch = vec![Step { operation: cycle[0], by: None }];
    for (from, to) in around(cycle) {
        if let Some(kind) = direct(&case.order.into, from, to) {
            stretch.push(Step { operation: to, by: Some(kind) });
            continue;
        }
        let written = if operations.is_empty() {
            write_path(&mut text, history, &stretch)
        } else {
            write_path_on(&mut text, history, &stretch)
        };
        operations.extend(written);
        let end = describe(history, to);
        let _ = match arbitration.proof(from, to) {
            Proof::Read(read) => {
                operations.push(read);
                write!(
                    text,
                    "\n    must be older than {end}, returned by {} which follows both",
                    describe(history, read)
                )
            }
            Proof::AtRest => {
                write!(text, "\n    must be older than {end}, which is what the replicas hold")
            }
        };
        stretch = vec![Step { operation: to, by: None }];
    }
    if stretch.len() > 1 {
        operations.extend(write_path_on(&mut text, history, &stretch));
    }
    let mut known = std::collections::HashSet::new();
    operations.retain(|&operation| known.insert(operation));
    (text, operations)
}

/// A path after these words.
pub(crate) fn along(case: &Case<'_>, words: &str, path: &[Step]) -> (String, Vec<usize>) {
    let mut text = words.to_owned();
    let operations = write_path(&mut text, case.evidence.history, path);
    (text, operations)
}
