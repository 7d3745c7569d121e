//! Files as operators write them: lines, and texts in PEM, which chance would not write.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What the texts of a node's identity are called in PEM.
const LABELS: [&str; 3] = ["CERTIFICATE", "PRIVATE KEY", "CERTIFICATE"];

/// The lines of a text that say something.
#[must_use]
pub fn lines(data: &[u8]) -> Option<impl Iterator<Item = &str>> {
    let lines = std::str::from_utf8(data).ok()?.lines().map(str::trim);
    Some(lines.filter(|line| !line.is_empty() && !line.starts_with('#')))
}

/// An error, without the number of the line that it names.
#[must_use]
pub fn without_line(error: &str) -> &str {
    let rest = error.strip_prefix("line ").and_then(|rest| rest.split_once(": "));
    rest.filter(|(number, _)| number.parse::<usize>().is_ok()).map_or(error, |(_, rest)| rest)
}

/// The three files of a node's identity that an input stands for.
#[must_use]
pub fn identity(data: &[u8]) -> Option<[Vec<u8>; 3]> {
    let (kind, mut rest) = data.split_first()?;
    if *kind != 1 {
        let mut texts = rest.splitn(3, |byte| *byte == 0).map(<[u8]>::to_vec);
        return Some([texts.next()?, texts.next()?, texts.next()?]);
    }
    Some(LABELS.map(|label| {
        let (length, after) = rest.split_first_chunk().unwrap_or((&[0, 0], &[]));
        let (content, after) = after.split_at(usize::from(u16::from_le_bytes(*length)).min(after.len()));
        rest = after;
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(content)).into_bytes()
    }))
}

/// The input of the same three files in PEM.
#[must_use]
pub fn sealed(texts: &[String; 3]) -> Option<Vec<u8>> {
    let mut input = vec![1];
    for text in texts {
        let base64: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        let content = STANDARD.decode(base64).ok()?;
        input.extend_from_slice(&u16::try_from(content.len()).ok()?.to_le_bytes());
        input.extend_from_slice(&content);
    }
    Some(input)
}
