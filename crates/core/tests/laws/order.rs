//! The order of versions is total, the same everywhere, and goes by timestamp first: so it extends causality (design 4.3).

use std::cmp::Ordering;

use proptest::prelude::*;

use crate::values::{version, view_id};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn versions_are_totally_ordered(a in version(), b in version(), c in version()) {
        // Connex: one of two is the greater, or they are the same write.
        prop_assert!(a <= b || b <= a);
        // Antisymmetric: only the same write is neither.
        prop_assert_eq!(a <= b && b <= a, a == b);
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        // Transitive.
        prop_assert!(!(a <= b && b <= c) || a <= c);
    }

    #[test]
    fn a_later_timestamp_wins_whatever_the_origin(a in version(), b in version()) {
        match a.timestamp.cmp(&b.timestamp) {
            Ordering::Equal => prop_assert_eq!(a.cmp(&b), a.origin.cmp(&b.origin)),
            order @ (Ordering::Less | Ordering::Greater) => prop_assert_eq!(a.cmp(&b), order),
        }
    }

    #[test]
    fn views_are_totally_ordered_by_epoch_first(a in view_id(), b in view_id(), c in view_id()) {
        prop_assert!(a <= b || b <= a);
        prop_assert_eq!(a <= b && b <= a, a == b);
        prop_assert!(!(a <= b && b <= c) || a <= c);
        prop_assert!(a.epoch == b.epoch || (a < b) == (a.epoch < b.epoch));
    }
}
