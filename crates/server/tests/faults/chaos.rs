//! Random faults, one node at a time, under random load: no client may see a contradiction, and nothing may be lost.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use precede_checker::{Action, Operation};
use tokio::task::JoinSet;

use crate::MACHINE;
use crate::dice::Dice;
use crate::finals;
use crate::least;
use crate::nodes::Nodes;
use crate::raw::{Answer, Raw, Silence};
use crate::record::{self, Crash, Entry};
use crate::until::until;

const SESSIONS: usize = 8;
/// Keys in use at a time. After each fault there are new ones, so that one which cannot be judged is not all of it.
const KEYS: usize = 20;
/// How many operations there are at most between any two things that are done to a node.
const OPERATIONS: usize = 600;
/// A write that is on one replica alone may be gone with it.
const COPIES: usize = 2;
/// No node is avoided.
const NOBODY: usize = usize::MAX;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_under_kills_and_pauses_is_causal() {
    let _machine = MACHINE.lock().await;
    for (count, factor) in [(3, 3), (4, 2)] {
        println!("{count} nodes, factor {factor}");
        run(Nodes::start(count, factor).await).await;
    }
}

async fn run(mut nodes: Nodes) {
    let load = Arc::new(Load::new(nodes.addresses.clone()));
    let mut sessions = JoinSet::new();
    for session in 0..SESSIONS {
        sessions.spawn(Arc::clone(&load).run_session(session));
    }
    let crashes = torment(&mut nodes, &load).await;
    load.is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = sessions.join_next().await {
        ended.expect("a session sees only what it may");
    }
    nodes.all_ready().await;
    let (_, context) = load.seen();
    nodes.hold(&context).await;
    let entries = std::mem::take(&mut load.lock().entries);
    let keys: BTreeSet<String> = entries.iter().map(|entry| entry.operation.key.clone()).collect();
    let finals = finals::read(&nodes.view, &nodes.raw, &keys).await;
    least::contexts_at_their_least(&nodes.view, &nodes.raw, &keys).await;
    nodes.all_ready().await;
    record::judge(&entries, &crashes, &finals);
}

