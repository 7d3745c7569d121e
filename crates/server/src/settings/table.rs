//! Every setting of `precede serve`, once: its flag, its environment variable, its name in the configuration file and its entry in
//! `docs/configuration.md` are made of its line here. What it does is for [`Settings`](super::Settings).

use std::ops::RangeInclusive;

use clap::Arg;
use precede_core::limits;

use crate::settings::said::Told;
use crate::trace::MILLION;

/// Values beyond this would not fit into a message between nodes with everything else in it.
const VALUE_BYTES_MAX: u64 = 16 * 1024 * 1024;

const WINDOW_BYTES_MIN: u64 = 1 << 20;

/// One setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its name in the file, `max_key_bytes`; the variable is `MAX_KEY_BYTES`, the flag `--max-key-bytes`.
    pub(crate) id: &'static str,
    /// What it is for.
    pub(crate) about: &'static str,
    /// What stands for its value in texts: its unit, or what it is.
    pub(crate) unit: &'static str,
    /// What it may be.
    pub(crate) kind: Kind,
    /// What it is if nothing is said.
    pub(crate) default: Preset,
}

/// What a setting may be.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A whole number in this range.
    Number(RangeInclusive<u64>),
    /// A text.
    Text,
    /// Texts, separated by commas; in the file also a list.
    List,
}

/// What a setting is if nothing is said.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Preset {
    /// This number.
    Number(u64),
    /// Something that depends on other settings, in words.
    Words(&'static str),
}

const fn text(id: &'static str, about: &'static str, unit: &'static str, default: &'static str) -> Setting {
    Setting { id, about, unit, kind: Kind::Text, default: Preset::Words(default) }
}

const fn number(
    id: &'static str,
    about: &'static str,
    unit: &'static str,
    range: RangeInclusive<u64>,
    default: u64,
) -> Setting {
    Setting { id, about, unit, kind: Kind::Number(range), default: Preset::Number(default) }
}

/// For how long something may take: at most an hour.
const fn millis(id: &'static str, about: &'static str, default: u64) -> Setting {
    number(id, about, "MS", 1..=3_600_000, default)
}

/// All of them, in the order of help and documentation. Secrets are no settings: a setting names the file that holds one.
pub(crate) const SETTINGS: &[Setting] = &[
    text(
        "address",
        "This node's name in the view: host:port, or a host that the port completes",
        "ADDR",
        "127.0.0.1 and the port",
    ),
    Setting {
        id: "port",
        about: "The port to listen on; 0 for one that the system chooses",
        unit: "PORT",
        kind: Kind::Number(0..=65_535),
        default: Preset::Words("the address's port, or 8080"),
    },
    text("bind", "The IP address to listen on", "IP", "0.0.0.0 if PORT comes from the environment, else 127.0.0.1"),
    Setting {
        id: "view",
        about: "The members of the cluster, separated by commas; entries without a port get this node's",
        unit: "ADDRS",
        kind: Kind::List,
        default: Preset::Words("this node"),
    },
    number("repl_factor", "How many replicas each shard has at least", "N", 1..=limits::MEMBERS_MAX as u64, 1),
    text("cluster", "The cluster's name; strangers are refused", "NAME", "derived from the view"),
    number(
        "max_key_bytes",
        "The longest key",
        "BYTES",
        1..=limits::KEY_BYTES_MAX as u64,
        limits::KEY_BYTES_DEFAULT as u64,
    ),
    number("max_value_bytes", "The largest value", "BYTES", 1..=VALUE_BYTES_MAX, limits::VALUE_BYTES_DEFAULT as u64),
    number("max_body_bytes", "The largest request body", "BYTES", 1..=VALUE_BYTES_MAX + (1 << 20), 8 << 20),
    number("max_header_bytes", "The largest head of a request, its key aside", "BYTES", 1024..=32 << 10, 16 << 10),
    Setting {
        id: "max_window_bytes",
        about: "How much the replication window may hold",
        unit: "BYTES",
        kind: Kind::Number(WINDOW_BYTES_MIN..=1 << 40),
        default: Preset::Words("268435456, or a quarter of the memory limit if that is less"),
    },
    Setting {
        id: "max_memory_bytes",
        about: "How much tables and windows may take in memory before values that need more are refused",
        unit: "BYTES",
        // A quarter of it, the share of the window, is no less than a window may be.
        kind: Kind::Number(4 * WINDOW_BYTES_MIN..=1 << 50),
        default: Preset::Words("no limit"),
    },
    number("max_connections", "How many client connections are served at once", "N", 1..=1_000_000, 16_384),
    number("max_concurrent_requests", "How many requests are in progress at once", "N", 1..=1_000_000, 8192),
    number(
        "max_unread_bytes",
        "How much the answers may take that clients have not read, small ones aside; at least the largest value",
        "BYTES",
        1 << 20..=1 << 40,
        256 << 20,
    ),
    millis("header_timeout_ms", "How long the head of a request may take to arrive", 10_000),
    millis("body_timeout_ms", "How long the body of a request may take to arrive", 30_000),
    millis("idle_timeout_ms", "How long a connection may be idle between requests", 75_000),
    text(
        "tokens_file",
        "A file of the tokens that are let in, one a line: role:sha256:name, as `precede token new` prints it",
        "FILE",
        "everybody is let in",
    ),
    text(
        "peer_secret_file",
        "A file of the secrets that the cluster's nodes share, one a line, the first of which is used and all of which are taken; the \
         line `anyone` lets in nodes without one too",
        "FILE",
        "nodes need not prove anything",
    ),
    text(
        "tls_cert_file",
        "A file with this node's certificate, in PEM, and those between it and its authority; with it TLS is spoken, and nothing else",
        "FILE",
        "no TLS",
    ),
    text("tls_key_file", "A file with the certificate's key, in PEM", "FILE", "no TLS"),
    text(
        "tls_ca_file",
        "A file with the certificates of the authorities that the nodes' certificates are by, in PEM",
        "FILE",
        "no TLS",
    ),
    text(
        "otlp_endpoint",
        "The collector that is sent the spans of sampled requests by OTLP/HTTP: http://host:port; /v1/traces is added",
        "URL",
        "no spans are sent",
    ),
    number(
        "trace_sample_per_million",
        "How many of a million requests that come without a trace are sampled, where there is a collector",
        "N",
        0..=MILLION as u64,
        0,
    ),
];

