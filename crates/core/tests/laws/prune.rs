//! Pruning forgets nothing: what it drops is stable, and `stable` covers it afterwards (design 5.2, 5.3).

use precede_core::causality::context::Context;
use precede_core::causality::hlc::Timestamp;
use proptest::prelude::*;

use crate::values::context;

fn pruned(context: &Context, stable: Timestamp) -> Context {
    let mut pruned = context.clone();
    pruned.prune(stable);
    pruned
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn only_what_is_stable_is_dropped_and_it_stays_covered(before in context(), stable in 0u64..7) {
        let stable = Timestamp(stable);
        let after = pruned(&before, stable);
        for (origin, timestamp) in before.entries.iter() {
            if timestamp > stable {
                prop_assert_eq!(after.entries.get(origin), timestamp, "an entry that is not stable was dropped");
            } else {
                prop_assert_eq!(after.entries.get(origin), Timestamp::ZERO, "a stable entry was kept");
                prop_assert!(after.stable >= timestamp, "what was dropped is not covered");
            }
        }
        prop_assert!(after.entries.len() <= before.entries.len());
        prop_assert!(after.stable >= before.stable);
        // It rises no further than to what was dropped: a greater one would demand more than the client has seen.
        prop_assert!(after.stable <= before.greatest());
        prop_assert_eq!(after.view, before.view);
        prop_assert_eq!(after.is_empty(), before.is_empty());
    }

    /// ADR 13.
    #[test]
    fn what_has_no_room_stays_covered_and_what_was_asked_with_is_kept_if_it_fits(
        asked in context(), revealed in context(), most in 0usize..8,
    ) {
        let mut joined = asked.clone();
        joined.merge(&revealed);
        let mut after = joined.clone();
        after.bound(&asked, most);
        if joined.entries.len() <= most {
            prop_assert_eq!(&after, &joined, "all of it has room");
        }
        prop_assert!(after.entries.len() <= most);
        for (origin, timestamp) in joined.entries.iter() {
            prop_assert!(after.entries.get(origin) == timestamp || after.stable >= timestamp, "it is not covered");
        }
        if asked.entries.len() <= most {
            let is_kept = |(origin, timestamp)| after.entries.get(origin) >= timestamp;
            prop_assert!(asked.entries.iter().all(is_kept), "what was asked with is left out");
        }
        prop_assert!((joined.stable..=joined.greatest()).contains(&after.stable));
        prop_assert_eq!(after.view, joined.view);
    }

    #[test]
    fn pruning_again_or_by_steps_changes_nothing(context in context(), a in 0u64..7, b in 0u64..7) {
        let (low, high) = (Timestamp(a.min(b)), Timestamp(a.max(b)));
        prop_assert_eq!(pruned(&pruned(&context, low), low), pruned(&context, low));
        prop_assert_eq!(pruned(&pruned(&context, low), high), pruned(&context, high));
        prop_assert_eq!(pruned(&pruned(&context, high), low), pruned(&context, high));
    }

    /// A client that merges pruned contexts loses nothing against one that merges first.
    #[test]
    fn pruning_before_merging_asks_for_as_much(a in context(), b in context(), stable in 0u64..7) {
        let stable = Timestamp(stable);
        let mut early = pruned(&a, stable);
        early.merge(&pruned(&b, stable));
        let mut late = a.clone();
        late.merge(&b);
        late.prune(stable);
        prop_assert_eq!(&early.entries, &late.entries);
        prop_assert!(early.stable >= late.stable);
    }
}
