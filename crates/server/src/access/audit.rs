//! The audit: one line in the log, of the target `precede::audit`, for each request that changes the cluster, whoever sent it and
//! whatever came of it. Strangers could fill the log: of those that are refused one is told in ten seconds for each address, with
//! the number of all.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::StatusCode;
use http::request::Parts;

use crate::http::reply::Response;
use crate::peer::seldom::Seldom;

/// Characters of a body that are kept.
const BODY_CHARS_MAX: usize = 2000;

/// What a request asked for; a handler leaves it on its response.
#[derive(Debug, Clone)]
pub(crate) struct Asked(String);

impl Asked {
    /// The body's text, or its beginning.
    pub(crate) fn body(body: &[u8]) -> Self {
        Self(String::from_utf8_lossy(body).chars().take(BODY_CHARS_MAX).collect())
    }
}

/// What has been told.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    strangers: AtomicU64,
    told: Seldom,
}

/// A request that changes the cluster. It is told of when this is dropped: a client that goes away does not take it along.
pub(crate) struct Entry<'a> {
    audit: &'a Audit,
    who: String,
    from: IpAddr,
    head: &'a Parts,
    asked: Option<Asked>,
    status: Option<StatusCode>,
}

impl Audit {
    /// A request has come.
    pub(crate) fn begin<'a>(&'a self, who: String, from: IpAddr, head: &'a Parts) -> Entry<'a> {
        Entry { audit: self, who, from, head, asked: None, status: None }
    }
}

impl Entry<'_> {
    /// It has been answered.
    pub(crate) fn answered(&mut self, response: &mut Response) {
        self.asked = response.extensions_mut().remove();
        self.status = Some(response.status());
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let (who, from) = (&self.who, self.from);
        let (method, path) = (self.head.method.as_str(), self.head.uri.path());
        let asked = self.asked.as_ref().map(|asked| &asked.0);
        let status = self.status.map(|status| status.as_u16());
        let outcome = match self.status {
            None => "the client went away before it was answered",
            Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => "refused",
            Some(status) if status.is_success() => "done",
            Some(_) => "failed",
        };
        if self.status != Some(StatusCode::UNAUTHORIZED) {
            tracing::info!(target: "precede::audit", who, %from, method, path, asked, status, outcome, "administration");
            return;
        }
        let strangers = self.audit.strangers.fetch_add(1, Ordering::Relaxed) + 1;
        if self.audit.told.is_time(&from.to_string(), Instant::now()) {
            tracing::warn!(target: "precede::audit", who, %from, method, path, status, outcome, strangers, "administration");
        }
    }
}
