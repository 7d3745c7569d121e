//! What must hold, one property per file. Each is a function from the record and what a replica or reply says to an
//! objection, so that it can be tested with a record that is wrong on purpose.

pub mod barrier;
pub mod bounded;
pub mod causal;
pub mod convergent;
pub mod durable;
pub mod empty_window;
pub mod live;
pub mod named;
pub mod no_lost_write;
pub mod no_resurrection;
pub mod once;
pub mod one_home;
pub mod present;
pub mod rule_a;
pub mod session;
pub mod stable;

use std::collections::BTreeMap;

use bytes::Bytes;
use precede_core::causality::hlc::Timestamp;
use precede_core::causality::version::Version;
use precede_core::node::TableReport;
use precede_core::table::value::Value;

use crate::oracle::Oracle;
use crate::past::WriteIx;

/// What one replica holds, with the bound below which it may have dropped tombstones.
#[derive(Debug, Clone, Default)]
pub struct Holding {
    /// By key.
    pub entries: BTreeMap<Bytes, (Version, Option<Value>)>,
    /// The replica's horizon.
    pub horizon: Timestamp,
}

impl Holding {
    /// Looks at a table.
    #[must_use]
    pub fn of(table: &TableReport) -> Self {
        let entry = |(key, version, value): &(Bytes, Version, Option<Value>)| (key.clone(), (*version, value.clone()));
        Self { entries: table.entries.iter().map(entry).collect(), horizon: table.horizon }
    }

    /// Whether the replica reflects a write: holds it or a greater version of its key, or nothing, where tombstones that
    /// old have been dropped.
    #[must_use]
    pub fn reflects(&self, oracle: &Oracle, write: WriteIx) -> bool {
        let key = &oracle.keys[oracle.writes[write.at()].key].name;
        let held = self.entries.get(key).map(|(version, _)| *version);
        reflects(oracle, write, held, self.horizon)
    }
}

/// Whether a replica reflects a write that has this of its key: the write or something greater, or nothing, where tombstones up to the
/// horizon may have been dropped.
#[must_use]
pub fn reflects(oracle: &Oracle, write: WriteIx, held: Option<Version>, horizon: Timestamp) -> bool {
    let record = &oracle.writes[write.at()];
    match held {
        Some(held) => held >= record.version,
        None => oracle
            .tombstone_from(record.key, write)
            .is_some_and(|tombstone| oracle.version(tombstone).timestamp <= horizon),
    }
}
