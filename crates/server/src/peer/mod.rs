//! Other nodes. Each node keeps one link to every other, which it sends on and never reads from; what it receives comes
//! in on theirs. Links are HTTP connections of the public port, upgraded.

pub(crate) mod frame;
mod greeting;
pub(crate) mod guard;
pub(crate) mod link;
pub(crate) mod outbox;
mod proof;
pub(crate) mod seldom;
pub(crate) mod upgrade;
pub(crate) mod wire;

use std::collections::HashSet;
use std::sync::Arc;

use precede_core::id::{Address, NodeId};

use crate::http::App;

/// The path that is upgraded.
pub(crate) const PATH: &str = "/precede/peer";
/// The header with the cluster's fingerprint, in hexadecimal digits.
pub(crate) const CLUSTER_HEADER: &str = "precede-cluster";
/// The header with the epoch of the sender's view; 0 if there is none.
pub(crate) const EPOCH_HEADER: &str = "precede-epoch";
/// The header with the sender's address.
pub(crate) const ADDRESS_HEADER: &str = "precede-address";

/// Keeps a link to everybody whom the node wants to speak to. The node hears of each that there is no link yet: while it
/// has not heard of one, nothing that it sends there leaves this process.
pub(crate) fn start(app: &Arc<App>) {
    let (app, driver, mut reach) = (Arc::clone(app), Arc::clone(&app.driver), app.driver.reach());
    tokio::spawn(async move {
        loop {
            let addresses = reach.borrow_and_update().clone();
            let wanted: HashSet<NodeId> = addresses.iter().map(Address::node_id).collect();
            driver.outboxes.keep_only(&wanted);
            for address in addresses.into_iter().filter(|address| *address != driver.address) {
                if let Some(outbox) = driver.outboxes.open(address.node_id(), true) {
                    driver.disconnected(outbox.node);
                    tokio::spawn(link::keep(Arc::clone(&app), outbox, address));
                }
            }
            if reach.changed().await.is_err() {
                return;
            }
        }
    });
}
