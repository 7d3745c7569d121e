//! One replica is gone: everything goes on through all the others, and it catches up when it is back.

use crate::MACHINE;
use crate::nodes::Nodes;
use crate::until::until;

const ROUNDS: usize = 5;
/// The node that is stopped.
const VICTIM: usize = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Pause,
    Kill,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_while_a_replica_is_stopped() {
    let _machine = MACHINE.lock().await;
    for fault in [Fault::Pause, Fault::Kill] {
        let mut writer = Writer::new(Nodes::start(4, 2).await);
        writer.round(0).await;
        match fault {
            Fault::Pause => writer.nodes.pause(VICTIM),
            Fault::Kill => writer.nodes.kill(VICTIM),
        }
        for round in 1..=ROUNDS {
            writer.round(round).await;
        }
        match fault {
            Fault::Pause => writer.nodes.resume(VICTIM),
            Fault::Kill => writer.nodes.restart(VICTIM),
        }
        writer.all_show_the_newest().await;
        writer.nodes.all_ready().await;
    }
}

/// One client that carries its context along.
struct Writer {
    nodes: Nodes,
    /// A key of each shard, with what it was written last.
    newest: Vec<(String, String)>,
    context: String,
}

impl Writer {
    fn new(nodes: Nodes) -> Self {
        assert_eq!(nodes.view.shards.len(), 2);
        let keys = nodes.view.shards.iter().map(|shard| (nodes.key_of(shard.id, "key"), String::new()));
        Self { newest: keys.collect(), nodes, context: String::new() }
    }

    /// Writes and reads both keys through every node but the victim. All of it must succeed.
    async fn round(&mut self, round: usize) {
        for through in 0..self.nodes.addresses.len() {
            if through == VICTIM {
                continue;
            }
            for index in 0..self.newest.len() {
                self.write(through, index, format!("round {round} through {through}")).await;
            }
            for index in 0..self.newest.len() {
                self.read(through, index).await;
            }
        }
    }

    async fn write(&mut self, through: usize, index: usize, value: String) {
        let (key, newest) = &mut self.newest[index];
        let answer = self.nodes.raw.put(&self.nodes.addresses[through], key, &value, &self.context).await;
        let answer = answer.unwrap_or_else(|silence| panic!("{key} = {value}: {silence}"));
        assert!(matches!(answer.status, 200 | 201), "{key} = {value}: {}", answer.describe());
        self.context = answer.context();
        *newest = value;
    }

    async fn read(&mut self, through: usize, index: usize) {
        let (key, newest) = &self.newest[index];
        let answer = self.nodes.raw.get(&self.nodes.addresses[through], key, &self.context).await;
        let answer = answer.unwrap_or_else(|silence| panic!("{key} through {through}: {silence}"));
        assert_eq!(answer.status, 200, "{key} through {through}: {}", answer.describe());
        assert_eq!(answer.value(), *newest, "{key} through {through}: {}", answer.describe());
        self.context = answer.context();
    }

    /// Each node, the one that was gone included, answers with the newest as soon as it answers.
    async fn all_show_the_newest(&self) {
        for address in &self.nodes.addresses {
            for (key, newest) in &self.newest {
                until(&format!("{address} answers for {key}"), async || {
                    let answer = self.nodes.raw.get(address, key, &self.context).await.ok()?;
                    if answer.status == 503 {
                        return None;
                    }
                    assert_eq!(answer.status, 200, "{key} at {address}: {}", answer.describe());
                    assert_eq!(answer.value(), *newest, "{key} at {address}");
                    Some(())
                })
                .await;
            }
        }
    }
}
