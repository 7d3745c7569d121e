//! Requests without any cleverness: one node, one attempt, and every header of the answer to be seen.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

/// A client that keeps connections to all nodes.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    client: Client<HttpConnector, Full<Bytes>>,
    patience: Duration,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// There was no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Silence {
    /// The request has surely not been sent.
    #[error("not sent: {0}")]
    Unsent(String),
    /// Anything may have happened.
    #[error("sent, and not answered: {0}")]
    Unknown(String),
}

impl Raw {
    /// A client that waits so long for an answer.
    pub(crate) fn new(patience: Duration) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), patience }
    }

    pub(crate) async fn get(&self, node: &str, key: &str, context: &str) -> Result<Answer, Silence> {
        self.send(node, Method::GET, &format!("/kv-store/keys/{key}?raw"), context, String::new()).await
    }

    pub(crate) async fn put(&self, node: &str, key: &str, value: &str, context: &str) -> Result<Answer, Silence> {
        let body = serde_json::json!({ "value": value }).to_string();
        self.send(node, Method::PUT, &format!("/kv-store/keys/{key}"), context, body).await
    }

    pub(crate) async fn delete(&self, node: &str, key: &str, context: &str) -> Result<Answer, Silence> {
        self.send(node, Method::DELETE, &format!("/kv-store/keys/{key}"), context, String::new()).await
    }

    /// Whether a node says that clients should be sent to it.
    pub(crate) async fn is_ready(&self, node: &str) -> bool {
        self.readiness(node).await.is_ok_and(|answer| answer.status == 200)
    }

    /// The same, with its reasons.
    pub(crate) async fn readiness(&self, node: &str) -> Result<Answer, Silence> {
        self.send(node, Method::GET, "/readyz", "", String::new()).await
    }

    /// How many keys a node holds, if it says so.
    pub(crate) async fn key_count(&self, node: &str) -> Option<u64> {
        let answer = self.send(node, Method::GET, "/kv-store/key-count", "", String::new()).await.ok()?;
        serde_json::from_slice::<serde_json::Value>(&answer.body).ok()?.get("key-count")?.as_u64()
    }

    /// Sends a request. `context` is one token, or several with commas between, or empty.
    async fn send(
        &self,
        node: &str,
        method: Method,
        target: &str,
        context: &str,
        body: String,
    ) -> Result<Answer, Silence> {
        let mut request = Request::builder().method(method).uri(format!("http://{node}{target}"));
        if !context.is_empty() {
            request = request.header("causal-context", context);
        }
        let request = request.body(Full::from(body)).expect("the request is well-formed");
        match timeout(self.patience, self.exchange(request)).await {
            Ok(ended) => ended,
            Err(_) => Err(Silence::Unknown(format!("{node} did not answer within {:?}", self.patience))),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, Silence> {
        let response = self.client.request(request).await.map_err(|error| match error.is_connect() {
            true => Silence::Unsent(error.to_string()),
            false => Silence::Unknown(error.to_string()),
        })?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| Silence::Unknown(error.to_string()))?.to_bytes();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }
}

impl Answer {
    /// The context to go on with.
    pub(crate) fn context(&self) -> String {
        self.header("causal-context").unwrap_or_default()
    }

    /// The node that served the request.
    pub(crate) fn served_by(&self) -> String {
        self.header("precede-node").unwrap_or_default()
    }

    /// The version read or written.
    pub(crate) fn version(&self) -> Option<String> {
        self.header("precede-version")
    }

    /// On how many replicas the write was.
    pub(crate) fn acks(&self) -> usize {
        self.header("precede-acks").and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// Whether the write may have taken effect twice.
    pub(crate) fn may_be_repeated(&self) -> bool {
        self.header("precede-repeat").is_some()
    }

    /// The value that was read.
    pub(crate) fn value(&self) -> String {
        serde_json::from_slice(&self.body).expect("all values are JSON strings")
    }

    /// Why the request was refused.
    pub(crate) fn reason(&self) -> String {
        self.header("precede-reason").unwrap_or_default()
    }

    /// The answer, for messages.
    pub(crate) fn describe(&self) -> String {
        let reason = self.reason();
        format!("{} from {}: {} {reason}", self.status, self.served_by(), String::from_utf8_lossy(&self.body))
    }

    /// A header.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        Some(self.headers.get(name)?.to_str().expect("headers are visible ASCII").to_owned())
    }
}
