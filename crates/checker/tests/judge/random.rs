//! Numbers from a seed, and small histories without rhyme or reason.

use precede_checker::{Action, FinalRead, History, Operation, Outcome};

/// SplitMix64 (Steele, Lea and Flood 2014): enough to draw test cases, the same ones for ever.
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_F491_4F6C_DD1D) ^ 0x5851_F42D_4C95_7F2D)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    /// True in so many of a hundred cases.
    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// What may occur in a random history.
#[derive(Clone, Copy)]
pub(crate) struct Kinds {
    pub(crate) deletes: bool,
    pub(crate) unknowns: bool,
    pub(crate) finals: bool,
}

/// A history whose reads return anything that was ever put, and sometimes more.
pub(crate) fn history(draw: &mut Draw, kinds: Kinds) -> History {
    let (sessions, keys, length) = (1 + draw.below(4), 1 + draw.below(3), 2 + draw.below(9));
    let mut history = History::default();
    for position in 0..length {
        let key = draw.below(keys);
        let (action, outcome) = action(draw, kinds, position);
        history.operations.push(Operation {
            session: draw.below(sessions) as u64,
            key: format!("k{key}"),
            action,
            start: if draw.percent(95) { position as u64 } else { draw.below(length) as u64 },
            end: 0,
            outcome,
            received_from: Vec::new(),
            carries_context: draw.percent(90),
        });
        if position > 0 && draw.percent(10) {
            history.operations[position].received_from.push(draw.below(position));
        }
    }
    for position in 0..length {
        let value = some_value(draw, &history, &history.operations[position].key, position);
        if let Outcome::Read { value: read } = &mut history.operations[position].outcome {
            *read = value;
        }
    }
    for key in (0..keys).filter(|_| kinds.finals) {
        let key = format!("k{key}");
        let mut value = some_value(draw, &history, &key, length);
        for replica in ["n1", "n2"] {
            if draw.percent(5) {
                value = some_value(draw, &history, &key, length);
            }
            history.final_reads.push(FinalRead { replica: replica.to_owned(), key: key.clone(), value: value.clone() });
        }
    }
    history
}

fn action(draw: &mut Draw, kinds: Kinds, position: usize) -> (Action, Outcome) {
    let written = match draw.below(100) {
        0..4 => Outcome::Failed,
        4..20 if kinds.unknowns => Outcome::Unknown,
        _ => Outcome::Written,
    };
    match draw.below(100) {
        0..40 => (Action::Put { value: format!("v{position}") }, written),
        40..45 if kinds.deletes => (Action::Delete, Outcome::NotFound),
        45..60 if kinds.deletes => (Action::Delete, written),
        60..63 if kinds.unknowns => (Action::Get, Outcome::Unknown),
        _ => (Action::Get, Outcome::Read { value: None }),
    }
}

/// A value put to the key, mostly before the position, or absence, or rarely anything.
fn some_value(draw: &mut Draw, history: &History, key: &str, position: usize) -> Option<String> {
    let limit = if draw.percent(95) { position } else { history.operations.len() };
    let puts = history.operations[..limit].iter().filter(|operation| operation.key == key);
    let values: Vec<&String> = puts
        .filter_map(|operation| match &operation.action {
            Action::Put { value } => Some(value),
            Action::Get | Action::Delete => None,
        })
        .collect();
    match draw.below(100) {
        0 => Some("nowhere".to_owned()),
        1..80 if !values.is_empty() => Some(draw.pick(&values).clone()),
        _ => None,
    }
}
