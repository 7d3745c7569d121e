//! Parts of two passes are never combined (design 8.3).

use precede_core::causality::hlc::Timestamp;
use precede_core::id::{Life, NodeId, ViewId};
use precede_core::replication::sync::{Kind, Pass};
use precede_core::time::Instant;
use precede_core::wire::message::{SyncChunk, SyncPull};
use proptest::prelude::*;

use crate::values::any_view_id;

/// What one chunk says of the pass that it belongs to: its number, who sent it in which life, what is handed over, where it begins and
/// where the next one does. Few values, so that chunks of two passes are alike in most of that.
type Part = (u64, u64, u64, Option<ViewId>, u64, Option<u64>);

fn part(views: [Option<ViewId>; 2]) -> impl Strategy<Value = Part> {
    (0..2u64, 0..2u64, 0..2u64, (0..2usize).prop_map(move |at| views[at]), 0..2u64, prop::option::of(0..3u64))
}

fn parts() -> impl Strategy<Value = (Part, Part)> {
    any_view_id().prop_flat_map(|view| (part([None, Some(view)]), part([None, Some(view)])))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// A pass takes the chunk that it asked for last, from the life that it began with, and no other: neither one of an earlier pass, nor
    /// one asked for twice, nor one that does not lead on.
    #[test]
    fn a_pass_takes_its_own_next_chunk_only((waiting, sent) in parts()) {
        let (id, node, start, legacy, from, _) = waiting;
        let source = Life { node: NodeId(node), start: Timestamp(start) };
        let pass = Pass { from, ..Pass::new(id, source, Kind::Missing, legacy, Timestamp::ZERO, Instant::default()) };
        let (sent_id, sent_node, sent_start, sent_legacy, sent_from, next) = sent;
        let pull = SyncPull {
            pass: sent_id,
            have: Default::default(),
            closed: Vec::new(),
            full: false,
            legacy: sent_legacy,
            held: Vec::new(),
            has_older: false,
            from: sent_from,
        };
        let chunk = SyncChunk { next, ..SyncChunk::nothing(&pull) };
        let is_own = (id, node, start, legacy, from) == (sent_id, sent_node, sent_start, sent_legacy, sent_from);
        let leads_on = next.is_none_or(|next| next > from);
        let life = Some(Timestamp(sent_start));
        prop_assert_eq!(pass.awaits(NodeId(sent_node), life, &chunk), is_own && leads_on);
        prop_assert!(!pass.awaits(NodeId(sent_node), None, &chunk), "a life that is not told is none");
    }
}
