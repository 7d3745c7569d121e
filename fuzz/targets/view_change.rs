//! Bodies of view changes. What parses is a view that the planner makes or refuses by name; errors name the field and stay short.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use precede::fuzzing;
use precede_core::id::Address;
use precede_core::placement::view::View;
use precede_core::view_change::plan;
use precede_fuzz::heap;

/// The fields that an error may name, and what it says of a body that is no object.
const BEGINNINGS: [&str; 7] =
    ["view", "repl-factor ", "dry-run ", "force ", "expected-epoch ", "timeout-ms ", "Failed to parse request body"];

static VIEW: LazyLock<View> = LazyLock::new(|| {
    let address = |at| Address::parse(&format!("n{at}:80"), None).expect("it is an address");
    View::bootstrap(&[1, 2, 3, 4].map(address), 2).expect("four make two shards")
});

fuzz_target!(|data: &[u8]| {
    let me = &VIEW.shards()[0].replicas[0];
    // A value of JSON is 32 bytes in memory, and one of two on the wire.
    match heap::within(128 * data.len() + 16384, || fuzzing::view_change(data, &VIEW, me)) {
        Ok((asked, timeout)) => {
            assert!(timeout <= Duration::from_secs(600));
            for member in &asked.members {
                assert_eq!(Address::parse(member.as_str(), None).as_ref(), Ok(member), "an address is its own text");
            }
            match plan::assign(&VIEW, &asked.members, asked.repl_factor) {
                Ok((shards, last)) => {
                    assert!(shards.iter().all(|shard| shard.replicas.len() >= asked.repl_factor && shard.id <= last));
                    let seats: usize = shards.iter().map(|shard| shard.replicas.len()).sum();
                    assert_eq!(seats, asked.members.len());
                }
                Err(error) => assert!(error.to_string().len() < 512, "{error}"),
            }
        }
        Err(error) => {
            assert!(BEGINNINGS.iter().any(|beginning| error.starts_with(beginning)), "{error}");
            assert!(error.len() < 512, "{error}");
        }
    }
});
