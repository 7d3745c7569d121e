//! `/openapi.json`: the HTTP interface as an OpenAPI 3.1 document. Each route describes itself beside its code (`operations`); here the
//! descriptions become a document. Bodies are written by hand, not derived from types, so descriptions are too: a test holds every one of
//! them against what a node answers.
//!
//! | module | responsibility |
//! |---|---|
//! | `operation` | what a route says of one of its methods |
//! | `schema` | forms of bodies, headers and parameters |

pub(crate) mod operation;
pub(crate) mod schema;

use std::process::ExitCode;
use std::sync::LazyLock;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::exit::{Exit, print_line};
use crate::http::openapi::operation::{BUSY, Operation};
use crate::http::openapi::schema::opaque;
use crate::http::reply::{self, Response};
use crate::http::routes::ROUTES;

/// What holds for every route.
const ABOUT: &str = "Every response carries a causal context, in the header Causal-Context and, where its body is JSON of the store, as \
causal-context in the body. Send either with the next request, to any node, and the answer is never older than what the context has seen. \
Requests may carry a context in the header, in the body, or in both: they are merged. Where a path is unknown the answer is 404, where it \
does not know the method 405 with Allow. A request that is no HTTP gets 400, one whose head is not there in time 408, and the connection \
ends. Limits and time-outs are settings of a node.";

/// The document, as it is served.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

/// Answers GET; the context of the request is given back.
pub(crate) fn answer(token: &str) -> Response {
    reply::json(StatusCode::OK, DOCUMENT.clone(), token)
}

/// What `/openapi.json` says of itself.
pub(crate) fn operations() -> Vec<Operation> {
    let operation = Operation::new("GET", "describe", "This document")
        .about("The interface of this node's build. The body is an OpenAPI document, and has no causal-context.");
    vec![operation.answers(200, "The document", opaque()).fails(503, BUSY).limited().guarded()]
}

/// Runs `precede openapi`.
pub(crate) fn command() -> ExitCode {
    print_line(&format!("{:#}", document()), Exit::Done)
}

fn document() -> Value {
    let mut paths = Map::new();
    for route in &ROUTES {
        let operations = (route.operations)();
        let described: Map<String, Value> =
            operations.iter().map(|operation| (operation.method.to_lowercase(), operation.describe())).collect();
        paths.insert(route.path.to_owned(), Value::Object(described));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Precede",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A distributed, in-memory, causally consistent key-value store",
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schema::named(),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
        // Nodes without a file of tokens ask for none.
        "security": [{}, { "token": [] }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_describes_the_methods_that_it_knows_and_no_others() {
        for route in &ROUTES {
            let described: Vec<_> = (route.operations)().iter().map(|operation| operation.method).collect();
            assert_eq!(described, route.methods, "{}", route.path);
        }
    }

    #[test]
    fn operations_have_names_of_their_own_and_references_lead_somewhere() {
        let document = document();
        let mut names: Vec<&str> = Vec::new();
        for path in document["paths"].as_object().unwrap().values() {
            names
                .extend(path.as_object().unwrap().values().map(|operation| operation["operationId"].as_str().unwrap()));
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
    }
}
