//! The served document, and responses held against it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::cluster::Response;
use crate::forms::Forms;

/// The headers of responses that belong to the interface; others are HTTP's own.
const OURS: [&str; 3] = ["causal-context", "retry-after", "x-request-id"];

/// The interface as a node describes it, and what of it has been seen.
pub struct Interface {
    pub document: Value,
    seen: BTreeSet<(String, String, u16)>,
}

impl Interface {
    pub fn of(served: &Response) -> Self {
        assert_eq!((served.status, served.header("content-type")), (200, "application/json"));
        Self { document: serde_json::from_slice(&served.body).unwrap(), seen: BTreeSet::new() }
    }

    /// The path of the document that a path is one of.
    fn template(&self, path: &str) -> &str {
        let path = path.split('?').next().unwrap();
        let paths = self.document["paths"].as_object().unwrap();
        let fits = |template: &&String| match template.split_once("{") {
            Some((fixed, _)) => path.starts_with(fixed),
            None => path == template.as_str(),
        };
        paths.keys().find(fits).unwrap_or_else(|| panic!("{path} is not described"))
    }

    /// Holds a response against what the document says of it.
    pub fn check(&mut self, method: &str, path: &str, response: &Response) {
        let template = self.template(path).to_owned();
        let status = response.status;
        let told = &self.document["paths"][&template][method.to_lowercase()]["responses"][status.to_string()];
        assert!(told.is_object(), "{method} {template} does not describe {status}: {response:?}");
        self.check_headers(told, response);
        let content = told["content"].as_object().unwrap();
        let kind = response.header("content-type").split(';').next().unwrap();
        match content.get(kind) {
            Some(described) if described["schema"].is_object() => {
                self.check_body(&described["schema"], path.contains("raw"), response);
            }
            Some(_) => {}
            None => assert!(content.contains_key("*/*"), "{method} {template} {status}: {kind} is not described"),
        }
        self.seen.insert((method.to_owned(), template, status));
    }

    fn check_headers(&self, told: &Value, response: &Response) {
        let headers = told["headers"].as_object().unwrap();
        for (name, header) in headers {
            let value = response.headers.iter().find(|(other, _)| *other == name.to_lowercase());
            assert!(value.is_some() || header["required"] == json!(false), "{name} is missing: {response:?}");
            if let Some((_, value)) = value {
                let value = match header["schema"]["type"].as_str().unwrap() {
                    "integer" => json!(value.parse::<u64>().unwrap()),
                    _ => json!(value),
                };
                let wrong = self.forms().judge(&header["schema"], &value);
                assert_eq!(wrong, None, "{name}");
            }
        }
        for (name, _) in &response.headers {
            let is_ours = name.starts_with("precede-") || OURS.contains(&name.as_str());
            assert!(
                !is_ours || headers.keys().any(|told| told.to_lowercase() == *name),
                "{name} is not described: {response:?}"
            );
        }
    }

    /// With `raw` any JSON may be the value itself, and without it none may.
    fn check_body(&self, schema: &Value, raw: bool, response: &Response) {
        let schema = match &schema["anyOf"] {
            Value::Array(forms) if !raw && forms.iter().any(|form| form["title"] == json!("raw")) => &forms[0],
            _ => schema,
        };
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        let wrong = self.forms().judge(schema, &body);
        assert_eq!(wrong, None, "{body} is not {schema}");
    }

    fn forms(&self) -> Forms<'_> {
        Forms(&self.document)
    }

    /// What the document promises and no response has shown.
    pub fn unseen(&self) -> Vec<(String, String, u16)> {
        let mut unseen = Vec::new();
        for (path, operations) in self.document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                for status in operation["responses"].as_object().unwrap().keys() {
                    let one = (method.to_uppercase(), path.clone(), status.parse().unwrap());
                    if !self.seen.contains(&one) {
                        unseen.push(one);
                    }
                }
            }
        }
        unseen
    }
}
