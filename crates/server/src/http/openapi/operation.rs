//! What a route says of one of its methods: parameters, bodies, answers and their headers.

use std::collections::BTreeMap;

use precede_core::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use serde_json::{Map, Value, json};

use crate::http::openapi::schema::{described, named_as, number, one_of, text};

const JSON: &str = "application/json";

/// A header of responses. `CAUSAL_CONTEXT` is on every one, `REQUEST_ID` may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    name: &'static str,
    about: &'static str,
    is_number: bool,
}

/// A header that is a text.
pub(crate) const fn header(name: &'static str, about: &'static str) -> Header {
    Header { name, about, is_number: false }
}

/// The context.
const CAUSAL_CONTEXT: Header = header("Causal-Context", "The causal context's token; empty for the empty context");
/// Who served.
pub(crate) const NODE: Header = header("Precede-Node", "The address of the node that served the request");
/// What was read or written.
pub(crate) const VERSION: Header =
    header("Precede-Version", "The version read or written; equal for equal writes, else opaque");
/// How safe a write is.
pub(crate) const ACKS: Header =
    Header { name: "Precede-Acks", about: "On how many replicas the write is", is_number: true };
const LOST: Header = header("Precede-Lost", "There if the context named writes that died with all their holders");
const REPEAT: Header = header("Precede-Repeat", "There if the write may take effect twice");
const REASON: Header = header("Precede-Reason", "Why the request could not be satisfied");
const AUTHENTICATE: Header = header("WWW-Authenticate", "Always Bearer");
const REQUEST_ID: Header = header(
    "X-Request-Id",
    "The request's name: there if it had one or is part of a trace, and with every failure of the node",
);
const RETRY_AFTER: Header = Header { name: "Retry-After", about: "Seconds after which to try again", is_number: true };

/// What may be in every answer about a key.
const ABOUT_KEYS: [Header; 5] = [NODE, VERSION, ACKS, LOST, REPEAT];

/// One answer.
#[derive(Debug)]
struct Answer {
    about: &'static str,
    content: Map<String, Value>,
    /// The headers that it always has, and those that it may have.
    headers: BTreeMap<&'static str, (Header, bool)>,
}

/// One method of a route.
#[derive(Debug)]
pub(crate) struct Operation {
    /// The method.
    pub(crate) method: &'static str,
    id: &'static str,
    summary: &'static str,
    about: &'static str,
    /// Whether the least role includes it.
    is_read: bool,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: BTreeMap<u16, Answer>,
}

impl Operation {
    /// An operation; every one takes a context in the header, and what it is to be known by.
    pub(crate) fn new(method: &'static str, id: &'static str, summary: &'static str) -> Self {
        let operation = Self {
            method,
            id,
            summary,
            about: "",
            is_read: method == "GET",
            parameters: Vec::new(),
            body: None,
            answers: BTreeMap::new(),
        };
        let about = "The context's token as a response gave it; several are separated by commas, and merged";
        let operation = operation.parameter("header", "Causal-Context", false, described(text(), about));
        let about =
            "The request's name, of 1 to 128 visible ASCII characters; another one is replaced. The response has it";
        let operation = operation.parameter("header", "X-Request-Id", false, described(text(), about));
        let about = "The trace that the request is part of (W3C Trace Context), with tracestate; a malformed one counts as none";
        operation.parameter("header", "traceparent", false, described(text(), about))
    }

    /// More about it.
    pub(crate) fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    /// It changes nothing, though its method may: the least role includes it.
    pub(crate) fn only_reads(self) -> Self {
        Self { is_read: true, ..self }
    }

    /// A part of the path.
    pub(crate) fn path(self, name: &str, form: Value) -> Self {
        self.parameter("path", name, true, form)
    }

    /// A parameter of the query, which may be left out.
    pub(crate) fn query(self, name: &str, form: Value) -> Self {
        self.parameter("query", name, false, form)
    }

