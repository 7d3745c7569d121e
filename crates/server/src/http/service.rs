//! Routes: every request comes by here.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::{CONNECTION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version};
use hyper::body::Incoming;

use crate::access::role::is_administration;
use crate::http::App;
use crate::http::connection::Caller;
use crate::http::errors::{Failure, unknown_path, wrong_method};
use crate::http::memo::Memo;
use crate::http::prepare::{header_token, whole_token};
use crate::http::reply::{self, CAUSAL_CONTEXT, Response};
use crate::http::routes::{self, Found, Kind, To};
use crate::http::{barrier, dashboard, health, keys, metrics, openapi, shards, status, unread, view_change};
use crate::peer;
use crate::trace::answered;
use crate::trace::context::is_mark;

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

/// Answers a request, and counts it.
pub(crate) async fn answer(caller: &Caller, request: Request<Incoming>) -> Response {
    let Caller { app, activity, .. } = caller;
    let busy = activity.begin_request(request.version() == Version::HTTP_2);
    if request.uri().path() == peer::PATH {
        let method = request.method().clone();
        let response = upgrade(caller, request);
        app.counts.on_answer(Kind::Peer, &method, response.status(), busy.finish());
        return response;
    }
    let (mut head, body) = request.into_parts();
    let fields = Fields::of(&head.headers);
    let is_sampled = app.driver.traces.samples();
    let is_followed = fields.mark || is_sampled;
    if is_followed {
        head.extensions.insert(app.driver.traces.follow(&head.headers, is_sampled));
    }
    let found = routes::find(head.uri.path());
    let to = found.map(|(route, _)| route.to);
    let is_open = to.is_some_and(To::is_open);
    let entry = too_long(app, &head, fields.bytes, found).map_or_else(|| admit(caller, is_open), Err);
    let mut response = match entry {
        Ok(pass) => {
            let response = permitted(caller, &head, found, body).await;
            drop(pass);
            match unread::is_large(&response, head.version) {
                true => Box::pin(held(app, &head, to, response)).await,
                false => response,
            }
        }
        Err(failure) => failure.respond(&head.method, &header_token(app, &head)),
    };
    if is_open && app.draining.load(Ordering::Relaxed) && head.version != Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let micros = busy.finish();
    app.counts.on_answer(to.map_or(Kind::Unknown, To::kind), &head.method, response.status(), micros);
    if is_followed || response.status().is_server_error() {
        answered::tell(app, &head, found, &mut response, micros);
    }
    if response.headers().get(CONTENT_TYPE).is_none_or(|kind| kind != reply::JSON) {
        activity.on_raw();
    }
    response
}

/// Lets a request in, if there is room. What is open is served however busy the node is, and on connections beyond the limit.
fn admit(caller: &Caller, is_open: bool) -> Result<Option<Pass<'_>>, Failure> {
    if is_open {
        return Ok(None);
    }
    if let Some(pass) = caller.app.gate.enter().filter(|_| !caller.surplus) {
        return Ok(Some(pass));
    }
    let reason = match (caller.surplus, caller.app.draining.load(Ordering::Relaxed)) {
        (true, true) => "this node is shutting down",
        (true, false) => "this node has reached its limit of connections",
        (false, _) => "this node has reached its limit of concurrent requests",
    };
    Err(Failure::unavailable(reason).closing())
}

/// Counts a large answer until it has left, or refuses the request. Of reads of keys only: whoever has written must hear what became
/// of it, and how the node is must be known then most of all.
async fn held(app: &App, head: &Parts, to: Option<To>, response: Response) -> Response {
    let may_refuse = to == Some(To::Key) && head.method == Method::GET;
    app.unread.hold(response, may_refuse).await.unwrap_or_else(|refused| {
        let limit = app.limits.unread_bytes;
        let reason =
            format!("clients have yet to read {limit} bytes of answers, which is the limit (MAX_UNREAD_BYTES)");
        // It has the request's context, from wherever that came.
        let token = refused.headers().get(CAUSAL_CONTEXT).and_then(|token| token.to_str().ok()).unwrap_or_default();
        Failure::unavailable(reason).respond(&head.method, token)
    })
}

/// Answers a request that has been let in, if who sends it may have that, and keeps the audit.
async fn permitted(caller: &Caller, head: &Parts, found: Found<'_>, body: Incoming) -> Response {
    let Caller { app, memo, from, .. } = caller;
    if found.is_some_and(|(route, _)| route.to.is_public()) {
        return route(app, memo, head, found, body).await;
    }
    let mut entry = is_administration(&head.method, head.uri.path())
        .then(|| app.audit.begin(app.access.who(&head.headers), *from, head));
    let mut response = match app.access.permit(head) {
        Ok(()) => route(app, memo, head, found, body).await,
        Err(failure) => refuse(app, head, body, &failure).await,
    };
    if let Some(entry) = &mut entry {
        entry.answered(&mut response);
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

async fn route(app: &App, memo: &Memo, head: &Parts, found: Found<'_>, body: Incoming) -> Response {
    let Some((route, part)) = found else {
        return unknown_path(&head.method, &whole_token(app, head, body).await);
    };
    if !route.knows(head.method.as_str()) {
        return wrong_method(&head.method, route.methods, &whole_token(app, head, body).await);
    }
    match route.to {
        To::Key => keys::answer(app, memo, head, part, body).await,
        To::KeyCount => shards::answer(app, head, shards::Route::KeyCount, body).await,
        To::Shards => shards::answer(app, head, shards::Route::Shards, body).await,
        To::Shard => shards::answer(app, head, shards::Route::Shard(part), body).await,
        To::ViewChange => view_change::answer(app, head, body).await,
        To::Barrier => barrier::answer(app, memo, head, body).await,
        To::OpenApi => openapi::answer(&whole_token(app, head, body).await),
        To::Status => Box::pin(status::answer(app, head, &header_token(app, head))).await,
        To::Metrics => metrics::answer(app, &header_token(app, head)),
        To::Page => dashboard::answer(&head.method, "", &header_token(app, head)),
        To::Asset => dashboard::answer(&head.method, part, &header_token(app, head)),
        To::Probe(probe) => health::answer(app, probe, &header_token(app, head)),
    }
}

/// What is to be known of the header fields of every request. They are walked once.
struct Fields {
    /// How long they are.
    bytes: usize,
    /// Whether one of them marks the request, so that it is followed.
    mark: bool,
}

impl Fields {
    fn of(headers: &HeaderMap) -> Self {
        headers.iter().fold(Self { bytes: 0, mark: false }, |fields, (name, value)| {
            let name = name.as_str();
            Self { bytes: fields.bytes + name.len() + value.len() + 4, mark: fields.mark | is_mark(name) }
        })
    }
}

/// Whether the head is longer than it may be: request line and header fields together. A key has a limit of its own, and
/// does not count here.
fn too_long(app: &App, head: &Parts, fields: usize, found: Found<'_>) -> Option<Failure> {
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let key = found.filter(|(route, _)| route.to == To::Key).map_or(0, |(_, key)| key.len());
    (head.method.as_str().len() + LINE_BYTES + target - key + fields > app.limits.header_bytes).then(|| {
        let error = format!("Request header is too large: the limit is {} bytes", app.limits.header_bytes);
        Failure::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, error).closing()
    })
}

fn upgrade(caller: &Caller, mut request: Request<Incoming>) -> Response {
    match peer::upgrade::answer(caller, &mut request) {
        Ok(response) => response,
        Err((status, error)) => Failure::new(status, error).closing().respond(request.method(), ""),
    }
}
