//! `/kv-store/keys/<key>`: the hot path.

use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use hyper::body::Incoming;
use precede_core::causality::context::Context;
use precede_core::placement::hash::key_hash;
use precede_core::table::value::{Value, ValueRef};
use precede_core::wire::named::Named;
use precede_core::wire::request::{Action, Outcome, Refusal, Reply, Request};
use serde_json::{Value as Json, json};

use crate::driver::Answer;
use crate::http::App;
use crate::http::errors::{self, Failure};
use crate::http::idempotency;
use crate::http::json::Object;
use crate::http::memo::Memo;
use crate::http::openapi::operation::{ACKS, LOST_VIEW, NODE, Operation, VERSION};
use crate::http::openapi::schema::{body, described, named_as, only, request, served_by, text};
use crate::http::params::{self, Params};
use crate::http::prepare::{Prepared, prepare};
use crate::http::raw;
use crate::http::reply::{self, Response, Served};
use crate::trace::Followed;

/// The answer of the core is waited for so much longer than the core may take.
const GRACE: Duration = Duration::from_secs(1);

/// What the route says of itself.
pub(crate) fn operations() -> Vec<Operation> {
    let key = || described(json!({ "type": "string", "minLength": 1 }), KEY);
    let refused = |operation: Operation| {
        operation
            .fails(400, "The key is missing, too long or not UTF-8, a parameter is wrong, or the body or a context is malformed")
            .fails(410, LOST_VIEW)
            .fails(503, "The context cannot be satisfied in time, no replica can be reached, or too much is in progress")
    };
    let address = [("address", served_by())];
    let get = Operation::new("GET", "getKey", "Read a key")
        .about("The value is never older than what the context has seen. Bytes are returned with their type where ?raw or Accept asks for them.")
        .path("key", key())
        .waits()
        .may_be_raw();
    let bytes = ("value-base64", described(text(), "Bytes that are no UTF-8"));
    let found = [("message", only("Retrieved successfully")), ("doesExist", only(true))];
    let mut found = body(&found, &[&address[..], &[("value", named_as("Value")), bytes]].concat());
    found["oneOf"] = json!([{ "required": ["value"] }, { "required": ["value-base64"] }]);
    let raw = json!({ "title": "raw", "description": "With ?raw, or where Accept leaves JSON out: a value that is JSON, as it is" });
    let get = refused(get.answers(200, "The value", json!({ "anyOf": [found, raw] })).or_bytes(200))
        .answers(404, "The key does not exist", named_as("Absent"))
        .about_keys(&[(200, &[NODE, VERSION]), (404, &[NODE])]);

    let written = |message: &str, replaced: Json| {
        body(&[("message", only(message)), ("replaced", replaced)], &[("address", served_by())])
    };
    let any = json!({ "title": "raw", "description": "With ?raw: the value, as it is" });
    let put = Operation::new("PUT", "putKey", "Write a key")
        .about("A body of another type than JSON, or of any with ?raw, is the value itself, kept with its type.")
        .path("key", key())
        .waits()
        .has_concern()
        .may_be_named()
        .may_be_raw()
        .takes(&json!({ "anyOf": [request(&[("value", named_as("Value"))], &[]), any] }))
        .takes_bytes()
        .answers(200, "There was a value", written("Updated successfully", only(true)))
        .answers(201, "There was none", written("Added successfully", only(false)));
    let accepted = json!({ "anyOf": [
        written("Updated successfully", only(true)), written("Added successfully", only(false)),
    ] });
    let write = |operation: Operation| {
        refused(operation)
            .fails(422, "Another write of the key has this Idempotency-Key: choose a new one for each write")
            .fails(504, "Nobody can tell whether the write has taken effect: read the key, or write it again")
    };
    let put = put.fails(
        507,
        "The value needs more memory than MAX_MEMORY_BYTES leaves: delete keys, add nodes, or raise the limit",
    );
    let put = write(put.answers(202, STANDS, accepted)).about_keys(&[
        (200, &[NODE, VERSION, ACKS]),
        (201, &[NODE, VERSION, ACKS]),
        (202, &[NODE, VERSION, ACKS]),
    ]);

    let deleted =
        || body(&[("message", only("Deleted successfully")), ("doesExist", only(true))], &[("address", served_by())]);
    let delete = Operation::new("DELETE", "deleteKey", "Delete a key")
        .path("key", key())
        .waits()
        .has_concern()
        .may_be_named()
        .answers(200, "Deleted", deleted())
        .answers(202, STANDS, deleted())
        .answers(404, "The key does not exist", named_as("Absent"));
    let delete =
        write(delete).about_keys(&[(200, &[NODE, VERSION, ACKS]), (202, &[NODE, VERSION, ACKS]), (404, &[NODE])]);
    [get, put, delete].map(Operation::reads_a_body).into()
}

