//! What is measured.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use precede_core::causality::context::Context;
use precede_core::causality::hlc::Timestamp;
use precede_core::causality::token;
use precede_core::id::{NodeId, Origin, ViewId};
use precede_core::placement::hash::key_hash;
use precede_core::table::entry::Entry;
use precede_core::table::origins::{OriginRef, Origins};
use precede_core::table::value::{Value, ValueRef};
use precede_core::table::{Bounds, Table};
use precede_core::wire::codec;
use precede_core::wire::request::Action;

use crate::shard::Shard;

/// Something that can be done again and again.
pub(crate) type Operation = Box<dyn FnMut()>;

/// Every operation.
pub(crate) const NAMES: &[&str] = &[
    "token-encode",
    "token-decode",
    "context-merge",
    "table-get",
    "table-replace",
    "table-walk-1000",
    "get",
    "put",
    "put-replicated",
    "frame-encode-16",
    "frame-decode-16",
];

/// Keys in the tables.
const KEYS: u64 = 10_000;

/// Entries of the contexts, about as many as clients of a busy cluster of ten nodes carry.
const ENTRIES: u64 = 4;

/// Writes in the frames.
const WRITES: u64 = 16;

/// Makes ready for an operation. Nothing in it is random.
///
/// # Panics
/// There is none of this name.
pub(crate) fn operation(name: &str) -> Operation {
    match name {
        "token-encode" => {
            let context = context(1);
            Box::new(move || drop(black_box(token::encode(black_box(&context), 7))))
        }
        "token-decode" => {
            let token = token::encode(&context(1), 7);
            Box::new(move || drop(black_box(token::decode(black_box(&token), 7))))
        }
        "context-merge" => {
            let contexts = [context(1), context(3)];
            Box::new(move || {
                let mut merged = contexts[0].clone();
                merged.merge(black_box(&contexts[1]));
                drop(black_box(merged));
            })
        }
        "table-get" => {
            let ((table, _), mut at) = (table(), keys());
            Box::new(move || {
                let key = at.next().expect("they never end");
                drop(black_box(table.get(&key, key_hash(&key))));
            })
        }
        "table-replace" => {
            let ((table, by), mut at, mut time) = (table(), keys(), 1 << 40);
            Box::new(move || {
                let key = at.next().expect("they never end");
                time += 1;
                drop(black_box(table.apply(key_hash(&key), entry(&key, by, time))));
            })
        }
        "table-walk-1000" => {
            let (table, _) = table();
            let bounds = Bounds { entries_max: 1000, bytes_max: usize::MAX };
            Box::new(move || drop(black_box(table.walk(0, bounds, |_| true))))
        }
        "get" => {
            let (shard, mut at) = (filled(1), keys());
            let context = shard.context.clone();
            Box::new(move || {
                let key = at.next().expect("they never end");
                let hit = shard.reader().get(&key, key_hash(&key), black_box(&context));
                assert!(hit.is_some_and(|hit| hit.entry.is_some()), "it is there and may be read");
            })
        }
        "put" | "put-replicated" => {
            let (mut shard, mut at) = (filled(if name == "put" { 1 } else { 2 }), keys());
            Box::new(move || {
                shard.put(at.next().expect("they never end"));
                shard.deliver();
            })
        }
        "frame-encode-16" => {
            let frame = codec::decode(&frame()).expect("it was encoded");
            Box::new(move || drop(black_box(codec::encode(black_box(&frame)))))
        }
        "frame-decode-16" => {
            let bytes = frame();
            Box::new(move || drop(black_box(codec::decode(black_box(&bytes)))))
        }
        other => panic!("there is no operation {other}"),
    }
}

/// Keys of 16 bytes, in an order that no cache foresees.
fn keys() -> impl Iterator<Item = Bytes> {
    let keys: Vec<_> = (0..KEYS).map(|at| Bytes::from(format!("key:{:012}", at * 7919 % KEYS))).collect();
    keys.into_iter().cycle()
}

/// A write of one key, with a value of 32 bytes.
pub(crate) fn put(key: Bytes) -> Action {
    Action::Put { key, value: Value::json(Bytes::from_static(b"\"012345678901234567890123456789\"")) }
}

fn origin(number: u64) -> Origin {
    let view = ViewId { epoch: 3, activation: Timestamp(1 << 40), coordinator: NodeId(9) };
    Origin { node: NodeId(number), start: Timestamp((1 << 41) + number), view }
}

fn context(from: u64) -> Context {
    let mut context = Context { view: Some(origin(1).view), stable: Timestamp(1 << 42), ..Context::default() };
    for number in from..from + ENTRIES {
        context.entries.advance(origin(number), Timestamp((1 << 42) + 1000 * number));
    }
    context
}

fn entry(key: &[u8], by: OriginRef, time: u64) -> Entry {
    let value = ValueRef { content_type: None, bytes: &[7; 32] };
    Entry::new(key, Timestamp(time), by, Some(value))
}

fn table() -> (Table, OriginRef) {
    let origins = Arc::new(Origins::default());
    let by = origins.intern(&origin(1));
    let table = Table::new(1, origins);
    for (time, key) in keys().take(usize::try_from(KEYS).expect("it is small")).enumerate() {
        table.apply(key_hash(&key), entry(&key, by, 1 + time as u64));
    }
    (table, by)
}

/// The shard of so many nodes with every key.
fn filled(nodes: usize) -> Shard {
    let mut shard = Shard::new(nodes);
    for key in keys().take(usize::try_from(KEYS).expect("it is small")) {
        shard.put(key);
        shard.deliver();
    }
    shard
}

/// The first frame of [`WRITES`] writes that a node sends.
fn frame() -> Vec<u8> {
    let mut shard = Shard::new(2);
    shard.put_at_once(keys().take(usize::try_from(WRITES).expect("it is small")));
    let frames = shard.sent().map(|(_, envelope)| codec::encode(envelope));
    frames.max_by_key(|bytes| bytes.len()).expect("a write is sent").to_vec()
}
