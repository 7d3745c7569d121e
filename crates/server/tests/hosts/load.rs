//! Clients on hosts of their own, which ask the nodes that they are told to, and write down what they see.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use precede_checker::{Action, Operation};
use precede_client::View;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::dice::Dice;
use crate::figures::Sample;
use crate::lab::Lab;
use crate::network::Host;
use crate::raw::{Answer, Raw, Silence};
use crate::record::{self, Entry};
use crate::until::until;

/// Keys in use at a time.
const KEYS: usize = 20;
/// Longer than any node may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Eras of all loads: keys of one are never those of another.
static ERAS: AtomicUsize = AtomicUsize::new(0);

/// How the clients ask.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// Sessions on each client's host.
    pub(crate) sessions: usize,
    /// How long a session rests between two requests: the load is even, and leaves the machine room.
    pub(crate) pace: Duration,
    /// On how many replicas a write must be to count as one that cannot get lost.
    pub(crate) copies: usize,
}

impl Default for Manner {
    fn default() -> Self {
        Self { sessions: 4, pace: Duration::from_millis(10), copies: 2 }
    }
}

/// Clients at work.
pub(crate) struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    begun: Instant,
    view: Arc<View>,
    manner: Manner,
    is_over: AtomicBool,
    /// The first era of this load, and the one whose keys are in use.
    eras: (usize, AtomicUsize),
    next_session: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The nodes that each client asks.
    targets: Vec<Vec<String>>,
    /// What the clients' sessions have seen last: the context, and the operation that it is from.
    seen: Vec<Vec<Option<(String, usize)>>>,
    entries: Vec<Entry>,
    samples: Vec<Sample>,
}

/// A request to come.
struct Wish {
    session: u64,
    key: String,
    action: Action,
    context: String,
    received_from: Vec<usize>,
    node: String,
    is_courier: bool,
}

/// Everything that was written down.
pub(crate) struct Story {
    pub(crate) entries: Vec<Entry>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) keys: BTreeSet<String>,
    /// All that anybody has seen.
    pub(crate) context: String,
}

impl Load {
    /// Puts one client's host for each list of nodes on the switch and lets it ask these.
    pub(crate) fn start(lab: &mut Lab, view: &Arc<View>, targets: &[&[usize]], manner: Manner) -> Self {
        let state = State {
            targets: targets.iter().map(|nodes| lab.addresses(nodes)).collect(),
            seen: vec![vec![None; manner.sessions]; targets.len()],
            ..State::default()
        };
        let first_era = ERAS.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::new(Shared {
            begun: Instant::now(),
            view: Arc::clone(view),
            manner,
            is_over: AtomicBool::new(false),
            eras: (first_era, AtomicUsize::new(first_era)),
            next_session: AtomicU64::new(0),
            state: Mutex::new(state),
        });
        let mut threads = Vec::new();
        for client in 0..targets.len() {
            let host = Self::host(client);
            lab.network.ensure(&host);
            let (shared, namespace) = (Arc::clone(&shared), host.name.clone());
            let enter = lab.network.entrance(&namespace);
            threads.push(std::thread::spawn(move || {
                enter();
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(shared.run_client(client));
            }));
        }
        Self { shared, threads }
    }

    /// The host of a client.
    pub(crate) fn host(client: usize) -> Host {
        Host::client(u8::try_from(client).expect("clients are few"))
    }

    /// Lets a client ask these nodes from now on.
    pub(crate) fn aim(&self, client: usize, addresses: Vec<String>) {
        self.shared.lock().targets[client] = addresses;
    }

    /// From now on there are new keys: one that cannot be judged is not all of it.
    pub(crate) fn new_era(&self) {
        self.shared.eras.1.store(ERAS.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Microseconds on the recorder's clock.
    pub(crate) fn now(&self) -> u64 {
        self.shared.now()
    }

    /// What all sessions together have seen, and up to when.
    pub(crate) fn seen(&self) -> (u64, String) {
        let state = self.shared.lock();
        (self.shared.now(), state.context())
    }

    /// Waits until so many more requests were answered or given up.
    pub(crate) async fn go_on(&self, requests: usize) {
        let enough = self.shared.lock().entries.len() + requests;
        until("the clients get on", async || (self.shared.lock().entries.len() >= enough).then_some(())).await;
    }

    /// Lets the load go on for so long: the length of a phase is part of what is measured.
    pub(crate) async fn phase(&self, length: Duration) -> (u64, u64) {
        let start = self.now();
        sleep(length).await;
        (start, self.now())
    }

    /// Ends it.
    pub(crate) fn end(self) -> Story {
        self.shared.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a client sees only what it may");
        }
        let mut state = self.shared.lock();
        let context = state.context();
        let entries = std::mem::take(&mut state.entries);
        let keys = entries.iter().map(|entry| entry.operation.key.clone()).collect();
        Story { entries, samples: std::mem::take(&mut state.samples), keys, context }
    }
}

impl State {
    fn context(&self) -> String {
        let contexts: Vec<&str> = self.seen.iter().flatten().flatten().map(|(context, _)| context.as_str()).collect();
        contexts.join(",")
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody has panicked")
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).expect("tests are short")
    }

