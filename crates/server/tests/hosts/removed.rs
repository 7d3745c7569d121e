//! A node that was removed while nobody could tell it comes back.

use std::time::Duration;

use crate::change::{ask, settled};
use crate::figures::show;
use crate::finals;
use crate::lab;
use crate::load::{Load, Manner};
use crate::record::Crash;
use crate::story;
use crate::until::until;

const REMOVED: usize = 3;

#[test]
#[ignore = "takes long and needs root: scripts/hosts"]
fn row_13_a_removed_node_comes_back() {
    let told = std::env::var("PRECEDE_AWAY_SECONDS").ok().and_then(|text| text.parse().ok());
    for seconds in [1, told.unwrap_or(30)] {
        lab::run(&format!("row 13: a node is cut off, removed, and comes back {seconds} s later"), async |mut lab| {
            let view = lab.cluster(5, 2).await;
            let load = Load::start(&mut lab, &view, &[&[0, 1, 2, 4], &[REMOVED]], Manner::default());
            load.go_on(500).await;
            let (held, context) = load.seen();
            finals::shown(&view, &lab.raw, &context).await;
            let side = |nodes: &[usize], client| [lab.hosts(nodes), vec![Load::host(client)]].concat();
            lab.network.cut(&side(&[0, 1, 2, 4], 0), &side(&[REMOVED], 1));
            until("it is left out", async || ask(&lab, 0, &[0, 1, 2, 4], 2).await.ok()).await;
            // What is deleted now, it does not hear of; the others forget that it ever was.
            let away = load.phase(Duration::from_secs(seconds)).await;
            load.new_era();
            load.go_on(200).await;
            lab.network.heal();
            let died = load.now();
            settled(&lab, &[0, 1, 2, 3, 4]).await;
            assert_eq!(lab.logged(REMOVED, "this node was written off"), 1, "{}", lab.log(REMOVED));
            // What it alone had taken is gone as if it had died.
            let crash = Crash { node: lab.nodes[REMOVED].address.clone(), held, died, back: load.now() };
            load.new_era();
            load.go_on(500).await;
            until("it is taken in again", async || ask(&lab, 0, &[0, 1, 2, 3, 4], 2).await.ok()).await;
            let view = lab.view().await;
            let story = story::judge(&lab, &view, load, &[crash]).await;
            show("away, at the others", &story.samples, away, |sample| sample.client == 0 && !sample.is_courier);
            show("away, at the removed node", &story.samples, away, |sample| sample.client == 1);
        });
    }
}
