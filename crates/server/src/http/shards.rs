//! `/kv-store/key-count` and `/kv-store/shards`.

use http::StatusCode;
use http::request::Parts;
use hyper::body::Incoming;
use precede_core::id::ShardId;
use precede_core::wire::request::{Action, Outcome};

use crate::http::App;
use crate::http::errors::{self, Failure};
use crate::http::json::Object;
use crate::http::keys::ask;
use crate::http::memo::Memo;
use crate::http::openapi::operation::Operation;
use crate::http::openapi::schema::{body, described, list, number, only, text};
use crate::http::params;
use crate::http::prepare::{Prepared, prepare};
use crate::http::reply::{self, Response};

/// Which of the routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// `/kv-store/key-count`.
    KeyCount,
    /// `/kv-store/shards`.
    Shards,
    /// `/kv-store/shards/<id>`.
    Shard(&'a str),
}

/// What `/kv-store/key-count` says.
pub(crate) fn key_count_operations() -> Vec<Operation> {
    let operation = Operation::new("GET", "countKeys", "How many keys the asked node holds of its shard");
    let message = ("message", only("Key count retrieved successfully"));
    let counted = body(&[message, ("key-count", number()), ("shard-id", number())], &[]);
    vec![
        operation
            .answers(200, "Counted", counted)
            .fails(503, "This node holds no shard, or too many requests are in progress")
            .reads_a_body(),
    ]
}

/// What `/kv-store/shards` says.
pub(crate) fn shards_operations() -> Vec<Operation> {
    let operation = Operation::new("GET", "listShards", "The numbers of all shards");
    let message = ("message", only("Shard membership retrieved successfully"));
    let listed = body(&[message, ("shards", list(&number()))], &[]);
    vec![operation.answers(200, "Listed", listed).reads_a_body()]
}

/// What `/kv-store/shards/<id>` says.
pub(crate) fn shard_operations() -> Vec<Operation> {
    let operation = Operation::new("GET", "getShard", "Who holds a shard, and how many keys it has");
    let told = [
        ("message", only("Shard information retrieved successfully")),
        ("shard-id", number()),
        ("key-count", number()),
        ("replicas", list(&text())),
    ];
    vec![
        operation
            .path("id", described(number(), "The shard's number"))
            .waits()
            .answers(200, "Told", body(&told, &[]))
            .fails(400, "A parameter of the query is wrong, or the body or a context is malformed")
            .fails(404, "There is no such shard")
            .fails(503, "No replica of the shard answers, or too many requests are in progress")
            .reads_a_body(),
    ]
}

/// Answers one of the routes.
pub(crate) async fn answer(app: &App, head: &Parts, route: Route<'_>, body: Incoming) -> Response {
    let mut prepared = match prepare(app, &Memo::default(), head, body, false).await {
        Ok(prepared) => prepared,
        Err(response) => return response,
    };
    let object = match prepared.wrong.take() {
        Some(failure) => Err(failure),
        None => match route {
            Route::KeyCount => key_count(app),
            Route::Shards => Ok(shards(app)),
            Route::Shard(id) => shard(app, head, id, &prepared).await,
        },
    };
    match object {
        Ok(object) => {
            let token = app.token(&prepared.context);
            reply::json(StatusCode::OK, object.context(&token).finish(), &token)
        }
        Err(failure) => prepared.fail(app, &head.method, &failure),
    }
}

fn key_count(app: &App) -> Result<Object, Failure> {
    let (Some(shard), Some(keys)) = (app.driver.shard(), app.driver.reader().live_keys()) else {
        return Err(Failure::unavailable("this node is a spare: it holds no shard"));
    };
    let object = Object::new(256)
        .text("message", "Key count retrieved successfully")
        .number("key-count", keys)
        .number("shard-id", u64::from(shard.0));
    Ok(object)
}

fn shards(app: &App) -> Object {
    let ids: Vec<u32> = app.driver.view().shards().iter().map(|shard| shard.id.0).collect();
    Object::new(256).text("message", "Shard membership retrieved successfully").value("shards", &ids)
}

async fn shard(app: &App, head: &Parts, id: &str, prepared: &Prepared<'_>) -> Result<Object, Failure> {
    let view = app.driver.view();
    let params = params::parse(head.uri.query())?;
    let shard = id.parse().ok().and_then(|id| view.shard(ShardId(id)));
    let Some(shard) = shard else {
        return Err(Failure::new(StatusCode::NOT_FOUND, "Shard does not exist"));
    };
    let own = app.driver.reader().live_keys().filter(|_| app.driver.shard() == Some(shard.id));
    let count = match own {
        Some(keys) => keys,
        None => {
            let reply = ask(app, head, Action::Count { shard: shard.id }, prepared.context.clone(), params, None).await;
            match reply.map(|reply| reply.outcome) {
                Some(Outcome::Counted(count)) => count,
                Some(Outcome::Refused(refusal)) => return Err(errors::from_refusal(&refusal)),
                Some(_) | None => return Err(Failure::unavailable("the shard did not answer in time")),
            }
        }
    };
    let replicas: Vec<&str> = shard.replicas.iter().map(|address| address.as_str()).collect();
    let object = Object::new(512)
        .text("message", "Shard information retrieved successfully")
        .number("shard-id", u64::from(shard.id.0))
        .number("key-count", count)
        .value("replicas", &replicas);
    Ok(object)
}
