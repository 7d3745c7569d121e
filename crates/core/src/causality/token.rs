//! The wire forms of a context: a compact token for the `Causal-Context` header, and a JSON object around it.
//!
//! Layout of a token, in URL-safe base64 without padding: one byte of format version; four bytes of checksum, keyed
//! with the cluster's fingerprint so that a damaged token and one of another cluster are told from a good one; then
//! the content (postcard varints). Timestamps of entries are stored as distances from `stable`, nodes and
//! coordinators as eight bytes, views once each. Clients treat all of it as opaque.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::causality::context::Context;
use crate::causality::hlc::Timestamp;
use crate::id::{NodeId, Origin, ViewId};
use crate::limits::{CONTEXT_ENTRIES_MAX, CONTEXT_TOKEN_BYTES_MAX};

const FORMAT: u8 = 1;
const CHECKSUM_BYTES: usize = 4;
const HEADER_BYTES: usize = 1 + CHECKSUM_BYTES;

/// Room, so that writing a token takes one allocation: what a content, a view of it and an entry of it may have.
const CONTENT_BYTES: usize = 1 + 3 + 10 + 3;
const VIEW_BYTES: usize = 5 + 10 + 8;
const ENTRY_BYTES: usize = 3 + 8 + 10 + 10;

/// Why a token was refused. Always the client's fault; nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than any token that the cluster issues.
    #[error("causal context of {0} bytes is larger than the limit of {CONTEXT_TOKEN_BYTES_MAX}")]
    TooLong(usize),
    /// Not base64, cut off, or damaged.
    #[error("causal context is malformed: send it exactly as it was received")]
    Malformed,
    /// The checksum does not fit: damaged on the way, or issued by another cluster.
    #[error(
        "causal context is damaged or belongs to another cluster: send it exactly as it was received from this one"
    )]
    Checksum,
    /// Issued by a newer version of the program.
    #[error("causal context has the unknown format version {0}")]
    UnknownFormat(u8),
    /// More entries than the limit.
    #[error("causal context has {0} entries, more than the limit of {CONTEXT_ENTRIES_MAX}")]
    TooManyEntries(usize),
}

#[derive(Serialize, Deserialize)]
struct WireView {
    epoch: u32,
    activation: u64,
    coordinator: [u8; 8],
}

#[derive(Serialize, Deserialize)]
struct WireEntry {
    view: u16,
    node: [u8; 8],
    age: u64,
    distance: i64,
}

/// The content. The sequences are vectors where it is read, and made on the way where it is written.
#[derive(Serialize, Deserialize)]
struct WireContext<V, E> {
    has_view: bool,
    views: V,
    stable: u64,
    entries: E,
}

/// A sequence that is written item by item.
struct Sequence<I>(I);

impl<I: Iterator<Item: Serialize> + Clone> Serialize for Sequence<I> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.clone())
    }
}

