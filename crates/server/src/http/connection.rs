//! One connection from its first byte to its end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::http::App;
use crate::http::activity::{Activity, Verdict};
use crate::http::fixed::TOO_SLOW;
use crate::http::memo::Memo;
use crate::http::service;
use crate::http::socket::Watched;
use crate::peer::guard::Challenge;

/// Room for a head: more than the limit of headers, so that hyper need not cut in with an answer of its own.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Streams of one HTTP/2 connection.
const H2_STREAMS_MAX: u32 = 256;
/// What is sent on an HTTP/2 stream before the store reads it.
const H2_WINDOW_BYTES: u32 = 256 << 10;
/// How long an idle connection that was asked to end may take for it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection, as the requests on it see it. One count of references for each connection: one for all would go from processor to
/// processor with every request.
pub(crate) struct Caller {
    /// The node.
    pub(crate) app: Arc<App>,
    /// What happens on the connection.
    pub(crate) activity: Arc<Activity>,
    /// Whom it is with.
    pub(crate) from: IpAddr,
    /// The connection is beyond the limit, or began while this node is ending, and only nodes and probes are served on it.
    pub(crate) surplus: bool,
    /// What it was given last.
    pub(crate) memo: Memo,
    /// What it was asked to prove, if it is of a node.
    pub(crate) challenge: Challenge,
    /// What it has shown, where TLS is spoken and it has shown something.
    pub(crate) certificate: Option<CertificateDer<'static>>,
}

impl Caller {
    /// A connection that has just begun.
    pub(crate) fn new(
        app: Arc<App>,
        from: IpAddr,
        surplus: bool,
        certificate: Option<CertificateDer<'static>>,
    ) -> Self {
        let (activity, memo, challenge) = (Arc::new(Activity::new()), Memo::default(), Challenge::default());
        Self { app, activity, from, surplus, memo, challenge, certificate }
    }
}

/// The protocols and their limits.
pub(crate) fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).max_buf_size(HEAD_BYTES_MAX);
    builder.http1().header_read_timeout(None);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).expect("it is small"))
        .initial_stream_window_size(H2_WINDOW_BYTES)
        .initial_connection_window_size(4 * H2_WINDOW_BYTES)
        .max_pending_accept_reset_streams(Some(32))
        .keep_alive_interval(Some(Duration::from_secs(20)))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// Serves a connection to its end.
pub(crate) async fn serve<R, W>(
    mut caller: Caller,
    builder: Arc<Builder<TokioExecutor>>,
    halves: (R, W),
    mut drain: watch::Receiver<bool>,
) where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    // A connection that begins during the end is for nodes and probes, and ends with its answer.
    let mut draining = *drain.borrow_and_update();
    caller.surplus |= draining;
    let caller = Arc::new(caller);
    let (app, activity) = (Arc::clone(&caller.app), Arc::clone(&caller.activity));
    let service = service_fn(move |request: Request<Incoming>| {
        let caller = Arc::clone(&caller);
        async move { Ok::<_, Infallible>(service::answer(&caller, request).await) }
    });
    let (socket, cork) = Watched::new(halves, Arc::clone(&activity));
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(socket), service));
    let mut closing = false;
    let mut look = pin!(sleep(app.limits.header_timeout.min(app.limits.idle_timeout)));
    loop {
        tokio::select! {
            biased;
            result = poll_fn(|cx| match (connection.as_mut().poll(cx), cork.poll_drain(cx)) {
                (Poll::Ready(result), _) => Poll::Ready(result),
                (Poll::Pending, Poll::Ready(Err(error))) => Poll::Ready(Err(error.into())),
                (Poll::Pending, Poll::Ready(Ok(())) | Poll::Pending) => Poll::Pending,
            }) => {
                cork.pull();
                if let Err(error) = result {
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            changed = drain.changed(), if !draining => {
                draining = changed.is_ok();
                connection.as_mut().graceful_shutdown();
            }
            () = look.as_mut() => {
                let after = match activity.judge(&app.limits) {
                    Verdict::Fine(after) => after,
                    Verdict::HeadTooSlow => {
                        cork.last_word(TOO_SLOW);
                        return;
                    }
                    Verdict::Silent => return,
                    Verdict::Idle if closing => return,
                    Verdict::Idle => {
                        closing = true;
                        connection.as_mut().graceful_shutdown();
                        CLOSE_TIMEOUT
                    }
                };
                look.as_mut().reset(tokio::time::Instant::now() + after);
            }
        }
    }
}
