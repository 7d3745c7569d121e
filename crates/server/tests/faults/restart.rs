//! A replica that was killed comes back with nothing: until it has recovered it must not let anyone see that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use precede_client::{Client, Session, Value};
use tokio::task::JoinSet;

use crate::MACHINE;
use crate::dice::Dice;
use crate::nodes::Nodes;
use crate::raw::{Answer, Raw};

const KEYS: usize = 5000;
/// How many sessions load them at once.
const SESSIONS: usize = 16;
/// How many clients read while the node recovers.
const READERS: usize = 4;
/// The node that is killed.
const VICTIM: usize = 0;

/// What the keys are to be: a value, or none for those that were deleted.
type Expected = BTreeMap<String, Option<String>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_replica_is_empty_until_it_has_recovered() {
    let _machine = MACHINE.lock().await;
    let mut nodes = Nodes::start(2, 2).await;
    let survivor = Client::builder([&nodes.addresses[1 - VICTIM]]).direct(false).build();
    let survivor = survivor.expect("the address is valid");

    let mut expected: Expected = (0..KEYS).map(|number| (name(number), Some(format!("first {number}")))).collect();
    let mut session = survivor.session();
    apply(&mut session, expected.clone()).await;
    nodes.kill(VICTIM);
    let changes = changes();
    apply(&mut session, changes.clone()).await;
    expected.extend(changes);

    let reading = Arc::new(Reading::new(&nodes, session.to_token(), expected));
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        readers.spawn(Arc::clone(&reading).run());
    }
    nodes.restart(VICTIM);
    nodes.ready(VICTIM).await;
    let counts = [nodes.raw.key_count(&nodes.addresses[0]).await, nodes.raw.key_count(&nodes.addresses[1]).await];
    reading.is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = readers.join_next().await {
        ended.expect("a reader sees only what it may");
    }
    println!("{} reads while the node recovered", reading.count.load(Ordering::Relaxed));
    let living = reading.expected.values().flatten().count() as u64;
    assert_eq!(counts, [Some(living); 2], "when it is ready it counts what its peer counts");
    for address in &nodes.addresses {
        reading.check_all(address).await;
    }
    nodes.all_ready().await;
}

fn name(number: usize) -> String {
    format!("key-{number}")
}

/// What happens while the node is dead: deletes, writes over old keys, new keys.
fn changes() -> Expected {
    let deleted = (0..500).map(|number| (name(number), None));
    let replaced = (500..1000).map(|number| (name(number), Some(format!("second {number}"))));
    let added = (KEYS..KEYS + 500).map(|number| (name(number), Some(format!("second {number}"))));
    deleted.chain(replaced).chain(added).collect()
}

/// Makes keys what they are to be, by several sessions at once, and takes their contexts together.
async fn apply(session: &mut Session, changes: Expected) {
    let mut parts: Vec<Expected> = vec![Expected::new(); SESSIONS];
    for (number, change) in changes.into_iter().enumerate() {
        parts[number % SESSIONS].extend([change]);
    }
    let mut tasks = JoinSet::new();
    for part in parts {
        tasks.spawn(apply_part(session.fork(), part));
    }
    while let Some(ended) = tasks.join_next().await {
        session.merge(&ended.expect("all writes succeed"));
    }
}

async fn apply_part(mut session: Session, changes: Expected) -> Session {
    for (key, value) in changes {
        match value {
            Some(value) => {
                let value = Value::json(&value).expect("a text has a JSON form");
                session.put(&key, value).await.unwrap_or_else(|error| panic!("{key}: {error}"));
            }
            None => {
                let deleted = session.delete(&key).await.unwrap_or_else(|error| panic!("{key}: {error}"));
                assert!(deleted.is_some(), "{key} did not exist");
            }
        }
    }
    session
}

/// What the readers share.
struct Reading {
    address: String,
    raw: Raw,
    context: String,
    expected: Expected,
    is_over: AtomicBool,
    count: AtomicUsize,
}

impl Reading {
    fn new(nodes: &Nodes, context: String, expected: Expected) -> Self {
        let address = nodes.addresses[VICTIM].clone();
        let (is_over, count) = (AtomicBool::new(false), AtomicUsize::new(0));
        Self { address, raw: nodes.raw.clone(), context, expected, is_over, count }
    }

    /// Reads through the node that recovers, as often as it answers.
    async fn run(self: Arc<Self>) {
        let mut dice = Dice::new();
        let keys: Vec<&String> = self.expected.keys().collect();
        while !self.is_over.load(Ordering::Relaxed) {
            let key = *dice.choose(&keys);
            if let Ok(answer) = self.raw.get(&self.address, key, &self.context).await
                && answer.status != 503
            {
                self.check(key, &answer);
                self.count.fetch_add(1, Ordering::Relaxed);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Reads all keys from one node, which must hold them itself.
    async fn check_all(&self, address: &str) {
        for key in self.expected.keys() {
            let answer = self.raw.get(address, key, &self.context).await;
            let answer = answer.unwrap_or_else(|silence| panic!("{key} at {address}: {silence}"));
            self.check(key, &answer);
            assert_eq!(answer.served_by(), address, "{key}: a node that is ready answers by itself");
        }
    }

    fn check(&self, key: &str, answer: &Answer) {
        let read = match answer.status {
            200 => Some(answer.value()),
            404 => None,
            _ => panic!("{key}: {}", answer.describe()),
        };
        assert_eq!(read, self.expected[key], "{key}: {}", answer.describe());
    }
}
