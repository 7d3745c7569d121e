//! Merging is a join: of vectors the entry-wise maximum, of contexts that and the greatest view and `stable`.

use precede_core::causality::context::Context;
use precede_core::causality::version_vector::{Causality, VersionVector};
use proptest::prelude::*;

use crate::values::{context, vector, version};

fn joined(a: &VersionVector, b: &VersionVector) -> VersionVector {
    let mut merged = a.clone();
    merged.merge(b);
    merged
}

fn union(a: &Context, b: &Context) -> Context {
    let mut merged = a.clone();
    merged.merge(b);
    merged
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn vectors_merge_in_any_order_grouping_and_number(a in vector(), b in vector(), c in vector()) {
        prop_assert_eq!(joined(&a, &b), joined(&b, &a));
        prop_assert_eq!(joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)));
        prop_assert_eq!(joined(&a, &a), a.clone());
        prop_assert_eq!(joined(&a, &VersionVector::default()), a);
    }

    #[test]
    fn contexts_merge_in_any_order_grouping_and_number(a in context(), b in context(), c in context()) {
        prop_assert_eq!(union(&a, &b), union(&b, &a));
        prop_assert_eq!(union(&union(&a, &b), &c), union(&a, &union(&b, &c)));
        prop_assert_eq!(union(&a, &a), a.clone());
        prop_assert_eq!(union(&a, &Context::default()), a);
    }

    /// The merged vector is the *least* that has all of both: it covers what one of them covers, and nothing else.
    #[test]
    fn a_merged_vector_covers_what_one_of_them_covers(a in vector(), b in vector(), version in version()) {
        prop_assert_eq!(joined(&a, &b).covers(&version), a.covers(&version) || b.covers(&version));
    }

    #[test]
    fn comparing_agrees_with_merging(a in vector(), b in vector()) {
        let expected = match (joined(&a, &b) == a, joined(&a, &b) == b) {
            (true, true) => Causality::Equal,
            (true, false) => Causality::After,
            (false, true) => Causality::Before,
            (false, false) => Causality::Concurrent,
        };
        prop_assert_eq!(a.compare(&b), expected);
    }

    #[test]
    fn an_entry_only_rises(a in vector(), version in version()) {
        let mut raised = a.clone();
        let rose = raised.advance(version.origin, version.timestamp);
        prop_assert_eq!(rose, !a.covers(&version));
        prop_assert!(raised.covers(&version));
        prop_assert_eq!(joined(&a, &raised), raised);
    }
}
