//! The address of a node, `host:port`: how users, views and answers name it.

use std::fmt;
use std::str::FromStr;

use http::uri::Authority;

use crate::Error;

/// The address of a node: a host name or IP address (IPv6 in brackets), and a port.
///
/// Cheap to clone. Host names compare without regard to case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address(Authority);

impl Address {
    /// The address as it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn authority(&self) -> Authority {
        self.0.clone()
    }
}

impl FromStr for Address {
    type Err = Error;

    /// # Errors
    ///
    /// [`Error::InvalidAddress`] if `text` is not `host:port`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = |reason: &str| Error::InvalidAddress { address: text.to_owned(), reason: reason.to_owned() };
        if text.contains("://") {
            return Err(invalid("write host:port, without a scheme: TLS is spoken where authorities are given"));
        }
        let authority: Authority = text.parse().map_err(|_| invalid("not of the form host:port"))?;
        if text.contains('@') {
            return Err(invalid("user names are not supported"));
        }
        if authority.host().is_empty() {
            return Err(invalid("the host is missing"));
        }
        match authority.port_u16() {
            None => Err(invalid("the port is missing or not a number up to 65535")),
            Some(0) => Err(invalid("port 0 cannot be connected to")),
            Some(_) => Ok(Self(authority)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_names_and_ipv6_with_a_port_are_addresses() {
        for text in ["127.0.0.1:8080", "node-1:80", "[::1]:65535", "a.example.org:1"] {
            assert_eq!(text.parse::<Address>().unwrap().as_str(), text);
        }
        assert_eq!("Node:1".parse::<Address>().unwrap(), "node:1".parse().unwrap());
    }

    #[test]
    fn anything_else_is_refused_with_a_reason() {
        let offences =
            ["", "host", "host:", ":80", "host:0", "host:65536", "http://host:80", "a@b:80", "a:80/x", "a b:80"];
        for text in offences {
            let error = text.parse::<Address>().unwrap_err();
            assert!(matches!(&error, Error::InvalidAddress { address, .. } if address == text), "{text}: {error}");
        }
    }
}
