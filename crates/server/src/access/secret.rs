//! Secrets: random, of 256 bits, so that a plain hash of one gives nothing away.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};

/// Bytes of a secret, and of the hash of a text.
pub(crate) const BYTES: usize = 32;

/// What every token begins with, so that tools which look for leaked secrets know one. With it a token is short enough
/// for one block of the hash.
const PREFIX: &str = "precede_";

/// Random bytes of the system.
///
/// # Errors
/// The system gives none.
pub(crate) fn random() -> Result<[u8; BYTES], String> {
    let mut bytes = [0; BYTES];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| format!("the system gives no random numbers: {error}"))?;
    Ok(bytes)
}

/// A new token.
///
/// # Errors
/// As [`random`].
pub(crate) fn token() -> Result<String, String> {
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random()?)))
}

/// The hash of a text.
pub(crate) fn hash(text: &[u8]) -> [u8; BYTES] {
    Sha256::digest(text).into()
}

/// Bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that so many hexadecimal digits stand for.
pub(crate) fn unhex(text: &str) -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    if text.len() != 2 * BYTES || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_fit_one_block() {
        let (one, other) = (token().unwrap(), token().unwrap());
        assert_ne!(one, other);
        assert!(one.starts_with(PREFIX) && one.len() == 51, "{} bytes", one.len());
    }

    #[test]
    fn digits_stand_for_bytes_and_nothing_else_does() {
        // FIPS 180-2, B.1.
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(&hash(b"abc")), text);
        assert_eq!(unhex(text), Some(hash(b"abc")));
        for wrong in [&text[1..], &format!("{text}0"), &text.replace('b', "+"), &"é".repeat(32), ""] {
            assert_eq!(unhex(wrong), None, "{wrong}");
        }
    }
}
