//! What clients are like: their keys, their sessions, the contexts they keep.

use bytes::Bytes;
use precede_core::causality::context::Context;

use crate::dice::Dice;
use crate::past::Past;

/// Contexts that are kept for later.
const KEPT_MAX: usize = 30;

/// The first of them are kept for good: they get as stale as a run is long.
const KEPT_FOR_GOOD: usize = 10;

/// The keys, and how often sessions act.
#[derive(Debug)]
pub struct Workload {
    hot: usize,
    cold: usize,
    once: usize,
    /// How many of the write-once keys have been written.
    pub written_once: usize,
    sessions: u64,
}

/// A client: one request at a time.
#[derive(Debug)]
pub struct Session {
    /// Its name in the history; a new one whenever it starts over.
    pub name: u64,
    /// What it carries.
    pub context: Context,
    /// What it really knows.
    pub past: Past,
    /// What it has read and written itself.
    pub own: Past,
    /// The node it asks; none: any.
    pub home: Option<usize>,
    /// The request it waits for.
    pub waiting: Option<u64>,
    /// Counts turns: an older one is out of date.
    pub generation: u64,
    /// Requests still to come at once.
    pub burst: u64,
    /// Whether it starts over with every burst. A context names all that an origin wrote before: one that has been carried
    /// about for long asks for so much that it hides what others forgot to ask for.
    pub brief: bool,
    /// The last operation that it has its context from.
    pub source: Option<usize>,
    /// Operations whose contexts it was handed since its last request.
    pub received: Vec<usize>,
}

/// A context that somebody kept, with what it stands for.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The context.
    pub context: Context,
    /// What its client knew.
    pub past: Past,
    /// The operations that it came from.
    pub sources: Vec<usize>,
}

impl Workload {
    /// Draws the clients of a run.
    #[must_use]
    pub fn draw(dice: &mut Dice) -> Self {
        let hot = 2 + dice.index(4);
        let cold = 6 + dice.index(8);
        let once = 60;
        Self { hot, cold, once, written_once: 0, sessions: dice.between(4, 12) }
    }

    /// The names of all keys, by number.
    #[must_use]
    pub fn names(&self) -> Vec<Bytes> {
        let named = |kind: &'static str, count: usize| (0..count).map(move |at| Bytes::from(format!("{kind}-{at}")));
        named("hot", self.hot).chain(named("cold", self.cold)).chain(named("once", self.once)).collect()
    }

    /// The sessions.
    #[must_use]
    pub fn sessions(&self, nodes: usize, keys: usize, dice: &mut Dice) -> Vec<Session> {
        let session = |name| Session {
            name,
            context: Context::default(),
            past: Past::nothing(keys),
            own: Past::nothing(keys),
            home: dice.chance(500).then(|| dice.index(nodes)),
            waiting: None,
            generation: 0,
            burst: 0,
            brief: dice.chance(400),
            source: None,
            received: Vec::new(),
        };
        (0..self.sessions).map(session).collect()
    }

    /// How long a session thinks before its next request: within a burst hardly at all, so that replication cannot keep up.
    pub fn think(&self, session: &mut Session, dice: &mut Dice) -> u64 {
        if session.burst > 0 {
            session.burst -= 1;
            return dice.below(3_000);
        }
        session.burst = dice.below(8);
        dice.wait(self.sessions * 40_000)
    }

    /// Draws a key: its number, and whether it is one that is written only once.
    pub fn key(&self, dice: &mut Dice) -> (usize, bool) {
        match dice.below(100) {
            0..55 => (dice.index(self.hot), false),
            55..80 => (self.hot + dice.index(self.cold), false),
            _ => {
                let fresh = self.written_once < self.once && dice.chance(60);
                let recent = self.written_once.saturating_sub(1 + dice.index(8));
                (self.hot + self.cold + if fresh { self.written_once } else { recent }, true)
            }
        }
    }

    /// Whether a write-once key is still to be written.
    #[must_use]
    pub fn is_unwritten(&self, key: usize) -> bool {
        key == self.hot + self.cold + self.written_once
    }
}

/// Keeps a context for later.
pub fn keep(kept: &mut Vec<Kept>, new: Kept, dice: &mut Dice) {
    if kept.len() < KEPT_MAX {
        kept.push(new);
    } else {
        let place = KEPT_FOR_GOOD + dice.index(KEPT_MAX - KEPT_FOR_GOOD);
        kept[place] = new;
    }
}
