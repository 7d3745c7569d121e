//! The file form and the binary.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use precede_checker::{Action, FinalRead, History, HistoryError, Operation, Outcome};
use proptest::prelude::*;

use crate::notation::history;

fn operations() -> impl Strategy<Value = Operation> {
    let action =
        prop_oneof![any::<String>().prop_map(|value| Action::Put { value }), Just(Action::Get), Just(Action::Delete)];
    let outcome = prop_oneof![
        any::<Option<String>>().prop_map(|value| Outcome::Read { value }),
        Just(Outcome::Written),
        Just(Outcome::NotFound),
        Just(Outcome::Failed),
        Just(Outcome::Unknown),
    ];
    let handed = proptest::collection::vec(any::<usize>(), 0..3);
    (any::<(u64, String, u64, u64, bool)>(), action, outcome, handed).prop_map(|(plain, action, outcome, handed)| {
        let (session, key, start, end, carries_context) = plain;
        Operation { session, key, action, start, end, outcome, received_from: handed, carries_context }
    })
}

fn histories() -> impl Strategy<Value = History> {
    let finals =
        any::<(String, String, Option<String>)>().prop_map(|(replica, key, value)| FinalRead { replica, key, value });
    let finals = proptest::collection::vec(finals, 0..4);
    (proptest::collection::vec(operations(), 0..8), finals)
        .prop_map(|(operations, final_reads)| History { operations, final_reads })
}

proptest! {
    #[test]
    fn what_is_written_is_read(history in histories()) {
        let mut file = Vec::new();
        history.write_jsonl(&mut file).unwrap();
        prop_assert_eq!(History::read_jsonl(file.as_slice()).unwrap(), history);
    }

    #[test]
    fn any_history_is_judged_without_a_panic(history in histories()) {
        let _ = precede_checker::check(&history);
    }
}

const EXAMPLE: &str = r#"
{"op":{"session":1,"key":"x","action":{"put":{"value":"a"}},"start":10,"end":20,"outcome":"written"}}
{"op":{"session":2,"key":"x","action":"get","start":30,"end":35,"outcome":{"read":{"value":"a"}},"received_from":[0]}}

{"op":{"session":2,"key":"y","action":"delete","start":40,"end":45,"outcome":"unknown","carries_context":false}}
{"final":{"replica":"node-1","key":"x","value":"a"}}
"#;

#[test]
fn the_documented_form_is_read() {
    let history = History::read_jsonl(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(history.operations.len(), 3);
    assert_eq!(history.operations[1].received_from, [0]);
    assert!(history.operations[1].carries_context && !history.operations[2].carries_context);
    assert_eq!(history.final_reads.len(), 1);
}

/// What stands between the first fence of this kind in the document on the file form and its end.
fn fenced<'a>(document: &'a str, kind: &str) -> &'a str {
    let (_, rest) = document.split_once(&format!("\n```{kind}\n")).expect("the document has such a block");
    rest.split_once("```\n").expect("the block ends").0
}

#[test]
fn the_example_of_the_document_is_judged_as_it_says() {
    let document = include_str!("../../../../docs/checker.md");
    let output = run(&["-"], fenced(document, "jsonl").as_bytes());
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout), fenced(document, "text"));
}

#[test]
fn fields_that_are_not_known_are_ignored() {
    let line = r#"{"final":{"replica":"n","key":"x","value":null,"more":1}}"#;
    assert_eq!(History::read_jsonl(line.as_bytes()).unwrap().final_reads.len(), 1);
}

#[test]
fn a_bad_line_is_named() {
    let error = History::read_jsonl("\n{\"op\":{}}\n".as_bytes()).unwrap_err();
    assert!(matches!(error, HistoryError::Syntax { line: 2, .. }), "{error}");
}

fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_precede-checker"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built");
    // One that refuses its arguments does not read.
    let _ = child.stdin.take().expect("it is piped").write_all(input);
    child.wait_with_output().expect("it ends")
}

#[test]
fn the_exit_code_tells_the_verdict() {
    let clean = run(&["-"], EXAMPLE.as_bytes());
    assert_eq!(clean.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&clean.stdout), "clean: 3 operations and 1 final reads judged\n");
    let mut bad = Vec::new();
    history("1 put x a\n 1 get x -").write_jsonl(&mut bad).unwrap();
    let bad = run(&["-"], &bad);
    assert_eq!(bad.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&bad.stdout).contains("WriteCoInitRead: #1"));
    assert_eq!(run(&["-"], b"nonsense").status.code(), Some(2));
    assert_eq!(run(&[], b"").status.code(), Some(2));
    assert_eq!(run(&["/no/such/file"], b"").status.code(), Some(2));
    assert_eq!(run(&["--nonsense"], b"").status.code(), Some(2));
    assert_eq!(run(&["--help"], b"").status.code(), Some(0));
}
