//! Frames on a link: a length, then a message. An empty frame says only that the link lives.

use std::io;

use bytes::{Bytes, BytesMut};
use precede_core::limits::MESSAGE_BYTES_MAX;
use precede_core::wire::codec;
use precede_core::wire::message::Envelope;
use tokio_util::codec::{Decoder, Encoder, LengthDelimitedCodec};

/// Writes and reads frames.
pub(crate) struct Frames(LengthDelimitedCodec);

impl Frames {
    /// A codec with the limit set.
    pub(crate) fn new() -> Self {
        Self(LengthDelimitedCodec::builder().max_frame_length(MESSAGE_BYTES_MAX).new_codec())
    }

    /// Appends a message. One that is too long is left out: its receiver would break the link.
    pub(crate) fn put(&mut self, envelope: &Envelope, out: &mut BytesMut) {
        if let Err(error) = self.0.encode(codec::encode(envelope), out) {
            tracing::error!(%error, "a message to a peer is too long (a bug)");
        }
    }

    /// Appends an empty frame.
    pub(crate) fn put_empty(&mut self, out: &mut BytesMut) {
        self.0.encode(Bytes::new(), out).expect("an empty frame is not too long");
    }

    /// Takes the next message out of what has arrived; `None` if there is no whole one.
    ///
    /// # Errors
    /// What arrived is no frame or no message: the link is of no more use.
    pub(crate) fn take(&mut self, arrived: &mut BytesMut) -> io::Result<Option<Envelope>> {
        while let Some(frame) = self.0.decode(arrived)? {
            if !frame.is_empty() {
                let envelope = codec::decode(&frame);
                return envelope.map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
        Ok(None)
    }
}
