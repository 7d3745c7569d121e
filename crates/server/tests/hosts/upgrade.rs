//! A cluster is upgraded node by node to a build that speaks a newer wire, and one node is taken back.

use std::path::PathBuf;
use std::time::Duration;

use crate::figures::{show, took};
use crate::lab::{self, Lab};
use crate::load::{Load, Manner};
use crate::story;

const AROUND: Duration = Duration::from_secs(3);
const ALL: [usize; 4] = [0, 1, 2, 3];

#[test]
#[ignore = "takes long and needs root: scripts/hosts"]
fn a_cluster_is_upgraded_node_by_node() {
    let Some(next) = std::env::var_os("PRECEDE_NEXT_WIRE").map(PathBuf::from) else {
        println!("rolling upgrade: skipped: PRECEDE_NEXT_WIRE names no build with the feature `next-wire`");
        return;
    };
    lab::run_processes("rolling upgrade: four nodes, two versions of the wire", async |mut lab| {
        let log = "info,precede::peer=debug".to_owned();
        let view = lab
            .cluster_with(4, 2, |_, spec| {
                spec.environment.insert("RUST_LOG".to_owned(), log.clone());
            })
            .await;
        // A node that is asked to end hands on what it alone has: nothing may be lost, however few copies there were.
        let manner = Manner { copies: 1, ..Manner::default() };
        let load = Load::start(&mut lab, &view, &[&ALL], manner);
        let before = load.phase(AROUND).await;
        let begun = load.now();
        let old = lab.nodes[0].spec.program.clone();
        for index in ALL {
            replace(&mut lab, &load, index, &next).await;
            for other in 0..index {
                assert_eq!(wires(&lab, index, other), 2, "two that speak it agree on the new one");
            }
            for other in index + 1..ALL.len() {
                assert_eq!(wires(&lab, index, other), 1, "with one that does not, the old one is spoken");
            }
        }
        replace(&mut lab, &load, 2, &old).await;
        for other in [0, 1, 3] {
            assert_eq!(wires(&lab, 2, other), 1, "the way back is open");
        }
        let during = (begun, load.now());
        let after = load.phase(AROUND).await;
        let story = story::judge(&lab, &view, load, &[]).await;
        for (phase, times) in [("before", before), ("during", during), ("after", after)] {
            show(phase, &story.samples, times, |_| true);
        }
    });
}

/// Ends a node as one should, with clients sent elsewhere, and starts it as another program.
async fn replace(lab: &mut Lab, load: &Load, index: usize, program: &PathBuf) {
    let others: Vec<usize> = ALL.into_iter().filter(|other| *other != index).collect();
    load.new_era();
    load.aim(0, lab.addresses(&others));
    load.go_on(50).await;
    lab.terminate(index);
    lab.nodes[index].spec.program.clone_from(program);
    let start = std::time::Instant::now();
    lab.start(index);
    lab.ready(index).await;
    took(&format!("node {index} is ready again"), start.elapsed());
    load.aim(0, lab.addresses(&ALL));
    load.go_on(100).await;
}

/// The version of the last link that a node has made to another.
fn wires(lab: &Lab, index: usize, to: usize) -> u64 {
    let address = &lab.nodes[to].address;
    let log = lab.log(index);
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut links = lines.filter(|line| line["message"] == "linked" && line["peer"] == address.as_str());
    let last = links.next_back().unwrap_or_else(|| panic!("no link to {address}: {log}"));
    last["wire"].as_u64().expect("the log says which")
}
