//! Links that are cut one way, bypassed, slow or lossy.

use std::time::{Duration, Instant};

use crate::figures::{show, show_phases, took};
use crate::finals;
use crate::lab::{self, Lab};
use crate::load::{Load, Manner};
use crate::slow::Slow;
use crate::story;

/// No process dies here.
const MANNER: Manner = Manner { sessions: 4, pace: Duration::from_millis(10), copies: 1 };
const AROUND: Duration = Duration::from_secs(5);
const HELD: Duration = Duration::from_secs(20);
const ALL: &[usize] = &[0, 1, 2, 3];
/// Writes whose way is measured.
const WRITES: usize = 50;

#[test]
#[ignore = "takes long and needs root: scripts/hosts"]
fn row_4_one_way_for_long() {
    // TCP needs both directions, so links die in both; but only one side can know why.
    lab::run("row 4: nothing of node 0 reaches node 1 for 20 s", async |mut lab| {
        let view = lab.cluster(4, 2).await;
        let load = Load::start(&mut lab, &view, &[&[0], &[1], &[2, 3]], MANNER);
        let before = load.phase(AROUND).await;
        load.new_era();
        let downs = |lab: &Lab| -> Vec<usize> { ALL.iter().map(|node| lab.logged(*node, "peer is down")).collect() };
        let told = downs(&lab);
        lab.network.cut_one_way(&lab.hosts(&[0]), &lab.hosts(&[1]));
        let during = load.phase(HELD).await;
        let changes: Vec<usize> = downs(&lab).iter().zip(&told).map(|(now, then)| now - then).collect();
        lab.network.heal();
        let equal = story::equality(&lab, &view, &load).await;
        let after = load.phase(AROUND).await;
        took("time to equality after heal", equal);
        println!("  peers called down while it held, by node: {changes:?}");
        assert!(changes.iter().all(|changes| *changes <= 1), "who is up and who is not must not flap: {changes:?}");
        for index in ALL {
            assert_eq!(lab.view_state(*index).await.expect("an answer").epoch, 0, "nobody changes a view by himself");
        }
        let story = story::judge(&lab, &view, load, &[]).await;
        show_phases(&story.samples, [before, during, after], |sample| !sample.is_courier);
        show("during, the other shard's keys", &story.samples, during, |sample| sample.shard == 2);
        for client in 0..3 {
            let of = |sample: &crate::figures::Sample| sample.client == client && !sample.is_courier;
            show(&format!("during, client {client}"), &story.samples, during, of);
        }
        show("during, what others have seen", &story.samples, during, |sample| sample.is_courier);
    });
}

#[test]
#[ignore = "takes long and needs root: scripts/hosts"]
fn row_5_around_a_cut() {
    lab::run("row 5: nodes 0 and 1 are cut off one another, node 2 sees both", async |mut lab| {
        let view = lab.cluster(3, 3).await;
        let usual = delays(&lab, "usual").await;
        lab.network.cut(&lab.hosts(&[0]), &lab.hosts(&[1]));
        // The first goes before anybody has noticed.
        let first = delay(&lab, "first").await;
        let around = delays(&lab, "around").await;
        lab.network.heal();
        println!(
            "  from node 0 to node 1, median of {WRITES}: {usual:?} usually, {around:?} around; at first {first:?}"
        );
        let load = Load::start(&mut lab, &view, &[&[0], &[1], &[2]], MANNER);
        lab.network.cut(&lab.hosts(&[0]), &lab.hosts(&[1]));
        let during = load.phase(AROUND).await;
        lab.network.heal();
        let story = story::judge(&lab, &view, load, &[]).await;
        show("during", &story.samples, during, |sample| !sample.is_courier);
        show("during, what others have seen", &story.samples, during, |sample| sample.is_courier);
    });
}

async fn delays(lab: &Lab, name: &str) -> Duration {
    let mut delays = Vec::new();
    for number in 0..WRITES {
        delays.push(delay(lab, &format!("{name}-{number}")).await);
    }
    delays.sort_unstable();
    delays[WRITES / 2]
}

