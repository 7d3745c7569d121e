//! Histories as text, an operation a line: `SESSION ACTION KEY [VALUE] [~] [<POSITION]…`.
//!
//! Actions are `put`, `get`, `del`, and `del404` for a delete that found nothing; `!` after an action means that it
//! failed, `?` that its outcome is unknown. The value `-` is absence. `~` stands for "without context", `<3` for "was
//! handed the context of operation 3". A final read is `final REPLICA KEY VALUE`.

use std::collections::BTreeSet;

use precede_checker::{Action, FinalRead, History, Operation, Outcome, Pattern, check};

pub(crate) fn history(text: &str) -> History {
    let mut history = History::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words[0] == "final" {
            history.final_reads.push(FinalRead {
                replica: words[1].to_owned(),
                key: words[2].to_owned(),
                value: value(words[3]),
            });
        } else {
            let start = 10 * history.operations.len() as u64;
            history.operations.push(operation(&words, start));
        }
    }
    history
}

fn value(word: &str) -> Option<String> {
    (word != "-").then(|| word.to_owned())
}

fn operation(words: &[&str], start: u64) -> Operation {
    let verb = words[1].trim_end_matches(['!', '?']);
    let has_value = matches!(verb, "put") || words[1] == "get";
    let outcome = match (words[1].chars().last(), verb) {
        (Some('!'), _) => Outcome::Failed,
        (Some('?'), _) => Outcome::Unknown,
        (_, "get") => Outcome::Read { value: value(words[3]) },
        (_, "del404") => Outcome::NotFound,
        _ => Outcome::Written,
    };
    let action = match verb {
        "put" => Action::Put { value: words[3].to_owned() },
        "get" => Action::Get,
        "del" | "del404" => Action::Delete,
        other => panic!("no such action: {other}"),
    };
    let rest = &words[if has_value { 4 } else { 3 }..];
    Operation {
        session: words[0].parse().expect("a session is a number"),
        key: words[2].to_owned(),
        action,
        start,
        end: start + 5,
        outcome,
        received_from: rest
            .iter()
            .filter_map(|w| w.strip_prefix('<'))
            .map(|w| w.parse().expect("a position"))
            .collect(),
        carries_context: !rest.contains(&"~"),
    }
}

/// The patterns that the checker finds.
pub(crate) fn found(text: &str) -> BTreeSet<Pattern> {
    patterns(&history(text))
}

pub(crate) fn patterns(history: &History) -> BTreeSet<Pattern> {
    check(history).findings.iter().map(|finding| finding.pattern).collect()
}
