//! Who may do what: bearer tokens with roles. Without a file of tokens everybody may do everything.

pub(crate) mod audit;
pub(crate) mod role;
pub(crate) mod secret;
pub(crate) mod token_command;
pub(crate) mod tokens;

use std::path::PathBuf;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use crate::access::role::Role;
use crate::access::tokens::Tokens;
use crate::http::errors::Failure;
use crate::live_file::{Live, Reload};

/// Who asks, as far as it is told to the audit.
pub(crate) const ANYBODY: &str = "anybody";

/// What decides whether a request is let in.
#[derive(Default)]
pub(crate) struct Access(Option<Arc<Live<Tokens>>>);

impl Access {
    /// By the tokens in a file.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(crate) fn by_tokens(path: PathBuf) -> Result<Self, String> {
        Live::open(vec![path], |contents| Tokens::parse(&contents[0])).map(|tokens| Self(Some(Arc::new(tokens))))
    }

    /// Whether tokens are asked for.
    pub(crate) fn is_guarded(&self) -> bool {
        self.0.is_some()
    }

    /// The file to be read again.
    pub(crate) fn file(&self) -> Option<Arc<dyn Reload>> {
        self.0.clone().map(|tokens| tokens as Arc<dyn Reload>)
    }

    /// Lets a request in, or says why not.
    pub(crate) fn permit(&self, head: &Parts) -> Result<(), Failure> {
        let Some(tokens) = &self.0 else { return Ok(()) };
        let needed = Role::for_request(&head.method, head.uri.path());
        let secret = bearer(&head.headers)?;
        tokens.look(|tokens| match tokens.find(secret) {
            Some(token) if token.role.includes(needed) => Ok(()),
            Some(token) => {
                let (name, role) = (&token.name, token.role);
                let error = format!("The token \"{name}\" has the role {role}: this request needs {needed}");
                Err(Failure::new(StatusCode::FORBIDDEN, error))
            }
            None => Err(unknown("The token is not known: it may have been taken out, or is of another cluster")),
        })
    }

    /// The token that was shown, where tokens are asked for.
    pub(crate) fn shown<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        self.0.as_ref().and_then(|_| std::str::from_utf8(bearer(headers).ok()?).ok())
    }

    /// The name of who asks, for the audit.
    pub(crate) fn who(&self, headers: &HeaderMap) -> String {
        let Some(tokens) = &self.0 else { return ANYBODY.to_owned() };
        let secret = bearer(headers).unwrap_or_default();
        tokens.look(|tokens| tokens.find(secret).map_or_else(|| "a stranger".to_owned(), |token| token.name.clone()))
    }
}

/// The secret of `Authorization: Bearer <secret>`.
fn bearer(headers: &HeaderMap) -> Result<&[u8], Failure> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Err(unknown("A token is needed: send it as \"Authorization: Bearer <token>\""));
    };
    match value.as_bytes().split_at_checked(b"Bearer ".len()) {
        Some((scheme, secret)) if scheme.eq_ignore_ascii_case(b"Bearer ") => Ok(secret.trim_ascii()),
        Some(_) | None => Err(unknown("Authorization is not of the form \"Bearer <token>\"")),
    }
}

/// Of a stranger nothing more is read.
fn unknown(error: &str) -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, error).closing()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_may_be_written_in_any_case_and_no_other_is_taken() {
        let headers = |value: &'static str| HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
        for value in ["Bearer abc", "bearer  abc ", "BEARER abc"] {
            assert_eq!(bearer(&headers(value)).unwrap(), b"abc", "{value}");
        }
        for value in ["Basic abc", "Bearer", "abc", ""] {
            assert_eq!(bearer(&headers(value)).unwrap_err().status, StatusCode::UNAUTHORIZED, "{value}");
        }
        assert!(bearer(&HeaderMap::new()).unwrap_err().error.contains("A token is needed"));
    }
}
