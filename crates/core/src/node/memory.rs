//! How much a node holds, and what it does at the limit: PUTs that need more are refused, everything else goes on. What other
//! replicas have accepted is never refused, or replicas would differ.

use bytes::Bytes;

use crate::effect::{Effect, Effects};
use crate::event::Event;
use crate::node::Node;
use crate::placement::hash::key_hash;
use crate::replication::names::NAME_BYTES;
use crate::replication::replica::Replica;
use crate::table::memory::{entry_bytes, needed_bytes};
use crate::table::value::Value;
use crate::wire::request::Refusal;

/// Having been at its limit is told again once this part of it was free meanwhile.
const FREE_PART: u64 = 10;

impl Node {
    /// Bytes that the table, the window, the names of writes and what former views have left here take in memory, about. It is counted:
    /// the process takes more, for itself and for what is on its way.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let legacies: u64 = self.legacies.values().map(Replica::memory_bytes).sum();
        let Some(replica) = &self.replica else { return legacies };
        replica.memory_bytes() + legacies - replica.shared_bytes().min(legacies)
    }

    /// Refuses a value that does not fit. One that takes no more than what it replaces always does.
    pub(super) fn refuse_beyond_memory(
        &mut self,
        key: &Bytes,
        value: &Value,
        is_named: bool,
        effects: &mut Effects,
    ) -> Option<Refusal> {
        let limit = self.config.memory_bytes_max?;
        let held = self.memory_bytes();
        if held < limit - limit / FREE_PART {
            self.is_full = false;
        }
        let name = if is_named { NAME_BYTES } else { 0 };
        let needed = (needed_bytes(key, Some(value.as_ref())) + name) as u64;
        if held.saturating_add(needed) <= limit {
            return None;
        }
        let replaced = self.replica.as_ref().and_then(|replica| replica.table().get(key, key_hash(key)));
        if replaced.is_some_and(|entry| needed <= entry_bytes(&entry) as u64) {
            return None;
        }
        if !std::mem::replace(&mut self.is_full, true) {
            effects.push(Effect::Event(Event::MemoryFull { held, limit }));
        }
        Some(Refusal::MemoryFull { limit })
    }
}
