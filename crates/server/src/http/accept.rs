//! The accept loop, with its limits.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::http::App;
use crate::http::connection;
use crate::http::fixed::TOO_MANY;
use crate::http::workers::Workers;

/// Connections beyond the limit on which nodes and probes are still served, and others told to come back.
const SURPLUS_MAX: usize = 1024;
/// Pause when the system has no more sockets to give.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until it is dropped.
pub(crate) async fn run(listener: TcpListener, app: Arc<App>, workers: Arc<Workers>, drain: watch::Receiver<bool>) {
    let builder = Arc::new(connection::builder());
    loop {
        let (socket, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Of one connection that broke before it was accepted, or of the whole system: in either case go on.
                tracing::debug!(%error, "cannot accept a connection");
                if !matches!(error.kind(), std::io::ErrorKind::ConnectionAborted | std::io::ErrorKind::ConnectionReset)
                {
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                }
                continue;
            }
        };
        let count = workers.connections();
        if count >= app.limits.connections + SURPLUS_MAX {
            let _ = socket.try_write(TOO_MANY);
            continue;
        }
        let surplus = count >= app.limits.connections;
        let (app, builder, drain) = (Arc::clone(&app), Arc::clone(&builder), drain.clone());
        let serve = move |socket| connection::serve(app, builder, (socket, from.ip()), surplus, drain);
        if let Err(error) = socket.set_nodelay(true).and_then(|()| workers.serve(socket, serve)) {
            tracing::debug!(%error, "connection ended at once");
        }
    }
}
