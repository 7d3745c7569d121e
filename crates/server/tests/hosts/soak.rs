//! Random pairs of faults for long: nothing may be found, and nothing may grow.

use std::time::{Duration, Instant};

use crate::change::settled;
use crate::dice::Dice;
use crate::figures::{Footprint, show};
use crate::finals;
use crate::lab::{self, Lab};
use crate::load::{Load, Manner};
use crate::network::Host;
use crate::record::Crash;
use crate::slow::Slow;
use crate::story;
use crate::until::until;

/// Pairs of faults between two judgements.
const ROUNDS: usize = 6;
const HELD: Duration = Duration::from_secs(4);
const REST: Duration = Duration::from_secs(2);
/// Until here memory may rise: what is allocated once, is.
const WARM_UP: Duration = Duration::from_secs(120);
const SLOPE_MAX_KIB_PER_MINUTE: f64 = 1024.0;
/// Descriptors that may be open besides those at the start: the operator's own connections.
const DESCRIPTORS_MORE: usize = 4;
/// These nodes are never killed: their memory is watched. Each shard has one.
const WATCHED: [usize; 2] = [0, 2];
const KILLED: [usize; 2] = [1, 3];
const MEMBERS: [usize; 4] = [0, 1, 2, 3];
const SPARE: usize = 4;
const ALL: [usize; 5] = [0, 1, 2, 3, 4];

/// What is done to the cluster. Of two at a time only one takes memory away, so that nothing acknowledged is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Kill(usize),
    Pause(usize),
    Cut(usize),
    OneWay(usize, usize),
    Loss,
    Slow,
    Change,
}

