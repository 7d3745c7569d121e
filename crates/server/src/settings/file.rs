//! The configuration file: TOML, one line for each setting, under the setting's id. Everything that is wrong with it is told at once,
//! with its line; a name that is no setting is wrong, too.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::settings::said::{Source, Told};
use crate::settings::table::{self, Kind, SETTINGS, Setting};

/// A larger file is none of settings.
const BYTES_MAX: u64 = 1 << 20;

/// Reads a file: what it says, and what is wrong with it.
pub(crate) fn read(path: &Path) -> (Vec<Told>, Vec<String>) {
    let name = path.display().to_string();
    match text(path) {
        Ok(text) => parse(&text, &name),
        Err(why) => (Vec::new(), vec![format!("{name}: {why}: name another file with --config or PRECEDE_CONFIG")]),
    }
}

fn text(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_string(&mut text));
    match read {
        Ok(bytes) if bytes as u64 <= BYTES_MAX => Ok(text),
        Ok(_) => Err(format!("the file is larger than {BYTES_MAX} bytes, which no configuration is")),
        Err(error) => Err(format!("the file cannot be read: {error}")),
    }
}

/// Parses a file of this name: what it says, and what is wrong with it.
pub(crate) fn parse(text: &str, name: &str) -> (Vec<Told>, Vec<String>) {
    let place = |at: usize| {
        let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
        format!("{name}:{}", 1 + before.iter().filter(|byte| **byte == b'\n').count())
    };
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut problems: Vec<String> = errors
        .iter()
        .map(|error| {
            format!("{}: {}: it is not TOML", place(error.span().map_or(0, |span| span.start)), error.message())
        })
        .collect();
    let mut told = Vec::new();
    for (key, value) in document.get_ref() {
        let (place, id) = (place(key.span().start), key.get_ref());
        let Some(setting) = table::find(id) else {
            problems.push(format!("{place}: {id} is no setting: {}", nearest(id)));
            continue;
        };
        let judged = as_text(setting, value.get_ref())
            .ok_or_else(|| format!("{place}: {id} is {}: write {}", kind_of(value.get_ref()), example(setting)))
            .map(|value| Told { id: setting.id, value, source: Source::File(place) })
            .and_then(|said| setting.judge(&said).map(|()| said));
        match judged {
            Ok(said) => told.push(said),
            Err(problem) => problems.push(problem),
        }
    }
    (told, problems)
}

/// A value as a flag would say it; none if it is of the wrong kind.
fn as_text(setting: &Setting, value: &DeValue<'_>) -> Option<String> {
    match (&setting.kind, value) {
        (Kind::Number(_), DeValue::Integer(number)) => {
            // Underscores and other bases are for people.
            let plain = u64::from_str_radix(number.as_str(), number.radix()).map(|number| number.to_string());
            Some(plain.unwrap_or_else(|_| number.to_string()))
        }
        (Kind::Text | Kind::List, DeValue::String(text)) => Some(text.trim().to_owned()),
        (Kind::List, DeValue::Array(list)) => {
            let texts: Option<Vec<&str>> = list
                .iter()
                .map(|entry| match entry.get_ref() {
                    DeValue::String(text) => Some(text.trim()),
                    _ => None,
                })
                .collect();
            texts.map(|texts| texts.join(","))
        }
        _ => None,
    }
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list of something else than texts, or a list where none belongs",
        DeValue::Table(_) => "a table",
    }
}

/// How a setting is written.
fn example(setting: &Setting) -> String {
    let id = setting.id;
    match &setting.kind {
        Kind::Number(range) => format!("{id} = a whole number from {} to {}", range.start(), range.end()),
        Kind::Text => format!("{id} = \"…\""),
        Kind::List => format!("{id} = [\"…\", \"…\"]"),
    }
}

/// What may have been meant.
fn nearest(id: &str) -> String {
    let folded = id.to_lowercase().replace('-', "_");
    let near = SETTINGS.iter().map(|setting| (distance(&folded, setting.id), setting.id)).min();
    match near {
        Some((far, id)) if far <= 3 => format!("write {id}, if that is meant"),
        _ => "`precede serve --help` lists all, with _ for - here".to_owned(),
    }
}

/// How many letters must be changed, put in or left out (Levenshtein 1966). Names are short: of longer ones the length tells.
fn distance(one: &str, other: &str) -> usize {
    if one.len().abs_diff(other.len()) > 3 {
        return one.len().abs_diff(other.len());
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, left) in one.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (to, right) in other.bytes().enumerate() {
            let changed = diagonal + usize::from(left != right);
            diagonal = row[to + 1];
            row[to + 1] = changed.min(diagonal + 1).min(row[to] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_is_what_flags_would_say() {
        let text =
            "# a node\nview = [\"a:1\", \" b:2\"]\nport = 0x1F90\nmax_value_bytes = 1_000\n\ncluster = \"shop\"\n";
        let (mut told, problems) = parse(text, "node.toml");
        assert_eq!(problems, Vec::<String>::new());
        told.sort_by_key(Told::name);
        let said: Vec<String> = told.iter().map(ToString::to_string).collect();
        let expected = [
            "node.toml:2: view=\"a:1,b:2\"",
            "node.toml:3: port=\"8080\"",
            "node.toml:4: max_value_bytes=\"1000\"",
            "node.toml:6: cluster=\"shop\"",
        ];
        assert_eq!(said, expected);
        assert_eq!(parse("view = \"a:1, b\"", "f").0[0].value, "a:1, b");
        assert_eq!(parse("", "f"), (Vec::new(), Vec::new()));
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_line_and_the_remedy() {
        let text = "max_keys_bytes = 1\nport = \"80\"\nrepl_factor = 0\n[limits]\nx = 1\n";
        let (told, problems) = parse(text, "node.toml");
        assert_eq!(told, Vec::new());
        for told in [
            "node.toml:1: max_keys_bytes is no setting: write max_key_bytes, if that is meant",
            "node.toml:2: port is a text: write port = a whole number from 0 to 65535",
            "node.toml:3: repl_factor=\"0\" is not a number from 1 to 1024",
            "node.toml:4: limits is no setting: `precede serve --help`",
        ] {
            assert!(problems.iter().any(|problem| problem.starts_with(told)), "{told}: {problems:?}");
        }
        assert_eq!(problems.len(), 4, "{problems:?}");
        for (text, told) in [
            ("port = 1\nport = 2\n", "f:2: duplicate key"),
            ("view = [1]", "f:1: view is a list of something else"),
            ("cluster = 5", "f:1: cluster is a number: write cluster = \"…\""),
            ("port = -1", "f:1: port=\"-1\" is not a number from 0"),
            ("port = 1.5", "f:1: port is a fraction"),
            ("port = 99999999999999999999", "f:1: port=\"99999999999999999999\" is not a number"),
            ("cluster = \"a", "f:1: "),
        ] {
            let problems = parse(text, "f").1;
            assert!(problems[0].starts_with(told), "{told}: {problems:?}");
        }
        assert!(parse("MAX-KEY-BYTES = 1", "f").1[0].contains("write max_key_bytes"));
    }
}
