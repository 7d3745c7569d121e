//! Settings: what was said is resolved here, once, before anything starts. An error names what said it, its value and the remedy, and
//! all errors are told at once.
//!
//! | module | responsibility |
//! |---|---|
//! | `table` | every setting: its names, limits and default |
//! | `said` | what was said by flags, in the environment and in the file |
//! | `file` | the configuration file |
//!
//! A new setting is a line of the table, the field of [`Settings`] or [`HttpLimits`] that it becomes, and its row in
//! `docs/configuration.md`, which a failing test prints.

pub(crate) mod file;
pub(crate) mod said;
pub(crate) mod table;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use precede_core::config::Config;
use precede_core::id::Address;
use precede_core::limits;
use precede_core::placement::view::View;

use crate::security::Security;
use crate::settings::said::{Said, Source, Told};
use crate::settings::table::{Preset, Setting};
use crate::trace::{MILLION, TraceSettings};

const PORT_DEFAULT: u16 = 8080;

/// All that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\nerror: "))]
pub(crate) struct SettingsError(pub(crate) Vec<String>);

/// Limits of the HTTP side.
#[derive(Debug, Clone)]
pub(crate) struct HttpLimits {
    /// Bytes of a percent-decoded key.
    pub(crate) key_bytes: usize,
    /// Bytes of a value.
    pub(crate) value_bytes: usize,
    /// Bytes of a request's body.
    pub(crate) body_bytes: usize,
    /// Bytes of the head of a request, its key aside.
    pub(crate) header_bytes: usize,
    /// Connections served at once.
    pub(crate) connections: usize,
    /// Requests in progress at once.
    pub(crate) requests: usize,
    /// Bytes of large answers that have not left.
    pub(crate) unread_bytes: usize,
    /// For the head of a request to arrive, and for the first byte of a connection.
    pub(crate) header_timeout: Duration,
    /// For the body of a request to arrive.
    pub(crate) body_timeout: Duration,
    /// Between requests.
    pub(crate) idle_timeout: Duration,
}

/// What a node is started with. The address may still lack the port that the system chooses.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Where to listen.
    pub(crate) bind: SocketAddr,
    /// Limits of the HTTP side.
    pub(crate) http: HttpLimits,
    /// What keeps strangers out.
    pub(crate) security: Security,
    /// Where spans go, if they go anywhere.
    pub(crate) tracing: Option<TraceSettings>,
    address: Option<Told>,
    view: Option<Told>,
    repl_factor: usize,
    repl_factor_told: Option<Told>,
    cluster: Option<String>,
    window_bytes: usize,
    memory_bytes: Option<u64>,
}

impl Settings {
    /// Resolves what was said, in the configuration file too.
    ///
    /// # Errors
    /// [`SettingsError`] names every offending setting.
    pub(crate) fn load(said: &mut Said) -> Result<Self, SettingsError> {
        let problems = said.read_file();
        match Self::resolve(said) {
            Ok(settings) if problems.is_empty() => Ok(settings),
            Ok(_) => Err(SettingsError(problems)),
            Err(more) => Err(SettingsError([problems, more.0].concat())),
        }
    }

