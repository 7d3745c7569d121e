//! The client: what it knows of the cluster, and which nodes it would ask for a key.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::avoidance::Avoidance;
use crate::reply::Reply;
use crate::request::Request;
use crate::retry::Deadline;
use crate::transport::Transport;
use crate::{Address, ClientBuilder, Context, Error, InvalidToken, Session, Shard, View};

/// How many nodes are asked in one round at most.
const CANDIDATES_MAX: usize = 16;
/// The least time between two refreshes of the view that the client begins by itself.
const REFRESH_INTERVAL: Duration = Duration::from_secs(2);

/// A client of one cluster: addresses, connections, and what it learned of the cluster. Cheap to clone; clones share
/// everything.
///
/// Operations need a tokio runtime with time and I/O. They are begun from a [`Session`].
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    transport: Arc<Transport>,
    avoidance: Avoidance,
    view: RwLock<Option<Arc<View>>>,
    /// When the client last began a refresh by itself.
    refreshed: Mutex<Option<Instant>>,
    /// Spreads the clients over the replicas of a shard, and their pauses over time.
    seed: u64,
    pauses: AtomicU64,
}

/// What a client is made from, its transport aside.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The nodes given, not empty, the preferred first.
    pub(crate) nodes: Vec<Address>,
    pub(crate) timeout: Duration,
    pub(crate) direct: bool,
}

impl Client {
    /// A client with the default settings. The nodes are `host:port` each; a few of a cluster's are enough.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidAddress`] if a node's address is not `host:port`, or if there are none.
    pub fn new<N: AsRef<str>>(nodes: impl IntoIterator<Item = N>) -> Result<Self, Error> {
        Self::builder(nodes).build()
    }

    /// The settings of a client of the given nodes.
    pub fn builder<N: AsRef<str>>(nodes: impl IntoIterator<Item = N>) -> ClientBuilder {
        ClientBuilder::new(nodes.into_iter().map(|node| node.as_ref().to_owned()).collect())
    }

    /// A client of other nodes, by the same connections.
    pub(crate) fn with_nodes(&self, nodes: Vec<Address>) -> Self {
        let settings = Settings { nodes, timeout: self.timeout(), direct: false };
        Self::assemble(settings, Arc::clone(&self.inner.transport))
    }

