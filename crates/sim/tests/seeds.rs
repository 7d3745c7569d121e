//! Seeds that once found a bug in the core, and what it was. Whatever runs changed since, they must be clean. Barriers and named
//! writes are left out, so that they run as they did before there were any.

use precede_sim::mix::Mix;
use precede_sim::options::Options;
use precede_sim::runner::run;
use precede_sim::trace::Trace;

/// Mix, seed, simulated seconds.
const SEEDS: [(Mix, u64, u64); 38] = [
    // A late answer to the first try said that the write was made once while a second try was under way.
    (Mix::Loss, 3068, 24),
    (Mix::Loss, 3077, 34),
    // A replica that knew two copies of a write answered a third try with the first as if there were no other.
    (Mix::Loss, 1_000_510, 30),
    (Mix::Partitions, 1_001_020, 30),
    (Mix::Comebacks, 913, 60),
    // Only clients knew how far a life had got that died with its whole shard, and reads did not tell the clocks.
    (Mix::Comebacks, 13_326, 24),
    // A network delivered a forwarded write twice: to a replica's life, and three seconds later to the next one.
    (Mix::Crash, 22_773, 24),
    (Mix::Everything, 700_387, 40),
    // A late frame came to a restarted replica between the chunk that told that its key was deleted and the end of the sync.
    (Mix::Everything, 700_253, 40),
    // An entry of an older view was fetched from an old owner that was lost then, and no vector named it.
    (Mix::ViewFaults, 700_259, 40),
    // The repeat of a write was said to be on two replicas, though the one that made it had crashed.
    (Mix::Single, 3029, 33),
    // An old owner that could not answer a read was not asked for its hand-off, and the change did not settle.
    (Mix::Views, 600_394, 40),
    // The judge: a node crashes after an answer that is still under way, and what it knew to be stable counts.
    (Mix::Comebacks, 114_222, 24),
    // The judge: a copy that only its crashed maker had is gone, though something greater is there.
    (Mix::ViewLags, 119_900, 24),
    // The judge: what one who has left still holds of a settled view nobody asks for; the one new replica lost it.
    (Mix::ViewFaults, 122_635, 24),
    // The judge: a delete in a first view that began anew does not undo what the cluster has written.
    (Mix::ViewFaults, 136_995, 24),
    // The judge: one replica, whose wall clock was set back, forgot everything, and a spare was still there.
    (Mix::Clocks, 163_459, 24),
    // The judge: a change waits for a member whose clock was set back below its former life.
    (Mix::Everything, 155_533, 24),
    // A delete that one replica had nothing to do for was made at another one later, and its client was not told that it may be.
    (Mix::ViewLags, 177_959, 24),
    // A node outside the view sent a write for a life that was over, and could not say what had become of it.
    (Mix::TotalLoss, 149_480, 24),
    // What shards had said of a former view was taken for the word of the next view's shards.
    (Mix::ViewSplits, 3580, 60),
    // The empty owner of a later view outdid what an older one had written, once that was settled.
    (Mix::ViewSplits, 2132, 60),
    // A late first try was made again by a replica that had forgotten the second.
    (Mix::ViewSplits, 3168, 60),
    // A node that had heard everybody before a cut called a context lost.
    (Mix::ViewSplits, 1001, 60),
    // An owner that a view change had written off took a write beyond a cut, and its repeat was said to be the only one.
    (Mix::ViewSplits, 168, 40),
    // A clock that leapt ahead made replicas forget a write that was under way, and nobody would take its repeat.
    (Mix::Held, 300_750, 24),
    // A write that named a life which the view change had ended was taken for one that this life may have made.
    (Mix::Views, 311_498, 24),
    // What a replica had handed on before it crashed was closed over by one that had asked the receiver before.
    (Mix::Everything, 351_870, 24),
    // The judge: a write of a given-up node is not kept by a greater one of a member.
    (Mix::ViewSplits, 321_081, 24),
    // The judge: who waits for strays that nobody can call back.
    (Mix::ViewFaults, 30_167, 40),
    // A view was settled before a later one; then the members of that claimed to have everything that is older.
    (Mix::ViewSplits, 419_449, 24),
    // A DELETE was told by a member of an older view, under a context of the new one, that the key was absent.
    (Mix::ViewSplits, 110_171, 40),
    // The judge wanted a write to stay hidden that a life had made which a later one, below it, had overwritten and collected.
    (Mix::TotalLoss, 518_740, 24),
    // A context from the far future moved the clock of a router whose try was not answered in time.
    (Mix::TotalLoss, 608_042, 24),
    // The judge still counted on a legacy of a view that was settled, when the only one who had got it had lost its memory.
    (Mix::ViewFaults, 1_110_983, 24),
    // A node that heard of a later life of its address stopped, and in the same step answered a read that waited.
    (Mix::Everything, 1_217_266, 24),
    // What was deleted once everything older was settled came back with a view whose coordinator did not know that.
    (Mix::ViewSplits, 1_801_041, 40),
    // The judge: a shard that has lost its memory recovers when a member is back that nobody can call back.
    (Mix::Everything, 3_001_038, 24),
];

#[test]
fn seeds_that_found_a_bug_are_clean() {
    for (mix, seed, seconds) in SEEDS {
        let (summary, _) = run(seed, &Options::of(mix, seconds).plain(), Trace::Off);
        assert!(summary.violations.is_empty(), "seed {seed} ({mix}): {:#?}", summary.violations);
    }
}
