//! A history of 50,000 operations. It prints how long it took, and asserts no time.

use std::time::Instant;

use precede_checker::check;

use crate::store::{Bug, Run, simulate};

const RUN: Run = Run {
    replicas: 5,
    sessions: 20,
    keys: 50,
    operations: 50_000,
    deletes: 10,
    unknown: 5,
    pace: 100,
    roaming: 20,
    bug: None,
};

fn judge(words: &str, run: Run) {
    let history = simulate(run, 1);
    let began = Instant::now();
    let report = check(&history);
    let found = report.findings.len() + report.omitted;
    println!("{words}: {found} findings in {:?}", began.elapsed());
    assert_eq!(report.is_clean(), run.bug.is_none());
}

#[test]
fn fifty_thousand_operations() {
    for keys in [2, 50, 1_000] {
        judge(&format!("{keys} keys"), Run { keys, ..RUN });
        judge(&format!("{keys} keys, broken"), Run { keys, bug: Some(Bug::ForgetOwnDot), ..RUN });
    }
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimization")]
fn fifty_thousand_operations_of_unusual_clients() {
    judge("1 session", Run { sessions: 1, ..RUN });
    judge("1,000 sessions", Run { sessions: 1_000, ..RUN });
    judge("5,000 sessions", Run { sessions: 5_000, ..RUN });
    judge("half of all unknown", Run { unknown: 50, ..RUN });
    judge("no deletes", Run { deletes: 0, ..RUN });
    judge("many deletes of one key", Run { deletes: 40, keys: 1, ..RUN });
}