    async fn run_client(self: Arc<Self>, client: usize) {
        let raw = Raw::new(PATIENCE);
        let mut sessions = JoinSet::new();
        for session in 0..self.manner.sessions {
            sessions.spawn(Arc::clone(&self).run_session(client, Some(session), raw.clone()));
        }
        if self.lock().targets.len() > 1 {
            sessions.spawn(Arc::clone(&self).run_session(client, None, raw));
        }
        while let Some(ended) = sessions.join_next().await {
            ended.expect("a session sees only what it may");
        }
    }

    /// A session; without a number a courier, who carries what other clients have seen to this one's nodes.
    async fn run_session(self: Arc<Self>, client: usize, number: Option<usize>, raw: Raw) {
        let mut dice = Dice::new();
        let mut id = self.next_session.fetch_add(1, Ordering::Relaxed);
        let mut carried = String::new();
        for count in 0_u64.. {
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            let wish = match number {
                Some(number) => Some(self.wish(client, number, id, count, &mut dice)),
                None => self.errand(client, id, &carried, &mut dice),
            };
            if let Some(wish) = wish {
                let start = self.now();
                let answer = match &wish.action {
                    Action::Put { value } => raw.put(&wish.node, &wish.key, value, &wish.context).await,
                    Action::Get => raw.get(&wish.node, &wish.key, &wish.context).await,
                    Action::Delete => raw.delete(&wish.node, &wish.key, &wish.context).await,
                };
                let is_refused = answer.as_ref().is_ok_and(|answer| answer.status == 503);
                if let Some(answer) = answer.as_ref().ok().filter(|answer| matches!(answer.status, 200 | 404)) {
                    carried = answer.context();
                }
                self.record(client, number, wish, start, answer);
                // A client that cannot be served with what it has seen begins anew.
                if let Some(number) = number.filter(|_| is_refused) {
                    id = self.next_session.fetch_add(1, Ordering::Relaxed);
                    self.lock().seen[client][number] = None;
                }
            }
            sleep(self.manner.pace).await;
        }
    }

    fn wish(&self, client: usize, number: usize, session: u64, count: u64, dice: &mut Dice) -> Wish {
        let (first, newest) = (self.eras.0, self.eras.1.load(Ordering::Relaxed));
        let era = if dice.once_in(5) { first + dice.below(newest - first + 1) } else { newest };
        let key = format!("k-{era}-{}", dice.below(KEYS));
        let action = match dice.below(20) {
            0..=8 => Action::Put { value: format!("s{session}-{count}") },
            9..=17 => Action::Get,
            _ => Action::Delete,
        };
        let state = self.lock();
        let node = dice.choose(&state.targets[client]).clone();
        let seen = &state.seen[client];
        let own = seen[number].as_ref().map(|(context, _)| context.as_str());
        let other = if dice.once_in(10) { dice.below(self.manner.sessions) } else { number };
        let handed = seen[other].as_ref().filter(|_| other != number);
        let contexts: Vec<&str> = own.into_iter().chain(handed.map(|(context, _)| context.as_str())).collect();
        let received_from = handed.map(|(_, position)| *position).into_iter().collect();
        Wish { session, key, action, context: contexts.join(","), received_from, node, is_courier: false }
    }

    /// A read with what a session of another client has seen, if it has seen anything, and what the courier has.
    fn errand(&self, client: usize, session: u64, carried: &str, dice: &mut Dice) -> Option<Wish> {
        let key = format!("k-{}-{}", self.eras.1.load(Ordering::Relaxed), dice.below(KEYS));
        let state = self.lock();
        let node = dice.choose(&state.targets[client]).clone();
        let other = (client + 1 + dice.below(state.seen.len() - 1)) % state.seen.len();
        let (context, position) = state.seen[other][dice.below(self.manner.sessions)].clone()?;
        let context = if carried.is_empty() { context } else { format!("{carried},{context}") };
        let received_from = vec![position];
        Some(Wish { session, key, action: Action::Get, context, received_from, node, is_courier: true })
    }

    fn record(&self, client: usize, number: Option<usize>, wish: Wish, start: u64, answer: Result<Answer, Silence>) {
        let outcome = record::outcome(&wish.action, &wish.key, &answer, self.manner.copies);
        let end = self.now();
        let answer = answer.ok();
        let has_context = answer.as_ref().is_some_and(|answer| matches!(answer.status, 200 | 201 | 202 | 404));
        let Wish { session, key, action, received_from, is_courier, .. } = wish;
        let sample = Sample {
            client,
            shard: self.view.shard_of(&key).map_or(0, |shard| shard.id),
            is_courier,
            start,
            end,
            status: answer.as_ref().map(|answer| answer.status),
            reason: answer.as_ref().map(Answer::reason).unwrap_or_default(),
        };
        let mut state = self.lock();
        state.samples.push(sample);
        let position = state.entries.len();
        if let (Some(answer), Some(number)) = (answer.as_ref().filter(|_| has_context), number) {
            state.seen[client][number] = Some((answer.context(), position));
        }
        state.entries.push(Entry {
            operation: Operation { session, key, action, start, end, outcome, received_from, carries_context: true },
            served_by: answer.as_ref().filter(|_| has_context).map(Answer::served_by).unwrap_or_default(),
            version: answer.as_ref().and_then(Answer::version),
            may_be_repeated: answer.as_ref().is_some_and(Answer::may_be_repeated),
        });
    }
}
