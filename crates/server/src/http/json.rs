//! Writes one JSON object into one buffer.

use bytes::Bytes;

/// A JSON object being written, field by field.
pub(crate) struct Object(Vec<u8>);

impl Object {
    /// An empty object with room for `room` bytes.
    pub(crate) fn new(room: usize) -> Self {
        let mut buffer = Vec::with_capacity(room);
        buffer.push(b'{');
        Self(buffer)
    }

    /// A field whose value is JSON already.
    pub(crate) fn raw(mut self, name: &str, json: &[u8]) -> Self {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
        self.0.extend_from_slice(json);
        self
    }

    /// A text.
    pub(crate) fn text(self, name: &str, text: &str) -> Self {
        let mut field = self.raw(name, b"");
        serde_json::to_writer(&mut field.0, text).expect("a text can be written to memory");
        field
    }

    /// A text of this program's own, in which nothing has to be escaped.
    pub(crate) fn constant(self, name: &str, text: &'static str) -> Self {
        debug_assert!(text.bytes().all(|byte| byte != b'"' && byte != b'\\' && byte >= b' '), "{text}");
        let mut field = self.raw(name, b"\"");
        field.0.extend_from_slice(text.as_bytes());
        field.0.push(b'"');
        field
    }

    /// True or false.
    pub(crate) fn boolean(self, name: &str, value: bool) -> Self {
        self.raw(name, if value { b"true" } else { b"false" })
    }

    /// A number.
    pub(crate) fn number(self, name: &str, number: u64) -> Self {
        self.raw(name, number.to_string().as_bytes())
    }

    /// Anything that serde can write.
    pub(crate) fn value(self, name: &str, value: &impl serde::Serialize) -> Self {
        let mut field = self.raw(name, b"");
        serde_json::to_writer(&mut field.0, value).expect("lists of texts and numbers can be written to memory");
        field
    }

    /// The causal context: `{}` if empty, else its token.
    pub(crate) fn context(self, token: impl AsRef<[u8]>) -> Self {
        let token = token.as_ref();
        if token.is_empty() {
            return self.raw("causal-context", b"{}");
        }
        let mut field = self.raw("causal-context", b"{\"token\":\"");
        field.0.extend_from_slice(token);
        field.0.extend_from_slice(b"\"}");
        field
    }

    /// The object's text.
    pub(crate) fn finish(mut self) -> Bytes {
        self.0.push(b'}');
        self.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_separated_and_texts_escaped() {
        let object =
            Object::new(0).text("a", "\"\n").boolean("b", true).number("n", 3).value("l", &[1, 2]).context("t");
        let text = r#"{"a":"\"\n","b":true,"n":3,"l":[1,2],"causal-context":{"token":"t"}}"#;
        assert_eq!(object.finish(), text.as_bytes());
        assert_eq!(Object::new(0).context("").finish(), r#"{"causal-context":{}}"#.as_bytes());
    }
}