const KEY: &str = "Percent-decoded UTF-8, of at most MAX_KEY_BYTES bytes; it may contain slashes, encoded or not";
const STANDS: &str = "The write stands, on fewer replicas than w asked for; Precede-Acks says on how many";

/// Answers a request for a key; `encoded` is the key as it stands in the path.
pub(crate) async fn answer(app: &App, memo: &Memo, head: &Parts, encoded: &str, body: Incoming) -> Response {
    let params = params::parse(head.uri.query());
    let says_raw = params.as_ref().is_ok_and(|params| params.raw);
    let (is_get, is_put) = (head.method == Method::GET, head.method == Method::PUT);
    let wants_raw = is_get && (says_raw || raw::is_raw_get(&head.headers));
    let raw_put = is_put && (says_raw || raw::is_raw_put(&head.headers));
    let mut prepared = match prepare(app, memo, head, body, raw_put).await {
        Ok(prepared) => prepared,
        Err(response) => return response,
    };
    let (key, params) = match check(app, encoded, params, &mut prepared) {
        Ok(checked) => checked,
        Err(failure) => return prepared.fail(app, &head.method, &failure),
    };
    let action = if is_get {
        if let Some(hit) = app.driver.reader().get(&key, key_hash(&key), &prepared.context) {
            let served =
                Served { by: app.driver.me, version: hit.version, acks: None, lost: false, repeat_unconfirmed: false };
            let value = hit.entry.as_ref().and_then(|entry| entry.value());
            return found(app, memo, head, value, hit.context, &served, wants_raw);
        }
        Action::Get { key: key.into_owned().into() }
    } else if is_put {
        match value(app, head, &prepared, raw_put) {
            Ok(value) => Action::Put { key: key.into_owned().into(), value },
            Err(failure) => return prepared.fail(app, &head.method, &failure),
        }
    } else {
        Action::Delete { key: key.into_owned().into() }
    };
    let is_write = action.is_write();
    let named = match idempotency::named(&head.headers, &action) {
        Ok(named) => named,
        Err(failure) => return prepared.fail(app, &head.method, &failure),
    };
    match ask(app, head, action, prepared.context.clone(), params, named).await {
        Some(mut reply) => {
            let context = std::mem::take(&mut reply.context);
            respond(app, memo, head, &reply, context, wants_raw)
        }
        None if is_write => {
            let failure =
                Failure::new(StatusCode::GATEWAY_TIMEOUT, "outcome unknown: this node did not answer in time");
            prepared.fail(app, &head.method, &failure)
        }
        None => prepared.fail(app, &head.method, &Failure::unavailable("this node did not answer in time")),
    }
}

/// Everything that can be wrong with a request, the most important first.
fn check<'a>(
    app: &App,
    encoded: &'a str,
    params: Result<Params, Failure>,
    prepared: &mut Prepared<'_>,
) -> Result<(std::borrow::Cow<'a, [u8]>, Params), Failure> {
    let key = params::key(encoded, app.limits.key_bytes)?;
    let params = params?;
    match prepared.wrong.take() {
        Some(failure) => Err(failure),
        None => Ok((key, params)),
    }
}

/// The value of a PUT.
fn value(app: &App, head: &Parts, prepared: &Prepared<'_>, raw: bool) -> Result<Value, Failure> {
    let value = if raw {
        Value { content_type: Some(raw::content_type(&head.headers)?), bytes: prepared.body.bytes.clone() }
    } else {
        let text = prepared.value.clone().unwrap_or_default();
        if matches!(&text[..], b"" | b"null" | b"\"\"") {
            return Err(Failure::bad("Value is missing"));
        }
        Value::json(text)
    };
    if value.bytes.len() > app.limits.value_bytes {
        let error = format!("Value is too large: the limit is {} bytes", app.limits.value_bytes);
        return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, error));
    }
    Ok(value)
}

