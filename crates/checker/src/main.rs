//! `precede-checker FILE`: judges a recorded history, prints what is wrong with it, and says so by its exit code.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::process::ExitCode;

use precede_checker::{History, check};

const USAGE: &str = "\
Usage: precede-checker FILE

Judges whether the history in FILE (- for standard input) is causally convergent.
The form is JSON lines, one operation or final read a line: docs/checker.md has
every field and an example.

Exit code: 0 nothing found, 1 violations found, 2 not a readable history.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = match arguments.as_slice() {
        [flag] if flag == "--help" || flag == "-h" => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        [path] if path == "-" || !path.starts_with('-') => path,
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match read(path) {
        Ok(history) => {
            let report = check(&history);
            println!("{report}");
            ExitCode::from(u8::from(!report.is_clean()))
        }
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::from(2)
        }
    }
}

fn read(path: &str) -> Result<History, precede_checker::HistoryError> {
    let input: Box<dyn BufRead> = match path {
        "-" => Box::new(io::stdin().lock()),
        path => Box::new(BufReader::new(File::open(path)?)),
    };
    History::read_jsonl(input)
}
