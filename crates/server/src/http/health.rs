//! `/healthz` and `/readyz`.

use std::sync::atomic::Ordering;

use http::StatusCode;
use precede_core::node::NodeReport;
use precede_core::placement::view::View;

use crate::http::App;
use crate::http::errors::Failure;
use crate::http::json::Object;
use crate::http::openapi::operation::Operation;
use crate::http::openapi::schema::{body, list, only, text};
use crate::http::reply::{self, Response};

/// What is asked of a node's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Whether the process answers.
    Alive,
    /// Whether clients should be sent here.
    Ready,
}

/// Answers a probe.
pub(crate) fn answer(app: &App, probe: Probe, token: &str) -> Response {
    match probe {
        Probe::Alive => alive(token),
        Probe::Ready => ready(app, token),
    }
}

/// What `/healthz` says.
pub(crate) fn alive_operations() -> Vec<Operation> {
    let operation = Operation::new("GET", "alive", "Does the process answer?");
    vec![operation.answers(200, "It does", body(&[("message", only("Alive"))], &[])).limited()]
}

/// What `/readyz` says.
pub(crate) fn ready_operations() -> Vec<Operation> {
    let operation = Operation::new("GET", "ready", "Should clients be sent to this node?");
    let error = [("error", only("Not ready")), ("message", only("Error in GET")), ("reasons", list(&text()))];
    vec![
        operation
            .answers(200, "It has met its shard and holds what that holds", body(&[("message", only("Ready"))], &[]))
            .fails_as(503, "Not now, with the reasons", body(&error, &[]))
            .limited(),
    ]
}

/// This process answers.
fn alive(token: &str) -> Response {
    reply::json(StatusCode::OK, Object::new(64).text("message", "Alive").context(token).finish(), token)
}

/// Whether clients should be sent here: 200, or 503 with the reasons why not.
fn ready(app: &App, token: &str) -> Response {
    let reasons = reasons(app, &app.driver.report(), &app.driver.view());
    if reasons.is_empty() {
        return reply::json(StatusCode::OK, Object::new(64).text("message", "Ready").context(token).finish(), token);
    }
    let object = Object::new(256)
        .text("error", "Not ready")
        .text("message", "Error in GET")
        .value("reasons", &reasons)
        .context(token);
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "Not ready").respond_with(object, token)
}

/// Why clients should not be sent here; nothing if they may.
pub(crate) fn reasons(app: &App, report: &NodeReport, view: &View) -> Vec<String> {
    let mut reasons = Vec::new();
    if app.draining.load(Ordering::Relaxed) {
        reasons.push("it is shutting down".to_owned());
    }
    if report.spare {
        reasons.push("it is a spare: no member of its view".to_owned());
        return reasons;
    }
    if !report.met {
        let names: Vec<&str> =
            report.waiting_for.iter().filter_map(|node| view.address(*node)).map(|address| address.as_str()).collect();
        reasons.push(format!("it has not met its shard since it started: it waits for {}", names.join(", ")));
    }
    if !report.recovered {
        reasons.push("it has not recovered: it does not hold yet what its shard holds".to_owned());
    }
    let drift_max = app.driver.cluster.clock_drift_max.as_millis();
    if let Some(ahead) = report.wall_ahead_ms.filter(|ahead| u128::from(ahead.unsigned_abs()) > drift_max) {
        let (far, side) = (ahead.unsigned_abs(), if ahead > 0 { "ahead of" } else { "behind" });
        reasons.push(format!("its wall clock is {far} ms {side} the other nodes': set it right"));
    }
    reasons
}
