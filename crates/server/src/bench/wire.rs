//! One connection, driven by hand: the load must cost little next to what it loads.

use std::io::{self, Write};

use bytes::{Buf, BytesMut};

use crate::bench::args::{Concern, Operation};
use crate::bench::stream::Stream;
use crate::credentials::Shown;
use crate::tls::Trust;

/// The largest head of a response.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// A connection to a node, made when it is needed and made again when it has ended.
pub(crate) struct Connection {
    node: String,
    stream: Option<Stream>,
    /// Whom to trust, if TLS is spoken.
    trust: Option<Trust>,
    /// Everything of a PUT that is the same for every key: the value in its body.
    put_body: Vec<u8>,
    /// And what stands behind its key.
    put_query: String,
    carries_context: bool,
    /// The header that shows a token to the node, if one is shown.
    authorization: Vec<u8>,
    token: Vec<u8>,
    output: Vec<u8>,
    input: BytesMut,
}

/// A response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reply {
    /// Its status.
    pub(crate) status: u16,
    /// How many bytes its body has.
    pub(crate) body_bytes: usize,
    /// How many its context has, as a header.
    pub(crate) token_bytes: usize,
}

/// The head of a response, as far as it matters.
#[derive(Debug, PartialEq, Eq)]
struct Head<'a> {
    status: u16,
    bytes: usize,
    body_bytes: usize,
    token: &'a [u8],
    closes: bool,
}

impl Connection {
    /// A connection that is not made yet.
    pub(crate) fn new(node: &str, value_bytes: usize, carries_context: bool, concern: Option<Concern>) -> Self {
        Self {
            node: node.to_owned(),
            stream: None,
            trust: None,
            put_body: format!("{{\"value\":\"{}\"}}", "v".repeat(value_bytes)).into_bytes(),
            put_query: concern.map_or_else(String::new, |concern| format!("?w={}", concern.name())),
            carries_context,
            authorization: Vec::new(),
            token: Vec::new(),
            output: Vec::new(),
            input: BytesMut::new(),
        }
    }

    /// The same, which shows the node a token and speaks TLS, if that was said.
    pub(crate) fn showing(mut self, shown: &Shown) -> Self {
        let line = shown.token.as_ref().map(|token| format!("authorization: Bearer {token}\r\n"));
        self.authorization = line.unwrap_or_default().into_bytes();
        self.trust.clone_from(&shown.trust);
        self
    }

    /// Makes the connection.
    pub(crate) async fn connect(&mut self) -> io::Result<()> {
        self.stream = Some(Stream::connect(&self.node, self.trust.as_ref()).await?);
        Ok(())
    }

    /// Sends requests at once and reads the responses, one after the other. After an error the connection is made anew.
    pub(crate) async fn exchange(
        &mut self,
        requests: &[(Operation, u64)],
        mut on_reply: impl FnMut(Operation, Reply),
    ) -> io::Result<()> {
        if self.stream.is_none() {
            self.connect().await?;
        }
        let mut stream = self.stream.take().ok_or(io::ErrorKind::NotConnected)?;
        self.output.clear();
        self.input.clear();
        for (operation, key) in requests {
            self.write(*operation, *key)?;
        }
        stream.write_all(&self.output).await?;
        let mut ends = false;
        for (operation, _) in requests {
            if ends {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the node ended the connection"));
            }
            let (reply, closes) = self.read(&mut stream).await?;
            on_reply(*operation, reply);
            ends = closes;
        }
        if !self.input.is_empty() {
            return Err(invalid("more bytes than the responses have"));
        }
        if !ends {
            self.stream = Some(stream);
        }
        Ok(())
    }

    fn write(&mut self, operation: Operation, key: u64) -> io::Result<()> {
        let (output, node) = (&mut self.output, &self.node);
        let (method, query) = match operation {
            Operation::Get => ("GET", ""),
            Operation::Put => ("PUT", self.put_query.as_str()),
        };
        write!(output, "{method} /kv-store/keys/key-{key:012}{query} HTTP/1.1\r\nhost: {node}\r\n")?;
        output.extend_from_slice(&self.authorization);
        if !self.token.is_empty() {
            output.extend_from_slice(b"causal-context: ");
            output.extend_from_slice(&self.token);
            output.extend_from_slice(b"\r\n");
        }
        match operation {
            Operation::Get => output.extend_from_slice(b"\r\n"),
            Operation::Put => {
                let length = self.put_body.len();
                write!(output, "content-type: application/json\r\ncontent-length: {length}\r\n\r\n")?;
                output.extend_from_slice(&self.put_body);
            }
        }
        Ok(())
    }