    /// How long a read may wait for its context.
    pub(crate) fn waits(self) -> Self {
        let form = json!({
            "type": "integer", "minimum": 0, "maximum": 60_000,
            "description": "For how many milliseconds a read may wait for its context; 1000 unless it is said. Writes do not heed it.",
        });
        self.query("wait", form)
    }

    /// On how many replicas a write is to be.
    pub(crate) fn has_concern(self) -> Self {
        let about =
            "On how many replicas the write is to be before it is answered; if it is not in time, the answer is 202";
        self.query("w", described(one_of(&["1", "2", "majority", "all"]), about))
    }

    /// A repeat of a write may be recognised.
    pub(crate) fn may_be_named(self) -> Self {
        let form = json!({
            "type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_BYTES_MAX, "pattern": "^[!-~]+$",
            "description": "A name for the write, new for each: a repeat with the same name gets the first outcome, and is not made again, for ten minutes and where the first is known",
        });
        self.parameter("header", "Idempotency-Key", false, form)
    }

    /// Values may be bytes.
    pub(crate) fn may_be_raw(mut self) -> Self {
        let about = "Whether the value is bytes with a type, not a field of a JSON object";
        let form = described(one_of(&["", "1", "true", "0", "false"]), about);
        self = self.query("raw", form);
        if let Some(raw) = self.parameters.last_mut() {
            raw["allowEmptyValue"] = json!(true);
        }
        self
    }

    fn parameter(mut self, place: &str, name: &str, required: bool, mut form: Value) -> Self {
        let about = form.as_object_mut().and_then(|form| form.remove("description")).unwrap_or_else(|| json!(""));
        self.parameters
            .push(json!({ "name": name, "in": place, "required": required, "description": about, "schema": form }));
        self
    }

    /// A body of JSON.
    pub(crate) fn takes(self, form: &Value) -> Self {
        Self { body: Some(json!({ "required": true, "content": { JSON: { "schema": form } } })), ..self }
    }

    /// A body of JSON, or none.
    pub(crate) fn may_take(self, form: &Value) -> Self {
        let mut taken = self.takes(form);
        if let Some(body) = &mut taken.body {
            body["required"] = json!(false);
        }
        taken
    }

    /// Bodies of any other type are taken too, and none, which is a value of no bytes.
    pub(crate) fn takes_bytes(mut self) -> Self {
        if let Some(body) = &mut self.body {
            body["required"] = json!(false);
            body["content"]["application/octet-stream"] = json!({});
            body["content"]["*/*"] = json!({});
        }
        self
    }

    /// An answer of JSON.
    pub(crate) fn answers(mut self, status: u16, about: &'static str, form: Value) -> Self {
        let described = Map::from_iter([("schema".to_owned(), form)]);
        let content = Map::from_iter([(JSON.to_owned(), Value::Object(described))]);
        self.answers.insert(status, Answer { about, content, headers: common(status) });
        self
    }

    /// An answer that is no JSON.
    pub(crate) fn answers_text(mut self, status: u16, about: &'static str, content_type: &'static str) -> Self {
        let content = Map::from_iter([(content_type.to_owned(), json!({}))]);
        self.answers.insert(status, Answer { about, content, headers: common(status) });
        self
    }

    /// The answer of this status always has these headers.
    pub(crate) fn with_headers(mut self, status: u16, headers: &[Header]) -> Self {
        if let Some(answer) = self.answers.get_mut(&status) {
            answer.headers.extend(headers.iter().map(|header| (header.name, (*header, true))));
        }
        self
    }

    /// The same answer may be bytes of another type.
    pub(crate) fn or_bytes(mut self, status: u16) -> Self {
        if let Some(answer) = self.answers.get_mut(&status) {
            answer.content.insert("*/*".to_owned(), json!({}));
        }
        self
    }

    /// A refusal.
    pub(crate) fn fails(self, status: u16, about: &'static str) -> Self {
        self.answers(status, about, named_as("Failure")).headed(status)
    }

