//! Which nodes are let in: those that prove to know the cluster's secret, if it has one.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use parking_lot::Mutex;

use crate::access::secret;
use crate::http::errors::Failure;
use crate::http::reply::Response;
use crate::live_file::Live;
use crate::peer::proof::{self, NONCE_HEADER, Nonce, PROOF_HEADER, Side, Terms};
use crate::peer::wire::Wire;
use crate::peer::{ADDRESS_HEADER, CLUSTER_HEADER, EPOCH_HEADER};
use crate::secrets::{SecretId, Secrets};

/// The secrets that nodes must know; none if they need not know any.
pub(crate) type Shared = Option<Arc<Live<Secrets>>>;

/// The number that a connection was challenged with. It is good for one answer on that connection.
#[derive(Debug, Default)]
pub(crate) struct Challenge(Mutex<Option<Box<Nonce>>>);

/// By what a link was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pass(pub(crate) Option<SecretId>);

/// What is answered to a node that dials.
pub(crate) enum Verdict {
    /// It is let in. The proof that this node knows the secret too, if the other has shown that it does.
    In(Pass, Option<HeaderValue>),
    /// It is to prove itself.
    Asked(Response),
    /// It is a stranger.
    Stranger(&'static str),
}

impl Pass {
    /// Whether a link that was let in so would be let in now.
    pub(crate) fn is_good(self, shared: &Shared) -> bool {
        shared.as_ref().is_none_or(|secrets| secrets.look(|secrets| secrets.still_take(self.0)))
    }
}

/// Judges a node that dials this one, whose address is `to`. Nothing is kept of it but a number, with its connection.
pub(crate) fn judge(shared: &Shared, challenge: &Challenge, headers: &HeaderMap, to: &str, wire: Wire) -> Verdict {
    let Some(secrets) = shared else { return Verdict::In(Pass(None), None) };
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some(dialler) = proof::nonce(text(NONCE_HEADER)) else {
        return match secrets.look(|secrets| secrets.anyone) {
            true => Verdict::In(Pass(None), None),
            false => Verdict::Stranger("This cluster has a secret: give the node PEER_SECRET_FILE"),
        };
    };
    // Whatever comes of it, the number has been used.
    let challenged = challenge.0.lock().take();
    let proof = text(PROOF_HEADER);
    if proof.is_empty() {
        return ask(challenge);
    }
    let Some(answerer) = challenged else { return Verdict::Stranger("This connection was not asked for a proof") };
    let (from, cluster, epoch) = (text(ADDRESS_HEADER), text(CLUSTER_HEADER), text(EPOCH_HEADER));
    let offered = text(http::header::UPGRADE.as_str());
    let terms = Terms { from, to, cluster, epoch, offered, agreed: "", dialler: &dialler, answerer: &answerer };
    secrets.look(|secrets| {
        let Some(by) = terms.proved_by(secrets, Side::Dials, proof) else {
            return Verdict::Stranger(
                "The proof is not by a secret of this cluster: compare the files of PEER_SECRET_FILE",
            );
        };
        let secret = secrets.all().find(|secret| secret.id == by).unwrap_or(secrets.first());
        let answer = Terms { agreed: &wire.name(), ..terms }.prove(secret, Side::Answers);
        Verdict::In(Pass(Some(by)), HeaderValue::from_str(&answer).ok())
    })
}

/// Asks for a proof by a new number.
fn ask(challenge: &Challenge) -> Verdict {
    let Ok(nonce) = secret::random() else { return Verdict::Stranger("This node has no random numbers to ask with") };
    let Ok(shown) = HeaderValue::from_str(&secret::hex(&nonce)) else { return Verdict::Stranger("No number was made") };
    *challenge.0.lock() = Some(Box::new(nonce));
    let failure = Failure::new(StatusCode::UNAUTHORIZED, "Prove that you know the secret of this cluster");
    let mut response = failure.respond(&Method::GET, "");
    let headers = response.headers_mut();
    headers.insert(http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Precede-Peer"));
    headers.insert(NONCE_HEADER, shown);
    Verdict::Asked(response)
}
