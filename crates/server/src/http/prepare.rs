//! What all routes do first: read the body, parse it, and merge the contexts of header and body.

use bytes::Bytes;
use http::Method;
use http::request::Parts;
use hyper::body::Incoming;
use precede_core::causality::context::Context;

use crate::http::App;
use crate::http::body::{self, Held};
use crate::http::context::Merger;
use crate::http::errors::Failure;
use crate::http::memo::Memo;
use crate::http::reply::Response;

/// A request, read and parsed as far as all routes do it.
pub(crate) struct Prepared<'a> {
    /// The contexts of header and body, merged.
    pub(crate) context: Context,
    /// The body, which counts against the budget as long as the request lasts.
    pub(crate) body: Held<'a>,
    /// The text of the field `value`, if the body is JSON and has one.
    pub(crate) value: Option<Bytes>,
    /// What is wrong with body or context, if something is. A route may have something more important to say.
    pub(crate) wrong: Option<Failure>,
}

impl Prepared<'_> {
    /// Answers with an error, which returns the request's context.
    pub(crate) fn fail(&self, app: &App, method: &Method, failure: &Failure) -> Response {
        failure.respond(method, &app.token(&self.context))
    }
}

/// Prepares a request. `memo`: what the connection was given last. `raw`: the body is a value, not a JSON object.
///
/// # Errors
/// The response, if the body cannot be read.
pub(crate) async fn prepare<'a>(
    app: &'a App,
    memo: &Memo,
    head: &Parts,
    body: Incoming,
    raw: bool,
) -> Result<Prepared<'a>, Response> {
    let mut merger = merger(app, memo);
    let mut wrong = merger.add_headers(&head.headers).err();
    let limits = &app.limits;
    let body = match body::read(&app.budget, body, head.version, limits.body_bytes, limits.body_timeout).await {
        Ok(body) => body,
        Err(failure) => {
            return Err(failure.respond(&head.method, &app.token(&merger.context)));
        }
    };
    let mut value = None;
    if !raw && !body.bytes.is_empty() {
        match body::parse(&body.bytes) {
            Ok(fields) => {
                if let Some(context) = fields.context
                    && let Err(failure) = merger.add_json(context)
                {
                    wrong.get_or_insert(failure);
                }
                value = fields.value.map(|value| body.bytes.slice_ref(value.as_bytes()));
            }
            Err(failure) => {
                wrong.get_or_insert(failure);
            }
        }
    }
    if merger.elsewhere.is_some_and(|view| app.driver.may_hear_of(view, merger.cluster)) {
        wrong = Some(Failure::unavailable("the context is of a cluster that this node has not heard of"));
    }
    Ok(Prepared { context: merger.context, body, value, wrong })
}

fn merger<'a>(app: &'a App, memo: &'a Memo) -> Merger<'a> {
    Merger::new(app.issuer(), app.driver.cluster.fingerprint(), memo)
}

/// The token of the headers' context alone, for routes that look at nothing else; empty if it is malformed.
pub(crate) fn header_token(app: &App, head: &Parts) -> String {
    let memo = Memo::default();
    let mut merger = merger(app, &memo);
    match merger.add_headers(&head.headers) {
        Ok(()) => app.token(&merger.context),
        Err(_) => String::new(),
    }
}

/// The token of the contexts of headers and body, for answers that need nothing else of the body. Where that cannot be read, the
/// headers' alone.
pub(crate) async fn whole_token(app: &App, head: &Parts, body: Incoming) -> String {
    match prepare(app, &Memo::default(), head, body, false).await {
        Ok(prepared) => app.token(&prepared.context),
        Err(_) => header_token(app, head),
    }
}