    /// Resolves what was said.
    ///
    /// # Errors
    /// [`SettingsError`] names every offending setting.
    pub(crate) fn resolve(said: &Said) -> Result<Self, SettingsError> {
        let mut problems = said.problems();
        let told = |id| said.get(id);
        let number = |id| number(said, id);
        let size = |id| usize::try_from(number(id)).unwrap_or(usize::MAX);
        let millis = |id| Duration::from_millis(number(id));
        let port = match told("port") {
            Some(_) => number_said(said, "port").and_then(|port| u16::try_from(port).ok()),
            None => told("address").and_then(|told| port_of(&told.value)),
        };
        let port = port.unwrap_or(PORT_DEFAULT);
        let bind = bind(told("bind"), told("port").is_some_and(|told| told.source == Source::Environment), port);
        let http = HttpLimits {
            key_bytes: size("max_key_bytes"),
            value_bytes: size("max_value_bytes"),
            body_bytes: size("max_body_bytes"),
            header_bytes: size("max_header_bytes"),
            connections: size("max_connections"),
            requests: size("max_concurrent_requests"),
            unread_bytes: size("max_unread_bytes"),
            header_timeout: millis("header_timeout_ms"),
            body_timeout: millis("body_timeout_ms"),
            idle_timeout: millis("idle_timeout_ms"),
        };
        let (security, wrong_files) = Security::resolve(said);
        let collector = told("otlp_endpoint").map(collector).transpose();
        let per_million = u32::try_from(number("trace_sample_per_million")).unwrap_or(MILLION);
        let memory_bytes = number_said(said, "max_memory_bytes");
        let share = memory_bytes.map_or(u64::MAX, |bytes| bytes / 4);
        let window_bytes = number_said(said, "max_window_bytes");
        let window_bytes = window_bytes.unwrap_or_else(|| share.min(limits::WINDOW_BYTES_DEFAULT as u64));
        let settings = Self {
            bind: bind.clone().unwrap_or_else(|_| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)),
            http,
            security,
            tracing: collector.clone().ok().flatten().map(|collector| TraceSettings { collector, per_million }),
            address: told("address").cloned(),
            view: told("view").cloned(),
            repl_factor: size("repl_factor"),
            repl_factor_told: told("repl_factor").cloned(),
            cluster: told("cluster").map(|told| told.value.clone()),
            window_bytes: usize::try_from(window_bytes).unwrap_or(usize::MAX),
            memory_bytes,
        };
        problems.extend(bind.err());
        // Otherwise the largest values are read only while nobody reads others.
        if let Some(told) = told("max_unread_bytes").filter(|_| settings.http.unread_bytes < settings.http.value_bytes)
        {
            problems.push(format!(
                "{told} is less than MAX_VALUE_BYTES, {}: raise it, or lower that",
                settings.http.value_bytes
            ));
        }
        problems.extend(collector.err());
        problems.extend(wrong_files);
        // A port that the system chooses completes addresses later.
        if port != 0 {
            problems.extend(settings.members(port).err().into_iter().flat_map(|error| error.0));
        }
        if problems.is_empty() { Ok(settings) } else { Err(SettingsError(problems)) }
    }

    /// The core's configuration, now that the port is known.
    ///
    /// # Errors
    /// [`SettingsError`] if the addresses make no view.
    pub(crate) fn config(&self, port: u16, seed: u64) -> Result<Config, SettingsError> {
        let (address, view) = self.members(port)?;
        let mut config = Config::new(address, view, seed);
        if let Some(name) = &self.cluster {
            config.cluster.name.clone_from(name);
            config.cluster.is_derived = false;
        }
        config.window_bytes_max = self.window_bytes;
        config.memory_bytes_max = self.memory_bytes;
        Ok(config)
    }

    /// What a setting has become that depends on others. None if it is what was said, or the default.
    pub(crate) fn derived(&self, id: &str) -> Option<String> {
        let port = self.bind.port();
        let members = || (port != 0).then(|| self.members(port).ok()).flatten();
        match id {
            "port" => Some(port.to_string()),
            "bind" => Some(self.bind.ip().to_string()),
            "max_window_bytes" => Some(self.window_bytes.to_string()),
            "address" => members().map(|(address, _)| address.to_string()),
            "view" => members()
                .map(|(_, view)| view.members().map(|(_, address, _)| address.as_str()).collect::<Vec<_>>().join(",")),
            _ => None,
        }
    }

    /// This node's address, and the first view.
    fn members(&self, port: u16) -> Result<(Address, View), SettingsError> {
        let own = match &self.address {
            Some(told) => address(told, &told.value, port),
            None => Address::parse("127.0.0.1", Some(port)).map_err(|error| error.to_string()),
        };
        let members: Vec<Result<Address, String>> = match &self.view {
            Some(told) => {
                let entries = told.value.split(',').map(str::trim).filter(|entry| !entry.is_empty());
                entries.map(|entry| address(told, entry, port)).collect()
            }
            None => own.iter().cloned().map(Ok).collect(),
        };
        let (members, mut problems) = split(members);
        let view = View::bootstrap(&members, self.repl_factor).map_err(|error| {
            let named = [&self.view, &self.repl_factor_told].into_iter().flatten();
            let said: Vec<_> = named.map(Told::to_string).collect();
            format!("{}: {error}", said.join(" "))
        });
        match (own, view) {
            (Ok(own), Ok(view)) if problems.is_empty() => Ok((own, view)),
            (own, view) => {
                // Of members that are no addresses there is no view to be judged.
                if problems.is_empty() && (own.is_ok() || self.view.is_some()) {
                    problems.extend(view.err());
                }
                problems.extend(own.err());
                Err(SettingsError(problems))
            }
        }
    }
}

