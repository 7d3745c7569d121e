//! The concurrent read path: a GET that the table can answer, answered on the thread that parsed it.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::causality::context::Context;
use crate::causality::version::Version;
use crate::replication::Shared;
use crate::table::entry::Entry;

/// A cheap, concurrent view of a replica's table and of the vector that [`crate::node::Node::step`] maintains. It follows
/// the node from view to view.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    /// What the node's present replica shares; none while the node holds no shard.
    shared: Arc<RwLock<Option<Arc<Shared>>>>,
}

/// What [`Reader::get`] found.
#[derive(Debug)]
pub struct Hit {
    /// The entry, if the key exists; never a tombstone.
    pub entry: Option<Entry>,
    /// The version read, a tombstone's included.
    pub version: Option<Version>,
    /// The client's new context.
    pub context: Context,
}

impl Reader {
    /// From now on this is what is read.
    pub fn follow(&self, shared: Option<Arc<Shared>>) {
        *self.shared.write() = shared;
    }

    /// Answers a GET if the table can, under the context (design 7.2) and without the node's lock. `None` means only that
    /// the request has to go through [`crate::node::Node::step`].
    #[must_use]
    pub fn get(&self, key: &[u8], key_hash: u64, context: &Context) -> Option<Hit> {
        let guard = self.shared.read();
        let shared = guard.as_deref()?;
        if shared.view.shard_of_hash(key_hash).id != shared.shard {
            return None;
        }
        // The order is the argument: what may be answered is judged before the table is read, since the table only
        // moves on; the horizon is read after it, since it rises before what lies below it goes.
        let stable = {
            let visible = shared.visible.read();
            let judged = visible.serving
                && context.greatest() <= visible.clock
                && context.entries.iter().all(|(origin, _)| origin.view == shared.view.id)
                && visible.closed.values().all(|closed| !names(context, closed))
                && visible.satisfies(context, &shared.view, shared.shard);
            if !judged {
                return None;
            }
            visible.stable
        };
        let mut context = context.clone();
        context.view = context.view.max(Some(shared.view.id));
        let Some(entry) = shared.table.get(key, key_hash) else {
            context.prune(stable);
            context.leave_out(shared.visible.read().horizon);
            return Some(Hit { entry: None, version: None, context });
        };
        if entry.timestamp() > stable {
            return None;
        }
        context.prune(stable);
        context.leave_out(entry.timestamp());
        let version = Some(shared.table.version(&entry));
        Some(Hit { entry: (!entry.is_tombstone()).then_some(entry), version, context })
    }

    /// Live keys of this replica; none if the node holds no shard.
    #[must_use]
    pub fn live_keys(&self) -> Option<u64> {
        self.shared.read().as_ref().map(|shared| shared.table.live())
    }
}

/// Whether a context names a closed life: the slow path judges whether something was lost.
fn names(context: &Context, closed: &crate::wire::message::ClosedLives) -> bool {
    context.entries.iter().any(|(origin, _)| origin.node == closed.node && origin.start < closed.before)
}
