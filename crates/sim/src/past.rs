//! Causal pasts as the simulator knows them: for each key the greatest write known of it.
//!
//! Nothing here is taken from contexts: a past is made of what a client really wrote and read, and of what the writers of what
//! it read had written and read.

use std::num::NonZeroU32;
use std::rc::Rc;

use precede_core::causality::version::Version;

/// Names a write in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WriteIx(NonZeroU32);

impl WriteIx {
    /// The write at a position of the record.
    #[must_use]
    pub fn new(at: usize) -> Self {
        let number = u32::try_from(at + 1).expect("a run has fewer than 2^32 writes");
        Self(NonZeroU32::new(number).expect("one more than a position is not zero"))
    }

    /// The position in the record.
    #[must_use]
    pub fn at(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// For each key the greatest write of it in a causal past. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Past {
    greatest: Rc<Vec<Option<WriteIx>>>,
}

impl Past {
    /// The past of a client that has seen nothing, among `keys` keys.
    #[must_use]
    pub fn nothing(keys: usize) -> Self {
        Self { greatest: Rc::new(vec![None; keys]) }
    }

    /// The greatest write of a key.
    #[must_use]
    pub fn of(&self, key: usize) -> Option<WriteIx> {
        self.greatest[key]
    }

    /// All of it.
    pub fn iter(&self) -> impl Iterator<Item = WriteIx> {
        self.greatest.iter().copied().flatten()
    }

    /// Takes in one write; `version` gives the order.
    pub fn add(&mut self, key: usize, write: WriteIx, version: impl Fn(WriteIx) -> Version) {
        if self.greatest[key].is_none_or(|held| version(held) < version(write)) {
            Rc::make_mut(&mut self.greatest)[key] = Some(write);
        }
    }

    /// Takes in another past.
    pub fn join(&mut self, other: &Self, version: impl Fn(WriteIx) -> Version) {
        if Rc::ptr_eq(&self.greatest, &other.greatest) {
            return;
        }
        for (key, theirs) in other.greatest.iter().enumerate() {
            let Some(theirs) = *theirs else { continue };
            if self.greatest[key] != Some(theirs) {
                self.add(key, theirs, &version);
            }
        }
    }

    /// The past that two possible pasts have in common: for each key the lesser write.
    #[must_use]
    pub fn common(&self, other: &Self, version: impl Fn(WriteIx) -> Version) -> Self {
        let lesser = |(mine, theirs): (&Option<WriteIx>, &Option<WriteIx>)| match (*mine, *theirs) {
            (Some(mine), Some(theirs)) => Some(if version(mine) <= version(theirs) { mine } else { theirs }),
            (None, _) | (_, None) => None,
        };
        Self { greatest: Rc::new(self.greatest.iter().zip(other.greatest.iter()).map(lesser).collect()) }
    }
}
