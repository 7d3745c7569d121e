//! The causal context as the client holds it: a set of opaque tokens, sent with the next request and replaced by its
//! answer.

use std::fmt;
use std::str::FromStr;

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries one token, on requests and answers alike.
pub(crate) const CAUSAL_CONTEXT: HeaderName = HeaderName::from_static("causal-context");

/// A causal context: what its holder has seen of the store, in the store's own opaque words.
///
/// Usually one token; several after a merge, until the next answer replaces them with one. The text form (by
/// `Display` and `FromStr`) is the tokens with commas between, the empty text being the empty context.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// Distinct tokens, each of visible ASCII characters without a comma.
    tokens: Vec<HeaderValue>,
}

/// A text is not a causal context. It says nothing about whether the store would accept one that is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a causal context token: {reason}")]
pub struct InvalidToken {
    reason: String,
}

impl Context {
    /// Whether nothing has been seen yet.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Takes over what `other` has seen. A join: commutative up to the order of tokens, associative, idempotent.
    pub fn merge(&mut self, other: &Self) {
        for token in &other.tokens {
            if !self.tokens.contains(token) {
                self.tokens.push(token.clone());
            }
        }
    }

    /// The context of an answer, or `None` if the answer has none.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Result<Self, InvalidToken>> {
        let mut values = headers.get_all(CAUSAL_CONTEXT).iter().peekable();
        values.peek()?;
        let mut context = Self::default();
        for value in values {
            match value.to_str().map_err(|_| not_ascii()).and_then(str::parse) {
                Ok(part) => context.merge(&part),
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(context))
    }

    /// The tokens, each the value of one header.
    pub(crate) fn tokens(&self) -> &[HeaderValue] {
        &self.tokens
    }

    /// The bytes that the tokens take in a request's head, header names and separators included.
    fn header_bytes(&self) -> usize {
        self.tokens.iter().map(header_bytes).sum()
    }

    /// Whether the context can travel in one request's head.
    pub(crate) fn fits(&self, limits: HeadLimits) -> bool {
        self.tokens.len() <= 1 || self.tokens.len() <= limits.tokens && self.header_bytes() <= limits.bytes
    }

    /// Splits off the first tokens, as many as the limits allow but at least two, from the others.
    pub(crate) fn split(&self, limits: HeadLimits) -> (Self, Self) {
        let mut total = 0;
        let fitting = self
            .tokens
            .iter()
            .take(limits.tokens)
            .take_while(|token| {
                total += header_bytes(token);
                total <= limits.bytes
            })
            .count();
        let (first, rest) = self.tokens.split_at(fitting.max(2).min(self.tokens.len()));
        (Self { tokens: first.to_vec() }, Self { tokens: rest.to_vec() })
    }
}

/// How much context one request's head may carry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadLimits {
    pub(crate) bytes: usize,
    pub(crate) tokens: usize,
}

fn header_bytes(token: &HeaderValue) -> usize {
    CAUSAL_CONTEXT.as_str().len() + ": \r\n".len() + token.len()
}

fn not_ascii() -> InvalidToken {
    InvalidToken { reason: "it holds something else than visible ASCII characters".to_owned() }
}

impl FromStr for Context {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let mut context = Self::default();
        for token in text.split(',').map(|part| part.trim_matches([' ', '\t'])).filter(|part| !part.is_empty()) {
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(not_ascii());
            }
            let token = HeaderValue::from_str(token).map_err(|_| not_ascii())?;
            context.merge(&Self { tokens: vec![token] });
        }
        Ok(context)
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, token) in self.tokens.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(&String::from_utf8_lossy(token.as_bytes()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(text: &str) -> Context {
        text.parse().unwrap()
    }

    #[test]
    fn text_round_trips_and_repeats_count_once() {
        assert_eq!(context("").to_string(), "");
        assert_eq!(context("a.b_c==").to_string(), "a.b_c==");
        assert_eq!(context(" a, b ,,a").to_string(), "a,b");
    }

    #[test]
    fn control_characters_inner_spaces_and_foreign_letters_are_refused() {
        for text in ["a b", "a\nb", "a\0", "ä"] {
            assert!(text.parse::<Context>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn merging_is_a_join() {
        let mut merged = context("a");
        merged.merge(&context("b,a"));
        merged.merge(&Context::default());
        assert_eq!(merged, context("a,b"));
        let before = merged.clone();
        merged.merge(&before);
        assert_eq!(merged, before);
    }

    #[test]
    fn a_split_always_makes_progress() {
        let (first, rest) = context("aaaa,bbbb,cccc").split(HeadLimits { bytes: 1, tokens: 1 });
        assert_eq!((first, rest), (context("aaaa,bbbb"), context("cccc")));
        let (first, rest) = context("a,b,c,d").split(HeadLimits { bytes: 1000, tokens: 3 });
        assert_eq!((first, rest), (context("a,b,c"), context("d")));
        let (first, rest) = context("a,b,c").split(HeadLimits { bytes: 1000, tokens: 9 });
        assert_eq!((first, rest), (context("a,b,c"), context("")));
    }
}
