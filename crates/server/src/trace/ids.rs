//! New ids: of traces, spans and requests. Each thread goes on by itself from where the system's randomness has put it once.

use std::cell::Cell;
use std::hash::{BuildHasher, Hasher, RandomState};

thread_local! {
    static NEXT: [Cell<u64>; 2] = [seed(), seed()];
}

fn seed() -> Cell<u64> {
    Cell::new(RandomState::new().build_hasher().finish())
}

/// SplitMix64 (Steele, Lea and Flood, *Fast Splittable Pseudorandom Number Generators*, OOPSLA 2014): every state gives another number.
fn next(state: &Cell<u64>) -> u64 {
    let seed = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    state.set(seed);
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// An id of a trace: not all zeros.
pub(crate) fn trace() -> [u8; 16] {
    let [high, low] = NEXT.with(|states| states.each_ref().map(next));
    ((u128::from(high) << 64) | u128::from(low.max(1))).to_be_bytes()
}

/// An id of a span, or of a request: not all zeros.
pub(crate) fn span() -> [u8; 8] {
    NEXT.with(|[_, state]| next(state)).max(1).to_be_bytes()
}

/// A random number below this one.
pub(crate) fn below(end: u32) -> u32 {
    let random = NEXT.with(|[state, _]| next(state)) >> 32;
    u32::try_from((random * u64::from(end)) >> 32).expect("it is less than the end")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_differ_over_all_threads() {
        let ids = || (0..1000).map(|_| (span(), trace())).collect::<Vec<_>>();
        let all: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(ids)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(all.iter().map(|(span, _)| span).collect::<HashSet<_>>().len(), 8000);
        assert_eq!(all.iter().map(|(_, trace)| trace).collect::<HashSet<_>>().len(), 8000);
    }

    #[test]
    fn a_share_is_a_share() {
        let hits = (0..100_000).filter(|_| below(1_000_000) < 250_000).count();
        assert!((24_000..26_000).contains(&hits), "{hits} of 100000");
        assert_eq!(below(1), 0);
    }
}
