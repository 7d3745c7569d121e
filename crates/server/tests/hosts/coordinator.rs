//! Whoever coordinates a view change dies, stands still or is cut off in the middle of it; and the network is cut between two
//! who do.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::change::{ask, settled, wanted};
use crate::figures::{show, took};
use crate::finals;
use crate::lab::{self, Lab};
use crate::load::{Load, Manner};
use crate::record::Crash;
use crate::story;
use crate::until::until;

const COORDINATOR: usize = 0;
const HELD: Duration = Duration::from_secs(3);
/// How far into the change it is struck: it takes some tens of milliseconds, and all of it may be hit.
const MOMENTS_MS: [u64; 6] = [0, 2, 5, 10, 25, 100];
const NODES: [usize; 5] = [0, 1, 2, 3, 4];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strike {
    Kill,
    Pause,
    Cut,
}

#[test]
#[ignore = "takes long and needs root: scripts/hosts"]
fn row_12_the_coordinator_is_struck() {
    for strike in [Strike::Kill, Strike::Pause, Strike::Cut] {
        lab::run(&format!("row 12: the coordinator is struck: {strike:?}"), async |lab| struck(lab, strike).await);
    }
}

async fn struck(mut lab: Lab, strike: Strike) {
    let view = lab.cluster(4, 2).await;
    lab.spare().await;
    lab.fill(&[1], 20_000, 1000);
    let load = Load::start(&mut lab, &view, &[&[1, 2, 3]], Manner::default());
    let begun = load.now();
    let mut crashes = Vec::new();
    for (round, moment) in MOMENTS_MS.into_iter().enumerate() {
        let members: &[usize] = if round % 2 == 0 { &NODES } else { &[0, 1, 2, 3] };
        let view = lab.client(&[1]).refresh_view().await.expect("the view is told");
        let (held, context) = load.seen();
        finals::shown(&view, &lab.raw, &context).await;
        load.new_era();
        load.go_on(100).await;
        let (client, change) = (lab.client(&[COORDINATOR]), wanted(&lab, members, 2));
        let asking = tokio::spawn(async move { client.change_view(&change).await });
        sleep(Duration::from_millis(moment)).await;
        match strike {
            Strike::Kill => lab.kill(COORDINATOR),
            Strike::Pause => lab.pause(COORDINATOR),
            Strike::Cut => lab.network.cut(&lab.hosts(&[COORDINATOR]), &lab.hosts(&[1, 2, 3, 4])),
        }
        let died = load.now();
        load.phase(HELD).await;
        asking.abort();
        match strike {
            Strike::Kill => lab.start(COORDINATOR),
            Strike::Pause => lab.resume(COORDINATOR),
            Strike::Cut => lab.network.heal(),
        }
        let epoch = settled(&lab, &NODES).await;
        println!("  struck after {moment} ms: the view has epoch {epoch}");
        lab.ready(COORDINATOR).await;
        if strike == Strike::Kill {
            crashes.push(Crash { node: lab.nodes[COORDINATOR].address.clone(), held, died, back: load.now() });
        }
        // Whatever became of it, the next one is made.
        until("the view can change again", async || ask(&lab, 1, members, 2).await.ok()).await;
        settled(&lab, &NODES).await;
    }
    let during = (begun, load.now());
    let view = lab.view().await;
    let story = story::judge(&lab, &view, load, &crashes).await;
    show("all the time", &story.samples, during, |_| true);
}

#[test]
#[ignore = "takes long and needs root: scripts/hosts"]
fn row_12_two_views_on_two_sides() {
    lab::run("row 12: each side of a cut makes a view without the other", async |mut lab| {
        let view = lab.cluster(4, 2).await;
        let manner = Manner { copies: 1, ..Manner::default() };
        let load = Load::start(&mut lab, &view, &[&[0, 2], &[1, 3]], manner);
        load.go_on(200).await;
        let side = |nodes: &[usize], client| [lab.hosts(nodes), vec![Load::host(client)]].concat();
        lab.network.cut(&side(&[0, 2], 0), &side(&[1, 3], 1));
        for members in [[0, 2], [1, 3]] {
            until("a side can make a view of its own", async || ask(&lab, members[0], &members, 1).await.ok()).await;
        }
        load.new_era();
        load.go_on(200).await;
        lab.network.heal();
        let healed = Instant::now();
        let epoch = settled(&lab, &[0, 1, 2, 3]).await;
        println!("  the one view has epoch {epoch}");
        until("all are members again", async || ask(&lab, 0, &[0, 1, 2, 3], 2).await.ok()).await;
        settled(&lab, &[0, 1, 2, 3]).await;
        took("four members again after heal", healed.elapsed());
        let story = load.end();
        let view = lab.view().await;
        lab.members_ready(&view).await;
        // Between two views that did not know of one another causality is weaker, so only this is judged: all agree.
        let reads = finals::read(&view, &lab.raw, &story.keys).await;
        for read in &reads {
            let other = reads.iter().find(|other| other.key == read.key && other.value != read.value);
            assert!(other.is_none(), "{read:?} and {other:?}");
        }
        println!("  {} reads of {} keys agree", reads.len(), story.keys.len());
    });
}
