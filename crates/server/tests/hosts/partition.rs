//! The network is cut, with clients on both sides: each side serves what it can, and all are equal soon after.

use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use crate::figures::{Sample, show, show_phases, took};
use crate::finals;
use crate::lab::{self, Lab};
use crate::load::{Load, Manner};
use crate::story;

/// No process dies here: what one replica has taken must not get lost.
const MANNER: Manner = Manner { sessions: 4, pace: Duration::from_millis(10), copies: 1 };
const AROUND: Duration = Duration::from_secs(3);
const SHORT: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_secs(60);
/// Writes on each side of a cut that is to be full of them, and how long that lasts at least.
const WRITES: u32 = 100_000;
const FULL: Duration = Duration::from_secs(10);

#[test]
fn smoke() {
    lab::run("smoke: a cut between halves", async |lab| halves(lab, &[0, 2], &[1, 3], SHORT).await);
}

#[test]
#[ignore = "takes long and needs root: scripts/hosts"]
fn row_3_single_nodes() {
    for alone in 0..4 {
        let others: Vec<usize> = (0..4).filter(|node| *node != alone).collect();
        lab::run(&format!("row 3: node {alone} is cut off for 5 s"), async |lab| {
            halves(lab, &[alone], &others, SHORT).await;
        });
    }
}

#[test]
#[ignore = "takes long and needs root: scripts/hosts"]
fn row_3_halves() {
    for (what, length) in [("5 s", SHORT), ("60 s", LONG)] {
        lab::run(&format!("row 3: replicas of each shard on both sides, {what}"), async |lab| {
            halves(lab, &[0, 2], &[1, 3], length).await;
        });
    }
    lab::run("row 3: a shard on each side, 5 s", async |lab| halves(lab, &[0, 1], &[2, 3], SHORT).await);
}

#[test]
#[ignore = "takes long and needs root: scripts/hosts"]
fn row_3_ring_of_majorities() {
    lab::run("row 3: a ring, each of 5 replicas sees its two neighbours", async |mut lab| {
        let view = lab.cluster(5, 5).await;
        let targets: [&[usize]; 5] = [&[0], &[1], &[2], &[3], &[4]];
        let load = Load::start(&mut lab, &view, &targets, Manner { sessions: 2, ..MANNER });
        let before = load.phase(AROUND).await;
        load.new_era();
        for (one, other) in [(0, 2), (0, 3), (1, 3), (1, 4), (2, 4)] {
            lab.network.cut(&lab.hosts(&[one]), &lab.hosts(&[other]));
        }
        let during = load.phase(SHORT).await;
        let across = story::equality(&lab, &view, &load).await;
        lab.network.heal();
        let equal = story::equality(&lab, &view, &load).await;
        let after = load.phase(AROUND).await;
        took("every replica shows what any has taken, the ring still cut", across);
        took("time to equality after heal", equal);
        let story = story::judge(&lab, &view, load, &[]).await;
        show_phases(&story.samples, [before, during, after], |sample| !sample.is_courier);
        show("during, what others have seen", &story.samples, during, |sample| sample.is_courier);
    });
}

#[test]
#[ignore = "takes long and needs root: scripts/hosts"]
fn row_3_many_writes() {
    lab::run("row 3: a cut of 10 s between two replicas, with 100,000 writes on each side", async |mut lab| {
        let view = lab.cluster(2, 2).await;
        let begun = Instant::now();
        lab.network.cut(&lab.hosts(&[0]), &lab.hosts(&[1]));
        lab.fill(&[0, 1], 2 * WRITES, 32);
        let mut seen = Vec::new();
        for node in lab.addresses(&[0, 1]) {
            // Whoever shows it shows all that this node has taken before.
            let last = lab.raw.put(&node, "last", &node, "").await.expect("a cut keeps nobody from writing");
            seen.push(last.context());
        }
        for node in lab.addresses(&[0, 1]) {
            assert_eq!(lab.raw.key_count(&node).await, Some(u64::from(WRITES + 1)), "{node} has the keys of its side");
        }
        sleep_until((begun + FULL).into()).await;
        took("the cut", begun.elapsed());
        lab.network.heal();
        let healed = Instant::now();
        finals::shown(&view, &lab.raw, &seen.join(",")).await;
        took("time to equality after heal", healed.elapsed());
        for node in lab.addresses(&[0, 1]) {
            assert_eq!(lab.raw.key_count(&node).await, Some(u64::from(2 * WRITES + 1)), "{node} has all keys");
        }
    });
}

/// Cuts a cluster of two shards in two for so long.
async fn halves(mut lab: Lab, one: &[usize], other: &[usize], length: Duration) {
    let view = lab.cluster(4, 2).await;
    let load = Load::start(&mut lab, &view, &[one, other], MANNER);
    let before = load.phase(AROUND).await;
    load.new_era();
    let begun = load.now();
    let side = |nodes: &[usize], client| [lab.hosts(nodes), vec![Load::host(client)]].concat();
    lab.network.cut(&side(one, 0), &side(other, 1));
    let during = (begun, load.phase(length).await.1);
    lab.network.heal();
    let equal = story::equality(&lab, &view, &load).await;
    let after = load.phase(AROUND).await;
    took("time to equality after heal", equal);
    let story = story::judge(&lab, &view, load, &[]).await;
    // A side cannot serve the keys of a shard that is all on the other.
    let sides = [lab.addresses(one), lab.addresses(other)];
    let has = |side: usize, id: u32| {
        let shard = view.shards.iter().find(|shard| shard.id == id).expect("it is of the view");
        shard.replicas.iter().any(|replica| sides[side].iter().any(|address| address == replica.as_str()))
    };
    let can = |sample: &Sample| !sample.is_courier && has(sample.client, sample.shard);
    show_phases(&story.samples, [before, during, after], can);
    for client in [0, 1] {
        show(&format!("during, on side {client}"), &story.samples, during, |sample| {
            sample.client == client && can(sample)
        });
    }
    show("during, keys of the other side", &story.samples, during, |s| !s.is_courier && !has(s.client, s.shard));
    show("during, what the other side has seen", &story.samples, during, |sample| sample.is_courier);
}
