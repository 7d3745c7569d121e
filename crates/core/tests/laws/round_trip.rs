//! What is encoded decodes to itself, and what is damaged is refused and never panics.

use std::time::Duration;

use bytes::Bytes;
use precede_core::causality::context::Context;
use precede_core::causality::hlc::Timestamp;
use precede_core::causality::token;
use precede_core::id::{Life, NodeId, ShardId, ViewId};
use precede_core::limits::{CONTENT_TYPE_BYTES_MAX, KEY_BYTES_MAX};
use precede_core::table::value::Value;
use precede_core::time::WallTime;
use precede_core::wire::codec::{self, CodecError};
use precede_core::wire::message::{
    Ack, ClosedLives, Envelope, Forward, Frame, Message, Status, StreamWrite, SyncChunk, SyncEntry, SyncPayload,
    SyncPull, WriteId,
};
use precede_core::wire::request::{Action, Outcome, Refusal, Reply, Request, WriteConcern};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;

use crate::values::{
    any_context, any_node, any_number, any_origin, any_timestamp, any_vector, any_version, any_view_id,
};

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..12).prop_map(Bytes::from)
}

fn duration() -> impl Strategy<Value = Duration> {
    any_number().prop_map(Duration::from_micros)
}

fn value() -> impl Strategy<Value = Value> {
    (of(".{0,8}"), bytes()).prop_map(|(content_type, bytes)| Value { content_type, bytes })
}

fn write_id() -> impl Strategy<Value = WriteId> {
    (any_timestamp(), any_number()).prop_map(|(taken, nonce)| WriteId { taken, nonce })
}

fn concern() -> impl Strategy<Value = WriteConcern> {
    use WriteConcern::{All, Majority, One, Two};
    prop::sample::select(vec![One, Two, Majority, All])
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        bytes().prop_map(|key| Action::Get { key }),
        (bytes(), value()).prop_map(|(key, value)| Action::Put { key, value }),
        bytes().prop_map(|key| Action::Delete { key }),
        any::<u32>().prop_map(|shard| Action::Count { shard: ShardId(shard) }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    (action(), any_context(), of(duration()), of(concern()), duration())
        .prop_map(|(action, context, wait, concern, deadline)| Request { action, context, wait, concern, deadline })
}

fn refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        (any_number(), any_number())
            .prop_map(|(ahead_ms, limit_ms)| Refusal::ContextFromTheFuture { ahead_ms, limit_ms }),
        Just(Refusal::ViewLost),
        Just(Refusal::Unsatisfied),
        any::<u32>().prop_map(|shard| Refusal::NoReplica { shard: ShardId(shard) }),
        vec(any_node(), 0..4).prop_map(|waiting_for| Refusal::NotMet { waiting_for }),
        (".{0,8}", any_number()).prop_map(|(what, limit)| Refusal::Overloaded { what, limit }),
        Just(Refusal::NotOwner),
        Just(Refusal::TooLate),
        Just(Refusal::OutcomeUnknown),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        value().prop_map(Outcome::Found),
        Just(Outcome::Absent),
        any::<(bool, bool)>().prop_map(|(replaced, concern_met)| Outcome::Written { replaced, concern_met }),
        any::<bool>().prop_map(|concern_met| Outcome::Deleted { concern_met }),
        any_number().prop_map(Outcome::Counted),
        refusal().prop_map(Outcome::Refused),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    (outcome(), any_context(), any_node(), of(any_version()), any::<u32>(), any::<bool>(), any::<bool>()).prop_map(
        |(outcome, context, served_by, version, acks, lost, repeat_unconfirmed)| Reply {
            outcome,
            context,
            served_by,
            version,
            acks,
            lost,
            repeat_unconfirmed,
        },
    )
}

fn frame() -> impl Strategy<Value = Frame> {
    let write = (any_timestamp(), bytes(), of(value()), any_context(), of(write_id())).prop_map(
        |(timestamp, key, value, dependencies, write_id)| StreamWrite { timestamp, key, value, dependencies, write_id },
    );
    (any_origin(), any_timestamp(), vec(write, 0..4), any_timestamp())
        .prop_map(|(origin, previous, writes, up_to)| Frame { origin, previous, writes, up_to })
}

