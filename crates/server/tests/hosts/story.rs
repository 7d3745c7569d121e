//! The end of a test: every replica is looked at, and what clients saw is judged.

use std::time::{Duration, Instant};

use precede_client::View;

use crate::finals;
use crate::lab::Lab;
use crate::load::{Load, Story};
use crate::record::{self, Crash};

/// How long it takes from now until every replica shows what any client has seen up to now.
pub(crate) async fn equality(lab: &Lab, view: &View, load: &Load) -> Duration {
    let start = Instant::now();
    let (_, context) = load.seen();
    finals::shown(view, &lab.raw, &context).await;
    start.elapsed()
}

/// Ends the load, reads all keys from every replica, and judges what was seen.
pub(crate) async fn judge(lab: &Lab, view: &View, load: Load, crashes: &[Crash]) -> Story {
    let story = load.end();
    lab.members_ready(view).await;
    finals::shown(view, &lab.raw, &story.context).await;
    let finals = finals::read(view, &lab.raw, &story.keys).await;
    record::judge(&story.entries, crashes, &finals);
    story
}
