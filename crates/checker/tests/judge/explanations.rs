//! Findings are for people: the words, and the shortest path.

use precede_checker::{Pattern, check};

use crate::notation::history;

fn explanation(text: &str, pattern: Pattern) -> (String, Vec<usize>) {
    let report = check(&history(text));
    let finding = report.findings.into_iter().find(|f| f.pattern == pattern).expect("it is found");
    (finding.explanation, finding.operations)
}

#[test]
fn a_stale_read_is_explained_by_the_shortest_path() {
    let text = "
        1 put x old
        1 put x new
        1 put z 1
        1 put y flag
        2 get y flag
        2 get w -
        2 get z 1
        2 get x old";
    let (text, operations) = explanation(text, Pattern::WriteCoRead);
    let expected = "\
#7 session 2: get \"x\" -> \"old\" [70..75 µs], though that was overwritten in its causal past:
    #0 session 1: put \"x\" = \"old\" [0..5 µs]
    later in that session #1 session 1: put \"x\" = \"new\" [10..15 µs]
    later in that session #2 session 1: put \"z\" = \"1\" [20..25 µs]
    was read by #6 session 2: get \"z\" -> \"1\" [60..65 µs]
    later in that session #7 session 2: get \"x\" -> \"old\" [70..75 µs]";
    assert_eq!(text, expected);
    assert_eq!(operations, [0, 1, 2, 6, 7]);
}

#[test]
fn long_stretches_of_a_session_are_left_out() {
    let between = "1 get y -\n".repeat(50);
    let (text, operations) = explanation(&format!("1 put x a\n{between}1 get x -"), Pattern::WriteCoInitRead);
    assert_eq!(operations, [0, 51]);
    assert_eq!(text.lines().count(), 3);
}

#[test]
fn a_conflict_names_the_reads_that_prove_it() {
    let text = "1 put x a\n 2 put x b\n 1 get x b\n 2 get x a";
    let (text, operations) = explanation(text, Pattern::CyclicCf);
    assert!(text.contains("returned by #2 session 1") && text.contains("returned by #3 session 2"), "{text}");
    assert_eq!(operations.len(), 4);
}

#[test]
fn a_broken_guarantee_is_named() {
    let (text, _) = explanation("1 put x a\n 1 get x -", Pattern::ReadYourWrites);
    assert!(text.contains("misses its session's own write #0"), "{text}");
}

#[test]
fn a_divergence_names_the_replicas() {
    let (text, _) = explanation("1 put x a\n final n1 x a\n final n2 x -\n final n3 x a", Pattern::Divergence);
    assert_eq!(text, "replicas at rest differ on \"x\":\n    absent at n2\n    \"a\" at n1, n3");
}

#[test]
fn a_report_ends_in_a_line_for_the_hurried() {
    let report = check(&history("1 put x a\n final n1 x a"));
    assert_eq!(report.to_string(), "clean: 1 operations and 1 final reads judged");
    let report = check(&history(&("1 put x a\n".to_owned() + &"2 get x -\n2 get x a\n".repeat(200))));
    assert_eq!(report.findings.len(), 200);
    assert!(report.to_string().contains("\n198 more findings are not shown\n"), "{report}");
    assert!(report.to_string().ends_with("\n398 findings: 401 operations and 0 final reads judged"), "{report}");
}

#[test]
fn long_values_are_cut() {
    let value = "é".repeat(5_000);
    let (text, _) = explanation(&format!("1 get x {value}"), Pattern::ThinAirRead);
    assert!(text.len() < 200 && text.contains('…'), "{text}");
}
