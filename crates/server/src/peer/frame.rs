//! Frames on a link: a length, then a message. An empty frame says only that the link lives.

use std::io;

use bytes::{Bytes, BytesMut};
use precede_core::limits::MESSAGE_BYTES_MAX;
use precede_core::wire::codec;
use precede_core::wire::message::Envelope;
use tokio_util::codec::{Decoder, Encoder, LengthDelimitedCodec};

use crate::peer::wire::Wire;

/// Writes and reads frames of one version of the wire.
pub(crate) struct Frames {
    codec: LengthDelimitedCodec,
    wire: Wire,
}

impl Frames {
    /// A codec with the limit set.
    pub(crate) fn new(wire: Wire) -> Self {
        Self { codec: LengthDelimitedCodec::builder().max_frame_length(MESSAGE_BYTES_MAX).new_codec(), wire }
    }

    /// Appends a message. One that is too long is left out: its receiver would break the link.
    pub(crate) fn put(&mut self, envelope: &Envelope, out: &mut BytesMut) {
        let mut message = codec::encode(envelope);
        if let Some(mark) = self.mark() {
            message = [&[mark], &message[..]].concat().into();
        }
        if let Err(error) = self.codec.encode(message, out) {
            tracing::error!(%error, "a message to a peer is too long (a bug)");
        }
    }

    /// Appends an empty frame.
    pub(crate) fn put_empty(&mut self, out: &mut BytesMut) {
        self.codec.encode(Bytes::new(), out).expect("an empty frame is not too long");
    }

    /// Takes the next message out of what has arrived; `None` if there is no whole one.
    ///
    /// # Errors
    /// What arrived is no frame or no message: the link is of no more use.
    pub(crate) fn take(&mut self, arrived: &mut BytesMut) -> io::Result<Option<Envelope>> {
        while let Some(frame) = self.codec.decode(arrived)? {
            if !frame.is_empty() {
                let message = match self.mark() {
                    Some(mark) => frame.strip_prefix(&[mark]).ok_or_else(|| invalid("a message of another version"))?,
                    None => &frame[..],
                };
                return codec::decode(message).map(Some).map_err(invalid);
            }
        }
        Ok(None)
    }

    fn mark(&self) -> Option<u8> {
        self.wire.marks_messages().then_some(self.wire.version() as u8)
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
