//! What is left when all is quiet.

use std::collections::BTreeSet;

use precede_client::View;

use crate::raw::Raw;
use crate::until::until;

/// A token with a view and a stable timestamp; one entry more takes at least 24 bytes more.
const LEAST_TOKEN_BYTES: usize = 56;

/// Waits until every replica answers with a context that names no write any more: all of them are stable then, so the windows are
/// empty and tombstones go.
pub(crate) async fn contexts_at_their_least(view: &View, raw: &Raw, keys: &BTreeSet<String>) {
    for shard in &view.shards {
        let Some(key) = keys.iter().find(|key| view.shard_of(key).is_some_and(|owner| owner.id == shard.id)) else {
            continue;
        };
        for replica in &shard.replicas {
            let replica = replica.as_str();
            until(&format!("{replica} answers with the least context"), async || {
                let answer = raw.get(replica, key, "").await.ok()?;
                let served = matches!(answer.status, 200 | 404) && answer.served_by() == replica;
                (served && answer.context().len() <= LEAST_TOKEN_BYTES).then_some(())
            })
            .await;
        }
    }
}
