//! The causal context of a request: from headers and from the body, merged.

use std::borrow::Cow;

use http::HeaderMap;
use precede_core::causality::context::Context;
use precede_core::causality::token::{self, TokenError};
use precede_core::id::ViewId;
use precede_core::limits::{CONTEXT_ENTRIES_MAX, CONTEXTS_PER_REQUEST_MAX};
use precede_core::wire::request::Refusal;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::errors::{Failure, from_refusal};
use crate::http::memo::Memo;
use crate::http::reply::CAUSAL_CONTEXT;
use crate::http::seal::{self, Forged, Issuer};

/// What is said of a context that the cluster has not issued.
const FORGED: &str = "it was not issued by this cluster, or so long ago that its secret has changed: send it exactly as it was \
     received, or begin without one";

/// Contexts being merged.
pub(crate) struct Merger<'a> {
    /// The union so far.
    pub(crate) context: Context,
    /// Who issues contexts here: the cluster that the node knows itself to be of.
    issuer: Issuer<'a>,
    /// Its fingerprint.
    pub(crate) cluster: u64,
    /// The name that the node began with: until it heard of its cluster it issued contexts under that.
    first: u64,
    count: usize,
    memo: &'a Memo,
    /// The view of a context that is damaged, or of another cluster than the node knows itself to be of.
    pub(crate) elsewhere: Option<ViewId>,
}

#[derive(Deserialize)]
struct One<'a> {
    #[serde(borrow)]
    token: Cow<'a, str>,
}

impl<'a> Merger<'a> {
    /// Nothing merged yet. `memo`: what the connection was given last.
    pub(crate) fn new(issuer: Issuer<'a>, first: u64, memo: &'a Memo) -> Self {
        let cluster = issuer.cluster;
        Self { context: Context::default(), issuer, cluster, first, count: 0, memo, elsewhere: None }
    }

    /// Merges the headers: each may hold several tokens, separated by commas.
    pub(crate) fn add_headers(&mut self, headers: &HeaderMap) -> Result<(), Failure> {
        for header in headers.get_all(CAUSAL_CONTEXT) {
            if let Some(context) = self.memo.recall(header.as_bytes(), self.issuer) {
                self.add(context)?;
                continue;
            }
            let text = header.to_str().map_err(|_| malformed("the header is not visible ASCII"))?;
            for token in text.split(',').map(str::trim).filter(|token| !token.is_empty()) {
                self.add_token(token)?;
            }
        }
        Ok(())
    }

    /// Merges the field `causal-context` of a body: null, an object, or a list of objects.
    pub(crate) fn add_json(&mut self, text: &str) -> Result<(), Failure> {
        if text == "null" || text == "{}" {
            return Ok(());
        }
        if let Some(token) = plain_token(text) {
            return self.add_token(token);
        }
        if !text.starts_with('[') {
            return self.add_object(text);
        }
        let objects: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| no_context())?;
        objects.iter().try_for_each(|object| self.add_object(object.get()))
    }

    /// Merges a context as the store gave it. Who sends none, or an empty one, has seen nothing.
    fn add_object(&mut self, text: &str) -> Result<(), Failure> {
        if text == "null" || is_empty_object(text) {
            return Ok(());
        }
        if !text.starts_with('{') {
            return Err(no_context());
        }
        let One { token } = serde_json::from_str(text).map_err(|_| no_context())?;
        if token.is_empty() { Ok(()) } else { self.add_token(&token) }
    }

    fn add_token(&mut self, sealed: &str) -> Result<(), Failure> {
        let context = match self.memo.recall(sealed.as_bytes(), self.issuer) {
            Some(context) => context,
            None => {
                let token = seal::open(self.issuer.secrets, sealed).map_err(|Forged| malformed(FORGED))?;
                token::decode(token, self.cluster).map_err(|error| self.objection(token, &error))?
            }
        };
        self.add(context)
    }

    fn add(&mut self, context: Context) -> Result<(), Failure> {
        self.count += 1;
        if self.count > CONTEXTS_PER_REQUEST_MAX {
            return Err(malformed(&format!("more than {CONTEXTS_PER_REQUEST_MAX} contexts in one request")));
        }
        if self.count == 1 {
            self.context = context;
            return Ok(());
        }
        let first = self.context.clone();
        self.context.merge(&context);
        self.context.bound(&first, CONTEXT_ENTRIES_MAX);
        Ok(())
    }
}

