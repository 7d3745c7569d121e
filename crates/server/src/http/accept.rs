//! The accept loop, with its limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::http::App;
use crate::http::connection;
use crate::http::fixed::TOO_MANY;

/// Connections beyond the limit on which nodes and probes are still served, and others told to come back.
const SURPLUS_MAX: usize = 1024;
/// Pause when the system has no more sockets to give.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// Counts the connections that are open.
#[derive(Debug, Default)]
pub(crate) struct Open(AtomicUsize);

impl Open {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

struct Counted(Arc<Open>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Accepts connections until it is dropped.
pub(crate) async fn run(listener: TcpListener, app: Arc<App>, open: Arc<Open>, drain: watch::Receiver<bool>) {
    let builder = Arc::new(connection::builder());
    loop {
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
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
        let count = open.0.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(Arc::clone(&open));
        if count >= app.limits.connections + SURPLUS_MAX {
            let _ = socket.try_write(TOO_MANY);
            continue;
        }
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "connection ended at once");
            continue;
        }
        let surplus = count >= app.limits.connections;
        let connection = connection::serve(Arc::clone(&app), Arc::clone(&builder), socket, surplus, drain.clone());
        tokio::spawn(async move {
            let _counted = counted;
            connection.await;
        });
    }
}
