//! Settings: what was said is resolved here, once, before anything starts. An error names the variable, its value and
//! the remedy.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use precede_core::config::Config;
use precede_core::id::Address;
use precede_core::limits;
use precede_core::placement::view::View;

use crate::cli::{Said, Told};
use crate::security::Security;

const PORT_DEFAULT: u16 = 8080;
/// Values beyond this would not fit into a message between nodes with everything else in it.
const VALUE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SettingsError(pub(crate) String);

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
    address: Option<Told>,
    view: Option<Told>,
    repl_factor: usize,
    repl_factor_told: Option<Told>,
    cluster: Option<String>,
    window_bytes: usize,
}

impl Settings {
    /// Resolves what was said.
    ///
    /// # Errors
    /// [`SettingsError`] names the offending setting.
    pub(crate) fn resolve(said: &Said) -> Result<Self, SettingsError> {
        let told = |id| said.0.get(id);
        let number = |id, default, range| number(told(id), default, range);
        let size = |id, default, range| number(id, default, range).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let millis = |id, default| number(id, default, 1..=3_600_000).map(Duration::from_millis);
        let port = match told("port") {
            Some(told) => u16::try_from(number_of(told, 0..=65535)?).expect("it is in range"),
            None => told("address").and_then(|told| port_of(&told.value)).unwrap_or(PORT_DEFAULT),
        };
        let bind = bind(told("bind"), told("port").is_some_and(|told| told.from_env), port)?;
        let http = HttpLimits {
            key_bytes: size("max_key_bytes", limits::KEY_BYTES_DEFAULT as u64, 1..=limits::KEY_BYTES_MAX as u64)?,
            value_bytes: size("max_value_bytes", limits::VALUE_BYTES_DEFAULT as u64, 1..=VALUE_BYTES_MAX)?,
            body_bytes: size("max_body_bytes", 8 << 20, 1..=VALUE_BYTES_MAX + (1 << 20))?,
            header_bytes: size("max_header_bytes", 16 << 10, 1024..=32 << 10)?,
            connections: size("max_connections", 16_384, 1..=1_000_000)?,
            requests: size("max_concurrent_requests", 8192, 1..=1_000_000)?,
            header_timeout: millis("header_timeout_ms", 10_000)?,
            body_timeout: millis("body_timeout_ms", 30_000)?,
            idle_timeout: millis("idle_timeout_ms", 75_000)?,
        };
        Ok(Self {
            bind,
            http,
            security: Security::resolve(said)?,
            address: told("address").cloned(),
            view: told("view").cloned(),
            repl_factor: size("repl_factor", 1, 1..=limits::MEMBERS_MAX as u64)?,
            repl_factor_told: told("repl_factor").cloned(),
            cluster: told("cluster").map(|told| told.value.clone()),
            window_bytes: size("max_window_bytes", limits::WINDOW_BYTES_DEFAULT as u64, 1 << 20..=1 << 40)?,
        })
    }

    /// The core's configuration, now that the port is known.
    ///
    /// # Errors
    /// [`SettingsError`] if the addresses make no view.
    pub(crate) fn config(&self, port: u16, seed: u64) -> Result<Config, SettingsError> {
        let address = match &self.address {
            Some(told) => address(told, &told.value, port)?,
            None => Address::parse("127.0.0.1", Some(port)).map_err(|error| SettingsError(error.to_string()))?,
        };
        let members = match &self.view {
            Some(told) => {
                let entries = told.value.split(',').map(str::trim).filter(|entry| !entry.is_empty());
                entries.map(|entry| self::address(told, entry, port)).collect::<Result<Vec<_>, _>>()?
            }
            None => vec![address.clone()],
        };
        let view = View::bootstrap(&members, self.repl_factor).map_err(|error| {
            let named = [&self.view, &self.repl_factor_told].into_iter().flatten();
            let said: Vec<_> = named.map(|told| format!("{}=\"{}\"", told.name, told.value)).collect();
            SettingsError(format!("{}: {error}", said.join(" ")))
        })?;
        let mut config = Config::new(address, view, seed);
        if let Some(name) = &self.cluster {
            config.cluster.name.clone_from(name);
            config.cluster.is_derived = false;
        }
        config.window_bytes_max = self.window_bytes;
        Ok(config)
    }
}

fn bind(told: Option<&Told>, port_from_env: bool, port: u16) -> Result<SocketAddr, SettingsError> {
    let Some(told) = told else {
        let host = if port_from_env { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
        return Ok(SocketAddr::new(host.into(), port));
    };
    let bare = told.value.trim_start_matches('[').trim_end_matches(']');
    if let Ok(host) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(host, port));
    }
    told.value.parse().map_err(|_| {
        SettingsError(format!(
            "{}=\"{}\" is not an IP address: give the one to listen on, for example 0.0.0.0 for all",
            told.name, told.value
        ))
    })
}

/// The port of an address.
pub(crate) fn port_of(address: &str) -> Option<u16> {
    let (_, port) = address.rsplit_once(':')?;
    port.parse().ok().filter(|port| *port > 0)
}

fn address(told: &Told, text: &str, port: u16) -> Result<Address, SettingsError> {
    Address::parse(text, Some(port)).map_err(|error| {
        SettingsError(format!("{}=\"{}\": {error} (addresses are host:port, or a host alone)", told.name, told.value))
    })
}

fn number(told: Option<&Told>, default: u64, range: RangeInclusive<u64>) -> Result<u64, SettingsError> {
    told.map_or(Ok(default), |told| number_of(told, range))
}

fn number_of(told: &Told, range: RangeInclusive<u64>) -> Result<u64, SettingsError> {
    match told.value.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        Ok(_) | Err(_) => Err(SettingsError(format!(
            "{}=\"{}\" is not a number from {} to {}: give one, or leave it out for the default",
            told.name,
            told.value,
            range.start(),
            range.end()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(told: &[(&'static str, &str, bool)]) -> Said {
        let told = told.iter().map(|(id, value, from_env)| {
            let name = if *from_env { id.to_uppercase() } else { format!("--{}", id.replace('_', "-")) };
            (*id, Told { name, value: (*value).to_owned(), from_env: *from_env })
        });
        Said(told.collect())
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
    fn errors_name_the_variable_the_value_and_the_remedy() {
        for (told, parts) in [
            (("port", "http", true), ["PORT=\"http\"", "0 to 65535"]),
            (("repl_factor", "0", false), ["--repl-factor=\"0\"", "1 to 1024"]),
            (("repl_factor", "3", true), ["REPL_FACTOR=\"3\"", "lower the replication factor"]),
            (("view", "a:1,b:99999", true), ["VIEW=\"a:1,b:99999\"", "b:99999"]),
            (("view", "a:1,a:1", true), ["VIEW=\"a:1,a:1\"", "named twice"]),
            (("bind", "eth0", false), ["--bind=\"eth0\"", "0.0.0.0"]),
        ] {
            let error = resolve(&[told]).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }
}