    pub(crate) fn assemble(settings: Settings, transport: Arc<Transport>) -> Self {
        let inner = Inner {
            settings,
            transport,
            avoidance: Avoidance::default(),
            view: RwLock::new(None),
            refreshed: Mutex::new(None),
            seed: RandomState::new().hash_one(()),
            pauses: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A new session, which has seen nothing yet.
    pub fn session(&self) -> Session {
        Session::new(self.clone(), Context::default())
    }

    /// The session that was saved as `token` by [`Session::to_token`].
    ///
    /// # Errors
    ///
    /// If `token` is not a token by its form. Whether the cluster accepts it shows with the first operation.
    pub fn session_from_token(&self, token: &str) -> Result<Session, InvalidToken> {
        Session::from_token(self, token)
    }

    /// The view as last learned, if any. It may be an old one.
    pub fn view(&self) -> Option<Arc<View>> {
        // A reference is replaced whole, so a panic elsewhere cannot have left it half-written.
        self.inner.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Learns the view from the cluster: within the client's time-out, all requests together.
    ///
    /// A client that is [direct](ClientBuilder::direct) also does so by itself, when its answers show that it knows
    /// none or an old one.
    ///
    /// # Errors
    ///
    /// As a read's. The view known before is kept then.
    pub async fn refresh_view(&self) -> Result<Arc<View>, Error> {
        let deadline = Deadline::after(self.timeout());
        let view = Arc::new(View::fetch(self, deadline).await?);
        *self.inner.view.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&view));
        Ok(view)
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.inner.settings.timeout
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.inner.transport
    }

    /// The nodes to ask, best first: the key's replicas in an order that is this client's own (so that it stays with
    /// one replica, and clients spread), the given nodes, other members; those that failed lately after all others.
    pub(crate) fn candidates(&self, key: Option<&str>) -> Vec<Address> {
        let given = &self.inner.settings.nodes;
        let now = Instant::now();
        let view = if self.inner.settings.direct { self.view() } else { None };
        let Some(view) = view else {
            return self.inner.avoidance.order(&given.iter(), CANDIDATES_MAX, now);
        };
        let shard = key.and_then(|key| view.shard_of(key));
        let replicas = shard.map_or(&[][..], |shard| &shard.replicas);
        let (before, from) = replicas.split_at(shard.map_or(0, |shard| self.preferred(shard)));
        let nodes = from.iter().chain(before).chain(given).chain(view.members());
        self.inner.avoidance.order(&nodes, CANDIDATES_MAX, now)
    }

    /// The index of the replica that this client asks first.
    fn preferred(&self, shard: &Shard) -> usize {
        let replicas = shard.replicas.len().max(1) as u64;
        (xxh3_64_with_seed(&shard.id.to_le_bytes(), self.inner.seed) % replicas) as usize
    }

    /// Hears an answer: the node is alive, and who served the key shows whether the view is still the right one.
    pub(crate) fn on_reply(&self, request: &Request, reply: &Reply) {
        self.inner.avoidance.on_answer(&reply.asked);
        let Some(key) = &request.key else { return };
        let served_by = reply.node();
        let as_expected =
            self.view().is_some_and(|view| view.shard_of(key).is_some_and(|shard| shard.replicas.contains(&served_by)));
        if !as_expected {
            self.refresh_soon();
        }
    }

    /// Hears that a node could not be reached or did not answer.
    pub(crate) fn on_failure(&self, request: &Request, node: &Address) {
        self.inner.avoidance.on_failure(node, Instant::now());
        if request.key.is_some() {
            self.refresh_soon();
        }
    }

    /// Refreshes the view in the background, unless that was done a moment ago.
    fn refresh_soon(&self) {
        if !self.inner.settings.direct {
            return;
        }
        let now = Instant::now();
        {
            let mut refreshed = self.inner.refreshed.lock().unwrap_or_else(PoisonError::into_inner);
            if refreshed.is_some_and(|at| now < at + REFRESH_INTERVAL) {
                return;
            }
            *refreshed = Some(now);
        }
        let client = self.clone();
        // Ends by the client's time-out. A failure leaves the old view, and the next surprise begins another refresh.
        drop(tokio::spawn(async move { client.refresh_view().await }));
    }

    /// Between half of a pause and all of it, so that clients that failed together do not come back together.
    pub(crate) fn jittered(&self, pause: Duration) -> Duration {
        let count = self.inner.pauses.fetch_add(1, Ordering::Relaxed);
        let random = xxh3_64_with_seed(&count.to_le_bytes(), self.inner.seed);
        pause / 2 + (pause / 2).mul_f64((random >> 32) as f64 / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_needs_addresses() {
        assert!(matches!(Client::new::<&str>([]), Err(Error::InvalidAddress { .. })));
        assert!(matches!(Client::new(["a:1", "b"]), Err(Error::InvalidAddress { address, .. }) if address == "b"));
    }

    #[test]
    fn jitter_stays_within_half_and_all() {
        let client = Client::new(["a:1"]).unwrap();
        let pause = Duration::from_millis(100);
        let drawn: Vec<Duration> = (0..100).map(|_| client.jittered(pause)).collect();
        assert!(drawn.iter().all(|&jittered| (pause / 2..=pause).contains(&jittered)));
        assert!(drawn.iter().any(|&jittered| jittered != drawn[0]));
    }

    #[test]
    fn the_keys_replicas_come_first_then_the_given_nodes_then_the_others() {
        let client = Client::new(["seed:1"]).unwrap();
        let shard = |id, nodes: [&str; 2]| Shard { id, replicas: nodes.map(|n| n.parse().unwrap()).to_vec() };
        let view = View { shards: vec![shard(1, ["a:1", "b:1"]), shard(2, ["c:1", "d:1"])] };
        assert_eq!(client.candidates(Some("k")), ["seed:1".parse().unwrap()]);
        *client.inner.view.write().unwrap() = Some(Arc::new(view.clone()));
        for key in ["k", "user:1", "another", "x"] {
            let candidates = client.candidates(Some(key));
            let own = &view.shard_of(key).unwrap().replicas;
            assert!(candidates[..2].iter().all(|node| own.contains(node)));
            assert_eq!(candidates[2].as_str(), "seed:1");
            assert_eq!(candidates.len(), 5);
            assert_eq!(candidates, client.candidates(Some(key)), "a client stays with one replica");
        }
    }
}
