//! The omniscient record of a run: every write, by whom, with what past, and what became of it.
//!
//! Writes are learnt from replies, from messages between nodes and from dumps. Which request made a write is known from
//! its value, which is unique; for a tombstone from the reply that names its version. As long as nobody named it, it may be
//! any delete of the key whose outcome is not known, and only what all of these have in their past counts.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use precede_core::causality::hlc::Timestamp;
use precede_core::causality::version::Version;
use precede_core::id::{Origin, ShardId};
use precede_core::placement::hash::key_hash;
use precede_core::placement::view::View;
use precede_core::table::value::Value;

use crate::past::{Past, WriteIx};

/// A key of the workload.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its name.
    pub name: Bytes,
    /// Its hash.
    pub hash: u64,
}

/// What a client knows of a write that it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// No answer yet, or none ever.
    Open,
    /// Acknowledged.
    Done,
    /// Refused: it must never take effect.
    Refused,
}

/// A write that a client asked for.
#[derive(Debug, Clone)]
pub struct Issue {
    /// Of which key.
    pub key: usize,
    /// Whether it is a delete.
    pub delete: bool,
    /// The client's past when it asked.
    pub past: Past,
    /// What came back.
    pub fate: Fate,
    /// A router tried it at a second replica: it may exist twice.
    pub repeated: bool,
    /// Its client was told that it took effect, and not that it may have done so twice.
    pub told_once: bool,
}

/// A write that was made.
#[derive(Debug, Clone)]
pub struct Write {
    /// Its dot.
    pub version: Version,
    /// Of which key.
    pub key: usize,
    /// Whether it is a tombstone.
    pub tombstone: bool,
    /// Who asked for it, as far as known.
    pub issue: Option<usize>,
    /// The writer's past.
    pub past: Past,
    /// On how many replicas it was acknowledged.
    pub acks: u32,
    /// All replicas that held it crashed.
    pub lost: bool,
    /// Its maker crashed before any other replica had taken it. Something greater may be there all the same.
    pub alone: bool,
}

/// The record.
#[derive(Debug)]
pub struct Oracle {
    /// The keys of the workload.
    pub keys: Vec<Key>,
    /// What clients asked for. Its position is in the value.
    pub issues: Vec<Issue>,
    /// What was made.
    pub writes: Vec<Write>,
    key_numbers: BTreeMap<Bytes, usize>,
    by_version: BTreeMap<Version, WriteIx>,
    by_key: Vec<Vec<WriteIx>>,
}

/// What a write is learnt to be.
#[derive(Debug, Clone, Copy)]
pub struct Sighting<'a> {
    /// Its dot.
    pub version: Version,
    /// Its key.
    pub key: usize,
    /// Its value; none for a tombstone.
    pub value: Option<&'a [u8]>,
    /// The request that made it, where that is known.
    pub issue: Option<usize>,
}

impl Oracle {
    /// An empty record over keys of these names.
    #[must_use]
    pub fn new(names: Vec<Bytes>) -> Self {
        let key_numbers = names.iter().cloned().enumerate().map(|(at, name)| (name, at)).collect();
        let key = |name: Bytes| {
            let hash = key_hash(&name);
            Key { name, hash }
        };
        let keys: Vec<Key> = names.into_iter().map(key).collect();
        let by_key = vec![Vec::new(); keys.len()];
        Self { keys, issues: Vec::new(), writes: Vec::new(), key_numbers, by_version: BTreeMap::new(), by_key }
    }

    /// The keys of a shard.
    #[must_use]
    pub fn keys_of(&self, view: &View, shard: ShardId) -> Vec<usize> {
        (0..self.keys.len()).filter(|key| view.shard_of_hash(self.keys[*key].hash).id == shard).collect()
    }

    /// The number of a key.
    #[must_use]
    pub fn key_number(&self, name: &[u8]) -> Option<usize> {
        self.key_numbers.get(name).copied()
    }

    /// The version of a write.
    #[must_use]
    pub fn version(&self, write: WriteIx) -> Version {
        self.writes[write.at()].version
    }

    /// The write of a version.
    #[must_use]
    pub fn find(&self, version: &Version) -> Option<WriteIx> {
        self.by_version.get(version).copied()
    }

    /// All known writes of a key, by version.
    #[must_use]
    pub fn of_key(&self, key: usize) -> &[WriteIx] {
        &self.by_key[key]
    }

    /// The writes of one origin above `after` and up to `to`.
    pub fn made(&self, origin: Origin, after: Timestamp, to: Timestamp) -> impl Iterator<Item = WriteIx> {
        let version = |timestamp| Version { timestamp, origin };
        let between = (Bound::Excluded(version(after)), Bound::Included(version(to.max(after))));
        self.by_version.range(between).filter(move |(version, _)| version.origin == origin).map(|(_, write)| *write)
    }

    /// Notes that a client asks for a write; the value to write, of at least `padding` bytes.
    pub fn ask(&mut self, issue: Issue, padding: usize) -> (usize, Value) {
        let number = self.issues.len();
        self.issues.push(issue);
        (number, Value::json(format!("\"v{number}{:.<padding$}\"", "")))
    }