/// Asks the node. `None` if it does not answer although it should.
pub(crate) async fn ask(
    app: &App,
    head: &Parts,
    action: Action,
    context: Context,
    params: Params,
    named: Option<Box<Named>>,
) -> Option<Box<Reply>> {
    let cluster = &app.driver.cluster;
    let wait = params.wait.unwrap_or(cluster.context_wait);
    let deadline = cluster.request_deadline + wait.saturating_sub(cluster.context_wait);
    let mark = Followed::mark_of(&head.extensions);
    let request = Request { action, context, wait: params.wait, concern: params.concern, deadline, mark, named };
    match app.driver.ask(request) {
        Answer::Now(reply) => Some(reply),
        Answer::Later(reply) => tokio::time::timeout(deadline + GRACE, reply).await.ok()?.ok(),
    }
}

/// The response to what the node says.
fn respond(app: &App, memo: &Memo, head: &Parts, reply: &Reply, context: Context, wants_raw: bool) -> Response {
    let is_write = head.method != Method::GET;
    let served = Served {
        by: reply.served_by,
        version: reply.version,
        acks: is_write.then_some(reply.acks),
        lost: reply.lost,
        repeat_unconfirmed: reply.repeat_unconfirmed,
    };
    let (status, object) = match &reply.outcome {
        Outcome::Found(value) => return found(app, memo, head, Some(value.as_ref()), context, &served, wants_raw),
        Outcome::Absent => return found(app, memo, head, None, context, &served, wants_raw),
        Outcome::Written { replaced, concern_met } => {
            let (status, message) = match replaced {
                true => (StatusCode::OK, "Updated successfully"),
                false => (StatusCode::CREATED, "Added successfully"),
            };
            (
                accepted(status, *concern_met),
                Object::new(256).constant("message", message).boolean("replaced", *replaced),
            )
        }
        Outcome::Deleted { concern_met } => {
            let object = Object::new(256).constant("message", "Deleted successfully").boolean("doesExist", true);
            (accepted(StatusCode::OK, *concern_met), object)
        }
        Outcome::Counted(_) | Outcome::Changed(_) | Outcome::Stable | Outcome::Unstable(_) => {
            let failure = Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "that is no answer for a key");
            return failure.respond(&head.method, &app.token(&context));
        }
        Outcome::Refused(refusal) => return refused(app, head, refusal, &context, &served),
    };
    finish(app, memo, status, object, context, &served)
}

/// The response to what was refused, here or by another node.
pub(crate) fn refused(app: &App, head: &Parts, refusal: &Refusal, context: &Context, served: &Served) -> Response {
    let failure = errors::from_refusal(refusal);
    let token = app.token(context);
    let mut response = match served.by == app.driver.me {
        true => failure.respond(&head.method, &token),
        false => failure.respond_from(&head.method, &token, &reply::address(app, served.by)),
    };
    reply::add_served(app, &mut response, &Served { version: None, acks: None, ..*served });
    response
}

/// A write that stands, on fewer replicas than asked for, is only accepted.
fn accepted(status: StatusCode, concern_met: bool) -> StatusCode {
    if concern_met { status } else { StatusCode::ACCEPTED }
}

/// The response to a GET that was served, and to a DELETE of a key that does not exist.
fn found(
    app: &App,
    memo: &Memo,
    head: &Parts,
    value: Option<ValueRef<'_>>,
    context: Context,
    served: &Served,
    wants_raw: bool,
) -> Response {
    let Some(value) = value else {
        let object = Object::new(256)
            .boolean("doesExist", false)
            .constant("error", "Key does not exist")
            .text("message", &format!("Error in {}", head.method));
        let served = Served { acks: None, ..*served };
        return finish(app, memo, StatusCode::NOT_FOUND, object, context, &served);
    };
    if wants_raw {
        let token = memo.encode(context, app.issuer());
        app.counts.on_context(token.len());
        let bytes = Bytes::copy_from_slice(value.bytes);
        let mut response = reply::with_type(StatusCode::OK, bytes, raw::type_of(&value), token);
        reply::add_served(app, &mut response, served);
        return response;
    }
    let object =
        Object::new(256 + value.bytes.len()).boolean("doesExist", true).constant("message", "Retrieved successfully");
    finish(app, memo, StatusCode::OK, raw::write(object, &value), context, served)
}

/// A response with a context, which says who served it.
pub(crate) fn finish(
    app: &App,
    memo: &Memo,
    status: StatusCode,
    object: Object,
    context: Context,
    served: &Served,
) -> Response {
    let token = memo.encode(context, app.issuer());
    app.counts.on_context(token.len());
    let mut object = object.context(&token);
    if served.by != app.driver.me {
        object = object.text("address", &reply::address(app, served.by));
    }
    let content_type = HeaderValue::from_static(reply::JSON);
    let mut response = reply::with_type(status, object.finish(), content_type, token);
    reply::add_served(app, &mut response, served);
    response
}
