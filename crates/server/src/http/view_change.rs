//! `/kv-store/view-change`: asks for another view, and tells how far the change is.

use std::time::Duration;

use http::request::Parts;
use http::{Method, StatusCode};
use hyper::body::Incoming;
use precede_core::excerpt::excerpt;
use precede_core::id::Address;
use precede_core::placement::view::View;
use precede_core::wire::request::{Action, Outcome, Request, ViewChange, ViewChanged};
use serde::Deserialize;
use serde_json::json;

use crate::access::audit::Asked;
use crate::driver::Answer;
use crate::http::App;
use crate::http::errors::{self, Failure};
use crate::http::json::Object;
use crate::http::memo::Memo;
use crate::http::openapi::operation::Operation;
use crate::http::openapi::schema::{
    self, body, described, flag, list, named_as, number as count, object, one_of, only, request, text,
};
use crate::http::prepare::{Prepared, prepare};
use crate::http::reply::{self, Response};
use crate::settings::port_of;

/// How long the answer waits for the change to be done, unless the request says otherwise, and at most.
const TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT_MAX_MS: u64 = 600_000;
/// The answer of the core is waited for so much longer than the core may take.
const GRACE: Duration = Duration::from_secs(1);

/// What a body says. Each field is judged for itself, so that an error can name it.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Body {
    view: serde_json::Value,
    repl_factor: serde_json::Value,
    dry_run: serde_json::Value,
    force: serde_json::Value,
    expected_epoch: serde_json::Value,
    timeout_ms: serde_json::Value,
}

/// What the route says of itself.
pub(crate) fn operations() -> Vec<Operation> {
    let shard = |more: schema::Fields<'_>| {
        object(&[&[("shard-id", count()), ("replicas", list(&text()))][..], more].concat(), &[])
    };
    let get = Operation::new("GET", "getView", "The view, and how far its last change is as this node knows it");
    let told = [
        ("message", only("View retrieved successfully")),
        ("epoch", count()),
        ("repl-factor", count()),
        ("settled", described(flag(), "Whether everything has moved")),
        ("shards", list(&shard(&[("settled", flag())]))),
        ("former-epochs", list(&count())),
        ("received-keys", count()),
        ("received-bytes", count()),
        ("live-keys", count()),
    ];
    let get = get.answers(200, "Told", body(&told, &[])).reads_a_body();

    let members = json!({ "anyOf": [list(&text()), text()], "description": "host:port of every member, as a list or with commas" });
    let asked = [
        ("view", members),
        ("repl-factor", described(count(), "How many replicas each shard has at least")),
        ("dry-run", described(flag(), "Say what would move, and change nothing")),
        ("force", described(flag(), "Go on where data may be given up")),
        ("expected-epoch", described(count(), "Refuse unless the view has this epoch")),
        (
            "timeout-ms",
            json!({ "type": "integer", "minimum": 0, "maximum": TIMEOUT_MAX_MS,
                               "description": "How long the answer waits for everything to have moved" }),
        ),
    ];
    let mut asked = request(&[], &asked);
    asked["anyOf"] = json!([{ "required": ["view"] }, { "required": ["repl-factor"] }]);
    let moved = object(
        &[("from-shard", count()), ("to", text()), ("to-shard", count()), ("keys", count()), ("bytes", count())],
        &[],
    );
    let changed = |messages: &[&str], more: schema::Fields<'_>| {
        let told = [("message", one_of(messages)), ("shards", list(&named_as("ShardState")))];
        body(&told, &[&[("given-up", list(&text())), ("outstanding", list(&count()))][..], more].concat())
    };
    let done = changed(&["View change successful", "View change planned"], &[("moves", list(&moved))]);
    let put = Operation::new("PUT", "changeView", "Change the view: members, or the replication factor")
        .about("What is left out stays as it is. Ask a node that stays.")
        .takes(&asked)
        .answers(200, "Everything has moved, or the plan", done)
        .answers(
            202,
            "The view has changed, and not everything has moved yet",
            changed(&["Partial view change successful"], &[]),
        )
        .fails(400, "A field is wrong, named in the text, or a context is malformed")
        .fails(409, "Another change is in progress, or the view has not the expected epoch")
        .fails(503, "Data would be given up, members do not answer, or too many requests are in progress");
    vec![get, put.reads_a_body()]
}