impl Merger<'_> {
    /// What is wrong with a token that does not decode. What the node issued under a first view of its own, and gave up when it
    /// heard of its cluster, is known by the name of then.
    fn objection(&mut self, token: &str, error: &TokenError) -> Failure {
        if *error != TokenError::Checksum {
            return malformed(&error.to_string());
        }
        if self.first != self.cluster && token::decode(token, self.first).is_ok() {
            return from_refusal(&Refusal::ViewLost);
        }
        self.elsewhere = token::view_named(token);
        malformed(&error.to_string())
    }
}

fn no_context() -> Failure {
    malformed("it must be an object as the store gave it, or a list of such objects")
}

/// The token of `{"token":"…"}` as the store writes it, without a parser.
fn plain_token(text: &str) -> Option<&str> {
    let token = text.strip_prefix("{\"token\":\"")?.strip_suffix("\"}")?;
    token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')).then_some(token)
}

fn is_empty_object(text: &str) -> bool {
    text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).is_some_and(|inner| inner.trim().is_empty())
}

fn malformed(why: &str) -> Failure {
    Failure::bad(format!("Malformed causal-context: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use precede_core::causality::hlc::Timestamp;

    fn merged(json: &str) -> Result<Context, String> {
        let memo = Memo::default();
        let mut merger = Merger::new(Issuer { cluster: 7, secrets: &None }, 7, &memo);
        merger.add_json(json).map_err(|failure| failure.error)?;
        Ok(merger.context)
    }

    #[test]
    fn empty_forms_are_empty_and_lists_are_merged() {
        for json in ["null", "{}", "{ }", "[]", "[{},null]", r#"{"token":""}"#] {
            assert_eq!(merged(json).unwrap(), Context::default(), "{json}");
        }
        let token = |stable| token::encode(&Context { stable: Timestamp(stable), ..Context::default() }, 7);
        let json = format!(r#"[{{"token":"{}"}}, {{"more":1, "token":"{}"}}]"#, token(5), token(9));
        assert_eq!(merged(&json).unwrap().stable, Timestamp(9));
        assert_eq!(merged(&format!(r#"{{"token":"{}"}}"#, token(5))).unwrap().stable, Timestamp(5));
    }

    #[test]
    fn everything_else_is_malformed() {
        let objects =
            [r#"{"a":1}"#, r#"{"token":3}"#, r#"{"token":null}"#, r#"{"token":"x"}"#, "1", "\"x\"", "true", "[1]"];
        let listed = objects.iter().chain(&["[]", "[\"\"]"]).map(|object| format!("[{object}]"));
        for json in listed.chain(objects.map(str::to_owned)) {
            assert!(merged(&json).unwrap_err().starts_with("Malformed causal-context: "), "{json}");
        }
    }
    #[test]
    fn what_was_issued_under_a_first_name_is_lost_and_what_others_issued_is_known_by_its_view() {
        let view = ViewId { epoch: 3, activation: Timestamp(9), coordinator: precede_core::id::NodeId(1) };
        let context = Context { view: Some(view), stable: Timestamp(5), ..Context::default() };
        let status = |cluster| {
            let memo = Memo::default();
            let mut merger = Merger::new(Issuer { cluster: 7, secrets: &None }, 6, &memo);
            let json = format!(r#"{{"token":"{}"}}"#, token::encode(&context, cluster));
            let failure = merger.add_json(&json).err().map(|failure| failure.status.as_u16());
            (failure, merger.elsewhere)
        };
        assert_eq!(status(7), (None, None));
        assert_eq!(status(6), (Some(410), None));
        assert_eq!(status(5), (Some(400), Some(view)));
    }
}
