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
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::driver::Driver;
use crate::peer::frame::Frames;
use crate::peer::outbox::Outbox;
use crate::peer::wire::Wire;
use crate::peer::{ADDRESS_HEADER, CLUSTER_HEADER, EPOCH_HEADER, PATH};

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
/// Bytes of the answer to the handshake.
const ANSWER_BYTES_MAX: usize = 4096;
/// A spare that cannot be reached for so many rounds is forgotten; it will knock again.
const SPARE_ROUNDS_MAX: u32 = 50;

/// Keeps a link to a node. Ends only for a node that is not wanted and has gone.
pub(crate) async fn keep(driver: Arc<Driver>, outbox: Arc<Outbox>, address: Address) {
    loop {
        let Some((stream, wire)) = dial(&driver, &outbox, &address).await else {
            driver.outboxes.close(outbox.node);
            return;
        };
        outbox.set_linked(true);
        driver.connected(outbox.node);
        tracing::debug!(peer = %address, wire = wire.version(), "linked");
        let error = pump(&outbox, stream, wire).await;
        outbox.set_linked(false);
        driver.disconnected(outbox.node);
        tracing::debug!(peer = %address, %error, "link lost");
        sleep(pause()).await;
    }
}

/// Tries until there is a link; `None` if the node is not wanted and does not answer.
async fn dial(driver: &Arc<Driver>, outbox: &Outbox, address: &Address) -> Option<(TcpStream, Wire)> {
    let mut attempts = JoinSet::new();
    let (mut rounds, mut refused) = (0, false);
    loop {
        if attempts.len() < ATTEMPTS_MAX {
            let (address, ours) = (address.clone(), driver.address.clone());
            let (cluster, epoch) = (driver.fingerprint(), driver.epoch());
            attempts.spawn(async move {
                match timeout(ATTEMPT_TIMEOUT, attempt(&address, &ours, cluster, epoch)).await {
                    Ok(result) => result,
                    Err(_) => Err(io::ErrorKind::TimedOut.into()),
                }
            });
        }
        let pause = sleep(pause());
        tokio::pin!(pause);
        loop {
            tokio::select! {
                Some(attempt) = attempts.join_next() => match attempt {
                    Ok(Ok(linked)) => return Some(linked),
                    Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied && !refused => {
                        refused = true;
                        tracing::warn!(
                            peer = %address,
                            "refused by a node of another cluster: compare CLUSTER, VIEW and REPL_FACTOR"
                        );
                    }
                    Ok(Err(error)) if error.kind() == io::ErrorKind::Unsupported && !refused => {
                        refused = true;
                        tracing::warn!(
                            peer = %address, ours = Wire::offer(),
                            "refused by a node of a version too far from this one's: upgrade in smaller steps"
                        );
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

async fn attempt(address: &Address, ours: &Address, cluster: u64, epoch: u32) -> io::Result<(TcpStream, Wire)> {
    let mut stream = TcpStream::connect(address.as_str()).await?;
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    SockRef::from(&stream).set_tcp_user_timeout(Some(ACK_TIMEOUT))?;
    let request = format!(
        "GET {PATH} HTTP/1.1\r\nHost: {address}\r\nConnection: upgrade\r\nUpgrade: {}\r\n\
         {CLUSTER_HEADER}: {cluster:016x}\r\n{EPOCH_HEADER}: {epoch}\r\n{ADDRESS_HEADER}: {ours}\r\n\r\n",
        Wire::offer(),
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(512);
    while !answer.ends_with(b"\r\n\r\n") {
        // The other side sends nothing after its answer, so nothing of the link can be read by mistake.
        if stream.read_buf(&mut answer).await? == 0 || answer.len() > ANSWER_BYTES_MAX {
            break;
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    let line = answer.lines().next().unwrap_or_default();
    let kind = match line.split(' ').nth(1) {
        Some("101") => {
            let upgrade = answer.lines().filter_map(|line| line.split_once(':'));
            let mut upgrade = upgrade.filter(|(name, _)| name.eq_ignore_ascii_case("upgrade"));
            return match upgrade.next().and_then(|(_, name)| Wire::agreed(name)) {
                Some(wire) => Ok((stream, wire)),
                None => Err(io::Error::other("it agreed to nothing that was offered")),
            };
        }
        Some("403") => io::ErrorKind::PermissionDenied,
        Some("426") => io::ErrorKind::Unsupported,
        Some(_) | None => io::ErrorKind::Other,
    };
    Err(io::Error::new(kind, format!("it answered \"{line}\"")))
}

/// Sends until the link breaks.
async fn pump(outbox: &Outbox, stream: TcpStream, wire: Wire) -> io::Error {
    let (mut read, mut write) = stream.into_split();
    let (mut frames, mut out, mut unexpected) = (Frames::new(wire), BytesMut::new(), [0u8; 1]);
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
        while out.has_remaining() {
            match timeout(ACK_TIMEOUT, write.write_buf(&mut out)).await {
                Ok(Ok(written)) if written > 0 => {}
                Ok(Ok(_)) => return io::ErrorKind::WriteZero.into(),
                Ok(Err(error)) => return error,
                Err(_) => return io::ErrorKind::TimedOut.into(),
            }
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
