//! What a connection goes over: a socket, with TLS or without.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::tls::{self, Trust};

/// Room for a read.
const READ_BYTES: usize = 4096;

/// A stream of bytes to a node and back. Matched on for each use, so that one without TLS pays nothing for the other.
pub(crate) enum Stream {
    /// As they are.
    Plain(TcpStream),
    /// By TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Connects to a node, by TLS if it is told whom to trust.
    pub(crate) async fn connect(node: &str, trust: Option<&Trust>) -> io::Result<Self> {
        let socket = TcpStream::connect(node).await?;
        socket.set_nodelay(true)?;
        Ok(match trust {
            None => Self::Plain(socket),
            Some(trust) => Self::Tls(Box::new(tls::connect(trust, node, socket).await?)),
        })
    }

    /// Writes everything.
    pub(crate) async fn write_all(&mut self, output: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.write_all(output).await,
            Self::Tls(stream) => {
                stream.write_all(output).await?;
                stream.flush().await
            }
        }
    }

    /// Reads what is there, at least one byte.
    pub(crate) async fn read_more(&mut self, input: &mut BytesMut) -> io::Result<()> {
        input.reserve(READ_BYTES);
        let bytes = match self {
            Self::Plain(socket) => socket.read_buf(input).await?,
            Self::Tls(stream) => stream.read_buf(input).await?,
        };
        if bytes == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the node ended the connection"));
        }
        Ok(())
    }
}
