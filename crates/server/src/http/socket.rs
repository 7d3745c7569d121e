//! The socket of a connection: watched, and corked. What a connection writes while it is polled leaves in one piece when it
//! has been polled: the answers to requests that came together go together, whatever hyper does in between.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::activity::Activity;
use crate::http::fixed;

/// What is written in pieces of this size goes straight on.
const LARGE_BYTES: usize = 32 << 10;
/// A connection writes no more than this ahead of its socket.
const AHEAD_BYTES_MAX: usize = 64 << 10;
/// Between requests no more room than this is kept.
const KEPT_BYTES_MAX: usize = 2 << 10;

/// The outgoing side of a socket.
pub(crate) struct Cork<W>(Mutex<Out<W>>);

struct Out<W> {
    half: W,
    /// What has been written, and how much of it has left.
    buffer: Vec<u8>,
    left: usize,
    corked: bool,
}

/// A socket whose activity is watched.
pub(crate) struct Watched<R, W> {
    incoming: R,
    cork: Arc<Cork<W>>,
    activity: Arc<Activity>,
}

impl<W: AsyncWrite + Unpin> Cork<W> {
    /// Sends what has been written. If the socket does not take it all, the task is woken when it takes more.
    pub(crate) fn poll_drain(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().poll_drain(cx)
    }

    /// Says something behind all that has been written, as far as the socket takes it at once.
    pub(crate) fn last_word(&self, word: &[u8]) {
        let mut out = self.0.lock();
        out.buffer.extend_from_slice(word);
        // Best effort: a client that sends a head byte by byte may or may not read.
        let _ = out.poll_drain(&mut Context::from_waker(Waker::noop()));
    }

    /// From now on whoever writes decides when it leaves.
    pub(crate) fn pull(&self) {
        self.0.lock().corked = false;
    }
}

impl<W: AsyncWrite + Unpin> Out<W> {
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.left < self.buffer.len() {
            let written = ready!(Pin::new(&mut self.half).poll_write(cx, &self.buffer[self.left..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.left += written;
        }
        // A socket has nothing to flush; TLS may keep what was too much for its socket.
        ready!(Pin::new(&mut self.half).poll_flush(cx))?;
        self.left = 0;
        if self.buffer.capacity() > KEPT_BYTES_MAX {
            self.buffer = Vec::new();
        } else {
            self.buffer.clear();
        }
        Poll::Ready(Ok(()))
    }
}

impl<R, W> Watched<R, W> {
    /// Watches a socket; the cork is for who polls the connection.
    pub(crate) fn new((incoming, half): (R, W), activity: Arc<Activity>) -> (Self, Arc<Cork<W>>) {
        let cork = Arc::new(Cork(Mutex::new(Out { half, buffer: Vec::new(), left: 0, corked: true })));
        (Self { incoming, cork: Arc::clone(&cork), activity }, cork)
    }
}

impl<R: AsyncRead + Unpin, W: Unpin> AsyncRead for Watched<R, W> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        // The stream's own way: after a partial read it waits for readiness without asking the kernel again.
        ready!(Pin::new(&mut self.incoming).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.activity.on_read(&buf.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<R: Unpin, W: AsyncWrite + Unpin> AsyncWrite for Watched<R, W> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let out = &mut *self.cork.0.lock();
        let bytes: usize = bufs.iter().map(|buf| buf.len()).sum();
        if bytes >= LARGE_BYTES || out.buffer.len() >= AHEAD_BYTES_MAX {
            ready!(out.poll_drain(cx))?;
        }
        if bytes >= LARGE_BYTES {
            let written = ready!(Pin::new(&mut out.half).poll_write_vectored(cx, bufs));
            self.activity.on_write();
            return Poll::Ready(written);
        }
        self.activity.on_write();
        let Some((last, others)) = bufs.split_last() else { return Poll::Ready(Ok(0)) };
        for buf in others {
            out.buffer.extend_from_slice(buf);
        }
        match fixed::instead_of(last).filter(|_| out.corked && !self.activity.has_raw()) {
            Some((at, instead)) => {
                out.buffer.extend_from_slice(&last[..at]);
                out.buffer.extend_from_slice(instead);
            }
            None => out.buffer.extend_from_slice(last),
        }
        Poll::Ready(Ok(bytes))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut out = self.cork.0.lock();
        if out.corked { Poll::Ready(Ok(())) } else { out.poll_drain(cx) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut out = self.cork.0.lock();
        ready!(out.poll_drain(cx))?;
        Pin::new(&mut out.half).poll_shutdown(cx)
    }
}
