//! A healthy cluster under as much load as the machine gives, with contexts handed from session to session.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use precede_checker::{Action, Operation, Outcome};
use precede_client::{Client, Error, Session, Value};
use tokio::task::JoinSet;

use crate::MACHINE;
use crate::dice::Dice;
use crate::finals;
use crate::least;
use crate::nodes::Nodes;
use crate::record::{self, Entry};

const CLIENTS: usize = 8;
const SESSIONS: usize = 32;
const KEYS: usize = 20;
const SPAN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_cluster_at_full_speed_is_causal() {
    let _machine = MACHINE.lock().await;
    let nodes = Nodes::start(4, 2).await;
    let board = Arc::new(Board::default());
    let clients: Vec<Client> = (0..CLIENTS).map(|number| client(&nodes, number)).collect();
    let (begun, mut sessions) = (Instant::now(), JoinSet::new());
    for number in 0..SESSIONS {
        let session = clients[number % CLIENTS].session();
        sessions.spawn(Player::new(number, session, Arc::clone(&board), begun).play());
    }
    while let Some(ended) = sessions.join_next().await {
        ended.expect("a session sees only what it may");
    }
    let entries = std::mem::take(&mut board.lock().entries);
    let keys: BTreeSet<String> = entries.iter().map(|entry| entry.operation.key.clone()).collect();
    let finals = finals::read(&nodes.view, &nodes.raw, &keys).await;
    least::contexts_at_their_least(&nodes.view, &nodes.raw, &keys).await;
    nodes.all_ready().await;
    record::judge(&entries, &[], &finals);
}

/// Half of the clients go to a key's replicas, the others always to one node, so that contexts come to nodes that have
/// not seen what they name.
fn client(nodes: &Nodes, number: usize) -> Client {
    let mut addresses = nodes.addresses.clone();
    addresses.rotate_left(number / 2 % nodes.addresses.len());
    Client::builder(&addresses).direct(number.is_multiple_of(2)).build().expect("the addresses are valid")
}

/// What the sessions share.
#[derive(Default)]
struct Board(Mutex<Posted>);

#[derive(Default)]
struct Posted {
    entries: Vec<Entry>,
    /// Sessions as they were after an operation, to be taken up by others.
    sessions: Vec<(Session, usize)>,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Posted> {
        self.0.lock().expect("nobody has panicked")
    }
}

/// One session and who plays it.
struct Player {
    number: usize,
    session: Session,
    board: Arc<Board>,
    begun: Instant,
    dice: Dice,
    /// Where the contexts came from that were merged and not yet used with success.
    received_from: Vec<usize>,
}

/// What an operation came to.
struct Result {
    outcome: Outcome,
    version: Option<String>,
    served_by: String,
}

impl Player {
    fn new(number: usize, session: Session, board: Arc<Board>, begun: Instant) -> Self {
        Self { number, session, board, begun, dice: Dice::new(), received_from: Vec::new() }
    }

    async fn play(mut self) {
        for turn in 0.. {
            if self.begun.elapsed() >= SPAN {
                break;
            }
            if self.dice.once_in(8) {
                self.take_up();
            }
            let key = format!("k-{}", self.dice.below(KEYS));
            let action = match self.dice.below(20) {
                0..=8 => Action::Put { value: format!("s{}-{turn}", self.number) },
                9..=17 => Action::Get,
                _ => Action::Delete,
            };
            let start = self.now();
            let result = self.perform(&key, &action).await;
            self.record(key, action, start, result);
        }
    }

    /// Takes over what another session has seen.
    fn take_up(&mut self) {
        let posted = self.board.lock();
        if !posted.sessions.is_empty() {
            let (other, position) = self.dice.choose(&posted.sessions);
            self.session.merge(other);
            self.received_from.push(*position);
        }
    }

    async fn perform(&mut self, key: &str, action: &Action) -> Result {
        match action {
            Action::Get => self.session.get(key).await.map_or_else(failed, |found| match found {
                Some(found) => Result {
                    outcome: Outcome::Read { value: Some(found.value.decode().expect("all values are JSON strings")) },
                    version: Some(found.version),
                    served_by: found.node.to_string(),
                },
                None => absent(Outcome::Read { value: None }),
            }),
            Action::Put { value } => {
                let value = Value::json(value).expect("a text has a JSON form");
                self.session.put(key, value).await.map_or_else(failed, |written| Result {
                    outcome: Outcome::Written,
                    version: Some(written.version),
                    served_by: written.node.to_string(),
                })
            }
            Action::Delete => self.session.delete(key).await.map_or_else(failed, |deleted| match deleted {
                Some(deleted) => Result {
                    outcome: Outcome::Written,
                    version: Some(deleted.version),
                    served_by: deleted.node.to_string(),
                },
                None => absent(Outcome::NotFound),
            }),
        }
    }

    fn record(&mut self, key: String, action: Action, start: u64, result: Result) {
        let has_context = !matches!(result.outcome, Outcome::Failed | Outcome::Unknown);
        let received_from = match has_context {
            true => std::mem::take(&mut self.received_from),
            false => self.received_from.clone(),
        };
        let (session, end, outcome) = (self.number as u64, self.now(), result.outcome);
        let operation = Operation { session, key, action, start, end, outcome, received_from, carries_context: true };
        let (version, served_by) = (result.version, result.served_by);
        let mut posted = self.board.lock();
        let position = posted.entries.len();
        posted.entries.push(Entry { operation, served_by, version, may_be_repeated: false });
        if has_context && self.dice.once_in(4) {
            let place = self.dice.below(SESSIONS);
            let post = (self.session.fork(), position);
            match posted.sessions.get_mut(place) {
                Some(held) => *held = post,
                None => posted.sessions.push(post),
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).expect("tests are short")
    }
}

fn absent(outcome: Outcome) -> Result {
    Result { outcome, version: None, served_by: "one of them".to_owned() }
}

fn failed(error: Error) -> Result {
    let outcome = match error {
        Error::Unavailable { .. } => Outcome::Failed,
        Error::OutcomeUnknown { .. } => Outcome::Unknown,
        error => panic!("a healthy cluster answered with {error}"),
    };
    println!("an operation ended as {outcome:?}");
    Result { outcome, version: None, served_by: String::new() }
}