/// Answers PUT and GET.
pub(crate) async fn answer(app: &App, head: &Parts, body: Incoming) -> Response {
    let mut prepared = match prepare(app, &Memo::default(), head, body, false).await {
        Ok(prepared) => prepared,
        Err(response) => return response,
    };
    if let Some(failure) = prepared.wrong.take() {
        return prepared.fail(app, &head.method, &failure);
    }
    if head.method == Method::GET {
        return progress(app, &prepared);
    }
    let mut response = match change(app, &prepared).await {
        Ok(changed) => respond(app, &prepared, &changed.0, changed.1),
        Err(failure) => prepared.fail(app, &head.method, &failure),
    };
    response.extensions_mut().insert(Asked::body(&prepared.body.bytes));
    response
}

async fn change(app: &App, prepared: &Prepared<'_>) -> Result<(Box<ViewChanged>, bool), Failure> {
    let (asked, timeout) = parse(&prepared.body.bytes, &app.driver.view(), &app.driver.address)?;
    let dry_run = asked.dry_run;
    let context = prepared.context.clone();
    let action = Action::ChangeView(asked);
    let request = Request { action, context, wait: None, concern: None, deadline: timeout, mark: None, named: None };
    let reply = match app.driver.ask(request) {
        Answer::Now(reply) => Some(reply),
        Answer::Later(reply) => tokio::time::timeout(timeout + GRACE, reply).await.ok().and_then(Result::ok),
    };
    match reply.map(|reply| reply.outcome) {
        Some(Outcome::Changed(changed)) => Ok((changed, dry_run)),
        Some(Outcome::Refused(refusal)) => Err(errors::from_refusal(&refusal)),
        Some(_) | None => Err(Failure::unavailable("this node did not answer in time: poll the progress")),
    }
}

/// What a body asks for, and how long the answer may take. What it leaves out stays as it is in the current view; entries without a port
/// get that of the node that is asked.
pub(crate) fn parse(body: &[u8], view: &View, me: &Address) -> Result<(ViewChange, Duration), Failure> {
    let body: Body = match body.trim_ascii() {
        b"" => Body::default(),
        text => serde_json::from_slice(text).map_err(|_| Failure::bad("Failed to parse request body"))?,
    };
    let members = match &body.view {
        serde_json::Value::Null => view.members().map(|(_, address, _)| address.clone()).collect(),
        said => members(said, me)?,
    };
    let repl_factor = match &body.repl_factor {
        serde_json::Value::Null => view.repl_factor,
        said => number(said, "repl-factor")?,
    };
    if body.view.is_null() && body.repl_factor.is_null() {
        return Err(Failure::bad("view and repl-factor are missing: name at least one of them"));
    }
    let dry_run = switch(&body.dry_run, "dry-run")?;
    let expected_epoch = match &body.expected_epoch {
        serde_json::Value::Null => None,
        said => Some(number(said, "expected-epoch")?),
    };
    let timeout = match &body.timeout_ms {
        serde_json::Value::Null => TIMEOUT,
        said => Duration::from_millis(number(said, "timeout-ms")?),
    };
    if timeout > Duration::from_millis(TIMEOUT_MAX_MS) {
        let error = format!("timeout-ms is too large: the limit is {TIMEOUT_MAX_MS}; poll the progress instead");
        return Err(Failure::bad(error));
    }
    let force = switch(&body.force, "force")?;
    Ok((ViewChange { members, repl_factor, dry_run, force, expected_epoch }, timeout))
}

