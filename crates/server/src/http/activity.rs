//! What happens on a connection, so that connections on which nothing happens can be ended.
//!
//! Hyper's own timer would cost one registration per request; this costs a clock reading and a store, and one timer per
//! connection that rarely fires.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::settings::HttpLimits;

/// What happens on one connection.
#[derive(Debug)]
pub(crate) struct Activity {
    start: Instant,
    /// Requests being answered.
    busy: AtomicUsize,
    /// Milliseconds from the start to the last byte read or written, or the last response.
    progress: AtomicU64,
    /// Milliseconds from the start to the first byte of the head that is arriving, plus 1; 0 if none is.
    head: AtomicU64,
    /// Whether it is HTTP/2, where bytes come without a head.
    is_h2: AtomicBool,
    /// What is said on the socket when hyper has let go of it, if anything.
    last_word: OnceLock<&'static [u8]>,
}

/// A request is being answered; dropped when it is.
pub(crate) struct Busy(Arc<Activity>);

/// What is to be done with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Look again after this time.
    Fine(Duration),
    /// The head of a request takes too long.
    HeadTooSlow,
    /// Nothing happens.
    Idle,
}

impl Activity {
    /// A connection that has just begun: the head of its first request is due.
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            busy: AtomicUsize::new(0),
            progress: AtomicU64::new(0),
            head: AtomicU64::new(1),
            is_h2: AtomicBool::new(false),
            last_word: OnceLock::new(),
        }
    }

    /// A request's head is here.
    pub(crate) fn begin_request(self: &Arc<Self>, is_h2: bool) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        self.head.store(0, Ordering::Relaxed);
        if is_h2 {
            self.is_h2.store(true, Ordering::Relaxed);
        }
        Busy(Arc::clone(self))
    }

    /// Says something on the socket when hyper lets go of it.
    pub(crate) fn leave_word(&self, word: &'static [u8]) {
        // A second word would follow a first that already ends the connection.
        let _ = self.last_word.set(word);
    }

    /// Judges the connection.
    pub(crate) fn judge(&self, limits: &HttpLimits) -> Verdict {
        let now = self.now();
        if self.busy.load(Ordering::Relaxed) > 0 {
            return Verdict::Fine(limits.header_timeout.min(limits.idle_timeout));
        }
        let head = self.head.load(Ordering::Relaxed);
        if head > 0 {
            let age = Duration::from_millis(now.saturating_sub(head - 1));
            return match limits.header_timeout.checked_sub(age) {
                Some(left) if !left.is_zero() => Verdict::Fine(left),
                Some(_) | None => Verdict::HeadTooSlow,
            };
        }
        let age = Duration::from_millis(now.saturating_sub(self.progress.load(Ordering::Relaxed)));
        match limits.idle_timeout.checked_sub(age) {
            // A head may begin to arrive meanwhile, so it is looked at often enough for that.
            Some(left) if !left.is_zero() => Verdict::Fine(left.min(limits.header_timeout)),
            Some(_) | None => Verdict::Idle,
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn on_read(&self) {
        let now = self.now();
        self.progress.store(now, Ordering::Relaxed);
        if self.busy.load(Ordering::Relaxed) == 0
            && self.head.load(Ordering::Relaxed) == 0
            && !self.is_h2.load(Ordering::Relaxed)
        {
            self.head.store(now + 1, Ordering::Relaxed);
        }
    }

    fn on_write(&self) {
        self.progress.store(self.now(), Ordering::Relaxed);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.progress.store(self.0.now(), Ordering::Relaxed);
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A socket whose activity is watched.
pub(crate) struct Watched {
    socket: TcpStream,
    activity: Arc<Activity>,
}

impl Watched {
    /// Watches a socket.
    pub(crate) fn new(socket: TcpStream, activity: Arc<Activity>) -> Self {
        Self { socket, activity }
    }

    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if result.is_ready() {
            self.activity.on_write();
        }
        result
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(word) = self.activity.last_word.get() {
            // Best effort: a client that sends a head byte by byte may or may not read.
            let _ = self.socket.try_write(word);
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        // The stream's own way: after a partial read it waits for readiness without asking the kernel again.
        ready!(Pin::new(&mut self.socket).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.activity.on_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
