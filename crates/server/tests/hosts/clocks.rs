//! Wall clocks that are wrong and jump, by libfaketime, which is loaded into the node before its C library: the monotonic
//! clock stays as it is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::figures::show;
use crate::lab::{self, Lab};
use crate::load::{Load, Manner};
use crate::story;
use crate::until::until;

const AROUND: Duration = Duration::from_secs(5);

#[test]
#[ignore = "takes long and needs root: scripts/hosts"]
fn row_8_clocks_jump_by_an_hour() {
    let Some(library) = library() else {
        println!("row 8: skipped: there is no libfaketime (Debian: libfaketime)");
        return;
    };
    lab::run_processes(
        "row 8: node 0's clock jumps an hour ahead, node 3's an hour back, and both back again",
        async |mut lab| {
            let file = |index: usize| PathBuf::from(format!("{}/clock-{index}", env!("CARGO_TARGET_TMPDIR")));
            (0..4).for_each(|index| set(&file(index), 0));
            let view = lab
                .cluster_with(4, 2, |index, spec| {
                    let file = file(index).display().to_string();
                    for (name, value) in [
                        ("LD_PRELOAD", library.as_str()),
                        ("FAKETIME_TIMESTAMP_FILE", &file),
                        ("FAKETIME_NO_CACHE", "1"),
                        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
                        ("DONT_FAKE_MONOTONIC", "1"),
                    ] {
                        spec.environment.insert(name.to_owned(), value.to_owned());
                    }
                })
                .await;
            let manner = Manner { copies: 1, ..Manner::default() };
            let load = Load::start(&mut lab, &view, &[&[0], &[1, 2], &[3]], manner);
            let before = load.phase(AROUND).await;
            load.new_era();
            set(&file(0), 3600);
            set(&file(3), -3600);
            for (index, side) in [(0, "ahead of"), (3, "behind")] {
                says(&lab, index, Some(side)).await;
            }
            let during = load.phase(AROUND).await;
            let told = |lab: &Lab| (1..3).map(|node| lab.logged(node, "clock is ahead by more than")).sum::<usize>();
            assert!(told(&lab) > 0, "the others say whose clock is ahead");
            set(&file(0), 0);
            set(&file(3), 0);
            for index in [0, 3] {
                says(&lab, index, None).await;
            }
            let after = load.phase(AROUND).await;
            let story = story::judge(&lab, &view, load, &[]).await;
            for (phase, times) in [("before", before), ("during", during), ("after", after)] {
                for (client, who) in ["ahead", "right", "behind"].into_iter().enumerate() {
                    let of = |sample: &crate::figures::Sample| sample.client == client && !sample.is_courier;
                    show(&format!("{phase}, at who is {who}"), &story.samples, times, of);
                }
                show(&format!("{phase}, what others have seen"), &story.samples, times, |sample| sample.is_courier);
            }
        },
    );
}

/// Waits until a node says of its clock that it is wrong, on which side, or no more.
async fn says(lab: &Lab, index: usize, side: Option<&str>) {
    let address = &lab.nodes[index].address;
    until(&format!("{address} says of its clock: {side:?}"), async || {
        let answer = lab.raw.readiness(address).await.ok()?;
        let told = String::from_utf8_lossy(&answer.body);
        match side {
            Some(side) => (told.contains("its wall clock is") && told.contains(side)).then_some(()),
            None => (!told.contains("its wall clock is")).then_some(()),
        }
    })
    .await;
}

/// Sets a clock so many seconds off, at once.
fn set(file: &Path, seconds: i64) {
    let next = file.with_extension("next");
    std::fs::write(&next, format!("{seconds:+}\n")).expect("the file can be written");
    std::fs::rename(&next, file).expect("the file can be put in its place");
}

fn library() -> Option<String> {
    let path = format!("/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1", std::env::consts::ARCH);
    Path::new(&path).exists().then_some(path)
}
