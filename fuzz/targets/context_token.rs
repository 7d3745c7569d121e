//! Context tokens: as they come, and with a checksum that is right. The first byte says which.
#![no_main]

use libfuzzer_sys::fuzz_target;
use precede_core::causality::token;
use precede_core::limits::CONTEXT_ENTRIES_MAX;
use precede_fuzz::{heap, sealed};

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let text = match first % 4 {
        0 => String::from_utf8_lossy(rest).into_owned(),
        _ => sealed::token(rest),
    };
    let decoded = heap::within(256 * text.len() + 4096, || token::decode(&text, sealed::CLUSTER));
    if let Ok(context) = decoded {
        assert!(context.entries.len() <= CONTEXT_ENTRIES_MAX);
        let again = token::decode(&token::encode(&context, sealed::CLUSTER), sealed::CLUSTER);
        let expected = if context.is_empty() { Default::default() } else { context };
        assert_eq!(again, Ok(expected));
    }
});
