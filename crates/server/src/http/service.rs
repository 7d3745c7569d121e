//! Routes: every request comes by here.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::{CONNECTION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode, Version};
use hyper::body::Incoming;

use crate::http::App;
use crate::http::activity::Activity;
use crate::http::errors::{Failure, unknown_path, wrong_method};
use crate::http::memo::Memo;
use crate::http::prepare::{header_token, whole_token};
use crate::http::reply::{self, Response};
use crate::http::route::Route;
use crate::http::{dashboard, health, keys, metrics, shards, status, view_change};
use crate::peer;

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

/// What becomes of a request at the gate.
enum Entry<'a> {
    /// It is let in; what is open needs no pass.
    In(Option<Pass<'a>>),
    /// It is answered.
    Answered(Response),
}

impl Gate {
    /// A gate.
    pub(crate) fn new(limit: usize) -> Self {
        Self { inside: AtomicUsize::new(0), limit }
    }

    /// How many are inside.
    pub(crate) fn inside(&self) -> usize {
        self.inside.load(Ordering::Relaxed)
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

/// Answers a request, and counts it. `surplus`: the connection is beyond the limit, or began while this node is ending, and only nodes and
/// probes are served on it. `memo`: what the connection was given last.
pub(crate) async fn answer(
    app: &App,
    activity: &Activity,
    memo: &Memo,
    surplus: bool,
    request: Request<Incoming>,
) -> Response {
    let busy = activity.begin_request(request.version() == Version::HTTP_2);
    if request.uri().path() == peer::PATH {
        let method = request.method().clone();
        let response = upgrade(app, request);
        app.counts.on_answer(Route::Peer, &method, response.status(), busy.finish());
        return response;
    }
    let (head, body) = request.into_parts();
    let route = Route::of(head.uri.path());
    let mut response = match admit(app, route, surplus, &head) {
        Entry::In(_pass) => respond(app, memo, route, &head, body).await,
        Entry::Answered(response) => response,
    };
    if route.is_open() && app.draining.load(Ordering::Relaxed) && head.version != Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if response.headers().get(CONTENT_TYPE).is_none_or(|kind| kind != reply::JSON) {
        activity.on_raw();
    }
    app.counts.on_answer(route, &head.method, response.status(), busy.finish());
    response
}

/// Lets a request in, if it may be. What is open is served however busy the node is.
fn admit<'a>(app: &'a App, route: Route<'_>, surplus: bool, head: &Parts) -> Entry<'a> {
    if let Some(response) = too_long(app, route, head) {
        return Entry::Answered(response);
    }
    if route.is_open() {
        return Entry::In(None);
    }
    if let Some(pass) = app.gate.enter().filter(|_| !surplus) {
        return Entry::In(Some(pass));
    }
    let reason = match (surplus, app.draining.load(Ordering::Relaxed)) {
        (true, true) => "this node is shutting down",
        (true, false) => "this node has reached its limit of connections",
        (false, _) => "this node has reached its limit of concurrent requests",
    };
    Entry::Answered(Failure::unavailable(reason).closing().respond(&head.method, &header_token(app, head)))
}

async fn respond(app: &App, memo: &Memo, route: Route<'_>, head: &Parts, body: Incoming) -> Response {
    let token = || header_token(app, head);
    match (route, &head.method) {
        (Route::Key(key), &Method::GET | &Method::PUT | &Method::DELETE) => {
            keys::answer(app, memo, head, key, body).await
        }
        (Route::ViewChange, &Method::PUT | &Method::GET) => view_change::answer(app, head, body).await,
        (Route::Shards(asked), &Method::GET) => shards::answer(app, head, asked, body).await,
        (Route::Status, &Method::GET) => Box::pin(status::answer(app, head, &token())).await,
        (Route::Metrics, &Method::GET) => metrics::answer(app, &token()),
        (Route::Dashboard(asset), &Method::GET) => dashboard::answer(asset, &token()),
        (Route::Alive, &Method::GET) => health::alive(&token()),
        (Route::Ready, &Method::GET) => health::ready(app, &token()),
        (Route::Unknown | Route::Peer, method) => unknown_path(method, &whole_token(app, head, body).await),
        (_, method) => wrong_method(method, route.methods(), &whole_token(app, head, body).await),
    }
}

/// Whether the head is longer than it may be: request line and header fields together. A key has a limit of its own, and
/// does not count here.
fn too_long(app: &App, route: Route<'_>, head: &Parts) -> Option<Response> {
    let fields: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let key = if let Route::Key(key) = route { key.len() } else { 0 };
    (head.method.as_str().len() + LINE_BYTES + target - key + fields > app.limits.header_bytes).then(|| {
        let error = format!("Request header is too large: the limit is {} bytes", app.limits.header_bytes);
        let failure = Failure::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, error).closing();
        failure.respond(&head.method, &header_token(app, head))
    })
}

fn upgrade(app: &App, mut request: Request<Incoming>) -> Response {
    match peer::upgrade::answer(&app.driver, &app.peers, &mut request) {
        Ok(response) => response,
        Err((status, error)) => Failure::new(status, error).closing().respond(request.method(), ""),
    }
}
