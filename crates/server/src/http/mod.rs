//! Clients: HTTP/1.1 with keep-alive and pipelining, and HTTP/2 with prior knowledge, on one port.
//!
//! Hyper is used directly: the routes of keys are the hot path.

pub(crate) mod accept;
mod activity;
mod barrier;
pub(crate) mod body;
pub(crate) mod connection;
mod context;
mod counts;
mod dashboard;
pub(crate) mod errors;
mod exposition;
mod fixed;
pub(crate) mod health;
mod idempotency;
mod json;
mod keys;
mod memo;
mod metrics;
pub(crate) mod openapi;
pub(crate) mod params;
mod prepare;
mod raw;
pub(crate) mod reply;
pub(crate) mod routes;
mod seal;
mod service;
mod shards;
mod socket;
mod status;
mod unread;
pub(crate) mod view_change;
pub(crate) mod workers;

pub(crate) use crate::http::context::Merger;
pub(crate) use crate::http::json::Object;
pub(crate) use crate::http::memo::Memo;
pub(crate) use crate::http::routes::{BARRIER, VIEW_CHANGE};
pub(crate) use crate::http::seal::Issuer;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

use http::HeaderValue;
use precede_core::causality::context::Context;

use crate::access::Access;
use crate::access::audit::Audit;
use crate::driver::Driver;
use crate::http::body::BodyBudget;
use crate::http::counts::Counts;
use crate::http::service::Gate;
use crate::http::unread::Unread;
use crate::http::workers::Workers;
use crate::peer::guard::Shared;
use crate::peer::upgrade::PeerCounts;
use crate::security::Security;
use crate::settings::HttpLimits;
use crate::status::Watch;
use crate::tls::Tls;

/// What every request needs.
pub(crate) struct App {
    /// The node.
    pub(crate) driver: Arc<Driver>,
    /// Limits of requests and connections.
    pub(crate) limits: HttpLimits,
    /// Whether the node is on its way to its end.
    pub(crate) draining: AtomicBool,
    /// Counts of the peer path.
    pub(crate) peers: Arc<PeerCounts>,
    /// What nodes must know.
    pub(crate) secrets: Shared,
    /// How connections are encrypted.
    pub(crate) tls: Tls,
    /// Who may do what.
    pub(crate) access: Access,
    /// What is told of changes to the cluster.
    pub(crate) audit: Audit,
    /// The threads that serve connections, as long as they are kept.
    workers: Weak<Workers>,
    /// Counts of requests.
    pub(crate) counts: Counts,
    /// What the other nodes have said of themselves.
    pub(crate) watch: Watch,
    gate: Gate,
    budget: BodyBudget,
    unread: Unread,
    own_name: HeaderValue,
}

impl App {
    /// The HTTP side of a node.
    pub(crate) fn new(driver: Arc<Driver>, limits: HttpLimits, security: Security, workers: &Arc<Workers>) -> Self {
        let own_name = HeaderValue::from_str(driver.address.as_str()).expect("an address is visible ASCII");
        Self {
            workers: Arc::downgrade(workers),
            counts: Counts::default(),
            watch: Watch::default(),
            access: security.access,
            secrets: security.secrets,
            tls: security.tls,
            audit: Audit::default(),
            gate: Gate::new(limits.requests),
            budget: BodyBudget::default(),
            unread: Unread::new(limits.unread_bytes),
            draining: AtomicBool::new(false),
            peers: Arc::default(),
            driver,
            limits,
            own_name,
        }
    }

    /// The token of a context, as clients get it.
    pub(crate) fn token(&self, context: &Context) -> String {
        self.issuer().token(context)
    }

    /// Who issues contexts here.
    pub(crate) fn issuer(&self) -> Issuer<'_> {
        Issuer { cluster: self.driver.fingerprint(), secrets: &self.secrets }
    }

    /// How many connections are open.
    pub(crate) fn connections(&self) -> usize {
        self.workers.upgrade().map_or(0, |workers| workers.connections())
    }

    /// How many requests are being answered.
    pub(crate) fn in_progress(&self) -> usize {
        self.gate.inside()
    }

    /// How many bytes of large answers have not left yet.
    pub(crate) fn unread_bytes(&self) -> usize {
        self.unread.bytes()
    }
}
