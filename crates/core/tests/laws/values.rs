//! Values to try the laws on. Two kinds: from a *small* world, in which timestamps and origins meet again and again, for the
//! laws of order and merging; and from the *whole* range, extremes included, for what is encoded.

use precede_core::causality::context::Context;
use precede_core::causality::hlc::Timestamp;
use precede_core::causality::version::Version;
use precede_core::causality::version_vector::VersionVector;
use precede_core::id::{NodeId, Origin, ViewId};
use proptest::collection::vec;
use proptest::prelude::*;

/// A timestamp of the small world.
pub(crate) fn timestamp() -> impl Strategy<Value = Timestamp> {
    (1u64..6).prop_map(Timestamp)
}

/// A view id of the small world: epochs, activations and coordinators all collide, each alone.
pub(crate) fn view_id() -> impl Strategy<Value = ViewId> {
    (0u32..2, 0u64..2, 0u64..2).prop_map(|(epoch, activation, coordinator)| ViewId {
        epoch,
        activation: Timestamp(activation),
        coordinator: NodeId(coordinator),
    })
}

/// An origin of the small world.
pub(crate) fn origin() -> impl Strategy<Value = Origin> {
    (view_id(), 0u64..3, 0u64..2).prop_map(|(view, node, start)| Origin {
        view,
        node: NodeId(node),
        start: Timestamp(start),
    })
}

/// A version of the small world.
pub(crate) fn version() -> impl Strategy<Value = Version> {
    (timestamp(), origin()).prop_map(|(timestamp, origin)| Version { timestamp, origin })
}

/// A vector of the small world.
pub(crate) fn vector() -> impl Strategy<Value = VersionVector> {
    vec((origin(), timestamp()), 0..8).prop_map(VersionVector::from_iter)
}

/// A context of the small world.
pub(crate) fn context() -> impl Strategy<Value = Context> {
    (prop::option::of(view_id()), 0u64..6, vector()).prop_map(|(view, stable, entries)| Context {
        view,
        stable: Timestamp(stable),
        entries,
    })
}

/// A number of the whole range; the ends and small ones come often.
pub(crate) fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(u64::MAX), 0u64..300, any::<u64>()]
}

/// Any timestamp.
pub(crate) fn any_timestamp() -> impl Strategy<Value = Timestamp> {
    any_number().prop_map(Timestamp)
}

/// Any node.
pub(crate) fn any_node() -> impl Strategy<Value = NodeId> {
    any_number().prop_map(NodeId)
}

/// Any view id.
pub(crate) fn any_view_id() -> impl Strategy<Value = ViewId> {
    (any::<u32>(), any_timestamp(), any_node()).prop_map(|(epoch, activation, coordinator)| ViewId {
        epoch,
        activation,
        coordinator,
    })
}

/// Any origin.
pub(crate) fn any_origin() -> impl Strategy<Value = Origin> {
    (any_view_id(), any_node(), any_timestamp()).prop_map(|(view, node, start)| Origin { view, node, start })
}

/// Any version.
pub(crate) fn any_version() -> impl Strategy<Value = Version> {
    (any_timestamp(), any_origin()).prop_map(|(timestamp, origin)| Version { timestamp, origin })
}

/// Any vector.
pub(crate) fn any_vector() -> impl Strategy<Value = VersionVector> {
    vec((prop_oneof![origin().boxed(), any_origin().boxed()], any_timestamp()), 0..6).prop_map(VersionVector::from_iter)
}

/// Any context.
pub(crate) fn any_context() -> impl Strategy<Value = Context> {
    let view = prop::option::of(prop_oneof![view_id().boxed(), any_view_id().boxed()]);
    (view, any_timestamp(), any_vector()).prop_map(|(view, stable, entries)| Context { view, stable, entries })
}