#[test]
#[ignore = "takes ten minutes and needs root: scripts/hosts soak"]
fn soak() {
    let seconds = std::env::var("PRECEDE_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(600);
    lab::run(&format!("soak: pairs of faults for {seconds} s"), async |lab| {
        run(lab, Duration::from_secs(seconds)).await;
    });
}

async fn run(mut lab: Lab, length: Duration) {
    lab.cluster(4, 2).await;
    lab.spare().await;
    let level = ALL.map(|index| lab.footprint(index));
    let (begun, mut dice, mut memory, mut pairs) = (Instant::now(), Dice::new(), Vec::new(), 0);
    while begun.elapsed() < length {
        let view = lab.view().await;
        let manner = Manner { pace: Duration::from_millis(20), ..Manner::default() };
        let load = Load::start(&mut lab, &view, &[&[0, 3], &[1, 2]], manner);
        let (start, mut crashes) = (load.now(), Vec::new());
        for _ in 0..ROUNDS {
            crashes.extend(round(&mut lab, &load, &mut dice).await);
            pairs += 1;
            memory.push((begun.elapsed(), WATCHED.map(|index| lab.footprint(index).resident_kib)));
        }
        let during = (start, load.now());
        let view = lab.view().await;
        let story = story::judge(&lab, &view, load, &crashes).await;
        show(&format!("{} s", begun.elapsed().as_secs()), &story.samples, during, |sample| !sample.is_courier);
        println!("  {:?}", ALL.map(|index| lab.footprint(index)));
    }
    println!("  {pairs} pairs of faults");
    for index in ALL {
        let level = level[index];
        // What clients have opened ends when the nodes notice that they have gone.
        let now = until("descriptors and threads are back at their level", async || {
            let now = lab.footprint(index);
            (now.descriptors <= level.descriptors + DESCRIPTORS_MORE && now.threads <= level.threads).then_some(now)
        })
        .await;
        println!("  node {index}: {level:?} at the start, {now:?} at the end");
    }
    judge_memory(&memory, level);
}

/// Two faults at once, for some seconds, and the rest after them.
async fn round(lab: &mut Lab, load: &Load, dice: &mut Dice) -> Vec<Crash> {
    let view = lab.view().await;
    let (held, context) = load.seen();
    finals::shown(&view, &lab.raw, &context).await;
    load.new_era();
    load.go_on(100).await;
    let pair = pick(dice);
    println!("  {pair:?}");
    for fault in pair {
        begin(lab, fault).await;
    }
    let died = load.now();
    load.phase(HELD).await;
    lab.network.heal();
    for fault in pair {
        match fault {
            Fault::Kill(node) => lab.start(node),
            Fault::Pause(node) => lab.resume(node),
            Fault::Cut(_) | Fault::OneWay(..) | Fault::Loss | Fault::Slow | Fault::Change => {}
        }
    }
    settled(lab, &ALL).await;
    let view = lab.view().await;
    lab.members_ready(&view).await;
    let mut crashes = Vec::new();
    for fault in pair {
        if let Fault::Kill(node) = fault {
            crashes.push(Crash { node: lab.nodes[node].address.clone(), held, died, back: load.now() });
        }
    }
    load.phase(REST).await;
    crashes
}

/// Two faults that differ, of which one kills at most, and that do not both stop one node.
fn pick(dice: &mut Dice) -> [Fault; 2] {
    let mut one = || match dice.below(7) {
        0 => Fault::Kill(*dice.choose(&KILLED)),
        1 => Fault::Pause(*dice.choose(&MEMBERS)),
        2 => Fault::Cut(*dice.choose(&MEMBERS)),
        3 => {
            let from = dice.below(MEMBERS.len());
            Fault::OneWay(from, (from + 1 + dice.below(MEMBERS.len() - 1)) % MEMBERS.len())
        }
        4 => Fault::Loss,
        5 => Fault::Slow,
        _ => Fault::Change,
    };
    loop {
        let pair = [one(), one()];
        let kills = pair.iter().filter(|fault| matches!(fault, Fault::Kill(_))).count();
        let stopped = pair.map(|fault| match fault {
            Fault::Kill(node) | Fault::Pause(node) => Some(node),
            Fault::Cut(_) | Fault::OneWay(..) | Fault::Loss | Fault::Slow | Fault::Change => None,
        });
        let same_node = stopped[0].is_some() && stopped[0] == stopped[1];
        if pair[0] != pair[1] && kills < 2 && !same_node {
            return pair;
        }
    }
}

async fn begin(lab: &mut Lab, fault: Fault) {
    match fault {
        Fault::Kill(node) => lab.kill(node),
        Fault::Pause(node) => lab.pause(node),
        Fault::Cut(node) => {
            let others: Vec<usize> = ALL.into_iter().filter(|other| *other != node).collect();
            let clients: Vec<Host> = [0, 1].map(Load::host).to_vec();
            lab.network.cut(&lab.hosts(&[node]), &[lab.hosts(&others), clients].concat());
        }
        Fault::OneWay(from, to) => lab.network.cut_one_way(&lab.hosts(&[from]), &lab.hosts(&[to])),
        Fault::Loss => lab.network.lose(&lab.hosts(&ALL), &lab.hosts(&ALL), 50),
        Fault::Slow => {
            let slow =
                Slow { latency: Duration::from_millis(50), jitter: Duration::from_millis(20), ..Slow::default() };
            lab.network.slow(&lab.hosts(&[0, 2]), &lab.hosts(&[1, 3, 4]), slow);
        }
        Fault::Change => change(lab).await,
    }
}

/// Takes the spare in, or lets it go. Nobody waits for it: the other fault may be in its way, and it may be refused.
async fn change(lab: &Lab) {
    let Some(state) = lab.view_state(0).await else { return };
    let spare = &lab.nodes[SPARE].address;
    let is_in = state.shards.iter().any(|shard| shard.replicas.contains(spare));
    let change = crate::change::wanted(lab, if is_in { &MEMBERS } else { &ALL }, 2);
    let client = lab.client(&[0]);
    let asked = client.change_view(&precede_client::ViewChange { timeout_ms: Some(0), ..change }).await;
    println!(
        "  {} the spare: {}",
        if is_in { "without" } else { "with" },
        asked.map_or_else(|e| e.to_string(), |_| "made".into())
    );
}

/// Whether memory rises after the warm-up: the slope of the straight line that is nearest to what was measured.
fn judge_memory(samples: &[(Duration, [u64; 2])], level: [Footprint; 5]) {
    for (at, index) in WATCHED.into_iter().enumerate() {
        let warm = samples.iter().filter(|(when, _)| *when >= WARM_UP);
        let points: Vec<(f64, f64)> = warm.map(|(when, kib)| (when.as_secs_f64() / 60.0, kib[at] as f64)).collect();
        let count = points.len() as f64;
        let (x, y) = (points.iter().map(|p| p.0).sum::<f64>() / count, points.iter().map(|p| p.1).sum::<f64>() / count);
        let slope = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>()
            / points.iter().map(|p| (p.0 - x) * (p.0 - x)).sum::<f64>();
        let start = level[index].resident_kib;
        println!("  node {index}: {start} KiB at the start, mean {y:.0} KiB after the warm-up, {slope:+.1} KiB/min");
        if points.len() < 3 {
            println!("  too short to judge the slope: give it more than {WARM_UP:?}");
            continue;
        }
        assert!(slope <= SLOPE_MAX_KIB_PER_MINUTE, "node {index} grows by {slope:.1} KiB a minute");
    }
}
