//! One connection from its first byte to its end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::http::App;
use crate::http::activity::{Activity, Verdict, Watched};
use crate::http::service;

/// Room for a head: more than the limit of headers, so that hyper need not cut in with an answer of its own.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Streams of one HTTP/2 connection.
const H2_STREAMS_MAX: u32 = 256;
/// What is sent on an HTTP/2 stream before the store reads it.
const H2_WINDOW_BYTES: u32 = 256 << 10;
/// How long an idle connection that was asked to end may take for it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Said on a connection whose request's head took too long.
const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\ncontent-length: 101\r\n\
connection: close\r\ncausal-context: \r\n\r\n\
{\"error\":\"The request's header did not arrive in time\",\"message\":\"Request error\",\"causal-context\":{}}";
/// Said on a connection beyond every limit.
pub(crate) const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\
retry-after: 1\r\nconnection: close\r\ncausal-context: \r\n\r\n\
{\"error\":\"Unable to satisfy request\",\"message\":\"Too many connections\",\"causal-context\":{}}";

/// The protocols and their limits.
pub(crate) fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).pipeline_flush(true).max_buf_size(HEAD_BYTES_MAX);
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
pub(crate) async fn serve(
    app: Arc<App>,
    builder: Arc<Builder<TokioExecutor>>,
    socket: TcpStream,
    surplus: bool,
    mut drain: watch::Receiver<bool>,
) {
    let activity = Arc::new(Activity::new());
    let (service_app, service_activity) = (Arc::clone(&app), Arc::clone(&activity));
    let service = service_fn(move |request: Request<Incoming>| {
        let (app, activity) = (Arc::clone(&service_app), Arc::clone(&service_activity));
        async move { Ok::<_, Infallible>(service::answer(&app, &activity, surplus, request).await) }
    });
    let io = TokioIo::new(Watched::new(socket, Arc::clone(&activity)));
    let mut connection = pin!(builder.serve_connection_with_upgrades(io, service));
    let (mut draining, mut closing) = (false, false);
    let mut look = pin!(sleep(app.limits.header_timeout.min(app.limits.idle_timeout)));
    loop {
        tokio::select! {
            biased;
            result = connection.as_mut() => {
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
                        activity.leave_word(TOO_SLOW);
                        return;
                    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_answers_have_the_length_they_state() {
        for answer in [TOO_SLOW, TOO_MANY] {
            let text = std::str::from_utf8(answer).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
            serde_json::from_str::<serde_json::Value>(body).unwrap();
        }
    }
}
