//! The accept loop, with its limits.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::http::App;
use crate::http::connection::{self, Caller};
use crate::http::fixed::TOO_MANY;
use crate::http::workers::Workers;
use crate::tls;

/// Connections that wait to be accepted; the system may allow fewer (`net.core.somaxconn`). Those beyond are dropped, and tried again
/// after one second, then two, then four: after a failure all clients of another node may come at once.
const BACKLOG: u32 = 16_384;
/// Connections beyond the limit on which nodes and probes are still served, and others told to come back.
const SURPLUS_MAX: usize = 1024;
/// Pause when the system has no more sockets to give.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// Listens on an address.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts connections until it is dropped.
pub(crate) async fn run(listener: TcpListener, app: Arc<App>, workers: Arc<Workers>, drain: watch::Receiver<bool>) {
    let builder = Arc::new(connection::builder());
    loop {
        let (socket, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Of one connection that broke before it was accepted, or of the whole system: in either case go on.
                tracing::debug!(%error, "cannot accept a connection");
                if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                }
                continue;
            }
        };
        let count = workers.connections();
        if count >= app.limits.connections + SURPLUS_MAX {
            if app.tls.is_none() {
                let _ = socket.try_write(TOO_MANY);
            }
            continue;
        }
        let surplus = count >= app.limits.connections;
        let (app, builder, drain) = (Arc::clone(&app), Arc::clone(&builder), drain.clone());
        let serve = move |socket| begin(app, builder, (socket, from.ip()), surplus, drain);
        if let Err(error) = socket.set_nodelay(true).and_then(|()| workers.serve(socket, serve)) {
            tracing::debug!(%error, "connection ended at once");
        }
    }
}

/// Begins a connection, by TLS if this node speaks it, and serves it to its end.
async fn begin(
    app: Arc<App>,
    builder: Arc<Builder<TokioExecutor>>,
    (socket, from): (TcpStream, IpAddr),
    surplus: bool,
    drain: watch::Receiver<bool>,
) {
    let Some(tls) = app.tls.clone() else {
        let caller = Caller::new(app, from, surplus, None);
        return connection::serve(caller, builder, socket.into_split(), drain).await;
    };
    // In a box: a connection without TLS needs no room for one with it.
    let by_tls = async move {
        let stream = match timeout(app.limits.header_timeout, tls::accept(&tls, socket)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%from, %error, "a client that does not speak TLS, or trusts others");
                return;
            }
            Err(_) => return,
        };
        let caller = Caller::new(app, from, surplus, tls::shown(&stream));
        connection::serve(caller, builder, tokio::io::split(stream), drain).await;
    };
    Box::pin(by_tls).await;
}
