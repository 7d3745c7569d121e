//! Bodies, queries and keys of requests. A body's fields are texts of it, and parse as JSON again; the first line is taken
//! for a query and for a key, the rest for a body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use precede::fuzzing;
use precede_fuzz::heap;

fuzz_target!(|data: &[u8]| {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (line, body) = data.split_at(at);
    if let Ok(line) = std::str::from_utf8(line) {
        if let Err(error) = heap::within(8 * line.len() + 4096, || fuzzing::query(line)) {
            assert!(error.starts_with("Parameter "), "{error}");
        }
        match heap::within(8 * line.len() + 4096, || fuzzing::key(line, 64)) {
            Ok(key) => assert!(!key.is_empty() && key.len() <= 64 && std::str::from_utf8(&key).is_ok()),
            Err(error) => assert!(error.starts_with("Key "), "{error}"),
        }
    }
    let Ok((value, context)) = heap::within(8 * body.len() + 4096, || fuzzing::body(body)) else { return };
    // What is stored is handed out inside of objects: it must be one JSON text, whatever stands around it.
    for text in [value, context].into_iter().flatten() {
        let inside = format!("{{\"x\":[0],\"value\":{text}}}");
        let (again, none) = fuzzing::body(inside.as_bytes()).unwrap_or_else(|error| match Some(text) == value {
            true => panic!("{text} was taken for JSON: {error}"),
            // A context may be nested deeper than a value: it is judged where it is read.
            false => (Some(text), None),
        });
        assert_eq!((again, none), (Some(text), None));
    }
});
