//! A node's certificates, its key and its authorities: three texts in PEM between bytes of zero or, behind a first byte of one, what PEM
//! would hold, each with its length before it. Errors name the file and stay short.
#![no_main]

use libfuzzer_sys::fuzz_target;
use precede::fuzzing;
use precede_fuzz::{files, heap};

/// What an error begins with.
const BEGINNINGS: [&str; 4] =
    ["TLS_CERT_FILE: ", "TLS_KEY_FILE: ", "TLS_CA_FILE: ", "TLS_CERT_FILE and TLS_KEY_FILE: "];

fuzz_target!(|data: &[u8]| {
    let Some(files) = files::identity(data) else { return };
    let bytes: usize = files.iter().map(Vec::len).sum();
    if let Err(error) = heap::within(32 * bytes + (256 << 10), || fuzzing::identity(&files)) {
        assert!(BEGINNINGS.iter().any(|beginning| error.starts_with(beginning)), "{error}");
        assert!(error.len() < 512, "{error}");
    }
});
