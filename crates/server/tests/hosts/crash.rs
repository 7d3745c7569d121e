//! Processes that die, and come back with nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use precede_checker::{Action, Outcome};

use crate::figures::{show, show_phases, took};
use crate::finals;
use crate::lab::{self, Lab};
use crate::load::{Load, Manner, Story};
use crate::record::Crash;
use crate::story;

const AROUND: Duration = Duration::from_secs(5);
const DEATHS: usize = 5;
const VICTIM: usize = 0;
/// About half of them are the victim's shard's.
const KEYS: u32 = 200_000;

#[test]
#[ignore = "takes long and needs root: scripts/hosts"]
fn row_1_one_replica_dies_again_and_again() {
    lab::run("row 1: a replica of 100,000 keys is killed 5 times", async |mut lab| {
        let view = lab.cluster(4, 2).await;
        lab.fill(&[2], KEYS, 100);
        let load = Load::start(&mut lab, &view, &[&[1, 2, 3]], Manner::default());
        let before = load.phase(AROUND).await;
        let (memory, begun, mut crashes) = (lab.footprint(1), load.now(), Vec::new());
        for _ in 0..DEATHS {
            crashes.push(die(&mut lab, &load, 500).await);
        }
        let during = (begun, load.now());
        let after = load.phase(AROUND).await;
        println!("  its peer: {memory:?} before, {:?} after", lab.footprint(1));
        let story = story::judge(&lab, &view, load, &crashes).await;
        show_phases(&story.samples, [before, during, after], |_| true);
        show("during, the other shard's keys", &story.samples, during, |sample| sample.shard == 2);
        each_write_has_its_version(&story);
    });
}

#[test]
#[ignore = "takes long and needs root: scripts/hosts"]
fn row_9_a_node_without_memory_is_asked_all_the_time() {
    lab::run("row 9: a node is killed 5 times and asked while it recovers", async |mut lab| {
        let view = lab.cluster(3, 3).await;
        lab.fill(&[2], KEYS / 4, 100);
        let load = Load::start(&mut lab, &view, &[&[VICTIM], &[1, 2]], Manner::default());
        let before = load.phase(AROUND).await;
        let (begun, mut crashes) = (load.now(), Vec::new());
        for _ in 0..DEATHS {
            crashes.push(die(&mut lab, &load, 200).await);
        }
        let during = (begun, load.now());
        let after = load.phase(AROUND).await;
        let story = story::judge(&lab, &view, load, &crashes).await;
        show_phases(&story.samples, [before, during, after], |sample| sample.client == 1 && !sample.is_courier);
        show("during, at the victim itself", &story.samples, during, |sample| sample.client == 0 && !sample.is_courier);
        show("during, what others have seen", &story.samples, during, |sample| sample.is_courier);
        each_write_has_its_version(&story);
    });
}

#[test]
#[ignore = "takes long and needs root: scripts/hosts"]
fn row_10_a_shard_loses_all_its_memory() {
    lab::run("row 10: both replicas of a shard are killed at once", async |mut lab| {
        let view = lab.cluster(4, 2).await;
        let key = finals::key_of(&view, 1, "lost");
        let written = lab.raw.put(&lab.nodes[2].address, &key, "v", "").await.expect("an answer");
        assert_eq!(written.status, 201, "{}", written.describe());
        lab.kill(0);
        lab.kill(1);
        let start = Instant::now();
        lab.start(0);
        lab.start(1);
        lab.all_ready().await;
        took("both are ready again", start.elapsed());
        for index in [0, 1] {
            assert_eq!(lab.logged(index, "all replicas of this shard had lost their memory"), 1, "{}", lab.log(index));
        }
        // Whoever has seen what is lost is answered, and told.
        for address in lab.addresses(&[0, 1, 2, 3]) {
            let asked = Instant::now();
            let answer = lab.raw.get(&address, &key, &written.context()).await.expect("an answer");
            assert_eq!(answer.status, 404, "{}", answer.describe());
            assert!(answer.header("precede-lost").is_some(), "{}", answer.describe());
            took(&format!("{address} answers who has seen what is lost"), asked.elapsed());
        }
        let load = Load::start(&mut lab, &view, &[&[0, 1, 2, 3]], Manner::default());
        let after = load.phase(AROUND).await;
        let story = story::judge(&lab, &view, load, &[]).await;
        show("new work", &story.samples, after, |_| true);
    });
}

/// Kills the victim when all others hold what clients have seen, and starts it again.
async fn die(lab: &mut Lab, load: &Load, requests: usize) -> Crash {
    let view = lab.client(&[1]).refresh_view().await.expect("the others tell the view");
    let (held, context) = load.seen();
    finals::shown(&view, &lab.raw, &context).await;
    load.new_era();
    load.go_on(requests).await;
    lab.kill(VICTIM);
    let died = load.now();
    load.go_on(requests).await;
    let start = Instant::now();
    lab.start(VICTIM);
    lab.ready(VICTIM).await;
    took("ready again after its start", start.elapsed());
    Crash { node: lab.nodes[VICTIM].address.clone(), held, died, back: load.now() }
}

/// A version names one write: a node that has forgotten all does not give one out again.
fn each_write_has_its_version(story: &Story) {
    let mut writes = BTreeMap::new();
    for entry in &story.entries {
        let operation = &entry.operation;
        let value = match (&operation.action, &operation.outcome) {
            (Action::Put { value }, _) | (Action::Get, Outcome::Read { value: Some(value) }) => value,
            _ => continue,
        };
        if let Some(version) = &entry.version {
            let write = (&operation.key, value);
            assert_eq!(*writes.entry(version).or_insert(write), write, "two writes have the version {version}");
        }
    }
}
