//! Seals on contexts: once the nodes share a secret, a token that the cluster issues ends in `.` and sixteen characters, the name of
//! the secret and a code of the token. A client cannot make one up or change one. The token itself is what it is without.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;
use precede_core::causality::context::Context;
use precede_core::causality::token;
use precede_core::limits::CONTEXT_TOKEN_BYTES_MAX;

use crate::peer::guard::Shared;
use crate::secrets::{Secret, SecretId, Secrets};

/// Between a token and its seal. No token has it.
const MARK: char = '.';
/// Bytes of the code that are shown, of 32: 88 bits, which can be tried only at a node, and never twice.
const CODE_BYTES: usize = 11;
/// With the first byte of the secret's name before them.
const SEAL_BYTES: usize = 1 + CODE_BYTES;
/// Characters of a seal.
const SEAL_CHARS: usize = SEAL_BYTES / 3 * 4;

/// Who issues contexts: a cluster, and the secret that its nodes share.
#[derive(Clone, Copy)]
pub(crate) struct Issuer<'a> {
    /// The cluster's fingerprint.
    pub(crate) cluster: u64,
    /// What it seals with.
    pub(crate) secrets: &'a Shared,
}

/// What tells one issuer from another, and one secret of it from the next.
pub(crate) type Mark = (u64, Option<SecretId>);

impl Issuer<'_> {
    /// The token of a context, as clients get it.
    pub(crate) fn token(self, context: &Context) -> String {
        seal(self.secrets, token::encode(context, self.cluster))
    }

    /// Its mark now.
    pub(crate) fn mark(self) -> Mark {
        (self.cluster, self.secrets.as_ref().map(|secrets| secrets.look(|secrets| secrets.first().id)))
    }
}

/// A token was not sealed by this cluster.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Forged;

/// Seals a token, if the nodes share a secret. The empty context needs no seal: every client may begin anew.
fn seal(secrets: &Shared, mut token: String) -> String {
    let Some(secrets) = secrets else { return token };
    if token.is_empty() {
        return token;
    }
    let seal = secrets.look(|secrets| seal_of(secrets.first(), &token));
    token.reserve_exact(1 + SEAL_CHARS);
    token.push(MARK);
    URL_SAFE_NO_PAD.encode_string(seal, &mut token);
    token
}

/// The token under a seal. Nodes that share no secret do not look at seals.
pub(crate) fn open<'a>(secrets: &Shared, sealed: &'a str) -> Result<&'a str, Forged> {
    let parts = sealed.split_once(MARK);
    let Some(secrets) = secrets else { return Ok(parts.map_or(sealed, |(token, _)| token)) };
    // What is too long is refused for that, and not read through before.
    if sealed.len() > CONTEXT_TOKEN_BYTES_MAX + 1 + SEAL_CHARS {
        return Ok(sealed);
    }
    secrets.look(|secrets| match parts {
        None if secrets.anyone => Ok(sealed),
        Some((token, seal)) if is_seal(secrets, token, seal) => Ok(token),
        Some(_) | None => Err(Forged),
    })
}

fn is_seal(secrets: &Secrets, token: &str, seal: &str) -> bool {
    let mut bytes = [0; SEAL_BYTES];
    if seal.len() != SEAL_CHARS || URL_SAFE_NO_PAD.decode_slice(seal, &mut bytes) != Ok(SEAL_BYTES) {
        return false;
    }
    let [name, code @ ..] = bytes;
    let mut named = secrets.all().filter(|secret| secret.id[0] == name);
    named.any(|secret| code_of(secret, token).verify_truncated_left(&code).is_ok())
}

fn seal_of(secret: &Secret, token: &str) -> [u8; SEAL_BYTES] {
    let mut seal = [secret.id[0]; SEAL_BYTES];
    seal[1..].copy_from_slice(&code_of(secret, token).finalize().into_bytes()[..CODE_BYTES]);
    seal
}

fn code_of(secret: &Secret, token: &str) -> crate::secrets::Code {
    let mut code = secret.context();
    code.update(token.as_bytes());
    code
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::live_file::Live;

    fn shared(name: &str, lines: &[&str]) -> Shared {
        let path = std::env::temp_dir().join(format!("precede-seal-{name}-{}", std::process::id()));
        std::fs::write(&path, lines.join("\n")).unwrap();
        let live = Live::open(vec![path.clone()], |contents| Secrets::parse(&contents[0])).unwrap();
        std::fs::remove_file(path).unwrap();
        Some(Arc::new(live))
    }

    #[test]
    fn what_is_changed_made_up_or_of_another_cluster_is_told() {
        let (one, other) = (shared("one", &[&"1".repeat(32)]), shared("other", &[&"2".repeat(32)]));
        let sealed = seal(&one, "AbC-_1".to_owned());
        assert_eq!(sealed.len(), 6 + 1 + 16);
        assert_eq!(open(&one, &sealed), Ok("AbC-_1"));
        assert_eq!(open(&other, &sealed), Err(Forged));
        assert_eq!(open(&one, "AbC-_1"), Err(Forged), "without a seal");
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone().into_bytes();
            damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(open(&one, std::str::from_utf8(&damaged).unwrap()), Err(Forged), "byte {at}");
            assert_eq!(open(&one, &sealed[..at]), Err(Forged), "cut off at {at}");
        }
        assert_eq!(open(&one, &format!("{sealed}A")), Err(Forged));
        assert_eq!(seal(&one, String::new()), "");
    }

    #[test]
    fn secrets_are_changed_step_by_step() {
        let (old, new) = ("o".repeat(32), "n".repeat(32));
        let (first, both) = (shared("first", &[&old]), shared("both", &[&new, &old]));
        let turned = shared("turned", &[&new]);
        let (before, after) = (seal(&first, "t".to_owned()), seal(&both, "t".to_owned()));
        assert_eq!((open(&both, &before), open(&both, &after), open(&turned, &after)), (Ok("t"), Ok("t"), Ok("t")));
        assert_eq!((open(&turned, &before), open(&first, &after)), (Err(Forged), Err(Forged)));
    }

    #[test]
    fn a_cluster_begins_with_seals_step_by_step() {
        let secret = "s".repeat(32);
        let beginning = shared("beginning", &[&secret, "anyone"]);
        assert_eq!(open(&beginning, "t"), Ok("t"), "of a node that has no secret yet");
        let sealed = seal(&beginning, "t".to_owned());
        assert_eq!(open(&None, &sealed), Ok("t"), "at a node that has no secret yet");
        assert_eq!(open(&beginning, &sealed[..sealed.len() - 1]), Err(Forged), "a seal that is there must be right");
        assert_eq!(seal(&None, "t".to_owned()), "t");
    }
}
