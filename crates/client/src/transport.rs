//! One attempt at one node: connections, the request's bytes, the answer's bytes, and time limits.

use std::error::Error as StdError;
use std::pin::pin;
use std::time::Duration;

use http::Uri;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::uri::Scheme;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};

use crate::reply::Reply;
use crate::request::Request;
use crate::withdrawal::{RequestBody, Withdrawal};
use crate::{Address, Context, tls};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// For how long an unused connection is kept: less than a node keeps it, or writes would meet connections that the
/// node is just closing.
const IDLE_MAX: Duration = Duration::from_secs(15);
/// How many unused connections to one node are kept.
const IDLE_PER_NODE_MAX: usize = 64;

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// With an answer.
    Replied(Reply),
    /// Surely before the node got the request.
    NotSent(String),
    /// Without a whole answer, after the node may have got the request.
    Broken(String),
    /// With an answer that is larger than the client takes.
    TooLarge,
}

/// When an attempt is given up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// If it has not been sent by then.
    pub(crate) sent_by: Instant,
    /// If it has not been answered by then.
    pub(crate) answered_by: Instant,
}

/// The connections to all nodes.
#[derive(Debug)]
pub(crate) struct Transport {
    http: legacy::Client<HttpsConnector<HttpConnector>, RequestBody>,
    response_bytes_max: usize,
    /// What nodes are shown.
    authorization: Option<HeaderValue>,
    /// Whether nodes speak TLS.
    scheme: Scheme,
}

impl Transport {
    pub(crate) fn new(
        connect_timeout: Duration,
        response_bytes_max: usize,
        authorization: Option<HeaderValue>,
        tls: Option<ClientConfig>,
    ) -> Self {
        let scheme = if tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        // Shared among the addresses that a name resolves to, so that a dead one does not take the attempt's whole
        // time.
        connector.set_connect_timeout(Some(connect_timeout));
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_PER_NODE_MAX)
            .build(tls::connector(connector, tls));
        Self { http, response_bytes_max, authorization, scheme }
    }

    /// Sends the request to the node and awaits the whole answer.
    pub(crate) async fn attempt(
        &self,
        node: &Address,
        request: &Request,
        context: &Context,
        limits: Limits,
    ) -> Attempt {
        let withdrawal = Withdrawal::default();
        let call = self.call(node, request, context, withdrawal.clone());
        // In an inner scope, so that the call has ended, and its connection with it, before it is judged.
        let ended = {
            let mut call = pin!(call);
            match timeout_at(limits.sent_by, &mut call).await {
                Ok(ended) => Some(ended),
                Err(_) if withdrawal.withdraw() => None,
                Err(_) => timeout_at(limits.answered_by, call).await.ok(),
            }
        };
        match ended {
            Some(Ok(reply)) => Attempt::Replied(reply),
            Some(Err(Failure::TooLarge)) => Attempt::TooLarge,
            Some(Err(Failure::Io(reason))) if withdrawal.withdraw() => Attempt::NotSent(reason),
            Some(Err(Failure::Io(reason))) => Attempt::Broken(reason),
            None if withdrawal.withdraw() => Attempt::NotSent("no connection came about in time".to_owned()),
            None => Attempt::Broken("no answer came in time".to_owned()),
        }
    }

    async fn call(
        &self,
        node: &Address,
        request: &Request,
        context: &Context,
        withdrawal: Withdrawal,
    ) -> Result<Reply, Failure> {
        let body = RequestBody::new(request.body.clone(), withdrawal);
        let mut message = with_head((&self.scheme, node), request, context, body);
        if let Some(authorization) = &self.authorization {
            message.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        let response = self.http.request(message).await.map_err(|e| Failure::io(&e))?;
        let (head, body) = response.into_parts();
        let body = match Limited::new(body, self.response_bytes_max).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => return Err(Failure::TooLarge),
            Err(error) => return Err(Failure::io(error.as_ref())),
        };
        Ok(Reply { asked: node.clone(), status: head.status, headers: head.headers, body })
    }

    /// The size beyond which answers are not taken, in bytes.
    pub(crate) fn response_bytes_max(&self) -> usize {
        self.response_bytes_max
    }
}

/// Puts the head before the body: method, target, context.
fn with_head(
    (scheme, node): (&Scheme, &Address),
    request: &Request,
    context: &Context,
    body: RequestBody,
) -> http::Request<RequestBody> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme.clone());
    parts.authority = Some(node.authority());
    parts.path_and_query = Some(request.target.clone());
    let uri = Uri::from_parts(parts).expect("scheme, authority and path make a URI");

    let mut message = http::Request::new(body);
    *message.method_mut() = request.method.clone();
    *message.uri_mut() = uri;
    let headers = message.headers_mut();
    for token in context.tokens() {
        headers.append(crate::context::CAUSAL_CONTEXT, token.clone());
    }
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    if let Some(name) = &request.idempotency_key {
        headers.insert(IDEMPOTENCY_KEY, name.clone());
    }
    if let Some(content_type) = &request.content_type {
        headers.insert(CONTENT_TYPE, content_type.clone());
    }
    message
}

/// Why a call gave no answer.
#[derive(Debug)]
enum Failure {
    Io(String),
    TooLarge,
}

impl Failure {
    /// An error with its causes, outermost first.
    fn io(error: &(dyn StdError + 'static)) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        Self::Io(text)
    }
}
