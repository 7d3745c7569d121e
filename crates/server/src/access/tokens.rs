//! The file of tokens: one a line, `role:sha256:name`. It holds hashes, so whoever reads it cannot use them.

use subtle::ConstantTimeEq;

use crate::access::role::Role;
use crate::access::secret::{self, BYTES};

/// Tokens in one file.
const TOKENS_MAX: usize = 10_000;
/// Characters of a name.
const NAME_CHARS_MAX: usize = 64;
/// Bytes of a hash by which tokens are looked up.
const INDEX_BYTES: usize = 8;

/// A token that is let in.
#[derive(Debug)]
pub(crate) struct Token {
    hash: [u8; BYTES],
    /// What its holder may do.
    pub(crate) role: Role,
    /// What the audit calls its holder.
    pub(crate) name: String,
}

/// All of them, by hash.
#[derive(Debug)]
pub(crate) struct Tokens(Vec<Token>);

impl Tokens {
    /// Reads a file's content.
    ///
    /// # Errors
    /// The line, and what is wrong with it. The line itself is not repeated: it might be a secret that does not belong there.
    pub(crate) fn parse(content: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(content).map_err(|_| "it is not UTF-8".to_owned())?;
        let mut tokens = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            tokens.push(parse_line(line).map_err(|error| format!("line {}: {error}", at + 1))?);
        }
        if tokens.is_empty() {
            return Err("it names no token, and nobody could do anything: make one with `precede token new`".to_owned());
        }
        if tokens.len() > TOKENS_MAX {
            return Err(format!("{} tokens are more than the limit of {TOKENS_MAX}", tokens.len()));
        }
        tokens.sort_by_key(|token| token.hash);
        if let Some(pair) = tokens.windows(2).find(|pair| pair[0].hash == pair[1].hash) {
            return Err(format!("\"{}\" and \"{}\" are the same token: take one out", pair[0].name, pair[1].name));
        }
        Ok(Self(tokens))
    }

    /// The token with this secret. It is looked up by the beginning of its hash, and the whole hash is compared in constant time. How
    /// long that takes tells at most something of hashes, from which nobody finds a secret of 256 random bits.
    pub(crate) fn find(&self, secret: &[u8]) -> Option<&Token> {
        let hash = secret::hash(secret);
        let first = self.0.partition_point(|token| token.hash[..INDEX_BYTES] < hash[..INDEX_BYTES]);
        let near = self.0[first..].iter().take_while(|token| token.hash[..INDEX_BYTES] == hash[..INDEX_BYTES]);
        near.into_iter().find(|token| token.hash.ct_eq(&hash).into())
    }
}

/// The line for a token.
pub(crate) fn line(role: Role, secret: &str, name: &str) -> String {
    format!("{role}:{}:{name}", secret::hex(&secret::hash(secret.as_bytes())))
}

/// Whether a token may be called so.
pub(crate) fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
    (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(plain)
}

fn parse_line(line: &str) -> Result<Token, String> {
    let mut fields = line.splitn(3, ':').map(str::trim);
    let (Some(role), Some(hash), Some(name)) = (fields.next(), fields.next(), fields.next()) else {
        return Err("it is not of the form role:sha256:name, as `precede token new` prints it".to_owned());
    };
    let role = role.parse().map_err(|()| "the role is none of read, write and admin".to_owned())?;
    let hash = secret::unhex(hash)
        .ok_or("the hash is not 64 hexadecimal digits: give the token's SHA-256, never the token itself")?;
    if !is_name(name) {
        return Err(format!("the name is not 1 to {NAME_CHARS_MAX} letters, digits, and any of . _ - @"));
    }
    Ok(Token { hash, role, name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_by_its_secret_only() {
        let secrets: Vec<String> = (0..100).map(|number| format!("secret-{number}")).collect();
        let lines: Vec<String> =
            secrets.iter().map(|secret| line(Role::Write, secret, &secret.replace("secret", "app"))).collect();
        let tokens = Tokens::parse(format!("# all\n\n  {}  \r\n", lines.join("\n")).as_bytes()).unwrap();
        for (number, secret) in secrets.iter().enumerate() {
            let token = tokens.find(secret.as_bytes()).unwrap();
            assert_eq!((token.role, token.name.clone()), (Role::Write, format!("app-{number}")));
        }
        for wrong in ["", "secret-100", "Secret-1", "secret-1 "] {
            assert!(tokens.find(wrong.as_bytes()).is_none(), "{wrong}");
        }
        let hash = secret::hex(&secret::hash(b"secret-1"));
        assert!(tokens.find(hash.as_bytes()).is_none(), "what the file says is of no use");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_line() {
        let good = line(Role::Read, "s", "a");
        let hash = &good[5..69];
        for (content, told) in [
            (String::new(), "names no token"),
            ("# none".to_owned(), "names no token"),
            (format!("{good}\nread"), "line 2: it is not of the form role:sha256:name"),
            (format!("root:{hash}:a"), "none of read, write and admin"),
            ("read:precede_abc:a".to_owned(), "never the token itself"),
            (format!("read:{hash}:"), "the name is not 1 to 64"),
            (format!("read:{hash}:a b"), "the name is not 1 to 64"),
            (format!("{good}\nwrite:{hash}:b"), "\"a\" and \"b\" are the same token"),
        ] {
            let error = Tokens::parse(content.as_bytes()).unwrap_err();
            assert!(error.contains(told), "{content}: {error}");
        }
        assert!(Tokens::parse(b"\xff").unwrap_err().contains("UTF-8"));
        assert!(!Tokens::parse(b"read:precede_abc:a").unwrap_err().contains("precede_abc"), "a secret is not repeated");
    }
}
