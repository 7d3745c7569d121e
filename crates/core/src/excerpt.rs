//! What errors repeat of a text that was sent.

/// As much as is shown, in characters.
const CHARS_MAX: usize = 80;

/// The beginning of a text, so that an error is short whatever was sent.
#[must_use]
pub fn excerpt(text: &str) -> String {
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(excerpt("n1:80"), "n1:80");
        assert_eq!(excerpt(&"é".repeat(CHARS_MAX)), "é".repeat(CHARS_MAX));
        assert_eq!(excerpt(&"é".repeat(CHARS_MAX + 1)), format!("{}…", "é".repeat(CHARS_MAX)));
    }
}