fn ack() -> impl Strategy<Value = Ack> {
    (any_origin(), any_timestamp(), vec(any_timestamp(), 0..4), any::<bool>())
        .prop_map(|(origin, applied, beyond, gap)| Ack { origin, applied, beyond, gap })
}

fn closed() -> impl Strategy<Value = Vec<ClosedLives>> {
    let one = (any_node(), any_timestamp(), of((any_timestamp(), any_timestamp())))
        .prop_map(|(node, before, last)| ClosedLives { node, before, last });
    vec(one, 0..3)
}

fn lives() -> impl Strategy<Value = Vec<Life>> {
    vec((any_node(), any_timestamp()).prop_map(|(node, start)| Life { node, start }), 0..3)
}

fn status() -> impl Strategy<Value = Status> {
    let vectors = (any_vector(), any_vector(), any_timestamp(), any_timestamp());
    (any::<bool>(), vectors, lives(), closed(), vec(any_node(), 0..3), any_number()).prop_map(
        |(recovered, (applied, seen, covered, horizon), lives, closed, resolved, digest)| Status {
            recovered,
            applied,
            seen,
            covered,
            horizon,
            lives,
            closed,
            resolved,
            digest,
        },
    )
}

fn pull() -> impl Strategy<Value = SyncPull> {
    (any_number(), any_vector(), closed(), any::<bool>(), any_number())
        .prop_map(|(pass, have, closed, full, from)| SyncPull { pass, have, closed, full, from })
}

fn chunk() -> impl Strategy<Value = SyncChunk> {
    let payload = (of(value()), of(any_context()), of(write_id()))
        .prop_map(|(value, dependencies, write_id)| SyncPayload { value, dependencies, write_id });
    let entry =
        (bytes(), any_version(), of(payload)).prop_map(|(key, version, payload)| SyncEntry { key, version, payload });
    let place = (any_number(), any_number(), of(any_number()), any::<bool>());
    let vectors = (any_vector(), any_vector(), lives(), closed(), any_timestamp());
    let covered = vec((any_node(), any_timestamp()), 0..3);
    (place, vectors, covered, (any_context(), any_timestamp()), vec(entry, 0..4)).prop_map(
        |((pass, from, next, recovered), (vector, seen, lives, closed, horizon), covered, floor, entries)| SyncChunk {
            pass,
            from,
            next,
            recovered,
            vector,
            seen,
            lives,
            closed,
            horizon,
            covered,
            floor,
            entries,
        },
    )
}

