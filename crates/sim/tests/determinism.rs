//! One seed is one run, bit for bit: in one process and in two.

use std::process::Command;

use precede_sim::mix::Mix;
use precede_sim::options::Options;
use precede_sim::runner::run;
use precede_sim::trace::Trace;

fn digest(seed: u64, mix: Mix, trace: Trace) -> u64 {
    run(seed, &Options::of(mix, 14), trace).0.digest
}

#[test]
fn a_seed_gives_the_same_effects_twice_and_a_trace_changes_nothing() {
    for seed in 0..3 {
        let once = digest(seed, Mix::Everything, Trace::Off);
        assert_eq!(once, digest(seed, Mix::Everything, Trace::Off));
        assert_eq!(once, digest(seed, Mix::Everything, Trace::keep(10)));
        assert_ne!(once, digest(seed, Mix::Crash, Trace::Off));
    }
}

#[test]
fn two_processes_give_the_same_digest_as_this_one() {
    let arguments = ["digest", "--seed", "5", "--mix", "crash", "--seconds", "14"];
    let print = || {
        let output = Command::new(env!("CARGO_BIN_EXE_precede-sim")).args(arguments).output().expect("the binary runs");
        String::from_utf8(output.stdout).expect("a digest is text")
    };
    let once = print();
    assert_eq!(once.trim(), format!("{:016x}", digest(5, Mix::Crash, Trace::Off)));
    assert_eq!(once, print());
}
