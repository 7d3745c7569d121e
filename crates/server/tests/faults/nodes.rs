//! A cluster of real processes as these tests need it: with its view, and a client that shows everything.

use std::sync::Arc;
use std::time::Duration;

use precede_client::{Client, View};

use crate::cluster::Cluster;
use crate::finals;
use crate::raw::Raw;
use crate::until::until;

/// A running cluster. Its processes end with it.
pub(crate) struct Nodes {
    pub(crate) addresses: Vec<String>,
    pub(crate) view: Arc<View>,
    pub(crate) raw: Raw,
    cluster: Cluster,
}

impl Nodes {
    /// Starts a cluster and waits until all of it is ready.
    pub(crate) async fn start(count: usize, factor: usize) -> Self {
        let cluster = Cluster::start(count, factor);
        let addresses: Vec<String> = cluster.nodes.iter().map(|node| node.address.clone()).collect();
        let client = Client::new(&addresses).expect("the addresses are valid");
        let view = client.refresh_view().await.expect("a cluster that is ready tells its view");
        Self { addresses, view, raw: Raw::new(Duration::from_secs(3)), cluster }
    }

    /// Ends a process without warning.
    pub(crate) fn kill(&mut self, index: usize) {
        self.cluster.kill(index);
    }

    /// Starts a process again that was killed.
    pub(crate) fn restart(&mut self, index: usize) {
        self.cluster.restart(index);
    }

    /// Stops a process: it does nothing, and its connections stay open.
    pub(crate) fn pause(&self, index: usize) {
        self.cluster.pause(index);
    }

    /// Lets a stopped process go on.
    pub(crate) fn resume(&self, index: usize) {
        self.cluster.resume(index);
    }

    /// Waits until a node is ready.
    pub(crate) async fn ready(&self, index: usize) {
        let address = &self.addresses[index];
        until(&format!("{address} is ready"), async || self.raw.is_ready(address).await.then_some(())).await;
    }

    /// Waits until all nodes are.
    pub(crate) async fn all_ready(&self) {
        for index in 0..self.addresses.len() {
            self.ready(index).await;
        }
    }

    /// Waits until every node itself shows all that a context names, so that any single one may die without a loss.
    pub(crate) async fn hold(&self, context: &str) {
        finals::shown(&self.view, &self.raw, context).await;
    }

    /// A key that belongs to a shard.
    pub(crate) fn key_of(&self, shard: u32, name: &str) -> String {
        finals::key_of(&self.view, shard, name)
    }
}
