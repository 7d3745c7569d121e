//! Encoding of messages: postcard behind the protocol version that the transport negotiates. Decoding never panics and
//! allocates no more than a constant times the length of the input.

use bytes::Bytes;

use crate::limits::{
    CONTENT_TYPE_BYTES_MAX, FORMER_VIEWS_MAX, KEY_BYTES_MAX, MEMBERS_MAX, MESSAGE_BYTES_MAX, NODES_MAX,
    SETTLED_VIEWS_MAX, VIEWS_TOLD_MAX,
};
use crate::placement::view::ViewRecord;
use crate::table::value::Value;
use crate::wire::message::{Envelope, FormerReport, Message};
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

/// Whether a record, which everybody who adopts it keeps, names no more than the largest view does.
fn is_record_within_limits(record: &ViewRecord) -> bool {
    let replicas: usize = record.shards.iter().map(|shard| shard.replicas.len()).sum();
    record.shards.len().max(replicas) <= MEMBERS_MAX
        && record.lives.len().max(record.written_off.len()) <= NODES_MAX
        && record.settled.len().max(record.ancestors.len()) <= SETTLED_VIEWS_MAX
}

/// Whether the table can hold every key and value in a message, which counts on the limits, and whether a message names no more
/// nodes and views than a correct node can know.
fn is_within_limits(message: &Message) -> bool {
    let key = |key: &Bytes| key.len() <= KEY_BYTES_MAX;
    let value = |value: &Value| value.content_type.as_ref().is_none_or(|text| text.len() <= CONTENT_TYPE_BYTES_MAX);
    match message {
        Message::Frame(frame) => {
            frame.writes.iter().all(|write| key(&write.key) && write.value.as_ref().is_none_or(value))
        }
        Message::Fetch { key: asked, .. } => key(asked),
        Message::Forward(forward) => {
            let is_fit = match &forward.request.action {
                Action::Get { key: asked } | Action::Delete { key: asked } => key(asked),
                Action::Put { key: asked, value: given } => key(asked) && value(given),
                Action::Count { .. } | Action::ChangeView(_) | Action::Barrier => true,
            };
            is_fit && forward.request.mark.as_ref().is_none_or(|mark| mark.is_within_limits())
        }
        Message::ForwardReply { reply, .. } => match &reply.outcome {
            Outcome::Found(found) => value(found),
            Outcome::Absent
            | Outcome::Written { .. }
            | Outcome::Deleted { .. }
            | Outcome::Counted(_)
            | Outcome::Changed(_)
            | Outcome::Stable
            | Outcome::Unstable(_)
            | Outcome::Refused(_) => true,
        },
        Message::Gossip { former, settled, adopted, covered, .. } => {
            let said = |report: &FormerReport| {
                report.statements.len() <= MEMBERS_MAX
                    && report.statements.iter().all(|statement| statement.lives.len() <= MEMBERS_MAX)
            };
            former.len() <= VIEWS_TOLD_MAX
                && former.iter().all(said)
                && settled.len() <= VIEWS_TOLD_MAX
                && adopted.len() <= NODES_MAX
                && covered.len() <= MEMBERS_MAX
        }
        Message::Views(news) => {
            is_record_within_limits(&news.current)
                && news.former.len() <= FORMER_VIEWS_MAX
                && news.former.iter().all(is_record_within_limits)
                && news.settled.len() <= VIEWS_TOLD_MAX
        }
        Message::Prepared(answer) => answer.former.len().max(answer.settled.len()) <= VIEWS_TOLD_MAX,
        Message::Hello { .. }
        | Message::Welcome { .. }
        | Message::Ack(_)
        | Message::Status(_)
        | Message::SyncPull(_)
        // Their entries are checked as they are built.
        | Message::SyncChunk(_)
        | Message::Fetched(_)
        | Message::Swim(_)
        | Message::Superseded { .. }
        | Message::ViewAsk
        | Message::Prepare(_)
        | Message::Confirm { .. }
        | Message::Confirmed { .. }
        | Message::Release { .. } => true,
    }
}
