//! A history of 50,000 operations. It prints how long it took, and asserts no time.

use std::time::Instant;

use precede_checker::check;

use crate::store::{Bug, Run, simulate};

#[test]
fn fifty_thousand_operations() {
    for keys in [1, 50, 1_000] {
        for bug in [None, Some(Bug::ApplyWithoutDependencies)] {
            let run = Run { replicas: 5, sessions: 20, keys, operations: 50_000, deletes: 10, unknown: 5, bug };
            let history = simulate(run, 1);
            let began = Instant::now();
            let report = check(&history);
            let found = report.findings.len() + report.omitted;
            println!("{keys} keys, bug {bug:?}: {found} findings in {:?}", began.elapsed());
            assert_eq!(report.is_clean(), bug.is_none());
        }
    }
}
