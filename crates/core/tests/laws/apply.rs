//! Applying is keep-the-greater: a replica that hears streams in pieces, in any order and again and again, holds in the end
//! what one holds that heard them in order and once (design 8.2).

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use precede_core::causality::context::Context;
use precede_core::causality::hlc::Timestamp;
use precede_core::causality::version::Version;
use precede_core::causality::version_vector::{Causality, VersionVector};
use precede_core::config::Config;
use precede_core::id::{Address, Life, NodeId, Origin};
use precede_core::placement::view::View;
use precede_core::placement::views::Views;
use precede_core::replication::replica::Replica;
use precede_core::replication::stability::Stability;
use precede_core::replication::sync::{Kind, Pass};
use precede_core::table::value::Value;
use precede_core::table::{Bounds, Table};
use precede_core::time::Instant;
use precede_core::wire::message::{Frame, StreamWrite, SyncPull};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

static VIEW: LazyLock<View> = LazyLock::new(|| {
    let address = |at| Address::parse(&format!("10.0.0.{at}:80"), None).unwrap();
    View::bootstrap(&[address(0), address(1), address(2), address(3)], 4).unwrap()
});

/// A replica that has heard nothing, and its three peers.
fn replica(seed: u64) -> (Replica, Vec<NodeId>) {
    let shard = &VIEW.shards()[0];
    let config = Config::new(shard.replicas[0].clone(), VIEW.clone(), seed);
    let peers = shard.replicas[1..].iter().map(Address::node_id).collect();
    (Replica::new(&config, &Views::new(VIEW.clone()), shard.id, Table::new(seed, Arc::default())), peers)
}

/// A write of a stream: which key, how much later than the one before, and whether it deletes.
type Step = (u8, u64, bool);

/// Cuts the writes of a peer into frames that join on to one another.
fn frames(node: NodeId, steps: &[Step], cuts: usize) -> Vec<Frame> {
    let origin = Origin { view: VIEW.id, node, start: Timestamp(1) };
    let mut previous = origin.start;
    let mut frames = Vec::new();
    for steps in steps.chunks(cuts) {
        let mut up_to = previous;
        let writes = steps.iter().map(|&(key, later, deletes)| {
            up_to = Timestamp(up_to.0 + later);
            let value = Value::json(format!("\"{node:?} {up_to}\""));
            StreamWrite {
                timestamp: up_to,
                key: Bytes::copy_from_slice(&[key]),
                value: (!deletes).then_some(value),
                dependencies: Context::default(),
                write_id: None,
                named: None,
            }
        });
        let writes = writes.collect();
        frames.push(Frame { origin, previous, writes, up_to });
        previous = up_to;
    }
    frames
}

fn contents(replica: &Replica) -> Vec<(Vec<u8>, Version, Option<Vec<u8>>)> {
    let table = replica.table();
    let walk = table.walk(0, Bounds::NONE, |_| true);
    let entries = walk.entries.iter();
    entries.map(|e| (e.key().to_vec(), table.version(e), e.value().map(|value| value.bytes.to_vec()))).collect()
}

/// What the source of a full sync had before it named its keys comes with the sync, if it has not been deleted and collected there:
/// a late copy that came behind the walk would not be named any more (design 8.3, ADR 7).
#[test]
fn what_a_full_sync_names_is_left_to_it() {
    let (mut source, peers) = replica(1);
    let (mut target, _) = replica(2);
    let sent = frames(peers[0], &[(0, 1, false), (1, 1, false), (2, 1, false)], 2);
    source.on_frame(Instant::default(), &sent[0], None);
    let views = Views::new(VIEW.clone());
    let pull = SyncPull {
        pass: 1,
        have: VersionVector::default(),
        closed: Vec::new(),
        full: true,
        legacy: None,
        held: Vec::new(),
        has_older: false,
        from: 0,
    };
    let chunk = source.sync_chunk(Instant::default(), &pull, &Stability::new(&VIEW), &views, Vec::new(), |_| true);
    let life = Life { node: VIEW.members_of(VIEW.shards()[0].id)[0], start: Timestamp(1) };
    let mut pass = Pass::new(1, life, Kind::Full, None, Timestamp::ZERO, Instant::default());
    let before = pass.note_first(&chunk);
    let ack = target.on_frame(Instant::default(), &sent[0], Some(before));
    assert!(ack.gap && ack.beyond.is_empty());
    let ack = target.on_frame(Instant::default(), &sent[1], Some(before));
    assert_eq!((ack.gap, ack.beyond), (true, vec![sent[1].up_to]));
    assert_eq!(contents(&target).len(), 1, "only what the source did not have");
    let ack = target.on_frame(Instant::default(), &sent[0], None);
    assert_eq!((ack.gap, ack.applied), (false, sent[0].up_to));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn any_order_and_duplication_of_frames_gives_one_table(
        streams in vec(vec((0u8..4, 1u64..3, any::<bool>()), 0..6), 3),
        cuts in 1usize..4,
        order in vec(any::<Index>(), 0..24),
        backwards in any::<bool>(),
    ) {
        let (mut in_order, peers) = replica(1);
        let (mut disturbed, _) = replica(2);
        let all: Vec<Frame> =
            peers.iter().zip(&streams).flat_map(|(node, steps)| frames(*node, steps, cuts)).collect();
        for frame in &all {
            prop_assert!(!in_order.on_frame(Instant::default(), frame, None).gap);
        }
        if !all.is_empty() {
            for index in &order {
                disturbed.on_frame(Instant::default(), index.get(&all), None);
            }
        }
        // What was lost is sent again: last frames first, or in order.
        let mut again: Vec<&Frame> = all.iter().collect();
        if backwards {
            again.reverse();
        }
        for frame in again {
            disturbed.on_frame(Instant::default(), frame, None);
        }
        prop_assert_eq!(disturbed.table().digest(), in_order.table().digest());
        prop_assert_eq!(contents(&disturbed), contents(&in_order));
        prop_assert_eq!(&disturbed.seen, &in_order.seen);
        // Beyond a gap nothing is claimed; once everything has come in order, all is.
        prop_assert!(matches!(disturbed.applied.compare(&in_order.applied), Causality::Equal | Causality::Before));
        for frame in &all {
            disturbed.on_frame(Instant::default(), frame, None);
        }
        prop_assert_eq!(&disturbed.applied, &in_order.applied);
        prop_assert_eq!(disturbed.table().digest(), in_order.table().digest());
    }
}
