//! Encoding of messages: postcard behind the protocol version that the transport negotiates. Decoding never panics and
//! allocates no more than a constant times the length of the input.

use bytes::Bytes;

use crate::limits::MESSAGE_BYTES_MAX;
use crate::wire::message::Envelope;

/// The version of the protocol between nodes; enums of it are appended to only.
pub const PROTOCOL_VERSION: u16 = 1;

/// Why bytes are no message. The peer's fault; nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Longer than the limit.
    #[error("message of {0} bytes is larger than the limit of {MESSAGE_BYTES_MAX}")]
    TooLong(usize),
    /// Cut off, damaged, or of a newer version.
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
    match postcard::take_from_bytes(bytes) {
        Ok((envelope, [])) => Ok(envelope),
        Ok(_) | Err(_) => Err(CodecError::Malformed),
    }
}
