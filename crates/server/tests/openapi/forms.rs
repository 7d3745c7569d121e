//! As much of JSON Schema as the document uses. A keyword that is not known here fails the test: nothing is passed over.

use serde_json::Value;

/// The forms of a document, to which references lead.
pub struct Forms<'a>(pub &'a Value);

impl Forms<'_> {
    /// What is wrong with a value; nothing if it has the form.
    pub fn judge(&self, form: &Value, value: &Value) -> Option<String> {
        let form = form.as_object().unwrap();
        form.iter().find_map(|(keyword, said)| self.judge_by(form, keyword, said, value))
    }

    fn fits(&self, forms: &Value, value: &Value) -> usize {
        forms.as_array().unwrap().iter().filter(|form| self.judge(form, value).is_none()).count()
    }

    fn judge_by(
        &self,
        form: &serde_json::Map<String, Value>,
        keyword: &str,
        said: &Value,
        value: &Value,
    ) -> Option<String> {
        let holds = match keyword {
            "description" | "title" => true,
            "$ref" => {
                let form = self.0.pointer(said.as_str().unwrap().strip_prefix('#').unwrap()).unwrap();
                return self.judge(form, value);
            }
            "type" => match said {
                Value::Array(kinds) => kinds.iter().any(|kind| is(kind.as_str().unwrap(), value)),
                kind => is(kind.as_str().unwrap(), value),
            },
            "const" => value == said,
            "enum" => said.as_array().unwrap().contains(value),
            "anyOf" => self.fits(said, value) > 0,
            "oneOf" => self.fits(said, value) == 1,
            "minimum" => value.as_f64().is_none_or(|number| number >= said.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= said.as_f64().unwrap()),
            "minLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 >= said.as_u64().unwrap()),
            "maxItems" => value.as_array().is_none_or(|list| list.len() as u64 <= said.as_u64().unwrap()),
            "items" => return value.as_array().and_then(|list| list.iter().find_map(|item| self.judge(said, item))),
            "required" => said.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
            "properties" => {
                let fields = said.as_object().unwrap();
                return fields.iter().find_map(|(name, form)| self.judge(form, value.get(name)?));
            }
            "additionalProperties" => {
                let known = |name: &String| form["properties"].get(name).is_some();
                said == true || value.as_object().is_none_or(|fields| fields.keys().all(known))
            }
            _ => panic!("the keyword {keyword} is not known here"),
        };
        (!holds).then(|| format!("{keyword}: {value} is not {said}"))
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("there is no type {kind}"),
    }
}

#[test]
fn what_has_another_form_is_told() {
    use serde_json::json;
    let document = json!({ "a": { "type": "object", "properties": { "n": { "type": "integer", "minimum": 0 } },
                                  "required": ["n"], "additionalProperties": false } });
    let form = json!({ "anyOf": [{ "$ref": "#/a" }, { "type": "array", "items": { "const": 1 }, "maxItems": 2 }] });
    let judge = |value| Forms(&document).judge(&form, &value);
    for good in [json!({ "n": 0 }), json!([]), json!([1, 1])] {
        assert_eq!(judge(good), None);
    }
    for bad in [json!({}), json!({ "n": -1 }), json!({ "n": 0, "m": 0 }), json!([2]), json!([1, 1, 1]), json!(null)] {
        assert!(judge(bad.clone()).is_some(), "{bad}");
    }
}