/// The setting of this name, if there is one.
pub(crate) fn find(id: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.id == id)
}

impl Setting {
    /// Its environment variable.
    pub(crate) fn variable(&self) -> String {
        self.id.to_uppercase()
    }

    /// Its flag, without the dashes in front.
    pub(crate) fn flag(&self) -> String {
        self.id.replace('_', "-")
    }

    /// Its default, as text.
    pub(crate) fn default_text(&self) -> String {
        match self.default {
            Preset::Number(number) => number.to_string(),
            Preset::Words(words) => words.to_owned(),
        }
    }

    /// As an option of the command line. All values are texts there: they are judged here, so that an error names what said them.
    pub(crate) fn arg(&self) -> Arg {
        Arg::new(self.id).long(self.flag()).env(self.variable()).value_name(self.unit).help(format!(
            "{} [default: {}]",
            self.about,
            self.default_text()
        ))
    }

    /// The number that was said, if it is one and this setting may have it.
    pub(crate) fn number(&self, told: &Told) -> Result<u64, String> {
        let Kind::Number(range) = &self.kind else { return Err(format!("{told}: this setting is no number")) };
        match told.value.parse() {
            Ok(number) if range.contains(&number) => Ok(number),
            Ok(_) | Err(_) => Err(format!(
                "{told} is not a number from {} to {}: give one, or leave it out for the default",
                range.start(),
                range.end()
            )),
        }
    }

    /// What is wrong with what was said, as far as that can be told without other settings.
    pub(crate) fn judge(&self, told: &Told) -> Result<(), String> {
        match self.kind {
            Kind::Number(_) => self.number(told).map(|_| ()),
            Kind::Text | Kind::List => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    #[test]
    fn the_reference_is_what_the_code_says() {
        let mut table =
            "| flag | variable | in the file | default | limits | what it is |\n|---|---|---|---|---|---|\n".to_owned();
        for setting in SETTINGS {
            let (flag, variable, unit) = (setting.flag(), setting.variable(), setting.unit);
            let (limits, form) = match &setting.kind {
                Kind::Number(range) => (format!("{} to {}", range.start(), range.end()), "number"),
                Kind::Text => (String::new(), "text"),
                Kind::List => (String::new(), "list or text"),
            };
            let (id, default, about) = (setting.id, setting.default_text(), setting.about);
            let _ = writeln!(
                table,
                "| `--{flag} {unit}` | `{variable}` | `{id}`, {form} | {default} | {limits} | {about} |"
            );
        }
        let reference = include_str!("../../../../docs/configuration.md");
        assert!(reference.contains(&table), "docs/configuration.md has another table than this:\n{table}");
    }

    #[test]
    fn defaults_are_within_limits_and_names_differ() {
        for (at, setting) in SETTINGS.iter().enumerate() {
            if let (Kind::Number(range), Preset::Number(default)) = (&setting.kind, setting.default) {
                assert!(range.contains(&default), "{}", setting.id);
            }
            assert!(SETTINGS[at + 1..].iter().all(|other| other.id != setting.id), "{} is there twice", setting.id);
            assert!(setting.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{}", setting.id);
        }
    }

    /// What is said on a command line, in the environment or in a shared file is no secret any more.
    #[test]
    fn no_setting_is_a_secret() {
        for setting in SETTINGS {
            let names_one = ["secret", "token", "password", "key"].iter().any(|word| setting.id.ends_with(word));
            assert!(!names_one, "{}: a secret is read from a file", setting.id);
        }
    }
}