fn forward() -> impl Strategy<Value = Forward> {
    let name = (any_number(), any::<u8>(), of(any_timestamp()), of(write_id()));
    (name, any_timestamp(), duration(), request()).prop_map(
        |((id, hops, not_after, write_id), repeat_of, attempt, request)| Forward {
            id,
            hops,
            not_after,
            write_id,
            repeat_of,
            attempt,
            request,
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        any_number().prop_map(|boot| Message::Hello { boot }),
        (any_number(), any::<bool>(), of(any_timestamp())).prop_map(|(boot, recovered, known_life)| Message::Welcome {
            boot,
            recovered,
            known_life
        }),
        frame().prop_map(Message::Frame),
        ack().prop_map(Message::Ack),
        status().prop_map(Message::Status),
        (any_number(), vec((any_node(), any_timestamp()), 0..4))
            .prop_map(|(wall, covered)| Message::Gossip { wall: WallTime(wall), covered }),
        pull().prop_map(Message::SyncPull),
        chunk().prop_map(Message::SyncChunk),
        forward().prop_map(Message::Forward),
        (any_number(), reply()).prop_map(|(id, reply)| Message::ForwardReply { id, reply }),
        bytes().prop_map(Message::Swim),
        any_timestamp().prop_map(|by| Message::Superseded { by }),
    ]
}

fn envelope() -> impl Strategy<Value = Envelope> {
    (any_number(), any_view_id(), any_node(), of(any_timestamp()), any_timestamp(), message())
        .prop_map(|(cluster, view, from, life, clock, body)| Envelope { cluster, view, from, life, clock, body })
}

/// The table stores the lengths of keys and types in few bits: what is longer must not come that far.
#[test]
fn a_key_or_type_beyond_its_limit_is_refused() {
    let forward = |key: usize, content_type: usize| {
        let key = Bytes::from(vec![b'k'; key]);
        let value = Value { content_type: Some("t".repeat(content_type)), bytes: Bytes::new() };
        let context = Context::default();
        let deadline = Duration::from_secs(1);
        let request = Request { action: Action::Put { key, value }, context, wait: None, concern: None, deadline };
        let forward = Forward {
            id: 1,
            hops: 1,
            not_after: None,
            write_id: None,
            repeat_of: Timestamp::ZERO,
            attempt: deadline,
            request,
        };
        let view = ViewId { epoch: 0, activation: Timestamp::ZERO, coordinator: NodeId(1) };
        let body = Message::Forward(forward);
        codec::encode(&Envelope { cluster: 1, view, from: NodeId(1), life: None, clock: Timestamp::ZERO, body })
    };
    assert!(codec::decode(&forward(KEY_BYTES_MAX, CONTENT_TYPE_BYTES_MAX)).is_ok());
    assert_eq!(codec::decode(&forward(KEY_BYTES_MAX + 1, 1)), Err(CodecError::Malformed));
    assert_eq!(codec::decode(&forward(1, CONTENT_TYPE_BYTES_MAX + 1)), Err(CodecError::Malformed));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_message_decodes_to_itself(envelope in envelope()) {
        prop_assert_eq!(codec::decode(&codec::encode(&envelope)).unwrap(), envelope);
    }

    #[test]
    fn a_message_that_is_cut_off_or_goes_on_is_refused(envelope in envelope(), cut in any::<prop::sample::Index>()) {
        let mut bytes = codec::encode(&envelope).to_vec();
        prop_assert!(codec::decode(&bytes[..cut.index(bytes.len())]).is_err());
        bytes.push(0);
        prop_assert!(codec::decode(&bytes).is_err());
    }

    #[test]
    fn a_damaged_message_does_no_harm(
        envelope in envelope(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = codec::encode(&envelope).to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(other) = codec::decode(&bytes) {
            prop_assert_eq!(codec::decode(&codec::encode(&other)).unwrap(), other);
        }
    }

    /// Whoever reads a vector relies on its order: one that is out of order would seem to lack what it has.
    #[test]
    fn a_vector_out_of_order_is_refused(
        pull in pull(),
        entries in btree_map(any_origin(), any_timestamp(), 2..6),
        envelope in envelope(),
        swap in any::<prop::sample::Index>(),
    ) {
        let pull = SyncPull { have: entries.into_iter().collect(), ..pull };
        let entries: Vec<_> = pull.have.iter().map(|(origin, timestamp)| (*origin, timestamp)).collect();
        let mut disordered = entries.clone();
        let at = swap.index(entries.len() - 1);
        disordered.swap(at, at + 1);
        let bytes = codec::encode(&Envelope { body: Message::SyncPull(pull), ..envelope }).to_vec();
        let (good, bad) = (postcard::to_allocvec(&entries).unwrap(), postcard::to_allocvec(&disordered).unwrap());
        let place = bytes.windows(good.len()).position(|window| window == good).unwrap();
        let mut damaged = bytes.clone();
        damaged[place..place + good.len()].copy_from_slice(&bad);
        prop_assert!(codec::decode(&bytes).is_ok());
        prop_assert_eq!(codec::decode(&damaged), Err(CodecError::Malformed));
    }

    #[test]
    fn a_token_decodes_to_its_context(context in any_context(), cluster in any_number()) {
        // A context with neither `stable` nor entries counts as empty, whatever view it names.
        let expected = if context.is_empty() { Context::default() } else { context.clone() };
        prop_assert_eq!(token::decode(&token::encode(&context, cluster), cluster).unwrap(), expected);
    }

    #[test]
    fn a_token_is_for_its_cluster_only(context in any_context(), cluster in any_number(), other in any_number()) {
        let token = token::encode(&context, cluster);
        let other = if other == cluster { !cluster } else { other };
        prop_assert_eq!(token::decode(&token, other).is_err(), !token.is_empty());
    }

    #[test]
    fn any_text_is_a_token_or_is_refused(text in "[A-Za-z0-9_-]{0,64}|.{0,32}", cluster in any_number()) {
        if let Ok(context) = token::decode(&text, cluster) {
            prop_assert_eq!(token::decode(&token::encode(&context, cluster), cluster).unwrap(), context);
        }
    }
}