    /// The headers that a refusal may have by its status.
    fn headed(mut self, status: u16) -> Self {
        if let Some(answer) = self.answers.get_mut(&status) {
            answer.headers.insert(REASON.name, (REASON, false));
            match status {
                401 => drop(answer.headers.insert(AUTHENTICATE.name, (AUTHENTICATE, true))),
                503 => drop(answer.headers.insert(RETRY_AFTER.name, (RETRY_AFTER, true))),
                _ => {}
            }
        }
        self
    }

    /// A refusal with a form of its own.
    pub(crate) fn fails_as(self, status: u16, about: &'static str, form: Value) -> Self {
        self.answers(status, about, form).headed(status)
    }

    /// The answers so far may have what is told about keys, and those of these statuses always have these headers.
    pub(crate) fn about_keys(mut self, always: &[(u16, &[Header])]) -> Self {
        for answer in self.answers.values_mut() {
            answer.headers.extend(ABOUT_KEYS.map(|header| (header.name, (header, false))));
        }
        for (status, headers) in always {
            if let Some(answer) = self.answers.get_mut(status) {
                answer.headers.extend(headers.iter().map(|header| (header.name, (*header, true))));
            }
        }
        self
    }

    /// The answers so far may tell who gave them and what was lost; those that are no refusals always tell the former.
    pub(crate) fn served(mut self) -> Self {
        for (status, answer) in &mut self.answers {
            answer.headers.extend([(NODE.name, (NODE, *status < 300)), (LOST.name, (LOST, false))]);
        }
        self
    }

    /// The refusals of whatever reads a body and a context, where it has not said its own.
    pub(crate) fn reads_a_body(self) -> Self {
        let common = [
            (400, MALFORMED),
            (408, "The body is not there in time"),
            (410, LOST_VIEW),
            (413, "The body is larger than the limit"),
            (503, BUSY),
        ];
        common.into_iter().fold(self.limited().guarded(), |operation, (status, about)| {
            if operation.answers.contains_key(&status) { operation } else { operation.fails(status, about) }
        })
    }

    /// The refusals of a node that asks for tokens.
    pub(crate) fn guarded(self) -> Self {
        let is_read = self.is_read;
        let guarded = self.fails(401, "The node asks for tokens, and none that it knows was shown");
        if is_read { guarded } else { guarded.fails(403, "The token's role does not include this") }
    }

    /// The refusals of every route.
    pub(crate) fn limited(self) -> Self {
        self.fails(431, "Request line and headers are larger than the limit")
    }

    /// The operation as it stands in a document.
    pub(crate) fn describe(&self) -> Value {
        let answers: Map<String, Value> =
            self.answers.iter().map(|(status, answer)| (status.to_string(), answer.describe())).collect();
        let mut described = json!({
            "operationId": self.id, "summary": self.summary, "parameters": self.parameters, "responses": answers,
        });
        if !self.about.is_empty() {
            described["description"] = json!(self.about);
        }
        if let Some(body) = &self.body {
            described["requestBody"] = body.clone();
        }
        described
    }
}

/// The headers that any answer of this status always has, and may have.
fn common(status: u16) -> BTreeMap<&'static str, (Header, bool)> {
    [(CAUSAL_CONTEXT, true), (REQUEST_ID, status >= 500)].map(|(header, always)| (header.name, (header, always))).into()
}

/// Why any request with a context may be 410.
pub(crate) const LOST_VIEW: &str = "The view of the context is lost: nothing can be promised to this context any more";
/// Why any request but a probe may be 503.
pub(crate) const BUSY: &str = "Too many requests at once, or the node is about to end";
/// Why a request that is read is 400 on every route.
const MALFORMED: &str =
    "The body is no JSON object, or a context in it or in the header is damaged or of another cluster";

impl Answer {
    fn describe(&self) -> Value {
        let headers: Map<String, Value> = self
            .headers
            .values()
            .map(|(header, required)| {
                let form = if header.is_number { number() } else { text() };
                let described = json!({ "description": header.about, "required": required, "schema": form });
                (header.name.to_owned(), described)
            })
            .collect();
        json!({ "description": self.about, "headers": headers, "content": self.content })
    }
}