/// What went well, and what did not.
fn split<T>(results: Vec<Result<T, String>>) -> (Vec<T>, Vec<String>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(one) => good.push(one),
            Err(error) => bad.push(error),
        }
    }
    (good, bad)
}

/// The number of a setting: what was said, if it is good, else the default.
fn number(said: &Said, id: &str) -> u64 {
    number_said(said, id).unwrap_or_else(|| match setting(id).default {
        Preset::Number(number) => number,
        Preset::Words(words) => unreachable!("{id} is resolved with a default of {words}"),
    })
}

/// The number that was said, if one was and it is good.
fn number_said(said: &Said, id: &str) -> Option<u64> {
    setting(id).number(said.get(id)?).ok()
}

fn setting(id: &str) -> &'static Setting {
    table::find(id).expect("the settings that are resolved are in the table")
}

fn bind(told: Option<&Told>, port_from_env: bool, port: u16) -> Result<SocketAddr, String> {
    let Some(told) = told else {
        let host = if port_from_env { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
        return Ok(SocketAddr::new(host.into(), port));
    };
    let bare = told.value.trim_start_matches('[').trim_end_matches(']');
    if let Ok(host) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(host, port));
    }
    let remedy = "give the one to listen on, for example 0.0.0.0 for all";
    told.value.parse().map_err(|_| format!("{told} is not an IP address: {remedy}"))
}

/// Where a collector takes traces. It has no user in it: what is said here is shown.
fn collector(told: &Told) -> Result<Uri, String> {
    let traces = format!("{}/v1/traces", told.value.trim_end_matches('/'));
    let is_good = |uri: &Uri| {
        let is_plain = uri.scheme() == Some(&Scheme::HTTP) && uri.query().is_none();
        is_plain && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
    };
    traces.parse().ok().filter(is_good).ok_or_else(|| {
        format!("{told} is not of the form http://host:port: name a collector on this machine, which may speak TLS to others")
    })
}

/// The port of an address.
pub(crate) fn port_of(address: &str) -> Option<u16> {
    let (_, port) = address.rsplit_once(':')?;
    port.parse().ok().filter(|port| *port > 0)
}

