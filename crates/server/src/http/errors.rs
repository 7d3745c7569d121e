//! Errors as responses. The one place where a core's refusal becomes a status.

use http::header::{ALLOW, CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, StatusCode};
use precede_core::wire::request::Refusal;

use crate::http::json::Object;
use crate::http::reply::{self, REASON, Response};

/// The text of every 503 about a key or a shard; the reason is in a header.
pub(crate) const UNSATISFIABLE: &str = "Unable to satisfy request";

/// An error to be answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The status.
    pub(crate) status: StatusCode,
    /// The text of the field `error`.
    pub(crate) error: String,
    /// More about it, for a header.
    pub(crate) reason: Option<String>,
    /// Whether what is left of the request cannot be read any more.
    pub(crate) close: bool,
}

impl Failure {
    /// An error with a text.
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), reason: None, close: false }
    }

    /// A client's mistake.
    pub(crate) fn bad(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    /// Something that may work a little later.
    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, UNSATISFIABLE) }
    }

    /// The same, and the connection cannot go on.
    pub(crate) fn closing(self) -> Self {
        Self { close: true, ..self }
    }

    /// The response; `token` is the request's context.
    pub(crate) fn respond(&self, method: &Method, token: &str) -> Response {
        self.respond_with(self.body(method, token), token)
    }

    /// The response to what another node has refused; `address` is that node's.
    pub(crate) fn respond_from(&self, method: &Method, token: &str, address: &str) -> Response {
        self.respond_with(self.body(method, token).text("address", address), token)
    }

    fn body(&self, method: &Method, token: &str) -> Object {
        let message = format!("Error in {method}");
        Object::new(192 + token.len()).text("error", &self.error).text("message", &message).context(token)
    }

    /// The response with a body of its own.
    pub(crate) fn respond_with(&self, body: Object, token: &str) -> Response {
        let mut response = reply::json(self.status, body.finish(), token);
        let headers = response.headers_mut();
        if let Some(reason) = &self.reason {
            headers.insert(REASON, reply::visible(reason));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// A path that does not exist.
pub(crate) fn unknown_path(method: &Method, token: &str) -> Response {
    Failure::new(StatusCode::NOT_FOUND, "Unknown path").respond(method, token)
}

/// A method that a path does not know.
pub(crate) fn wrong_method(method: &Method, allowed: &[&str], token: &str) -> Response {
    let allow = allowed.join(", ");
    let error = format!("Method not allowed: this path knows {allow}");
    let mut response = Failure::new(StatusCode::METHOD_NOT_ALLOWED, error).respond(method, token);
    response.headers_mut().insert(ALLOW, reply::visible(&allow));
    response
}

/// What a refusal of the core is to a client.
pub(crate) fn from_refusal(refusal: &Refusal) -> Failure {
    match refusal {
        Refusal::ContextFromTheFuture { .. } | Refusal::BadView(_) => Failure::bad(refusal.to_string()),
        Refusal::ViewChangeInProgress(_) | Refusal::UnexpectedEpoch { .. } => {
            Failure::new(StatusCode::CONFLICT, refusal.to_string())
        }
        Refusal::WouldGiveUp(_) => Failure::new(StatusCode::SERVICE_UNAVAILABLE, refusal.to_string()),
        Refusal::ViewLost => Failure::new(StatusCode::GONE, refusal.to_string()),
        Refusal::Unsatisfied
        | Refusal::NoReplica { .. }
        | Refusal::NotMet { .. }
        | Refusal::Overloaded { .. }
        | Refusal::NotOwner
        | Refusal::TooLate => Failure::unavailable(refusal.to_string()),
        Refusal::OutcomeUnknown => Failure::new(StatusCode::GATEWAY_TIMEOUT, refusal.to_string()),
        Refusal::NameTaken => Failure::new(StatusCode::UNPROCESSABLE_ENTITY, refusal.to_string()),
        Refusal::MemoryFull { .. } => Failure::new(StatusCode::INSUFFICIENT_STORAGE, refusal.to_string()),
    }
}