/// How long it takes a write to come from node 0 to node 1.
async fn delay(lab: &Lab, key: &str) -> Duration {
    let written = lab.raw.put(&lab.nodes[0].address, &format!("{key}?w=1"), "v", "").await.expect("an answer");
    assert_eq!(written.status, 201, "{}", written.describe());
    let start = Instant::now();
    let to = &lab.nodes[1].address;
    loop {
        // Without a context, node 1 answers with what it has.
        let answer = lab.raw.get(to, key, "").await.expect("an answer");
        if answer.status == 200 && answer.served_by() == *to {
            return start.elapsed();
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{key} does not arrive");
    }
}

#[test]
#[ignore = "takes long and needs root: scripts/hosts"]
fn row_6_slow_links_inside_a_shard() {
    let ms = Duration::from_millis;
    for (what, slow) in [
        ("100 ms", Slow { latency: ms(100), ..Slow::default() }),
        ("500 ms", Slow { latency: ms(500), ..Slow::default() }),
        ("64 kbit/s", Slow { bits_per_second: Some(64_000), ..Slow::default() }),
    ] {
        lab::run(&format!("row 6: between the replicas of shard 1 packets take {what}"), async |mut lab| {
            let view = lab.cluster(4, 2).await;
            let load = Load::start(&mut lab, &view, &[ALL], MANNER);
            let before = load.phase(AROUND).await;
            load.new_era();
            let memory = lab.footprint(0).resident_kib;
            lab.network.slow(&lab.hosts(&[0]), &lab.hosts(&[1]), slow);
            let quiet = load.phase(AROUND).await;
            // More than the link can carry, in values that fill its queue.
            let big = "v".repeat(100_000);
            for number in 0..200 {
                let key = finals::key_of(&view, 1, &format!("big-{number}"));
                let written =
                    lab.raw.put(&lab.nodes[0].address, &format!("{key}?w=1"), &big, "").await.expect("an answer");
                assert_eq!(written.status, 201, "{}", written.describe());
            }
            let during = load.phase(HELD).await;
            let swollen = lab.footprint(0).resident_kib;
            lab.network.heal();
            let equal = story::equality(&lab, &view, &load).await;
            let after = load.phase(AROUND).await;
            took("time to equality after heal", equal);
            println!("  resident memory of node 0: {memory} KiB before, {swollen} KiB with 20 MB behind the slow link");
            let story = story::judge(&lab, &view, load, &[]).await;
            show("slow, the other shard", &story.samples, quiet, |sample| sample.shard == 2);
            show("slow, this shard", &story.samples, quiet, |sample| sample.shard == 1);
            for shard in [2, 1] {
                println!("  shard {shard}");
                show_phases(&story.samples, [before, during, after], |sample| sample.shard == shard);
            }
        });
    }
}

#[test]
#[ignore = "takes long and needs root: scripts/hosts"]
fn row_7_lost_doubled_and_overtaken_packets() {
    for per_mille in [10, 100, 300] {
        lab::run(&format!("row 7: {per_mille} of 1,000 packets between nodes are lost"), async |lab| {
            trouble(lab, |lab| lab.network.lose(&lab.hosts(ALL), &lab.hosts(ALL), per_mille)).await;
        });
    }
    lab::run("row 7: packets between nodes come up to 20 ms late, out of order, one in 10 twice", async |lab| {
        let (latency, jitter) = (Duration::from_millis(1), Duration::from_millis(20));
        let slow = Slow { latency, jitter, duplicate_one_in: Some(10), bits_per_second: None };
        trouble(lab, |lab| {
            let (one, other) = (lab.hosts(&[0, 2]), lab.hosts(&[1, 3]));
            lab.network.slow(&one, &other, slow);
        })
        .await;
    });
}

async fn trouble(mut lab: Lab, begin: impl FnOnce(&mut Lab)) {
    let view = lab.cluster(4, 2).await;
    let load = Load::start(&mut lab, &view, &[&[0, 2], &[1, 3]], MANNER);
    let before = load.phase(AROUND).await;
    load.new_era();
    begin(&mut lab);
    let begun = load.now();
    // Many a write is tried twice now, and its key cannot be judged: there are new keys all the time.
    for _ in 0..10 {
        load.phase(HELD / 10).await;
        load.new_era();
    }
    let during = (begun, load.now());
    lab.network.heal();
    let equal = story::equality(&lab, &view, &load).await;
    let after = load.phase(AROUND).await;
    took("time to equality after heal", equal);
    let story = story::judge(&lab, &view, load, &[]).await;
    show_phases(&story.samples, [before, during, after], |sample| !sample.is_courier);
    show("during, what others have seen", &story.samples, during, |sample| sample.is_courier);
}
