//! Routes: every request comes by here.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::{CONNECTION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode, Version};
use hyper::body::Incoming;

use crate::access::role::is_administration;
use crate::http::App;
use crate::http::connection::Caller;
use crate::http::errors::{Failure, unknown_path, wrong_method};
use crate::http::memo::Memo;
use crate::http::prepare::{header_token, whole_token};
use crate::http::reply::{self, Response};
use crate::http::{health, keys, shards, view_change};
use crate::peer;

const KEYS: &str = "/kv-store/keys";
const SHARDS: &str = "/kv-store/shards";
/// The path that tells of the view and changes it.
pub(crate) const VIEW_CHANGE: &str = "/kv-store/view-change";

/// What a request line has besides method and target: two spaces, the version, and its end.
const LINE_BYTES: usize = "  HTTP/1.1\r\n".len();

/// Lets so many requests in at once, and no more: nothing queues. It has cache lines of its own: every request writes it.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Gate {
    inside: AtomicUsize,
    limit: usize,
}

/// A request inside the gate.
struct Pass<'a>(&'a Gate);

impl Gate {
    /// A gate.
    pub(crate) fn new(limit: usize) -> Self {
        Self { inside: AtomicUsize::new(0), limit }
    }

    fn enter(&self) -> Option<Pass<'_>> {
        let pass = Pass(self);
        (self.inside.fetch_add(1, Ordering::Relaxed) < self.limit).then_some(pass)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers a request.
pub(crate) async fn answer(caller: &Caller, request: Request<Incoming>) -> Response {
    let Caller { app, activity, from, surplus, memo, .. } = caller;
    let _busy = activity.begin_request(request.version() == Version::HTTP_2);
    if request.uri().path() == peer::PATH {
        return upgrade(caller, request);
    }
    let (head, body) = request.into_parts();
    let draining = app.draining.load(Ordering::Relaxed);
    if let Some(mut response) = too_long(app, &head).or_else(|| probe(app, &head)) {
        if draining && head.version != Version::HTTP_2 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        return response;
    }
    let pass = if *surplus { None } else { app.gate.enter() };
    if pass.is_none() {
        let reason = match (*surplus, draining) {
            (true, true) => "this node is shutting down",
            (true, false) => "this node has reached its limit of connections",
            (false, _) => "this node has reached its limit of concurrent requests",
        };
        return Failure::unavailable(reason).closing().respond(&head.method, &header_token(app, &head));
    }
    let mut entry = is_administration(&head.method, head.uri.path())
        .then(|| app.audit.begin(app.access.who(&head.headers), *from, &head));
    let mut response = match app.access.permit(&head) {
        Ok(()) => route(app, memo, &head, body).await,
        Err(failure) => refuse(app, &head, body, &failure).await,
    };
    if let Some(entry) = &mut entry {
        entry.answered(&mut response);
    }
    if response.headers().get(CONTENT_TYPE).is_none_or(|kind| kind != reply::JSON) {
        activity.on_raw();
    }
    response
}

/// Refuses a request for want of a role. Of a stranger the body is not read.
async fn refuse(app: &App, head: &Parts, body: Incoming, failure: &Failure) -> Response {
    let token = match failure.status {
        StatusCode::UNAUTHORIZED => header_token(app, head),
        _ => whole_token(app, head, body).await,
    };
    failure.respond(&head.method, &token)
}

async fn route(app: &App, memo: &Memo, head: &Parts, body: Incoming) -> Response {
    let path = head.uri.path();
    if let Some(key) = key_of(path) {
        return match head.method {
            Method::GET | Method::PUT | Method::DELETE => keys::answer(app, memo, head, key, body).await,
            _ => wrong_method(&head.method, "GET, PUT, DELETE", &whole_token(app, head, body).await),
        };
    }
    let route = match path {
        VIEW_CHANGE => {
            return match head.method {
                Method::PUT | Method::GET => view_change::answer(app, head, body).await,
                _ => wrong_method(&head.method, "GET, PUT", &whole_token(app, head, body).await),
            };
        }
        "/kv-store/key-count" => shards::Route::KeyCount,
        SHARDS => shards::Route::Shards,
        _ => match path.strip_prefix(SHARDS).and_then(|rest| rest.strip_prefix('/')) {
            Some(id) if !id.contains('/') => shards::Route::Shard(id),
            Some(_) | None => {
                return unknown_path(&head.method, &whole_token(app, head, body).await);
            }
        },
    };
    match head.method {
        Method::GET => shards::answer(app, head, route, body).await,
        _ => wrong_method(&head.method, "GET", &whole_token(app, head, body).await),
    }
}

/// Probes have a budget of their own: they are answered however busy the node is.
fn probe(app: &App, head: &Parts) -> Option<Response> {
    let token = || header_token(app, head);
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/healthz") => Some(health::alive(&token())),
        (&Method::GET, "/readyz") => Some(health::ready(app, &token())),
        (method, "/healthz" | "/readyz") => Some(wrong_method(method, "GET", &token())),
        _ => None,
    }
}

/// Whether the head is longer than it may be: request line and header fields together. A key has a limit of its own, and
/// does not count here.
fn too_long(app: &App, head: &Parts) -> Option<Response> {
    let fields: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let key = key_of(head.uri.path()).map_or(0, str::len);
    (head.method.as_str().len() + LINE_BYTES + target - key + fields > app.limits.header_bytes).then(|| {
        let error = format!("Request header is too large: the limit is {} bytes", app.limits.header_bytes);
        let failure = Failure::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, error).closing();
        failure.respond(&head.method, &header_token(app, head))
    })
}

/// The key, as it stands in the path, if the path is that of a key.
fn key_of(path: &str) -> Option<&str> {
    let key = path.strip_prefix(KEYS)?;
    if key.is_empty() { Some(key) } else { key.strip_prefix('/') }
}

fn upgrade(caller: &Caller, mut request: Request<Incoming>) -> Response {
    match peer::upgrade::answer(caller, &mut request) {
        Ok(response) => response,
        Err((status, error)) => Failure::new(status, error).closing().respond(request.method(), ""),
    }
}
