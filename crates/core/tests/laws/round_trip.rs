//! What is encoded decodes to itself, and what is damaged is refused and never panics.

use std::time::Duration;

use bytes::Bytes;
use precede_core::causality::context::Context;
use precede_core::causality::hlc::Timestamp;
use precede_core::causality::token;
use precede_core::id::{NodeId, ViewId};
use precede_core::limits::{CONTENT_TYPE_BYTES_MAX, KEY_BYTES_MAX, REQUEST_ID_BYTES_MAX, TRACE_STATE_BYTES_MAX};
use precede_core::table::value::Value;
use precede_core::wire::codec::{self, CodecError};
use precede_core::wire::mark::{Mark, Trace};
use precede_core::wire::message::{Envelope, Forward, Message, SyncPull};
use precede_core::wire::request::{Action, Request};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::messages::{envelope, pull};
use crate::values::{any_context, any_number, any_origin, any_timestamp};

/// A forwarded PUT, encoded.
fn forward(key: usize, content_type: usize, mark: Option<Mark>) -> Bytes {
    let key = Bytes::from(vec![b'k'; key]);
    let value = Value { content_type: Some("t".repeat(content_type)), bytes: Bytes::new() };
    let (action, deadline, mark) = (Action::Put { key, value }, Duration::from_secs(1), mark.map(Box::new));
    let request =
        Request { action, context: Context::default(), wait: None, concern: None, deadline, mark, named: None };
    let forward = Forward {
        id: 1,
        hops: 1,
        life: None,
        not_after: None,
        write_id: None,
        repeat_of: Timestamp::ZERO,
        attempt: deadline,
        request,
    };
    let view = ViewId { epoch: 0, activation: Timestamp::ZERO, coordinator: NodeId(1) };
    let body = Message::Forward(forward);
    codec::encode(&Envelope { cluster: 1, view, from: NodeId(1), life: None, clock: Timestamp::ZERO, body })
}

/// The table stores the lengths of keys and types in few bits: what is longer must not come that far.
#[test]
fn a_key_or_type_beyond_its_limit_is_refused() {
    let forward = |key, content_type| forward(key, content_type, None);
    assert!(codec::decode(&forward(KEY_BYTES_MAX, CONTENT_TYPE_BYTES_MAX)).is_ok());
    assert_eq!(codec::decode(&forward(KEY_BYTES_MAX + 1, 1)), Err(CodecError::Malformed));
    assert_eq!(codec::decode(&forward(1, CONTENT_TYPE_BYTES_MAX + 1)), Err(CodecError::Malformed));
}

/// What goes into logs is not longer than it may be, and cannot fake a line of them.
#[test]
fn a_mark_that_no_node_would_make_is_refused() {
    let request_id = "r".repeat(REQUEST_ID_BYTES_MAX);
    let mark = |request_id: &str, state: &str| {
        let (id, span, flags) = ([7; 16], [9; 8], Trace::SAMPLED);
        let trace = Some(Trace { id, span, flags, state: state.to_owned() });
        codec::decode(&forward(1, 1, Some(Mark { request_id: request_id.to_owned(), trace }))).is_ok()
    };
    assert!(mark(&request_id, "") && mark("r", &"s".repeat(TRACE_STATE_BYTES_MAX)));
    for wrong in ["", "a b", "a\n", "ä", &format!("{request_id}r")] {
        assert!(!mark(wrong, ""), "{wrong:?}");
    }
    for wrong in ["a\n", "ä", &"s".repeat(TRACE_STATE_BYTES_MAX + 1)] {
        assert!(!mark("r", wrong), "{wrong:?}");
    }
    let named = |mark| forward(1, 1, mark).len();
    let shortest = Mark { request_id: "r".to_owned(), trace: None };
    assert_eq!(named(Some(shortest)) - named(None), 3, "a request that is known by nothing pays for one byte");
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
