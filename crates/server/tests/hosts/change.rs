//! The view changes while clients go on.

use std::time::{Duration, Instant};

use precede_client::{Error, ViewChange, ViewChanged};

use crate::figures::{show, took};
use crate::lab::{self, Lab};
use crate::load::{Load, Manner};
use crate::story;
use crate::until::until;

const AROUND: Duration = Duration::from_secs(5);
/// Longer than any change here may take.
const PATIENCE_MS: u64 = 60_000;
/// 100 MB.
const KEYS: u32 = 100_000;
const VALUE_BYTES: u32 = 1000;

#[test]
#[ignore = "takes long and needs root: scripts/hosts"]
fn row_11_changes_under_load() {
    lab::run("row 11: a view of 100 MB changes under load", async |mut lab| {
        let view = lab.cluster(4, 2).await;
        lab.spare().await;
        lab.spare().await;
        lab.fill(&[0], KEYS, VALUE_BYTES);
        let manner = Manner { copies: 1, ..Manner::default() };
        let load = Load::start(&mut lab, &view, &[&[0, 1, 2], &[3, 4, 5]], manner);
        let mut phases = vec![("before".to_owned(), load.phase(AROUND).await)];
        for (what, members, factor) in [
            ("two nodes more", &[0, 1, 2, 3, 4, 5][..], 2),
            ("another order", &[5, 4, 3, 2, 1, 0], 2),
            ("three replicas each", &[0, 1, 2, 3, 4, 5], 3),
            ("two replicas each", &[0, 1, 2, 3, 4, 5], 2),
            ("two nodes less", &[1, 2, 3, 4], 2),
        ] {
            load.new_era();
            let (begun, start) = (load.now(), Instant::now());
            let changed = ask(&lab, 0, members, factor).await.expect("the view can change");
            assert!(changed.settled, "{what}: {:?}", changed.outstanding);
            took(what, start.elapsed());
            load.go_on(200).await;
            phases.push((what.to_owned(), (begun, load.now())));
        }
        phases.push(("after".to_owned(), load.phase(AROUND).await));
        let view = lab.view().await;
        let story = story::judge(&lab, &view, load, &[]).await;
        for (what, phase) in phases {
            show(&what, &story.samples, phase, |sample| !sample.is_courier);
        }
        // One whose tries all timed out is told so (504): on a machine that is busy that is no fault of the change.
        let refused = story.samples.iter().filter(|sample| !matches!(sample.status, Some(200..=202 | 404 | 504)));
        assert_eq!(refused.count(), 0, "a view change refuses nobody");
    });
}

#[test]
#[ignore = "takes long and needs root: scripts/hosts"]
fn row_12_a_second_change_waits_for_the_first() {
    lab::run("row 12: a second change before the first has settled, and two at once", async |mut lab| {
        let view = lab.cluster(4, 2).await;
        lab.spare().await;
        lab.spare().await;
        lab.fill(&[0], KEYS, VALUE_BYTES);
        let manner = Manner { copies: 1, ..Manner::default() };
        let load = Load::start(&mut lab, &view, &[&[0, 1, 2, 3]], manner);
        load.go_on(200).await;
        let first = ViewChange { timeout_ms: Some(0), ..wanted(&lab, &[0, 1, 2, 3, 4, 5], 2) };
        lab.client(&[0]).change_view(&first).await.expect("the view can change");
        let second = ask(&lab, 3, &[0, 1, 2, 3], 2).await;
        println!("  the second change, asked at once: {}", tell(&second));
        assert!(matches!(second, Err(Error::Refused { .. })), "100 MB are still on their way");
        settled(&lab, &[0, 1, 2, 3, 4, 5]).await;
        let (one, other) = tokio::join!(ask(&lab, 1, &[0, 1, 2, 3, 4], 2), ask(&lab, 3, &[0, 1, 2, 3, 5], 2));
        println!("  two changes at once: {} and {}", tell(&one), tell(&other));
        let epoch = settled(&lab, &[0, 1, 2, 3, 4, 5]).await;
        let made = [&one, &other].into_iter().filter(|asked| asked.is_ok()).count();
        assert_eq!(epoch as usize, 1 + made, "each that was made is a view, and no other");
        let view = lab.view().await;
        story::judge(&lab, &view, load, &[]).await;
    });
}

/// A view of these nodes, all of it.
pub(crate) fn wanted(lab: &Lab, members: &[usize], factor: u32) -> ViewChange {
    ViewChange {
        view: Some(lab.addresses(members)),
        repl_factor: Some(factor),
        timeout_ms: Some(PATIENCE_MS),
        ..ViewChange::default()
    }
}

/// Asks a node for a view and waits until everything has moved.
pub(crate) async fn ask(lab: &Lab, through: usize, members: &[usize], factor: u32) -> Result<ViewChanged, Error> {
    lab.client(&[through]).change_view(&wanted(lab, members, factor)).await
}

/// Waits until these nodes tell of one view, which is settled; returns its epoch.
pub(crate) async fn settled(lab: &Lab, nodes: &[usize]) -> u32 {
    let start = Instant::now();
    let epoch = until("one view everywhere, and settled", async || {
        let mut views = Vec::new();
        for node in nodes {
            let state = lab.view_state(*node).await?;
            if !state.settled {
                return None;
            }
            views.push((state.epoch, state.shards.iter().map(|shard| shard.replicas.clone()).collect::<Vec<_>>()));
        }
        views.windows(2).all(|pair| pair[0] == pair[1]).then(|| views[0].0)
    })
    .await;
    took("one view everywhere, and settled", start.elapsed());
    epoch
}

fn tell(asked: &Result<ViewChanged, Error>) -> String {
    match asked {
        Ok(changed) => format!("made, settled: {}", changed.settled),
        Err(error) => error.to_string(),
    }
}
