//! Encoding of messages: postcard behind the protocol version that the transport negotiates. Decoding never panics and
//! allocates no more than a constant times the length of the input.

use bytes::Bytes;

use crate::limits::{CONTENT_TYPE_BYTES_MAX, KEY_BYTES_MAX, MESSAGE_BYTES_MAX};
use crate::table::value::Value;
use crate::wire::message::{Envelope, Message};
use crate::wire::request::{Action, Outcome};

/// The version of the protocol between nodes; enums of it are appended to only.
pub const PROTOCOL_VERSION: u16 = 1;

/// Why bytes are no message. The peer's fault; nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Longer than the limit.
    #[error("message of {0} bytes is larger than the limit of {MESSAGE_BYTES_MAX}")]
    TooLong(usize),
    /// Cut off, damaged, beyond the limits, or of a newer version.
    #[error("message is malformed")]
    Malformed,
}

/// Encodes a message.
#[must_use]
pub fn encode(envelope: &Envelope) -> Bytes {
    postcard::to_allocvec(envelope).expect("a message holds nothing that cannot be encoded").into()
}

/// Decodes a message.
///
/// # Errors
/// [`CodecError`] says what is wrong.
pub fn decode(bytes: &[u8]) -> Result<Envelope, CodecError> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(CodecError::TooLong(bytes.len()));
    }
    match postcard::take_from_bytes::<Envelope>(bytes) {
        Ok((envelope, [])) if is_within_limits(&envelope.body) => Ok(envelope),
        Ok(_) | Err(_) => Err(CodecError::Malformed),
    }
}

/// Whether the table can hold every key and value in a message: it counts on the limits.
fn is_within_limits(message: &Message) -> bool {
    let key = |key: &Bytes| key.len() <= KEY_BYTES_MAX;
    let value = |value: &Value| value.content_type.as_ref().is_none_or(|text| text.len() <= CONTENT_TYPE_BYTES_MAX);
    match message {
        Message::Frame(frame) => {
            frame.writes.iter().all(|write| key(&write.key) && write.value.as_ref().is_none_or(value))
        }
        Message::Fetch { key: asked, .. } => key(asked),
        Message::Forward(forward) => match &forward.request.action {
            Action::Get { key: asked } | Action::Delete { key: asked } => key(asked),
            Action::Put { key: asked, value: given } => key(asked) && value(given),
            Action::Count { .. } | Action::ChangeView(_) => true,
        },
        Message::ForwardReply { reply, .. } => match &reply.outcome {
            Outcome::Found(found) => value(found),
            Outcome::Absent
            | Outcome::Written { .. }
            | Outcome::Deleted { .. }
            | Outcome::Counted(_)
            | Outcome::Changed(_)
            | Outcome::Refused(_) => true,
        },
        Message::Hello { .. }
        | Message::Welcome { .. }
        | Message::Ack(_)
        | Message::Status(_)
        | Message::Gossip { .. }
        | Message::SyncPull(_)
        // Their entries are checked as they are built.
        | Message::SyncChunk(_)
        | Message::Fetched(_)
        | Message::Swim(_)
        | Message::Superseded { .. }
        | Message::ViewAsk
        | Message::Views(_)
        | Message::Prepare { .. }
        | Message::Prepared(_)
        | Message::Release { .. } => true,
    }
}
