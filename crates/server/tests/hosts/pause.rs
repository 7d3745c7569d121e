//! A process that stands still for long, and goes on as if nothing had happened.

use std::time::Duration;

use crate::figures::{show, show_phases};
use crate::lab;
use crate::load::{Load, Manner};
use crate::story;

const AROUND: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_secs(30);
const VICTIM: usize = 0;

#[test]
#[ignore = "takes long and needs root: scripts/hosts"]
fn row_2_a_replica_stands_still() {
    lab::run("row 2: a replica stands still for 30 s", async |mut lab| {
        let view = lab.cluster(4, 2).await;
        let manner = Manner { copies: 1, ..Manner::default() };
        // Who asks the victim waits as long as it stands still, and finds what it missed when it goes on: what others have
        // seen is carried there all the time.
        let load = Load::start(&mut lab, &view, &[&[1, 2, 3], &[VICTIM]], manner);
        let before = load.phase(AROUND).await;
        load.new_era();
        lab.pause(VICTIM);
        let during = load.phase(PAUSE).await;
        lab.resume(VICTIM);
        let equal = story::equality(&lab, &view, &load).await;
        let after = load.phase(AROUND).await;
        println!("  time to equality after waking: {:.3} s; {:?}", equal.as_secs_f64(), lab.footprint(VICTIM));
        let story = story::judge(&lab, &view, load, &[]).await;
        show_phases(&story.samples, [before, during, after], |sample| sample.client == 0 && !sample.is_courier);
        show("during, at the victim", &story.samples, during, |sample| sample.client == 1);
        show("after, at the victim", &story.samples, after, |sample| sample.client == 1);
    });
}