/// A list of addresses, or one text with commas.
fn members(said: &serde_json::Value, me: &Address) -> Result<Vec<Address>, Failure> {
    let port = port_of(me.as_str());
    let texts: Vec<&str> = match said {
        serde_json::Value::String(text) => text.split(',').map(str::trim).filter(|text| !text.is_empty()).collect(),
        serde_json::Value::Array(list) => {
            list.iter().map(serde_json::Value::as_str).collect::<Option<_>>().ok_or_else(not_addresses)?
        }
        _ => return Err(not_addresses()),
    };
    let parse = |text: &str| Address::parse(text, port).map_err(|error| Failure::bad(format!("view: {error}")));
    texts.into_iter().map(parse).collect()
}

fn not_addresses() -> Failure {
    Failure::bad("view is not a list of addresses: write [\"host:port\", …] or \"host:port,…\"")
}

fn number<T: TryFrom<u64>>(said: &serde_json::Value, name: &str) -> Result<T, Failure> {
    let number = said.as_u64().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| {
        Failure::bad(format!("{name} is not a whole number in its range: {}", excerpt(&said.to_string())))
    })
}

fn switch(said: &serde_json::Value, name: &str) -> Result<bool, Failure> {
    match said {
        serde_json::Value::Null => Ok(false),
        serde_json::Value::Bool(flag) => Ok(*flag),
        said => Err(Failure::bad(format!("{name} is neither true nor false: {}", excerpt(&said.to_string())))),
    }
}

fn respond(app: &App, prepared: &Prepared<'_>, changed: &ViewChanged, dry_run: bool) -> Response {
    let (status, message) = match (dry_run, changed.settled) {
        (true, _) => (StatusCode::OK, "View change planned"),
        (false, true) => (StatusCode::OK, "View change successful"),
        (false, false) => (StatusCode::ACCEPTED, "Partial view change successful"),
    };
    let shard = |(id, replicas, keys): &(precede_core::id::ShardId, Vec<Address>, Option<u64>)| {
        let replicas: Vec<&str> = replicas.iter().map(Address::as_str).collect();
        match keys {
            Some(keys) => json!({ "shard-id": id.0, "replicas": replicas, "key-count": keys }),
            None => json!({ "shard-id": id.0, "replicas": replicas }),
        }
    };
    let shards: Vec<_> = changed.shards.iter().map(shard).collect();
    let mut object = Object::new(512).text("message", message).value("shards", &shards);
    if !changed.outstanding.is_empty() {
        let outstanding: Vec<u32> = changed.outstanding.iter().map(|shard| shard.0).collect();
        object = object.value("outstanding", &outstanding);
    }
    if !changed.given_up.is_empty() {
        object = object.value("given-up", &changed.given_up);
    }
    if dry_run {
        let step = |step: &precede_core::wire::request::Move| {
            json!({
                "from-shard": step.from.0, "to": step.to.as_str(), "to-shard": step.shard.0,
                "keys": step.keys, "bytes": step.bytes,
            })
        };
        object = object.value("moves", &changed.moves.iter().map(step).collect::<Vec<_>>());
    }
    let token = app.token(&prepared.context);
    reply::json(status, object.context(&token).finish(), &token)
}

/// How far the last change is, as this node knows it.
fn progress(app: &App, prepared: &Prepared<'_>) -> Response {
    let report = app.driver.change_report();
    let view = app.driver.view();
    let shard = |shard: &precede_core::placement::view::Shard| {
        let replicas: Vec<&str> = shard.replicas.iter().map(Address::as_str).collect();
        json!({
            "shard-id": shard.id.0, "replicas": replicas,
            "settled": !report.outstanding.contains(&shard.id),
        })
    };
    let token = app.token(&prepared.context);
    let object = Object::new(512)
        .text("message", "View retrieved successfully")
        .number("epoch", u64::from(view.id.epoch))
        .number("repl-factor", view.repl_factor as u64)
        .boolean("settled", report.former.is_empty())
        .value("shards", &view.shards().iter().map(shard).collect::<Vec<_>>())
        .value("former-epochs", &report.former)
        .number("received-keys", report.received_keys)
        .number("received-bytes", report.received_bytes)
        .number("live-keys", report.live_keys);
    reply::json(StatusCode::OK, object.context(&token).finish(), &token)
}
