//! Tokens whose format and checksum are right whatever is in them: chance would not find one in a lifetime.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The fingerprint of the cluster that the targets decode for.
pub const CLUSTER: u64 = 7;

/// The token with this content.
#[must_use]
pub fn token(content: &[u8]) -> String {
    let mut bytes = vec![1];
    bytes.extend_from_slice(&xxh3_64_with_seed(content, CLUSTER).to_le_bytes()[..4]);
    bytes.extend_from_slice(content);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The content of a token that was encoded properly; none of an empty one.
#[must_use]
pub fn content(token: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(token).ok()?.get(5..).map(<[u8]>::to_vec)
}
