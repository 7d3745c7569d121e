//! The field `causal-context` of a body. `@` stands for a token whose checksum is right, with what follows the last line
//! break as its content: so that objects and lists with good tokens in them are found.
#![no_main]

use libfuzzer_sys::fuzz_target;
use precede::fuzzing;
use precede_core::limits::CONTEXT_ENTRIES_MAX;
use precede_fuzz::{heap, sealed};

fuzz_target!(|data: &[u8]| {
    let (text, content) = match data.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[][..]),
    };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let json = text.replace('@', &sealed::token(content));
    // Errors repeat nothing of what was sent; a list keeps a place for each of its entries.
    let parsed = heap::within(256 * json.len() + 64 * 1024, || fuzzing::context(&json, sealed::CLUSTER));
    match parsed {
        Ok(context) => {
            assert!(context.entries.len() <= CONTEXT_ENTRIES_MAX);
            let response = fuzzing::body_with(&context, sealed::CLUSTER);
            let (_, again) = fuzzing::body(&response).expect("the store reads what it writes");
            let again = fuzzing::context(again.expect("it is there"), sealed::CLUSTER);
            let expected = if context.is_empty() { Default::default() } else { context };
            assert_eq!(again, Ok(expected));
        }
        Err(error) => assert!(error.starts_with("Malformed causal-context: ") && error.len() < 256, "{error}"),
    }
});
