//! The named writes of the recent past, beside the table (design 7.6): so the repeat of one is recognised, whatever has become of its
//! key since.
//!
//! What the replica claims it knows the names of: names go with the writes in streams, and with the claims in syncs and hand-offs.
//! Bounded in time and in number, oldest out first. Time is the node's own, for hybrid clocks may leap.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::causality::version::Version;
use crate::limits::NAMES_MAX;
use crate::planted::{self, Planted};
use crate::time::Instant;
use crate::wire::named::{KnownName, Made, Name, Named, NamedWrite};

/// What a name takes in memory, about: a place in two trees that are two thirds full.
pub const NAME_BYTES: usize = 200;

/// A named write here, its version aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Naming {
    /// Its name.
    pub named: Named,
    /// What it did.
    pub made: Made,
    /// When it is forgotten.
    pub until: Instant,
}

impl Naming {
    /// As others are told of it; none if its time is up.
    #[must_use]
    pub fn told(&self, now: Instant) -> Option<NamedWrite> {
        let left = self.until.since(now);
        (left > Duration::ZERO).then_some(NamedWrite { named: self.named, made: self.made, left })
    }
}

/// Which write a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The least version with this name: replicas that had not heard of one another may have made several.
    pub version: Version,
    /// That write.
    pub naming: Naming,
}

/// The names that a replica knows, by the hash of their key.
#[derive(Debug)]
pub struct Names {
    retention: Duration,
    known: BTreeMap<(u64, Name), Known>,
    oldest_first: BTreeSet<(Instant, u64, Name)>,
}

impl Names {
    /// No names; each will be remembered for at most so long.
    #[must_use]
    pub fn new(retention: Duration) -> Self {
        Self { retention, known: BTreeMap::new(), oldest_first: BTreeSet::new() }
    }

    /// What is to be kept of a name that was given, or told of, now; none if its time is up.
    #[must_use]
    pub fn naming(&self, now: Instant, write: &NamedWrite) -> Option<Naming> {
        let until = now + write.left.min(self.retention);
        (until > now).then_some(Naming { named: write.named, made: write.made, until })
    }

    /// What a write is that is named now.
    #[must_use]
    pub fn begin(&self, named: Named, made: Made) -> NamedWrite {
        NamedWrite { named, made, left: self.retention }
    }

    /// Takes note of a write. Of several with one name the least counts, wherever they meet, and is remembered as long as any of them.
    pub fn insert(&mut self, key_hash: u64, version: Version, naming: Naming) {
        let name = naming.named.name;
        let mut known = Known { version, naming };
        if let Some(before) = self.known.get(&(key_hash, name)) {
            self.oldest_first.remove(&(before.naming.until, key_hash, name));
            let until = naming.until.max(before.naming.until);
            let is_first = (before.version <= version) != planted::is(Planted::GreatestNameCounts);
            known = if is_first { *before } else { known };
            known.naming.until = until;
        }
        self.known.insert((key_hash, name), known);
        self.oldest_first.insert((known.naming.until, key_hash, name));
        if self.known.len() > NAMES_MAX {
            self.forget_oldest();
        }
    }

    /// The write with this name, if it is known here.
    #[must_use]
    pub fn get(&self, key_hash: u64, name: &Name) -> Option<&Known> {
        self.known.get(&(key_hash, *name))
    }

    /// The names whose place in a walk is in `from..to`, to the end if none, and where the next ones begin if there were more than
    /// `most`. All names of one key are together.
    #[must_use]
    pub fn walk(&self, now: Instant, from: u64, to: Option<u64>, most: usize) -> (Vec<KnownName>, Option<u64>) {
        let (mut names, mut last) = (Vec::new(), None);
        for (passed, ((key_hash, _), known)) in self.known.range((from, Name([0; 16]))..).enumerate() {
            if to.is_some_and(|to| *key_hash >= to) {
                break;
            }
            if passed >= most && last.is_some_and(|last| last != *key_hash) {
                return (names, Some(*key_hash));
            }
            last = Some(*key_hash);
            names.extend(known.told(*key_hash, now));
        }
        (names, to)
    }

    /// Forgets those whose time is up.
    pub fn expire(&mut self, now: Instant) {
        while self.oldest_first.first().is_some_and(|(until, ..)| *until <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key_hash, name)) = self.oldest_first.pop_first() {
            self.known.remove(&(key_hash, name));
        }
    }

    /// Bytes that they take, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.known.len() * NAME_BYTES
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Panics if there are more than there may be, or some that would never be forgotten.
    pub fn check_invariants(&self) {
        assert!(self.known.len() <= NAMES_MAX, "names beyond their bound");
        assert_eq!(self.known.len(), self.oldest_first.len(), "names that are not forgotten");
    }
}