fn address(told: &Told, text: &str, port: u16) -> Result<Address, String> {
    Address::parse(text, Some(port))
        .map_err(|error| format!("{told}: {error} (addresses are host:port, or a host alone)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(told: &[(&'static str, &str, bool)]) -> Said {
        let told = told.iter().map(|(id, value, from_env)| {
            let source = if *from_env { Source::Environment } else { Source::Flag };
            (*id, Told { id, value: (*value).to_owned(), source })
        });
        Said { told: told.collect(), file: None }
    }

    fn resolve(told: &[(&'static str, &str, bool)]) -> Result<(SocketAddr, Config), SettingsError> {
        let settings = Settings::resolve(&said(told))?;
        Ok((settings.bind, settings.config(settings.bind.port(), 1)?))
    }

    #[test]
    fn with_nothing_said_there_is_one_node() {
        let (bind, config) = resolve(&[]).unwrap();
        assert_eq!(bind.to_string(), "127.0.0.1:8080");
        assert_eq!(config.address.as_str(), "127.0.0.1:8080");
        assert_eq!(config.bootstrap.shards()[0].replicas, std::slice::from_ref(&config.address));
    }

    #[test]
    fn the_port_completes_addresses_and_opens_the_listener_when_it_comes_from_the_environment() {
        let told = [("address", "n1", true), ("port", "9000", true), ("view", "n1,n2:7, n3", true)];
        let (bind, config) = resolve(&told).unwrap();
        assert_eq!(bind.to_string(), "0.0.0.0:9000");
        assert_eq!(config.address.as_str(), "n1:9000");
        let members: Vec<_> = config.bootstrap.shards().iter().flat_map(|s| &s.replicas).map(Address::as_str).collect();
        assert_eq!(members, ["n1:9000", "n2:7", "n3:9000"]);
        assert_eq!(resolve(&[("port", "9000", false)]).unwrap().0.to_string(), "127.0.0.1:9000");
        assert_eq!(resolve(&[("address", "n1:81", true)]).unwrap().0.to_string(), "127.0.0.1:81");
        let told = [("port", "9000", true), ("bind", "::1", false)];
        assert_eq!(resolve(&told).unwrap().0.to_string(), "[::1]:9000");
    }

    #[test]
    fn a_memory_limit_leaves_a_quarter_to_the_window() {
        let bytes = |told: &[_]| {
            let config = resolve(told).unwrap().1;
            (config.memory_bytes_max, config.window_bytes_max)
        };
        assert_eq!(bytes(&[]), (None, 256 << 20));
        assert_eq!(bytes(&[("max_memory_bytes", "4194304", true)]), (Some(4 << 20), 1 << 20));
        assert_eq!(bytes(&[("max_memory_bytes", "8589934592", true)]), (Some(8 << 30), 256 << 20));
        let told = [("max_memory_bytes", "4194304", true), ("max_window_bytes", "2097152", true)];
        assert_eq!(bytes(&told), (Some(4 << 20), 2 << 20));
    }

    #[test]
    fn errors_name_the_variable_the_value_and_the_remedy() {
        for (told, parts) in [
            (("port", "http", true), ["PORT=\"http\"", "0 to 65535"]),
            (("repl_factor", "0", false), ["--repl-factor=\"0\"", "1 to 1024"]),
            (("repl_factor", "3", true), ["REPL_FACTOR=\"3\"", "lower the replication factor"]),
            (("view", "a:1,b:99999", true), ["VIEW=\"a:1,b:99999\"", "b:99999"]),
            (("view", "a:1,a:1", true), ["VIEW=\"a:1,a:1\"", "named twice"]),
            (("bind", "eth0", false), ["--bind=\"eth0\"", "0.0.0.0"]),
            (("otlp_endpoint", "https://c:4318", true), ["OTLP_ENDPOINT=\"https://c:4318\"", "http://host:port"]),
            (("otlp_endpoint", "http://me:pass@c:4318", false), ["--otlp-endpoint=", "http://host:port"]),
            (("max_memory_bytes", "1000", true), ["MAX_MEMORY_BYTES=\"1000\"", "4194304 to "]),
        ] {
            let error = resolve(&[told]).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }

    #[test]
    fn a_collector_is_named_with_or_without_a_path() {
        let collector = |told: &[_]| Settings::resolve(&said(told)).unwrap().tracing.map(|to| to.collector.to_string());
        assert_eq!(collector(&[("trace_sample_per_million", "5", true)]), None, "nobody to send to");
        for (told, sent_to) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://collector:4318/otlp/", "http://collector:4318/otlp/v1/traces"),
        ] {
            assert_eq!(collector(&[("otlp_endpoint", told, true)]).as_deref(), Some(sent_to));
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let told = [
            ("port", "http", true),
            ("bind", "eth0", false),
            ("view", "a:1,b:0,c d", true),
            ("address", ":", false),
            ("idle_timeout_ms", "0", false),
        ];
        let SettingsError(problems) = resolve(&told).unwrap_err();
        for name in ["PORT=", "--bind=", "`b:0`", "`c d`", "--address=", "--idle-timeout-ms="] {
            assert_eq!(problems.iter().filter(|problem| problem.contains(name)).count(), 1, "{name}: {problems:?}");
        }
        assert_eq!(problems.len(), 6, "{problems:?}");
    }

    #[test]
    fn the_file_counts_where_nothing_else_is_said() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "port = 9000\nmax_key_bytes = 7\nmax_value_bytes = 8\n").unwrap();
        let mut said = said(&[("max_key_bytes", "5", true), ("max_value_bytes", "6", false)]);
        said.file = Some(file.path().to_owned());
        let settings = Settings::load(&mut said).unwrap();
        assert_eq!((settings.http.key_bytes, settings.http.value_bytes), (5, 6));
        assert_eq!(settings.bind.to_string(), "127.0.0.1:9000", "only the environment opens the listener");
        std::fs::write(file.path(), "port = 9000\nmax_key_bytes = 0\n").unwrap();
        let SettingsError(problems) = Settings::load(&mut said).unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains(":2: max_key_bytes"), "what is not used is wrong, too");
    }
}
