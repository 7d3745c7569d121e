//! Links from other nodes: the upgrade of an HTTP connection, and what arrives on it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use precede_core::id::{Address, NodeId};
use precede_core::limits::MEMBERS_MAX;
use rustls::pki_types::CertificateDer;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::driver::Driver;
use crate::http::connection::Caller;
use crate::http::reply::{Response, empty};
use crate::peer::frame::Frames;
use crate::peer::guard::{self, Pass, Shared, Verdict};
use crate::peer::proof::PROOF_HEADER;
use crate::peer::seldom::Seldom;
use crate::peer::wire::{self, Wire};
use crate::peer::{ADDRESS_HEADER, CLUSTER_HEADER, EPOCH_HEADER, link};
use crate::tls;

/// A link on which nothing arrives for so long is dropped.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Links in at once.
const LINKS_MAX: usize = 4 * MEMBERS_MAX;
/// Messages that are given to the node under one lock.
const BATCH: usize = 8;

/// Counts of the peer path.
#[derive(Debug, Default)]
pub(crate) struct PeerCounts {
    /// Links in now.
    pub(crate) links: AtomicUsize,
    /// Strangers refused since the start.
    pub(crate) strangers: AtomicU64,
    /// Which of them were logged lately.
    told: Seldom,
}

/// Answers a request to upgrade: 101, or why not. Nothing is allocated for a stranger but a number to ask for a proof with.
pub(crate) fn answer(
    caller: &Caller,
    request: &mut http::Request<Incoming>,
) -> Result<Response, (StatusCode, &'static str)> {
    let Caller { app, challenge, certificate, .. } = caller;
    let (driver, counts, headers) = (&app.driver, &app.peers, request.headers());
    let offered = text(headers, UPGRADE.as_str()).filter(|_| request.version() == Version::HTTP_11);
    let Some(wire) = offered.and_then(Wire::agreed) else {
        if offered.is_some_and(|offered| offered.contains(wire::NAME)) {
            let address = text(headers, ADDRESS_HEADER);
            tracing::warn!(
                address,
                offered,
                ours = Wire::offer(),
                "refused a node of a version too far from this one's"
            );
        }
        return Err((
            StatusCode::UPGRADE_REQUIRED,
            "This path is for nodes that speak a version of the wire as this one",
        ));
    };
    let stranger = |why: &'static str| {
        let refused = counts.strangers.fetch_add(1, Ordering::Relaxed) + 1;
        let address = text(headers, ADDRESS_HEADER).unwrap_or_default();
        if counts.told.is_time(address, Instant::now()) {
            tracing::warn!(address, refused, "refused a node: {why}");
        }
        Err((StatusCode::FORBIDDEN, why))
    };
    if app.tls.is_some() && !certificate.as_ref().is_some_and(|shown| is_node(shown, headers)) {
        return stranger(
            "Nodes of this cluster show a certificate of their own host: see TLS_CERT_FILE and TLS_CA_FILE",
        );
    }
    let (pass, proof) = match guard::judge(&app.secrets, challenge, headers, driver.address.as_str(), wire) {
        Verdict::In(pass, proof) => (pass, proof),
        Verdict::Asked(response) => return Ok(response),
        Verdict::Stranger(why) => return stranger(why),
    };
    let cluster = text(headers, CLUSTER_HEADER).and_then(|text| u64::from_str_radix(text, 16).ok());
    let from = text(headers, ADDRESS_HEADER).and_then(|text| Address::parse(text, None).ok());
    let epoch = text(headers, EPOCH_HEADER).and_then(|text| text.parse().ok()).unwrap_or_default();
    let known = |cluster| driver.admits(cluster, epoch, from.as_ref().map_or(driver.me, Address::node_id));
    if !cluster.is_some_and(known) {
        return stranger("This node belongs to another cluster");
    }
    let Some(address) = from else {
        return Err((StatusCode::BAD_REQUEST, "The node's address is missing or malformed"));
    };
    if counts.links.load(Ordering::Relaxed) >= LINKS_MAX {
        return Err((StatusCode::SERVICE_UNAVAILABLE, "Too many links"));
    }
    let (driver, counts, app) = (Arc::clone(driver), Arc::clone(counts), Arc::clone(app));
    let upgraded = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        counts.links.fetch_add(1, Ordering::Relaxed);
        let from = address.node_id();
        if from != driver.me
            && let Some(outbox) = driver.outboxes.open(from, false)
        {
            tokio::spawn(link::keep(Arc::clone(&app), outbox, address.clone()));
        }
        if let Err(error) = receive(&driver, from, wire, (pass, &app.secrets), TokioIo::new(upgraded)).await {
            tracing::debug!(peer = %address, %error, "link in lost");
        }
        counts.links.fetch_sub(1, Ordering::Relaxed);
    });
    let mut response = empty(StatusCode::SWITCHING_PROTOCOLS);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    let name = HeaderValue::from_str(&wire.name()).expect("the name is visible ASCII");
    response.headers_mut().insert(UPGRADE, name);
    if let Some(proof) = proof {
        response.headers_mut().insert(PROOF_HEADER, proof);
    }
    Ok(response)
}

/// Whether a certificate is that of the node that the headers name.
fn is_node(shown: &CertificateDer<'_>, headers: &HeaderMap) -> bool {
    text(headers, ADDRESS_HEADER).is_some_and(|address| tls::is_of(shown, address))
}

/// Takes messages in until the link ends.
async fn receive(
    driver: &Driver,
    from: NodeId,
    wire: Wire,
    (pass, secrets): (Pass, &Shared),
    mut io: TokioIo<hyper::upgrade::Upgraded>,
) -> io::Result<()> {
    let (mut frames, mut arrived, mut batch) = (Frames::new(wire), BytesMut::with_capacity(32 << 10), Vec::new());
    loop {
        while let Some(envelope) = frames.take(&mut arrived)? {
            if envelope.from != from {
                return Err(io::Error::other("a message of another sender"));
            }
            batch.push(envelope);
            if batch.len() >= BATCH {
                driver.receive(batch.drain(..));
            }
        }
        if !batch.is_empty() {
            driver.receive(batch.drain(..));
        }
        match timeout(SILENCE_MAX, io.read_buf(&mut arrived)).await {
            Ok(Ok(0)) => return Ok(()),
            Ok(result) => result?,
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        };
        if !pass.is_good(secrets) {
            return Err(io::Error::other("the secret by which it was let in is no longer taken"));
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