impl Known {
    /// As others are told of it; none if its time is up.
    #[must_use]
    pub fn told(&self, key_hash: u64, now: Instant) -> Option<KnownName> {
        Some(KnownName { key_hash, version: self.version, write: self.naming.told(now)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::causality::hlc::Timestamp;
    use crate::id::{NodeId, Origin, ViewId};

    const RETENTION: Duration = Duration::from_secs(600);

    fn version(timestamp: u64) -> Version {
        let view = ViewId { epoch: 0, activation: Timestamp::ZERO, coordinator: NodeId(0) };
        Version { timestamp: Timestamp(timestamp), origin: Origin { view, node: NodeId(1), start: Timestamp(1) } }
    }

    fn name(number: usize) -> Name {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&(number as u64).to_be_bytes());
        Name(bytes)
    }

    fn insert(names: &mut Names, now: Instant, key_hash: u64, number: usize, timestamp: u64) {
        let write = names.begin(Named { name: name(number), content: timestamp }, Made::Added);
        let naming = names.naming(now, &write).unwrap();
        names.insert(key_hash, version(timestamp), naming);
        names.check_invariants();
    }

    #[test]
    fn of_two_writes_with_one_name_the_lesser_counts() {
        for order in [[5, 7], [7, 5]] {
            let mut names = Names::new(RETENTION);
            order.into_iter().for_each(|timestamp| insert(&mut names, Instant(0), 1, 1, timestamp));
            let known = names.get(1, &name(1)).unwrap();
            assert_eq!((known.version, known.naming.named.content, names.len()), (version(5), 5, 1));
        }
    }

    #[test]
    fn of_two_writes_with_one_name_the_later_says_when_it_is_forgotten() {
        let later = Instant(0) + RETENTION / 2;
        for first in [5, 7] {
            let mut names = Names::new(RETENTION);
            insert(&mut names, Instant(0), 1, 1, first);
            insert(&mut names, later, 1, 1, 12 - first);
            names.expire(Instant(0) + RETENTION);
            assert_eq!(names.get(1, &name(1)).unwrap().version, version(5), "{first} came first");
            names.expire(later + RETENTION);
            assert!(names.is_empty());
        }
    }

    #[test]
    fn names_are_forgotten_by_time_and_told_with_what_is_left_of_it() {
        let mut names = Names::new(RETENTION);
        insert(&mut names, Instant(0), 1, 1, 5);
        let later = Instant(0) + RETENTION / 3;
        let (told, _) = names.walk(later, 0, None, 10);
        assert_eq!(told[0].write.left, RETENTION - RETENTION / 3);
        insert(&mut names, later, 1, 2, 6);
        names.expire(Instant(0) + RETENTION);
        assert_eq!((names.get(1, &name(1)), names.len(), names.bytes()), (None, 1, NAME_BYTES));
        // Whoever claims that there is more time than there can be is not believed.
        let long = NamedWrite { left: RETENTION * 2, ..told[0].write };
        assert_eq!(names.naming(later, &long).unwrap().until, later + RETENTION);
        assert_eq!(names.naming(later, &NamedWrite { left: Duration::ZERO, ..long }), None);
    }

    #[test]
    fn the_oldest_names_give_way_to_new_ones() {
        let mut names = Names::new(RETENTION);
        for number in 0..=NAMES_MAX {
            let write = names.begin(Named { name: name(number), content: 0 }, Made::Deleted);
            let naming = names.naming(Instant(number as u64), &write).unwrap();
            names.insert(number as u64 % 7, version(5), naming);
        }
        names.check_invariants();
        assert_eq!((names.len(), names.get(0, &name(0))), (NAMES_MAX, None));
    }

    #[test]
    fn a_walk_in_chunks_meets_every_name_once() {
        let mut names = Names::new(RETENTION);
        (0..100).for_each(|number| insert(&mut names, Instant(0), number as u64 / 9, number, 5));
        let (mut from, mut met) = (Some(0), Vec::new());
        while let Some(at) = from {
            let (some, next) = names.walk(Instant(0), at, None, 4);
            met.extend(some.iter().map(|known| known.write.named.name));
            from = next;
        }
        assert_eq!(met, (0..100).map(name).collect::<Vec<_>>());
        assert_eq!(names.walk(Instant(0), 1, Some(3), 100), (names.walk(Instant(0), 1, None, 17).0, Some(3)));
    }

    #[test]
    fn a_walk_is_bounded_where_all_it_meets_is_over() {
        let mut names = Names::new(RETENTION);
        (0..100).for_each(|number| insert(&mut names, Instant(0), number as u64, number, 5));
        assert_eq!(names.walk(Instant(0) + RETENTION, 0, None, 4), (Vec::new(), Some(4)));
    }
}
