//! Forms of bodies, headers and parameters, in JSON Schema. Objects are closed: a field that is not named here is a mistake.

use serde_json::{Map, Value, json};

/// Fields of an object, by name.
pub(crate) type Fields<'a> = &'a [(&'a str, Value)];

/// A text.
pub(crate) fn text() -> Value {
    json!({ "type": "string" })
}

/// True or false.
pub(crate) fn flag() -> Value {
    json!({ "type": "boolean" })
}

/// A whole number that is not negative.
pub(crate) fn number() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

/// A list.
pub(crate) fn list(of: &Value) -> Value {
    json!({ "type": "array", "items": of })
}

/// Exactly this.
pub(crate) fn only(value: impl Into<Value>) -> Value {
    json!({ "const": value.into() })
}

/// One of these texts.
pub(crate) fn one_of(texts: &[&str]) -> Value {
    json!({ "type": "string", "enum": texts })
}

/// An object of any form.
pub(crate) fn opaque() -> Value {
    json!({ "type": "object" })
}

/// An object with these fields and no others.
pub(crate) fn object(required: Fields<'_>, optional: Fields<'_>) -> Value {
    let names: Vec<&str> = required.iter().map(|(name, _)| *name).collect();
    let fields: Map<String, Value> =
        required.iter().chain(optional).map(|(name, form)| ((*name).to_owned(), form.clone())).collect();
    json!({ "type": "object", "properties": fields, "required": names, "additionalProperties": false })
}

/// The body of a response: these fields and the context.
pub(crate) fn body(required: Fields<'_>, optional: Fields<'_>) -> Value {
    let context = ("causal-context", named_as("Context"));
    object(&[required, &[context]].concat(), optional)
}

/// The body of a request: these fields, the context, and others that are ignored.
pub(crate) fn request(required: Fields<'_>, optional: Fields<'_>) -> Value {
    let mut form = object(required, &[optional, &[("causal-context", named_as("Contexts"))]].concat());
    form["additionalProperties"] = json!(true);
    form
}

/// A form of [`named`].
pub(crate) fn named_as(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Forms that several routes use.
pub(crate) fn named() -> Value {
    let token = json!({ "type": "string", "description": "Opaque; empty for the empty context" });
    let context = object(&[], &[("token", token.clone())]);
    let sent = json!({ "type": "object", "properties": { "token": token } });
    let failure = [("error", text()), ("message", text())];
    let lost = json!({ "const": false });
    let shard = [("shard-id", number()), ("replicas", list(&text()))];
    json!({
        "Context": described(context, "The causal context; send it back as it is"),
        "Contexts": {
            "description": "A context as the store gave it, or several, which are merged",
            "anyOf": [sent, { "type": "null" }, { "type": "array", "items": { "anyOf": [sent, { "type": "null" }] }, "maxItems": 64 }],
        },
        "Failure": described(
            body(&failure, &[("address", described(text(), "Who refused, if it is another node than the one asked"))]),
            "What went wrong, and how to mend it",
        ),
        "Absent": described(
            body(&[&failure[..], &[("doesExist", lost)]].concat(), &[("address", served_by())]),
            "The key does not exist",
        ),
        "ShardState": object(&shard, &[("key-count", number())]),
        "Value": {
            "description": "Any JSON value but null and the empty text",
            "anyOf": [{ "type": "string", "minLength": 1 }, { "type": ["number", "boolean", "object", "array"] }],
        },
    })
}

/// The field of a response that another node served.
pub(crate) fn served_by() -> Value {
    described(text(), "Who served the request, if it is another node than the one asked")
}

/// The same form, with what it is for.
pub(crate) fn described(mut form: Value, about: &str) -> Value {
    form["description"] = json!(about);
    form
}