/// Kills and stops nodes, one at a time, and heals each before the next.
async fn torment(nodes: &mut Nodes, load: &Load) -> Vec<Crash> {
    let seconds = std::env::var("PRECEDE_CHAOS_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut dice, mut crashes) = (Dice::new(), Vec::new());
    while Instant::now() < end {
        let (held, context) = load.seen();
        nodes.hold(&context).await;
        load.era.fetch_add(1, Ordering::Relaxed);
        load.go_on(&mut dice).await;
        let victim = dice.below(nodes.addresses.len());
        if dice.once_in(2) {
            nodes.kill(victim);
            let died = load.now();
            load.avoided.store(victim, Ordering::Relaxed);
            load.go_on(&mut dice).await;
            nodes.restart(victim);
            nodes.ready(victim).await;
            crashes.push(Crash { node: nodes.addresses[victim].clone(), held, died, back: load.now() });
        } else {
            nodes.pause(victim);
            load.avoided.store(victim, Ordering::Relaxed);
            load.go_on(&mut dice).await;
            nodes.resume(victim);
            nodes.ready(victim).await;
        }
        load.avoided.store(NOBODY, Ordering::Relaxed);
    }
    crashes
}

/// What the sessions share.
struct Load {
    begun: Instant,
    addresses: Vec<String>,
    raw: Raw,
    is_over: AtomicBool,
    /// How many faults there were: names the keys.
    era: AtomicUsize,
    /// The node that sessions do not begin with now.
    avoided: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    /// What each session has seen last: its context, and the operation that it is from.
    seen: [Option<(String, usize)>; SESSIONS],
}

/// What a session asks for.
struct Wish {
    key: String,
    action: Action,
    context: String,
    received_from: Vec<usize>,
}

impl Load {
    fn new(addresses: Vec<String>) -> Self {
        Self {
            begun: Instant::now(),
            addresses,
            raw: Raw::new(Duration::from_millis(1500)),
            is_over: AtomicBool::new(false),
            era: AtomicUsize::new(0),
            avoided: AtomicUsize::new(NOBODY),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody has panicked")
    }

    /// Microseconds on the recorder's clock.
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).expect("tests are short")
    }

    /// What all sessions together have seen, and up to when.
    fn seen(&self) -> (u64, String) {
        let state = self.lock();
        let contexts: Vec<&str> = state.seen.iter().flatten().map(|(context, _)| context.as_str()).collect();
        (self.now(), contexts.join(","))
    }

    /// Waits until the sessions have done some more.
    async fn go_on(&self, dice: &mut Dice) {
        let enough = self.lock().entries.len() + 1 + dice.below(OPERATIONS);
        until("the clients get on", async || (self.lock().entries.len() >= enough).then_some(())).await;
    }

    async fn run_session(self: Arc<Self>, session: usize) {
        let mut dice = Dice::new();
        for number in 0.. {
            if self.is_over.load(Ordering::Relaxed) {
                break;
            }
            let wish = self.wish(session, number, &mut dice);
            let node = self.choose_node(&mut dice);
            let start = self.now();
            let answer = match &wish.action {
                Action::Put { value } => self.raw.put(node, &wish.key, value, &wish.context).await,
                Action::Get => self.raw.get(node, &wish.key, &wish.context).await,
                Action::Delete => self.raw.delete(node, &wish.key, &wish.context).await,
            };
            self.record(session, wish, start, answer);
        }
    }

    fn wish(&self, session: usize, number: usize, dice: &mut Dice) -> Wish {
        let newest = self.era.load(Ordering::Relaxed);
        let era = if dice.once_in(5) { dice.below(newest + 1) } else { newest };
        let key = format!("k-{era}-{}", dice.below(KEYS));
        let action = match dice.below(20) {
            0..=8 => Action::Put { value: format!("s{session}-{number}") },
            9..=17 => Action::Get,
            _ => Action::Delete,
        };
        let state = self.lock();
        let own = state.seen[session].as_ref().map(|(context, _)| context.as_str());
        let other = if dice.once_in(10) { dice.below(SESSIONS) } else { session };
        let handed = state.seen[other].as_ref().filter(|_| other != session);
        let contexts: Vec<&str> = own.into_iter().chain(handed.map(|(context, _)| context.as_str())).collect();
        let received_from = handed.map(|(_, position)| *position).into_iter().collect();
        Wish { key, action, context: contexts.join(","), received_from }
    }

    /// Any node; of the one that is down only a few hear, since each of them costs a session its patience.
    fn choose_node(&self, dice: &mut Dice) -> &str {
        let avoided = self.avoided.load(Ordering::Relaxed);
        let first = dice.below(self.addresses.len());
        match first == avoided && !dice.once_in(20) {
            true => &self.addresses[(first + 1) % self.addresses.len()],
            false => &self.addresses[first],
        }
    }

    fn record(&self, session: usize, wish: Wish, start: u64, answer: Result<Answer, Silence>) {
        let outcome = record::outcome(&wish.action, &wish.key, &answer, COPIES);
        let answer = answer.ok();
        let mut state = self.lock();
        let position = state.entries.len();
        let has_context = answer.as_ref().is_some_and(|answer| matches!(answer.status, 200 | 201 | 202 | 404));
        if let Some(answer) = answer.as_ref().filter(|_| has_context) {
            state.seen[session] = Some((answer.context(), position));
        }
        let Wish { key, action, received_from, .. } = wish;
        let (session, end) = (session as u64, self.now());
        state.entries.push(Entry {
            operation: Operation { session, key, action, start, end, outcome, received_from, carries_context: true },
            served_by: answer.as_ref().filter(|_| has_context).map(Answer::served_by).unwrap_or_default(),
            version: answer.as_ref().and_then(Answer::version),
            may_be_repeated: answer.as_ref().is_some_and(Answer::may_be_repeated),
        });
    }
}
