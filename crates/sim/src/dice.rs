//! All chance in a run: one generator, one seed.
//!
//! Only integers are drawn, so that a run is the same in debug and release builds and on every machine.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The one source of chance in a run.
#[derive(Debug)]
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// The dice of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`; zero if `bound` is.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.any()) * u128::from(bound);
        u64::try_from(wide >> 64).expect("the upper half of a product of 64 bits fits 64 bits")
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// A number from `-bound` to `bound`.
    pub fn around(&mut self, bound: i64) -> i64 {
        let span = u64::try_from(bound).unwrap_or(0);
        i64::try_from(self.between(0, 2 * span)).unwrap_or(0) - bound
    }

    /// True in `permille` of a thousand cases.
    pub fn chance(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// A time of this mean: mostly near it, sometimes very short, sometimes long.
    pub fn wait(&mut self, mean: u64) -> u64 {
        match self.below(10) {
            0 => self.below(mean / 8 + 1),
            1 => self.between(mean, 4 * mean),
            _ => self.between(mean / 4, mean * 3 / 2),
        }
    }

    /// An index below `length`, which must not be zero.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("an index below a length fits")
    }

    /// One of `choices`, which must not be empty.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.index(choices.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_in_their_bounds_and_repeat() {
        let (mut one, mut two) = (Dice::new(7), Dice::new(7));
        for _ in 0..1000 {
            let drawn = one.between(3, 9);
            assert!((3..=9).contains(&drawn));
            assert_eq!(drawn, two.between(3, 9));
            assert!((-5..=5).contains(&one.around(5)));
            two.around(5);
        }
        assert_eq!(one.below(0), 0);
    }
}
