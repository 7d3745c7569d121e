//! Fixed answers: said where there is no request that a route could answer.
//!
//! Hyper answers what it cannot parse by itself, without a body. No response of the store has an empty body, so the socket
//! puts one of these in its place (see `socket::Watched`).

/// Said on a connection whose request's head took too long.
pub(crate) const TOO_SLOW: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\ncontent-length: 101\r\n\
connection: close\r\ncausal-context: \r\n\r\n\
{\"error\":\"The request's header did not arrive in time\",\"message\":\"Request error\",\"causal-context\":{}}";
/// Said on a connection beyond every limit.
pub(crate) const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\
retry-after: 1\r\nconnection: close\r\ncausal-context: \r\n\r\n\
{\"error\":\"Unable to satisfy request\",\"message\":\"Too many connections\",\"causal-context\":{}}";
/// Said to what is no HTTP.
const MALFORMED: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 80\r\n\
connection: close\r\ncausal-context: \r\n\r\n\
{\"error\":\"Malformed HTTP request\",\"message\":\"Request error\",\"causal-context\":{}}";
/// Said to a head that does not even fit the room for reading it, or has too many lines.
const HEAD_TOO_LARGE: &[u8] =
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\ncontent-length: 123\r\n\
connection: close\r\ncausal-context: \r\n\r\n\
{\"error\":\"Request header is too large: send a shorter target or fewer lines\",\"message\":\"Request error\",\"causal-context\":{}}";

/// The longest response of hyper's own making: a status line and three short headers.
const OWN_BYTES_MAX: usize = 256;

/// If what hyper writes ends in a refusal of its own making: where that begins, and what to say instead. All other
/// responses but raw values end in a brace.
pub(crate) fn instead_of(written: &[u8]) -> Option<(usize, &'static [u8])> {
    if !written.ends_with(b"\r\n\r\n") {
        return None;
    }
    let tail_at = written.len().saturating_sub(OWN_BYTES_MAX);
    let tail = &written[tail_at..];
    let at = tail.windows(10).rposition(|bytes| bytes.starts_with(b"HTTP/1.") && bytes.ends_with(b" 4"))?;
    let head = &tail[at..];
    head.windows(19).any(|line| line == b"content-length: 0\r\n").then(|| {
        let is_too_large = head[9..].starts_with(b"431") || head[9..].starts_with(b"414");
        let instead = if is_too_large { HEAD_TOO_LARGE } else { MALFORMED };
        (tail_at + at, instead)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_answers_have_the_length_they_state() {
        for answer in [TOO_SLOW, TOO_MANY, MALFORMED, HEAD_TOO_LARGE] {
            let text = std::str::from_utf8(answer).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
            serde_json::from_str::<serde_json::Value>(body).unwrap();
        }
    }

    #[test]
    fn only_refusals_without_a_body_are_replaced() {
        let own = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let other = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(instead_of(own), Some((0, MALFORMED)));
        assert_eq!(instead_of(&[&other[..], own].concat()), Some((other.len(), MALFORMED)));
        let long = b"HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(instead_of(long), Some((0, HEAD_TOO_LARGE)));
        assert_eq!(instead_of(other), None);
        assert_eq!(instead_of(b"HTTP/1.1 101 Switching Protocols\r\ncontent-length: 0\r\n\r\n"), None);
        assert_eq!(instead_of(b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 80\r\n\r\n"), None);
    }
}
