//! The core's hot functions, one operation at a time.
//!
//! `cargo bench -p precede-core` says how long each takes. `bench/instructions.sh` counts instructions instead, which says of a change
//! whether it costs something without a clock: it runs `hot --count NAME`, which does one operation [`COUNTED`] times inside
//! [`counted`].

mod operations;
mod shard;

use std::process::ExitCode;

use crate::operations::{NAMES, Operation, operation};

/// How often an operation is done to be counted.
const COUNTED: u32 = 1000;

/// And before that, so that what it needs is there.
const BEFORE: u32 = 200;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--names"] => println!("{COUNTED} {}", NAMES.join(" ")),
        ["--count", name] => {
            if !NAMES.contains(&name) {
                eprintln!("error: there is no operation {name}: choose one of {}", NAMES.join(", "));
                return ExitCode::from(2);
            }
            let mut operation = operation(name);
            (0..BEFORE).for_each(|_| operation());
            counted(&mut operation);
        }
        _ => divan::main(),
    }
    ExitCode::SUCCESS
}

/// The function that callgrind looks at.
#[inline(never)]
fn counted(operation: &mut Operation) {
    (0..COUNTED).for_each(|_| operation());
}

#[divan::bench(args = NAMES)]
fn hot(bencher: divan::Bencher<'_, '_>, name: &str) {
    bencher.bench_local(operation(name));
}
