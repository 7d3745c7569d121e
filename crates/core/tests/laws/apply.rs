//! Applying is keep-the-greater: a replica that hears streams in pieces, in any order and again and again, holds in the end
//! what one holds that heard them in order and once (design 8.2).

use std::sync::LazyLock;

use bytes::Bytes;
use precede_core::causality::context::Context;
use precede_core::causality::hlc::Timestamp;
use precede_core::causality::version::Version;
use precede_core::causality::version_vector::Causality;
use precede_core::config::Config;
use precede_core::id::{Address, NodeId, Origin};
use precede_core::placement::view::View;
use precede_core::placement::views::Views;
use precede_core::replication::replica::Replica;
use precede_core::table::entry::Entry;
use precede_core::table::value::Value;
use precede_core::wire::message::{Frame, StreamWrite};
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
    (Replica::new(&config, &Views::new(VIEW.clone()), shard.id, seed), peers)
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
    let walk = table.walk(0, usize::MAX, usize::MAX, Entry::content_bytes);
    let entries = walk.entries.iter();
    entries.map(|e| (e.key().to_vec(), table.version(e), e.value().map(|value| value.bytes.to_vec()))).collect()
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
            prop_assert!(!in_order.on_frame(frame, |_, _| false).gap);
        }
        if !all.is_empty() {
            for index in &order {
                disturbed.on_frame(index.get(&all), |_, _| false);
            }
        }
        // What was lost is sent again: last frames first, or in order.
        let mut again: Vec<&Frame> = all.iter().collect();
        if backwards {
            again.reverse();
        }
        for frame in again {
            disturbed.on_frame(frame, |_, _| false);
        }
        prop_assert_eq!(disturbed.table().digest(), in_order.table().digest());
        prop_assert_eq!(contents(&disturbed), contents(&in_order));
        prop_assert_eq!(&disturbed.seen, &in_order.seen);
        // Beyond a gap nothing is claimed; once everything has come in order, all is.
        prop_assert!(matches!(disturbed.applied.compare(&in_order.applied), Causality::Equal | Causality::Before));
        for frame in &all {
            disturbed.on_frame(frame, |_, _| false);
        }
        prop_assert_eq!(&disturbed.applied, &in_order.applied);
        prop_assert_eq!(disturbed.table().digest(), in_order.table().digest());
    }
}
