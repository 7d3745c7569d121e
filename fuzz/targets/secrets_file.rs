//! The file of secrets. What parses has one to eight, a line each; errors say nothing of what is in the file but the line's number.
#![no_main]

use libfuzzer_sys::fuzz_target;
use precede::fuzzing;
use precede_fuzz::{files, heap};

/// All that may be wrong, without the number of the line.
const ERRORS: [&str; 5] = [
    "it is not UTF-8",
    "it has no secret: make one with `precede secret`",
    "a secret has 32 to 1024 characters: make one with `precede secret`",
    "the same secret stands there twice",
    "more secrets than the limit of 8: take old ones out",
];

fuzz_target!(|data: &[u8]| {
    // There are at most eight secrets, whatever the file's size.
    match heap::within(32768, || fuzzing::secrets(data)) {
        Ok((count, anyone)) => {
            let lines = files::lines(data).expect("it is a text");
            let (open, secrets): (Vec<&str>, Vec<&str>) = lines.partition(|line| *line == "anyone");
            assert_eq!((count, anyone), (secrets.len(), !open.is_empty()));
            assert!((1..=8).contains(&count) && secrets.iter().all(|secret| (32..=1024).contains(&secret.len())));
        }
        Err(error) => assert!(ERRORS.contains(&files::without_line(&error)), "{error}"),
    }
});
