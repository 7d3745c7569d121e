//! The threads that serve connections: one for each processor, each with a runtime of its own. A connection stays on one of them,
//! so that no request goes from thread to thread, and no thread is woken to look for work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

/// The threads. They end when this is dropped, and with them what connections are left.
pub(crate) struct Workers {
    workers: Vec<Worker>,
    _running: watch::Sender<()>,
}

struct Worker {
    handle: Handle,
    connections: Arc<AtomicUsize>,
}

/// A connection that is open.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(connections: &Arc<AtomicUsize>) -> Self {
        connections.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connections))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system has no thread, or no descriptor, to give.
    pub(crate) fn start() -> std::io::Result<Self> {
        let (running, ended) = watch::channel(());
        let count = available_parallelism().map_or(1, usize::from);
        let workers = (0..count).map(|at| Worker::start(at, ended.clone())).collect::<Result<_, _>>()?;
        Ok(Self { workers, _running: running })
    }

    /// How many connections are open.
    pub(crate) fn connections(&self) -> usize {
        self.workers.iter().map(|worker| worker.connections.load(Ordering::Relaxed)).sum()
    }

    /// Gives a connection to the thread that has the fewest.
    ///
    /// # Errors
    /// The socket cannot change its runtime.
    pub(crate) fn serve<F>(
        &self,
        socket: TcpStream,
        connection: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) -> std::io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let worker = self.workers.iter().min_by_key(|worker| worker.connections.load(Ordering::Relaxed));
        let worker = worker.expect("there is a processor");
        let (socket, counted) = (socket.into_std()?, Counted::new(&worker.connections));
        worker.handle.spawn(async move {
            let _counted = counted;
            match TcpStream::from_std(socket) {
                Ok(socket) => connection(socket).await,
                Err(error) => tracing::debug!(%error, "connection ended at once"),
            }
        });
        Ok(())
    }
}

impl Worker {
    fn start(at: usize, mut ended: watch::Receiver<()>) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        std::thread::Builder::new().name(format!("http-{at}")).spawn(move || {
            // An error says that the sender is gone.
            let _ = runtime.block_on(ended.changed());
            // What a task has handed to the system is not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, connections: Arc::default() })
    }
}
