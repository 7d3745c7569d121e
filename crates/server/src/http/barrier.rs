//! `/kv-store/barrier`: waits until all that a context names is on every replica of its shard.

use http::StatusCode;
use http::request::Parts;
use hyper::body::Incoming;
use precede_core::id::{Address, ShardId};
use precede_core::wire::request::{Action, Missing, Outcome};
use serde_json::json;

use crate::http::App;
use crate::http::errors::Failure;
use crate::http::json::Object;
use crate::http::keys::{ask, finish, refused};
use crate::http::memo::Memo;
use crate::http::openapi::operation::{LOST_VIEW, Operation};
use crate::http::openapi::schema::{body, described, flag, list, number, object, only, request, served_by, text};
use crate::http::params;
use crate::http::prepare::prepare;
use crate::http::reply::{Response, Served};

/// What the route says of itself.
pub(crate) fn operations() -> Vec<Operation> {
    let operation = Operation::new("POST", "awaitReplicas", "Wait until all that the context names is on every replica")
        .about("The context may be in the header, in the body, or in both. The replicas are asked, for at least 100 ms whatever wait says.")
        .only_reads();
    let lagging = object(&[("shard-id", number()), ("address", text())], &[]);
    let missing = [
        ("message", only("Barrier not reached")),
        (
            "missing",
            described(
                list(&lagging),
                "Replicas that have not confirmed that they have it, those that are down among them",
            ),
        ),
        (
            "outstanding",
            described(list(&number()), "Shards that have not got everything yet in a view change under way"),
        ),
        ("view-known", described(flag(), "Whether the node has heard of the context's view")),
    ];
    let address = [("address", served_by())];
    vec![
        operation
            .waits()
            .may_take(&request(&[], &[]))
            .answers(200, "It is", body(&[("message", only("Barrier reached"))], &address))
            .answers(202, "Not in time; this is missing", body(&missing, &address))
            .fails(400, "A parameter of the query is wrong, or the body or a context is malformed")
            .fails(410, LOST_VIEW)
            .fails(503, "No member of the view can be reached, or too much is in progress")
            .served()
            .reads_a_body(),
    ]
}

/// Answers POST.
pub(crate) async fn answer(app: &App, memo: &Memo, head: &Parts, body: Incoming) -> Response {
    let mut prepared = match prepare(app, memo, head, body, false).await {
        Ok(prepared) => prepared,
        Err(response) => return response,
    };
    let params = match params::parse(head.uri.query()).and_then(|params| prepared.wrong.take().map_or(Ok(params), Err))
    {
        Ok(params) => params,
        Err(failure) => return prepared.fail(app, &head.method, &failure),
    };
    let Some(reply) = ask(app, head, Action::Barrier, prepared.context.clone(), params, None).await else {
        return prepared.fail(app, &head.method, &Failure::unavailable("this node did not answer in time"));
    };
    let reply = *reply;
    let served = Served { by: reply.served_by, version: None, acks: None, lost: reply.lost, repeat_unconfirmed: false };
    match &reply.outcome {
        Outcome::Stable => {
            let object = Object::new(256).text("message", "Barrier reached");
            finish(app, memo, StatusCode::OK, object, reply.context, &served)
        }
        Outcome::Unstable(missing) => {
            let object = tell(Object::new(512).text("message", "Barrier not reached"), missing);
            finish(app, memo, StatusCode::ACCEPTED, object, reply.context, &served)
        }
        Outcome::Refused(refusal) => refused(app, head, refusal, &reply.context, &served),
        Outcome::Found(_)
        | Outcome::Absent
        | Outcome::Written { .. }
        | Outcome::Deleted { .. }
        | Outcome::Counted(_)
        | Outcome::Changed(_) => {
            let failure = Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "that is no answer for a barrier");
            prepared.fail(app, &head.method, &failure)
        }
    }
}

/// What is missing, as fields.
fn tell(object: Object, missing: &Missing) -> Object {
    let replica = |(shard, address): &(ShardId, Address)| json!({ "shard-id": shard.0, "address": address.as_str() });
    let replicas: Vec<_> = missing.replicas.iter().map(replica).collect();
    let outstanding: Vec<u32> = missing.outstanding.iter().map(|shard| shard.0).collect();
    let object = object.value("missing", &replicas).value("outstanding", &outstanding);
    object.boolean("view-known", !missing.unknown)
}
