//! The writes of each key along the chains, so that the ones before an operation are found by binary search.

use std::collections::HashMap;

use crate::chains::Place;
use crate::evidence::Evidence;
use crate::order::Order;

/// The writes of one key on one chain, ascending.
struct Lane {
    column: usize,
    writes: Vec<usize>,
    deletes: Vec<usize>,
}

impl Lane {
    /// The last write that precedes the operation.
    fn last_seen(&self, order: &Order, operation: usize) -> Option<usize> {
        let before = count_seen(order, self.column, &self.writes, operation);
        before.checked_sub(1).map(|last| self.writes[last])
    }
}

/// The writes of one key that were applied or may have been.
#[derive(Default)]
struct KeyWrites {
    lanes: Vec<Lane>,
    loose: Vec<usize>,
    /// For each column the loose writes that it follows, by the index from which on it does.
    followed: HashMap<usize, Vec<(u32, usize)>>,
}

impl KeyWrites {
    /// The loose writes that precede an operation, without those that precede the last write of its own chain.
    fn loose_since_own_write<'a>(
        &'a self,
        order: &'a Order,
        place: Place,
        operation: usize,
    ) -> impl Iterator<Item = usize> + 'a {
        let own = self.lane(place.column).and_then(|lane| lane.last_seen(order, operation));
        let after = own.and_then(|write| order.place(write)).map_or(0, |place| place.index + 1);
        let followed = self.followed.get(&place.column).map_or(&[][..], Vec::as_slice);
        let start = followed.partition_point(|&(index, _)| index < after);
        let until = followed[start..].iter().take_while(move |&&(index, _)| index <= place.index);
        until.map(|&(_, write)| write)
    }

    fn lane(&self, column: usize) -> Option<&Lane> {
        let found = self.lanes.binary_search_by_key(&column, |lane| lane.column);
        found.ok().map(|lane| &self.lanes[lane])
    }
}

/// The writes of all keys.
pub(crate) struct Ledger {
    keys: Vec<KeyWrites>,
}

impl Ledger {
    pub(crate) fn new(evidence: &Evidence<'_>, order: &Order) -> Self {
        let keys = evidence.writes.iter().map(|writes| {
            let mut placed = Vec::new();
            let mut key = KeyWrites::default();
            for &write in writes {
                match order.place(write) {
                    Some(place) => placed.push((place.column, place.index, write)),
                    None => key.loose.push(write),
                }
            }
            placed.sort_unstable();
            for lane in placed.chunk_by(|a, b| a.0 == b.0) {
                let writes: Vec<usize> = lane.iter().map(|&(_, _, write)| write).collect();
                let deletes = writes.iter().copied().filter(|&w| evidence.is_delete(w));
                key.lanes.push(Lane { column: lane[0].0, deletes: deletes.collect(), writes });
            }
            for &loose in &key.loose {
                for (column, index) in order.reached(loose) {
                    key.followed.entry(column).or_default().push((index, loose));
                }
            }
            key.followed.values_mut().for_each(|followed| followed.sort_unstable());
            key
        });
        Self { keys: keys.collect() }
    }

    /// The newest of the key's writes that precede the operation: every other one precedes one of these, though some of
    /// these may precede one another as well.
    pub(crate) fn past(&self, order: &Order, key: usize, operation: usize) -> Vec<usize> {
        let key = &self.keys[key];
        let mut past: Vec<usize> = key.lanes.iter().filter_map(|lane| lane.last_seen(order, operation)).collect();
        match order.place(operation) {
            Some(place) => past.extend(key.loose_since_own_write(order, place, operation)),
            None => {
                let loose = key.loose.iter().copied();
                past.extend(loose.filter(|&write| order.precedes(write, operation)));
            }
        }
        past
    }

    /// The key's deletes that neither precede the operation nor follow it, in no particular order.
    pub(crate) fn concurrent_deletes<'a>(
        &'a self,
        order: &'a Order,
        evidence: &'a Evidence<'_>,
        key: usize,
        operation: usize,
    ) -> impl Iterator<Item = usize> + 'a {
        let key = &self.keys[key];
        let lanes = key.lanes.iter().flat_map(move |lane| {
            let before = count_seen(order, lane.column, &lane.deletes, operation);
            let later = lane.deletes[before..].iter().copied();
            later.take_while(move |&delete| !order.precedes(operation, delete))
        });
        // The latest first, since those recorded long ago mostly precede.
        let loose = key.loose.iter().rev().copied().filter(move |&write| {
            evidence.is_delete(write) && !order.precedes(write, operation) && !order.precedes(operation, write)
        });
        lanes.chain(loose)
    }

    /// The last write of each chain for which `is_wanted` holds, and all loose ones.
    pub(crate) fn last(&self, key: usize, is_wanted: impl Fn(usize) -> bool) -> Vec<usize> {
        let key = &self.keys[key];
        let lanes = key.lanes.iter();
        let mut last: Vec<usize> =
            lanes.filter_map(|lane| lane.writes.iter().rev().copied().find(|&w| is_wanted(w))).collect();
        last.extend(key.loose.iter().copied().filter(|&w| is_wanted(w)));
        last
    }
}

/// How many of these writes on a chain precede the operation.
fn count_seen(order: &Order, column: usize, writes: &[usize], operation: usize) -> usize {
    let seen = order.seen(operation, column);
    writes.partition_point(|&write| order.place(write).is_some_and(|place| place.index < seen))
}