    /// Reads a response, and whether the connection ends with it.
    async fn read(&mut self, stream: &mut Stream) -> io::Result<(Reply, bool)> {
        let (reply, bytes, closes) = loop {
            if let Some(head) = Head::parse(&self.input)? {
                if self.carries_context && !head.token.is_empty() {
                    self.token.clear();
                    self.token.extend_from_slice(head.token);
                }
                let (body_bytes, token_bytes) = (head.body_bytes, head.token.len());
                let reply = Reply { status: head.status, body_bytes, token_bytes };
                break (reply, head.bytes + head.body_bytes, head.closes);
            }
            if self.input.len() > HEAD_BYTES_MAX {
                return Err(invalid("a response whose head has no end"));
            }
            stream.read_more(&mut self.input).await?;
        };
        while self.input.len() < bytes {
            stream.read_more(&mut self.input).await?;
        }
        self.input.advance(bytes);
        Ok((reply, closes))
    }
}

impl<'a> Head<'a> {
    /// Parses a head; `None` if it is not here as a whole.
    fn parse(input: &'a [u8]) -> io::Result<Option<Self>> {
        let (mut status, mut body_bytes, mut token, mut closes) = (None, None, &input[..0], false);
        let mut bytes = 0;
        while let Some(length) = input[bytes..].iter().position(|byte| *byte == b'\n') {
            let line = &input[bytes..bytes + length];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            bytes += length + 1;
            if status.is_none() {
                status = Some(parse_status(line)?);
            } else if line.is_empty() {
                let body_bytes = body_bytes.ok_or_else(|| invalid("a response without Content-Length"))?;
                return Ok(status.map(|status| Self { status, bytes, body_bytes, token, closes }));
            } else if let Some(value) = field(line, b"content-length") {
                body_bytes = Some(number(value).ok_or_else(|| invalid("a Content-Length that is no number"))?);
            } else if let Some(value) = field(line, b"causal-context") {
                token = value;
            } else if let Some(value) = field(line, b"connection") {
                closes = value.eq_ignore_ascii_case(b"close");
            }
        }
        Ok(None)
    }
}

/// The value of the field `name`, if the line is that field.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn parse_status(line: &[u8]) -> io::Result<u16> {
    let code = line.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(number);
    code.and_then(|code| u16::try_from(code).ok()).ok_or_else(|| invalid("something that is no response of HTTP/1.1"))
}

fn number(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the node sent {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_parsed_when_they_are_whole() {
        let text =
            b"HTTP/1.1 201 Created\r\nContent-Length: 7\r\ncausal-context: abc\r\nconnection: close\r\n\r\n{\"a\":1}";
        let head = text.len() - 7;
        for cut in 0..head {
            assert_eq!(Head::parse(&text[..cut]).unwrap(), None, "{cut}");
        }
        let expected = Head { status: 201, bytes: head, body_bytes: 7, token: b"abc", closes: true };
        assert_eq!(Head::parse(text).unwrap(), Some(expected));
    }

    #[test]
    fn what_is_no_response_is_refused() {
        for text in ["\r\n", "HTTP/1.0 200 OK\r\n", "HTTP/1.1 2\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
            assert!(Head::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n").is_err());
    }

    #[test]
    fn requests_carry_the_token_the_value_and_the_write_concern() {
        let shown = Shown { token: Some("secret".to_owned()), trust: None };
        let mut connection = Connection::new("n:1", 2, true, Some(Concern::Majority)).showing(&shown);
        connection.write(Operation::Get, 7).unwrap();
        assert_eq!(
            connection.output,
            b"GET /kv-store/keys/key-000000000007 HTTP/1.1\r\nhost: n:1\r\nauthorization: Bearer secret\r\n\r\n"
        );
        connection.token = b"t".to_vec();
        connection.output.clear();
        connection.write(Operation::Put, 7).unwrap();
        let text = String::from_utf8(connection.output).unwrap();
        assert!(text.starts_with("PUT /kv-store/keys/key-000000000007?w=majority HTTP/1.1\r\n"), "{text}");
        assert!(
            text.ends_with("content-length: 14\r\n\r\n{\"value\":\"vv\"}") && text.contains("causal-context: t\r\n")
        );
    }
}
