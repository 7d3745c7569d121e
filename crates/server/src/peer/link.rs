//! A link to another node: dialled, kept, dialled again. What is sent goes by it; nothing is received on it.
//!
//! Finding the other side again must not depend on TCP's back-off: while there is no link, a new attempt begins every
//! 100 to 250 ms beside those that still run, and the first to succeed wins. So a slow network is given time, and one
//! that is healed is noticed at once.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use precede_core::id::Address;
use rand::TryRng;
use rand::rngs::SysRng;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::client::TlsStream;

use crate::http::App;
use crate::peer::frame::Frames;
use crate::peer::greeting::{Greeting, Unlinked};
use crate::peer::guard::Pass;
use crate::peer::outbox::Outbox;
use crate::peer::wire::Wire;
use crate::tls;

/// For one attempt, handshake included.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// Attempts that run at once.
const ATTEMPTS_MAX: usize = 16;
/// A link on which nothing was acknowledged for so long is broken.
const ACK_TIMEOUT: Duration = Duration::from_millis(1500);
/// An empty frame is sent after so much silence, so that a broken link is noticed.
const KEEP_ALIVE: Duration = Duration::from_millis(250);
/// Bytes that are written at once.
const BATCH_BYTES: usize = 512 << 10;
/// A spare that cannot be reached for so many rounds is forgotten; it will knock again.
const SPARE_ROUNDS_MAX: u32 = 50;

/// What a link goes over.
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A link that has just been made.
struct Linked {
    stream: Stream,
    wire: Wire,
    /// By what the other node was let in.
    pass: Pass,
}

/// Keeps a link to a node. Ends only for a node that is not wanted and has gone.
pub(crate) async fn keep(app: Arc<App>, outbox: Arc<Outbox>, address: Address) {
    let driver = &app.driver;
    loop {
        let Some(linked) = dial(&app, &outbox, &address).await else {
            driver.outboxes.close(outbox.node);
            return;
        };
        outbox.set_linked(true);
        driver.connected(outbox.node);
        tracing::debug!(peer = %address, wire = linked.wire.version(), "linked");
        let frames = Frames::new(linked.wire);
        let is_good = || linked.pass.is_good(&app.secrets);
        let error = match linked.stream {
            Stream::Plain(stream) => pump(&outbox, stream.into_split(), frames, is_good).await,
            Stream::Tls(stream) => pump(&outbox, tokio::io::split(*stream), frames, is_good).await,
        };
        outbox.set_linked(false);
        driver.disconnected(outbox.node);
        tracing::debug!(peer = %address, %error, "link lost");
        sleep(pause()).await;
    }
}

/// Tries until there is a link; `None` if the node is not wanted and does not answer.
async fn dial(app: &Arc<App>, outbox: &Outbox, address: &Address) -> Option<Linked> {
    let driver = &app.driver;
    let mut attempts = JoinSet::new();
    let (mut rounds, mut told) = (0, None);
    loop {
        if attempts.len() < ATTEMPTS_MAX {
            let (to, from) = (address.clone(), driver.address.clone());
            let greeting = Greeting { to, from, cluster: driver.fingerprint(), epoch: driver.epoch() };
            let app = Arc::clone(app);
            attempts.spawn(async move {
                match timeout(ATTEMPT_TIMEOUT, attempt(&greeting, &app)).await {
                    Ok(result) => result,
                    Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
                }
            });
        }
        let pause = sleep(pause());
        tokio::pin!(pause);
        loop {
            tokio::select! {
                Some(attempt) = attempts.join_next() => match attempt {
                    Ok(Ok(linked)) => return Some(linked),
                    Ok(Err(Unlinked::Refused(why))) if told != Some(why) => {
                        told = Some(why);
                        tracing::warn!(peer = %address, ours = Wire::offer(), "{why}");
                    }
                    Ok(Err(error)) => tracing::trace!(peer = %address, %error, "cannot be reached"),
                    Err(_) => {}
                },
                () = &mut pause => break,
            }
        }
        rounds += 1;
        if !outbox.is_wanted() && rounds > SPARE_ROUNDS_MAX {
            return None;
        }
    }
}

async fn attempt(greeting: &Greeting, app: &App) -> Result<Linked, Unlinked> {
    let mut stream = TcpStream::connect(greeting.to.as_str()).await?;
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    SockRef::from(&stream).set_tcp_user_timeout(Some(ACK_TIMEOUT))?;
    let Some(tls) = &app.tls else {
        let (wire, pass) = greeting.exchange(&mut stream, &app.secrets).await?;
        return Ok(Linked { stream: Stream::Plain(stream), wire, pass });
    };
    let mut stream = Box::new(tls::dial(tls, &greeting.to, stream).await?);
    let (wire, pass) = greeting.exchange(&mut stream, &app.secrets).await?;
    Ok(Linked { stream: Stream::Tls(stream), wire, pass })
}

/// Sends until the link breaks.
async fn pump(
    outbox: &Outbox,
    (mut read, mut write): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    mut frames: Frames,
    is_good: impl Fn() -> bool,
) -> io::Error {
    let (mut out, mut unexpected) = (BytesMut::new(), [0u8; 1]);
    loop {
        tokio::select! {
            biased;
            read = read.read(&mut unexpected) => return match read {
                Ok(0) => io::ErrorKind::UnexpectedEof.into(),
                Ok(_) => io::Error::other("the other side speaks on a link that is not its own"),
                Err(error) => error,
            },
            batch = outbox.take(BATCH_BYTES) => batch.iter().for_each(|envelope| frames.put(envelope, &mut out)),
            () = sleep(KEEP_ALIVE) => frames.put_empty(&mut out),
        }
        if !is_good() {
            return io::Error::other("the secret by which the other side was let in is no longer taken");
        }
        while out.has_remaining() {
            match timeout(ACK_TIMEOUT, write.write_buf(&mut out)).await {
                Ok(Ok(written)) if written > 0 => {}
                Ok(Ok(_)) => return io::ErrorKind::WriteZero.into(),
                Ok(Err(error)) => return error,
                Err(_) => return io::ErrorKind::TimedOut.into(),
            }
        }
        match timeout(ACK_TIMEOUT, write.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error,
            Err(_) => return io::ErrorKind::TimedOut.into(),
        }
        if out.capacity() > 4 * BATCH_BYTES {
            out = BytesMut::new();
        }
    }
}

/// 100 to 250 ms, so that nodes that lost each other together do not come back together.
fn pause() -> Duration {
    let random = SysRng.try_next_u32().unwrap_or_default();
    Duration::from_millis(100 + u64::from(random % 150))
}