    /// Joins a past with a write and with what its writer knew.
    pub fn extend(&self, past: &mut Past, write: WriteIx) {
        let record = &self.writes[write.at()];
        past.join(&record.past, |write| self.version(write));
        past.add(record.key, write, |write| self.version(write));
    }

    /// The least write that a reader with this past may be shown of a key: the greatest in its past, or, where that
    /// was lost, the greatest that its writer knew.
    #[must_use]
    pub fn required(&self, past: &Past, key: usize) -> Option<WriteIx> {
        let mut write = past.of(key)?;
        while self.writes[write.at()].lost {
            let before = self.writes[write.at()].past.of(key)?;
            if self.version(before) >= self.version(write) {
                return None;
            }
            write = before;
        }
        Some(write)
    }

    /// The least tombstone of a key at or above a write.
    #[must_use]
    pub fn tombstone_from(&self, key: usize, write: WriteIx) -> Option<WriteIx> {
        let from = self.version(write);
        self.by_key[key].iter().copied().find(|at| self.version(*at) >= from && self.writes[at.at()].tombstone)
    }

    /// Learns of a write; tells whether it is new.
    ///
    /// # Errors
    /// Says what is wrong with it: a value that nobody wrote or that was refused, or a dot used twice.
    pub fn learn(&mut self, seen: Sighting<'_>) -> Result<(WriteIx, bool), String> {
        let named = match seen.value {
            Some(value) => Some(self.issue_of(value, seen.key)?),
            None => seen.issue,
        };
        if let Some(known) = self.find(&seen.version) {
            self.confirm(known, seen, named)?;
            return Ok((known, false));
        }
        if let Some(issue) = named
            && self.issues[issue].fate == Fate::Refused
        {
            return Err(format!("a refused write of {} took effect as {:?}", self.name(seen.key), seen.version));
        }
        let past = match named {
            Some(issue) => self.issues[issue].past.clone(),
            None => self.common_past(seen.key).ok_or_else(|| {
                format!("a tombstone of {} as {:?} that nobody can have asked for", self.name(seen.key), seen.version)
            })?,
        };
        let write = WriteIx::new(self.writes.len());
        let tombstone = seen.value.is_none();
        let (version, key) = (seen.version, seen.key);
        self.writes.push(Write { version, key, tombstone, issue: named, past, acks: 0, lost: false, alone: false });
        self.by_version.insert(version, write);
        let place = self.by_key[key].partition_point(|at| self.writes[at.at()].version < version);
        self.by_key[key].insert(place, write);
        Ok((write, true))
    }

    fn confirm(&mut self, known: WriteIx, seen: Sighting<'_>, named: Option<usize>) -> Result<(), String> {
        let record = &mut self.writes[known.at()];
        let same_issue = record.issue.is_none() || named.is_none() || record.issue == named;
        if record.key != seen.key || record.tombstone != seen.value.is_none() || !same_issue {
            return Err(format!("two writes have the one dot {:?}", seen.version));
        }
        if let (None, Some(issue)) = (record.issue, named) {
            record.issue = Some(issue);
            record.past = self.issues[issue].past.clone();
        }
        Ok(())
    }

    /// The request that wrote a value.
    ///
    /// # Errors
    /// If nobody wrote it to this key.
    pub fn issue_of(&self, value: &[u8], key: usize) -> Result<usize, String> {
        let digits = value.strip_prefix(b"\"v").unwrap_or_default();
        let digits = digits.split(|byte| !byte.is_ascii_digit()).next().unwrap_or_default();
        let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<usize>().ok());
        match number.filter(|number| self.issues.get(*number).is_some_and(|issue| issue.key == key && !issue.delete)) {
            Some(number) => Ok(number),
            None => Err(format!("nobody wrote {:?} to {}", String::from_utf8_lossy(value), self.name(key))),
        }
    }

    /// What all deletes of a key whose outcome is open have in their pasts; none if there is no such delete.
    fn common_past(&self, key: usize) -> Option<Past> {
        let open = |issue: &&Issue| issue.key == key && issue.delete && (issue.fate == Fate::Open || issue.repeated);
        let mut common: Option<Past> = None;
        for issue in self.issues.iter().filter(open) {
            common = Some(match common {
                Some(past) => past.common(&issue.past, |write| self.version(write)),
                None => issue.past.clone(),
            });
        }
        common
    }

    /// A key's name, for messages.
    #[must_use]
    pub fn name(&self, key: usize) -> String {
        String::from_utf8_lossy(&self.keys[key].name).into_owned()
    }

    /// A write, for messages.
    #[must_use]
    pub fn describe(&self, write: WriteIx) -> String {
        let record = &self.writes[write.at()];
        let kind = if record.tombstone { "tombstone" } else { "put" };
        let issue = record.issue.map_or(String::new(), |issue| format!(" v{issue}"));
        format!(
            "{kind}{issue} of {} at {} by {:?}",
            self.name(record.key),
            record.version.timestamp,
            record.version.origin
        )
    }
}
