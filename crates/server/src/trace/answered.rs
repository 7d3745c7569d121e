//! What is told of a request that was answered here: its name to the client, a line in the log, and a span if somebody wants it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use precede_core::placement::hash::key_hash;

use crate::access::secret::hex;
use crate::http::App;
use crate::http::params;
use crate::http::reply::{NODE, REASON, Response};
use crate::http::routes::{Found, To};
use crate::trace::context::REQUEST_ID;
use crate::trace::span::{self, Span};
use crate::trace::{Followed, LOG_TARGET, ids};

/// Failures that are logged in one second. The line after those that were left out tells how many they were.
const FAILURES_LOGGED_PER_SECOND: u32 = 10;

/// Lets through so many in each second.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    /// The second, since the start, and how many there were in it.
    now: AtomicU64,
    left_out: AtomicU64,
}

impl Rate {
    /// Whether one more may be told of, and how many were left out before it.
    fn take(&self, since_start: Duration) -> Option<u64> {
        let second = since_start.as_secs() << 32;
        let next = |now: u64| if now >> 32 == second >> 32 { now + 1 } else { second + 1 };
        let taken = self.now.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| Some(next(now)));
        let count = next(taken.unwrap_or_else(|now| now)) - second;
        if count > u64::from(FAILURES_LOGGED_PER_SECOND) {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.left_out.swap(0, Ordering::Relaxed))
    }
}

/// A request that is followed, or that failed here, has been answered, after so many microseconds.
#[cold]
pub(crate) fn tell(app: &App, head: &Parts, found: Found<'_>, response: &mut Response, micros: u64) {
    let followed = head.extensions.get::<Followed>();
    let made;
    let request_id = match followed {
        Some(followed) => followed.mark.request_id.as_str(),
        None => {
            made = hex(&ids::span());
            &made
        }
    };
    if let Ok(value) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    log(app, head, found, response, request_id, micros);
    if let Some(followed) = followed
        && app.driver.traces.wants(followed.mark.trace.as_ref())
    {
        record(app, head, found, response, followed, micros);
    }
}

fn log(app: &App, head: &Parts, found: Found<'_>, response: &Response, request_id: &str, micros: u64) {
    let route = found.map(|(route, _)| route.path);
    let (method, status) = (head.method.as_str(), response.status());
    let followed = head.extensions.get::<Followed>();
    let trace_id = || followed.and_then(|followed| followed.mark.trace.as_ref()).map(|trace| hex(&trace.id));
    let served_by = || header(response, &NODE);
    let reason = || header(response, &REASON);
    let status_code = status.as_u16();
    // A macro, for the level of a line is part of its place in the code.
    macro_rules! told {
        ($level:ident, $what:literal $(, $more:ident $(= $value:expr)?)*) => {
            tracing::$level!(
                target: LOG_TARGET,
                request_id,
                trace_id = trace_id(),
                method,
                route,
                status = status_code,
                micros,
                served_by = served_by(),
                $($more $(= $value)?,)*
                $what
            )
        };
    }
    // Probes fail as long as there is a reason, and are asked again and again.
    let is_failure = status.is_server_error() && !found.is_some_and(|(route, _)| route.to.is_open());
    if is_failure && let Some(left_out) = app.driver.traces.failures.take(app.driver.uptime()) {
        told!(warn, "a request failed", reason = reason(), left_out);
        return;
    }
    told!(debug, "answered");
}

fn record(app: &App, head: &Parts, found: Found<'_>, response: &Response, followed: &Followed, micros: u64) {
    let Some(trace) = followed.mark.trace.clone() else { return };
    let status = response.status();
    let method = match head.method {
        Method::GET => "GET",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::POST => "POST",
        _ => "_OTHER",
    };
    let mut attributes = vec![
        span::text("http.request.method", method),
        span::number("http.response.status_code", status.as_u16()),
        span::text("precede.outcome", outcome(status)),
        span::text("precede.request_id", followed.mark.request_id.clone()),
    ];
    attributes.extend(found.map(|(route, _)| span::text("http.route", route.path)));
    attributes.extend(header(response, &NODE).map(|node| span::text("precede.served_by", node.to_owned())));
    let key = found.filter(|(route, _)| route.to == To::Key);
    let key = key.and_then(|(_, encoded)| params::key(encoded, app.limits.key_bytes).ok());
    let shard = key.map(|key| app.driver.view().shard_of_hash(key_hash(&key)).id.0);
    attributes.extend(shard.map(|shard| span::number("precede.shard", shard)));
    let error = status.is_server_error().then(|| header(response, &REASON).unwrap_or_default().to_owned());
    let end = SystemTime::now();
    app.driver.traces.record(Span {
        trace,
        parent: followed.parent,
        name: found.map_or(method.into(), |(route, _)| format!("{method} {}", route.path).into()),
        start: end.checked_sub(Duration::from_micros(micros)).unwrap_or(end),
        end,
        attributes,
        error,
    });
}

/// What became of a request, in a word; the same words as [`serving`](crate::trace::serving) has.
fn outcome(status: StatusCode) -> &'static str {
    match status.as_u16() {
        202 => "accepted",
        404 => "absent",
        504 => "unknown",
        400.. => "refused",
        _ => "done",
    }
}

fn header<'a>(response: &'a Response, name: &http::HeaderName) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_failures_are_told_in_a_second_and_the_others_are_counted() {
        let rate = Rate::default();
        let told = |second, times: usize| -> Vec<Option<u64>> {
            (0..times).map(|_| rate.take(Duration::from_secs(second))).collect()
        };
        let ten = FAILURES_LOGGED_PER_SECOND as usize;
        assert_eq!(told(0, ten), vec![Some(0); ten]);
        assert_eq!(told(0, 3), [None; 3]);
        assert_eq!(told(7, 2), [Some(3), Some(0)]);
        assert_eq!(told(8, ten + 1).last(), Some(&None));
    }
}
