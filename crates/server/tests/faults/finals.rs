//! Reads of every replica: what all of them show, and what they hold when all faults are over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use precede_client::View;
use tokio::time::{Instant, sleep};

use crate::raw::Raw;
use crate::until::until;

const PATIENCE: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_millis(50);

/// What one replica holds of one key.
#[derive(Debug, Clone)]
pub(crate) struct Final {
    pub(crate) replica: String,
    pub(crate) key: String,
    pub(crate) value: Option<String>,
    pub(crate) version: Option<String>,
}

/// Reads all keys from all their replicas until those agree. If they do not in good time, what they hold then is
/// returned: it is for the judge to say so.
pub(crate) async fn read(view: &View, raw: &Raw, keys: &BTreeSet<String>) -> Vec<Final> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let finals = look(view, raw, keys).await;
        let is_late = Instant::now() > deadline;
        if let Ok(finals) = &finals
            && (is_late || agree(finals) && counts_agree(view, raw).await)
        {
            return finals.clone();
        }
        assert!(!is_late, "replicas do not answer for themselves: {finals:?}");
        sleep(INTERVAL).await;
    }
}

async fn look(view: &View, raw: &Raw, keys: &BTreeSet<String>) -> Result<Vec<Final>, String> {
    let mut finals = Vec::new();
    for key in keys {
        let shard = view.shard_of(key).expect("every key has a shard");
        for replica in &shard.replicas {
            finals.push(read_one(raw, replica.as_str(), key).await?);
        }
    }
    Ok(finals)
}

async fn read_one(raw: &Raw, replica: &str, key: &str) -> Result<Final, String> {
    let answer = raw.get(replica, key, "").await.map_err(|silence| silence.to_string())?;
    let value = match answer.status {
        200 if answer.served_by() == replica => Some(answer.value()),
        404 if answer.served_by() == replica => None,
        _ => return Err(format!("{replica}, asked for {key}: {}", answer.describe())),
    };
    Ok(Final { replica: replica.to_owned(), key: key.to_owned(), value, version: answer.version() })
}

fn agree(finals: &[Final]) -> bool {
    let mut values: BTreeMap<&str, &Option<String>> = BTreeMap::new();
    finals.iter().all(|read| *values.entry(&read.key).or_insert(&read.value) == &read.value)
}

/// Whether the replicas of each shard count the same number of keys.
async fn counts_agree(view: &View, raw: &Raw) -> bool {
    for shard in &view.shards {
        let mut counts = BTreeSet::new();
        for replica in &shard.replicas {
            counts.insert(raw.key_count(replica.as_str()).await);
        }
        if counts.len() != 1 || counts.contains(&None) {
            return false;
        }
    }
    true
}

/// Waits until every replica itself shows all that a context names, so that any single one may die without a loss.
pub(crate) async fn shown(view: &View, raw: &Raw, context: &str) {
    for shard in &view.shards {
        let key = key_of(view, shard.id, "hold");
        for replica in &shard.replicas {
            let replica = replica.as_str();
            until(&format!("{replica} shows what clients have seen"), async || {
                let answer = raw.get(replica, &key, context).await.ok()?;
                (matches!(answer.status, 200 | 404) && answer.served_by() == replica).then_some(())
            })
            .await;
        }
    }
}

/// A key that belongs to a shard.
pub(crate) fn key_of(view: &View, shard: u32, name: &str) -> String {
    let mut keys = (0..).map(|number: u32| format!("{name}-{number}"));
    keys.find(|key| view.shard_of(key).is_some_and(|owner| owner.id == shard)).expect("every shard owns keys")
}
