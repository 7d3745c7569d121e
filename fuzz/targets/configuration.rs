//! The configuration: lines of a setting's id, `=` and its text; the same bytes as a file. What resolves is sound, and errors name what is
//! wrong.
#![no_main]

use libfuzzer_sys::fuzz_target;
use precede::fuzzing;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for problem in fuzzing::file(text) {
        assert!(problem.starts_with("f:"), "a problem of a file names its place: {problem}");
    }
    let said: Vec<_> = text.lines().filter_map(|line| line.split_once('=')).collect();
    match fuzzing::settings(&said) {
        Ok(config) => {
            let members = config.bootstrap.members().count();
            let shards = config.bootstrap.shards();
            assert!(config.bootstrap.repl_factor >= 1 && !shards.is_empty());
            assert!(shards.iter().all(|shard| shard.replicas.len() >= config.bootstrap.repl_factor));
            assert_eq!(shards.iter().map(|shard| shard.replicas.len()).sum::<usize>(), members);
            let again = precede_core::id::Address::parse(config.address.as_str(), None);
            assert_eq!(again.as_ref(), Ok(&config.address), "an address is its own text");
        }
        Err(error) => {
            let is_named = said.iter().any(|(id, _)| error.contains(&id.to_uppercase()));
            assert!(is_named, "an error names a setting that was said: {error}");
        }
    }
});
