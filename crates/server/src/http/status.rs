//! `/kv-store/status`: the state of the cluster, or of this node alone.

use http::StatusCode;
use http::request::Parts;
use precede_core::excerpt::excerpt;
use serde_json::json;

use crate::http::App;
use crate::http::errors::Failure;
use crate::http::json::Object;
use crate::http::openapi::operation::Operation;
use crate::http::openapi::schema::{body, list, one_of, only, opaque, text};
use crate::http::reply::{self, Response};
use crate::status::{of_cluster, of_node};

/// Whose state is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// All members'.
    Cluster,
    /// This node's, as it says itself. Other nodes ask this way, and nobody is asked for it.
    Node,
}

/// How it is described.
pub(crate) fn operations() -> Vec<Operation> {
    let message = || ("message", only("Status retrieved successfully"));
    let of_cluster = body(
        &[message(), ("node", text()), ("view", opaque()), ("shards", list(&opaque())), ("members", list(&opaque()))],
        &[],
    );
    let of_node = body(&[message(), ("status", opaque())], &[]);
    vec![
        Operation::new("GET", "status", "How every member is, and how far")
            .about("The node asks all members, for half a second at most. With scope=node it tells of itself alone. It is served however busy the node is.")
            .query("scope", one_of(&["cluster", "node"]))
            .answers(200, "The state", json!({ "anyOf": [of_cluster, of_node] }))
            .fails(400, "The scope is none")
            .limited()
            .guarded(),
    ]
}

/// Answers.
pub(crate) async fn answer(app: &App, head: &Parts, token: &str) -> Response {
    let object = Object::new(4096).text("message", "Status retrieved successfully");
    let object = match scope(head.uri.query()) {
        Ok(Scope::Node) => object.value("status", &of_node(app, &app.driver.snapshot())),
        Ok(Scope::Cluster) => {
            let status = of_cluster(app, app.access.shown(&head.headers)).await;
            let object = object.text("node", &status.node).value("view", &status.view);
            object.value("shards", &status.shards).value("members", &status.members)
        }
        Err(failure) => return failure.respond(&head.method, token),
    };
    reply::json(StatusCode::OK, object.context(token).finish(), token)
}

fn scope(query: Option<&str>) -> Result<Scope, Failure> {
    let parameters = query.unwrap_or_default().split('&');
    match parameters.filter_map(|pair| pair.strip_prefix("scope=")).next_back() {
        None | Some("cluster") => Ok(Scope::Cluster),
        Some("node") => Ok(Scope::Node),
        Some(other) => {
            Err(Failure::bad(format!("Parameter scope is \"{}\": it must be cluster or node", excerpt(other))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_is_the_cluster_unless_it_is_said() {
        assert_eq!(scope(None), Ok(Scope::Cluster));
        assert_eq!(scope(Some("other=1&scope=node")), Ok(Scope::Node));
        assert_eq!(scope(Some("scope=cluster")), Ok(Scope::Cluster));
        assert!(scope(Some("scope=all")).unwrap_err().error.starts_with("Parameter scope is \"all\": "));
    }
}
