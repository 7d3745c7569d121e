//! The secrets that the nodes of a cluster share and nobody else knows: by them nodes know each other, and contexts that the cluster
//! issued from those that it did not.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The authentication code that all secrets are used for.
pub(crate) type Code = Hmac<Sha256>;

/// Characters of a secret.
const CHARS: std::ops::RangeInclusive<usize> = 32..=1024;
/// Secrets in one file.
const SECRETS_MAX: usize = 8;
/// The line that lets in those without a secret, while a cluster changes over.
const ANYONE: &str = "anyone";

/// Names a secret, and gives nothing of it away.
pub(crate) type SecretId = [u8; 4];

/// One secret: the keys that are derived from it, one for each use, so that a code for one is of no use for the other.
pub(crate) struct Secret {
    /// Its name.
    pub(crate) id: SecretId,
    link: Code,
    context: Code,
}

/// All of a file.
pub(crate) struct Secrets {
    secrets: Vec<Secret>,
    /// Whether those without a secret are let in too.
    pub(crate) anyone: bool,
}

impl Secrets {
    /// Reads a file's content: a secret a line, the first of which is used and all of which are taken.
    ///
    /// # Errors
    /// The line, and what is wrong with it, not what it says.
    pub(crate) fn parse(content: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(content).map_err(|_| "it is not UTF-8".to_owned())?;
        let (mut secrets, mut anyone) = (Vec::<Secret>::new(), false);
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line == ANYONE {
                anyone = true;
                continue;
            }
            if !CHARS.contains(&line.len()) {
                let (least, most) = (CHARS.start(), CHARS.end());
                let error = format!("a secret has {least} to {most} characters: make one with `precede secret`");
                return Err(format!("line {}: {error}", at + 1));
            }
            if secrets.len() == SECRETS_MAX {
                return Err(format!(
                    "line {}: more secrets than the limit of {SECRETS_MAX}: take old ones out",
                    at + 1
                ));
            }
            let secret = Secret::of(line);
            if secrets.iter().any(|other| other.id == secret.id) {
                return Err(format!("line {}: the same secret stands there twice", at + 1));
            }
            secrets.push(secret);
        }
        if secrets.is_empty() {
            return Err("it has no secret: make one with `precede secret`".to_owned());
        }
        Ok(Self { secrets, anyone })
    }

    /// The one that is used.
    pub(crate) fn first(&self) -> &Secret {
        self.secrets.first().expect("a file without secrets is refused")
    }

    /// Those that are taken.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Secret> {
        self.secrets.iter()
    }

    /// Whether what was let in by a secret, or without one, would be let in now.
    pub(crate) fn still_take(&self, by: Option<SecretId>) -> bool {
        by.map_or(self.anyone, |id| self.secrets.iter().any(|secret| secret.id == id))
    }
}

impl Secret {
    fn of(text: &str) -> Self {
        let derive = |label: &str| {
            let mut code = keyed(text.as_bytes());
            code.update(label.as_bytes());
            code.finalize().into_bytes()
        };
        let id = derive("precede secret id 1");
        Self {
            id: [id[0], id[1], id[2], id[3]],
            link: keyed(&derive("precede link 1")),
            context: keyed(&derive("precede context 1")),
        }
    }

    /// The code of what nodes say when they make a link.
    pub(crate) fn link(&self) -> Code {
        self.link.clone()
    }

    /// The code of contexts.
    pub(crate) fn context(&self) -> Code {
        self.context.clone()
    }
}

fn keyed(key: &[u8]) -> Code {
    Code::new_from_slice(key).expect("a key may be of any length")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Secrets for tests.
    pub(crate) fn secrets(lines: &[&str]) -> Secrets {
        Secrets::parse(lines.join("\n").as_bytes()).unwrap()
    }

    #[test]
    fn the_first_is_used_and_all_are_taken() {
        let (old, new) = ("o".repeat(32), "n".repeat(1024));
        let both = secrets(&["# two", &new, "", &old]);
        assert_eq!(both.first().id, secrets(&[&new]).first().id);
        assert_eq!(both.all().count(), 2);
        assert!(both.still_take(Some(secrets(&[&old]).first().id)) && !both.still_take(None));
        let turned = secrets(&[&new, ANYONE]);
        assert!(!turned.still_take(Some(secrets(&[&old]).first().id)) && turned.still_take(None));
    }

    #[test]
    fn each_use_has_a_key_of_its_own() {
        let secret = Secret::of(&"s".repeat(32));
        assert_ne!(secret.link().finalize().into_bytes(), secret.context().finalize().into_bytes());
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        let good = "g".repeat(32);
        let many: Vec<String> = (0..9).map(|number| format!("{number}{good}")).collect();
        for (content, told) in [
            (String::new(), "it has no secret"),
            ("anyone".to_owned(), "it has no secret"),
            (format!("{good}\nsesame"), "line 2: a secret has 32 to 1024 characters"),
            ("s".repeat(1025), "line 1: a secret has"),
            (format!("{good}\n{good}"), "line 2: the same secret"),
            (many.join("\n"), "line 9: more secrets than the limit of 8"),
        ] {
            let error = Secrets::parse(content.as_bytes()).err().unwrap();
            assert!(error.contains(told) && !error.contains("sesame") && !error.contains(&good), "{error}");
        }
    }
}
