//! The file of tokens. What parses is good line by line, and a token is found by its secret if its hash is there; errors repeat nothing that
//! might be a secret.
#![no_main]

use libfuzzer_sys::fuzz_target;
use precede::fuzzing;
use precede_fuzz::{files, heap};

/// A secret that seeds have, and its hash.
const SECRET: &str = "seed";
const HASH: &str = "19b25856e1c150ca834cffc8b59b23adbd0ec0389e58eb22b3b64768098d002b";

/// All that may be wrong with a file, and with one of its lines.
const ERRORS: [&str; 6] = [
    "it is not UTF-8",
    "it names no token, and nobody could do anything: make one with `precede token new`",
    "it is not of the form role:sha256:name, as `precede token new` prints it",
    "the role is none of read, write and admin",
    "the hash is not 64 hexadecimal digits: give the token's SHA-256, never the token itself",
    "the name is not 1 to 64 letters, digits, and any of . _ - @",
];

/// The role, the hash and the name of a line that is good.
fn fields(line: &str) -> Option<[&str; 3]> {
    let fields: Vec<&str> = line.splitn(3, ':').map(str::trim).collect();
    let [role, hash, name] = fields.try_into().ok()?;
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte));
    let is_good = ["read", "write", "admin"].contains(&role) && is_hash && is_name && (1..=64).contains(&name.len());
    is_good.then_some([role, hash, name])
}

fuzz_target!(|data: &[u8]| {
    match heap::within(8 * data.len() + 4096, || fuzzing::token(data, SECRET.as_bytes())) {
        Ok(found) => {
            let lines: Vec<[&str; 3]> =
                files::lines(data).expect("it is a text").map(|line| fields(line).expect(line)).collect();
            let expected = lines.into_iter().find(|[_, hash, _]| hash.eq_ignore_ascii_case(HASH));
            assert_eq!(found, expected.map(|[role, _, name]| (role.to_owned(), name.to_owned())));
        }
        Err(error) => {
            let are_good = files::lines(data).is_some_and(|mut lines| lines.all(|line| fields(line).is_some()));
            // Names are no secrets.
            let is_double = error.ends_with("are the same token: take one out") && error.len() < 192;
            assert!(is_double || ERRORS.contains(&files::without_line(&error)), "{error}");
            assert!(!are_good || is_double || error.starts_with("it names no token"), "{error}");
        }
    }
});