/// Encodes a context as a token; the empty context is the empty text. `cluster` is the cluster's fingerprint.
#[must_use]
pub fn encode(context: &Context, cluster: u64) -> String {
    if context.is_empty() {
        return String::new();
    }
    let mut views: Vec<ViewId> = context.view.into_iter().collect();
    for (origin, _) in context.entries.iter() {
        if !views.contains(&origin.view) {
            views.push(origin.view);
        }
    }
    let place = |view: &ViewId| views.iter().position(|other| other == view).expect("it was just noted");
    let entry = |(origin, timestamp): (&Origin, Timestamp)| WireEntry {
        view: u16::try_from(place(&origin.view)).expect("entries are fewer than 65,536, so are their views"),
        node: origin.node.0.to_le_bytes(),
        age: timestamp.0.wrapping_sub(origin.start.0),
        distance: timestamp.0.wrapping_sub(context.stable.0).cast_signed(),
    };
    let wire = WireContext {
        has_view: context.view.is_some(),
        views: Sequence(views.iter().map(|view| WireView {
            epoch: view.epoch,
            activation: view.activation.0,
            coordinator: view.coordinator.0.to_le_bytes(),
        })),
        stable: context.stable.0,
        entries: Sequence(context.entries.iter().map(entry)),
    };
    let room = HEADER_BYTES + CONTENT_BYTES + views.len() * VIEW_BYTES + context.entries.len() * ENTRY_BYTES;
    let mut header = Vec::with_capacity(room);
    header.push(FORMAT);
    header.extend_from_slice(&[0; CHECKSUM_BYTES]);
    let mut bytes = postcard::to_extend(&wire, header).expect("a context holds nothing that cannot be encoded");
    let sum = checksum(&bytes[HEADER_BYTES..], cluster);
    bytes[1..HEADER_BYTES].copy_from_slice(&sum);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes a token. Never panics; allocates no more than a constant times the token's length.
///
/// # Errors
/// [`TokenError`] says what is wrong with the token.
pub fn decode(token: &str, cluster: u64) -> Result<Context, TokenError> {
    if token.is_empty() {
        return Ok(Context::default());
    }
    let bytes = bytes_of(token)?;
    let (header, content) = bytes.split_at_checked(HEADER_BYTES).ok_or(TokenError::Malformed)?;
    if header[1..] != checksum(content, cluster) {
        return Err(TokenError::Checksum);
    }
    read(content)
}

/// The view that a token names whose checksum does not fit: one of another cluster names another view than those known here. What
/// is damaged may name anything, or nothing that can be read.
#[must_use]
pub fn view_named(token: &str) -> Option<ViewId> {
    let bytes = bytes_of(token).ok()?;
    let (_, content) = bytes.split_at_checked(HEADER_BYTES)?;
    read(content).ok()?.view
}

/// What a token of this format stands for.
fn bytes_of(token: &str) -> Result<Vec<u8>, TokenError> {
    if token.len() > CONTEXT_TOKEN_BYTES_MAX {
        return Err(TokenError::TooLong(token.len()));
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| TokenError::Malformed)?;
    match bytes.first() {
        None => Err(TokenError::Malformed),
        Some(&FORMAT) => Ok(bytes),
        Some(&format) => Err(TokenError::UnknownFormat(format)),
    }
}

fn read(content: &[u8]) -> Result<Context, TokenError> {
    let (wire, left) = postcard::take_from_bytes::<WireContext<Vec<WireView>, Vec<WireEntry>>>(content)
        .map_err(|_| TokenError::Malformed)?;
    if !left.is_empty() {
        return Err(TokenError::Malformed);
    }
    if wire.entries.len() > CONTEXT_ENTRIES_MAX {
        return Err(TokenError::TooManyEntries(wire.entries.len()));
    }
    let views: Vec<ViewId> = wire
        .views
        .iter()
        .map(|view| ViewId {
            epoch: view.epoch,
            activation: Timestamp(view.activation),
            coordinator: NodeId(u64::from_le_bytes(view.coordinator)),
        })
        .collect();
    if wire.entries.iter().any(|entry| usize::from(entry.view) >= views.len()) {
        return Err(TokenError::Malformed);
    }
    let entries = wire.entries.iter().map(|entry| {
        let timestamp = wire.stable.wrapping_add(entry.distance.cast_unsigned());
        let origin = Origin {
            view: views[usize::from(entry.view)],
            node: NodeId(u64::from_le_bytes(entry.node)),
            start: Timestamp(timestamp.wrapping_sub(entry.age)),
        };
        (origin, Timestamp(timestamp))
    });
    let view = if wire.has_view { Some(*views.first().ok_or(TokenError::Malformed)?) } else { None };
    Ok(Context { view, stable: Timestamp(wire.stable), entries: entries.collect() })
}

fn checksum(content: &[u8], cluster: u64) -> [u8; CHECKSUM_BYTES] {
    let sum = xxh3_64_with_seed(content, cluster).to_le_bytes();
    [sum[0], sum[1], sum[2], sum[3]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::causality::version_vector::VersionVector;

    fn sample() -> Context {
        let view = ViewId { epoch: 0, activation: Timestamp(0), coordinator: NodeId(7) };
        let start = Timestamp(1_700_000_000_000 << 16);
        let stable = Timestamp((1_700_000_100_000 << 16) + 5);
        let mut context = Context { view: Some(view), stable, entries: VersionVector::default() };
        for node in 0..3 {
            let origin = Origin { view, node: NodeId(node * 0x1234_5678_9abc), start };
            context.entries.advance(origin, Timestamp(stable.0 + (node << 18) + 1));
        }
        context
    }

    #[test]
    fn tokens_round_trip_and_are_small() {
        let context = sample();
        let token = encode(&context, 1);
        assert_eq!(decode(&token, 1).unwrap(), context);
        assert!(token.len() <= 140, "{} bytes for three entries", token.len());
        assert_eq!(encode(&Context::default(), 1), "");
        assert_eq!(decode("", 1).unwrap(), Context::default());
    }

    #[test]
    fn every_damaged_token_is_refused() {
        let token = encode(&sample(), 1);
        assert_eq!(decode(&token, 2), Err(TokenError::Checksum));
        assert_eq!(view_named(&token), sample().view, "of another cluster, and whole");
        assert_eq!(view_named("damaged"), None);
        for at in 0..token.len() {
            assert!(decode(&token[..at], 1).is_err() || at == 0);
            let mut damaged = token.clone().into_bytes();
            damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
            let damaged = String::from_utf8(damaged).unwrap();
            assert!(decode(&damaged, 1).is_err(), "byte {at}");
        }
        assert_eq!(
            decode(&"A".repeat(CONTEXT_TOKEN_BYTES_MAX + 1), 1),
            Err(TokenError::TooLong(CONTEXT_TOKEN_BYTES_MAX + 1))
        );
    }
}
