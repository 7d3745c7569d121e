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
