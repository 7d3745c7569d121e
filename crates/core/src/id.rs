//! Names: addresses, nodes, shards, views, lives and origins. Newtypes with only the operations that make sense.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::causality::hlc::Timestamp;
use crate::excerpt::excerpt;

/// `host:port`, a node's name in a view. Compared as written: no name is resolved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address(Arc<str>);

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No port could be found.
    #[error("address `{0}` has no port: write host:port")]
    NoPort(String),
    /// The port is not a number from 1 to 65535.
    #[error("address `{0}` has a port that is not a number from 1 to 65535")]
    BadPort(String),
    /// The host is empty or has characters that no host name has.
    #[error("address `{0}` has a host that is empty or has a character no host name has")]
    BadHost(String),
}

impl Address {
    /// Parses `host:port`, or a bare host that `default_port` completes. IPv6 hosts are written in brackets.
    ///
    /// # Errors
    /// [`AddressError`] names what is wrong with the text.
    pub fn parse(text: &str, default_port: Option<u16>) -> Result<Self, AddressError> {
        let text = text.trim();
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            Some(_) | None => (text, None),
        };
        let port = match (port, default_port) {
            (Some(port), _) => match port.parse::<u16>() {
                Ok(port) if port > 0 => port,
                Ok(_) | Err(_) => return Err(AddressError::BadPort(excerpt(text))),
            },
            (None, Some(port)) => port,
            (None, None) => return Err(AddressError::NoPort(excerpt(text))),
        };
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let inner = if bracketed { &host[1..host.len() - 1] } else { host };
        let sound = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c) || (bracketed && ":%".contains(c));
        if inner.is_empty() || inner.len() > 253 || !inner.chars().all(sound) {
            return Err(AddressError::BadHost(excerpt(text)));
        }
        Ok(Self(format!("{host}:{port}").into()))
    }

    /// The text, `host:port`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The short name under which this address stands in origins and vectors.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        NodeId(xxh3_64(self.0.as_bytes()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `xxh3_64` of a node's address: a name of fixed size. A view whose members collide is refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u64);

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{:016x}", self.0)
    }
}

/// A shard's number: counts from 1, stable across views, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardId(pub u32);

/// Identifies a view. Totally ordered: epoch, activation timestamp, coordinator. The epoch alone does not identify a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ViewId {
    /// Counts from 0, the bootstrap view.
    pub epoch: u32,
    /// The coordinator's clock when it stamped the view; 0 for a bootstrap view.
    pub activation: Timestamp,
    /// The node that stamped the view; for a bootstrap view a fingerprint of its members and factor.
    pub coordinator: NodeId,
}

/// One run of a node. Lives of an address are ordered by their start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Life {
    /// Whose life.
    pub node: NodeId,
    /// Taken after the node has heard its shard, hence above all that earlier lives issued (design 4.1).
    pub start: Timestamp,
}

/// One life of one node in one view: the source of one ordered stream of writes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The view the writes were made under.
    pub view: ViewId,
    /// The node that made them.
    pub node: NodeId,
    /// The start of that life.
    pub start: Timestamp,
}

impl Origin {
    /// A short name of it. Two that share one by chance are told apart by the timestamps of their writes.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut bytes = [0; 36];
        bytes[..4].copy_from_slice(&self.view.epoch.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.view.activation.0.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.view.coordinator.0.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.node.0.to_le_bytes());
        bytes[28..].copy_from_slice(&self.start.0.to_le_bytes());
        xxh3_64(&bytes)
    }

    /// The life this origin belongs to.
    #[must_use]
    pub fn life(&self) -> Life {
        Life { node: self.node, start: self.start }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}@{}/e{}", self.node, self.start, self.view.epoch)
    }
}

/// Names a request between the driver and the node. Chosen by the driver, unique among those not yet answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Whom to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A client of this node.
    Client(RequestId),
    /// A node that forwarded a client's request.
    Router {
        /// The node.
        node: NodeId,
        /// The id it chose.
        id: u64,
    },
    /// This node itself, as the coordinator of a view change, counts the keys of a shard.
    Count(ShardId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_completed_and_refused_with_a_reason() {
        assert_eq!(Address::parse("10.0.0.1:80", None).unwrap().as_str(), "10.0.0.1:80");
        assert_eq!(Address::parse("node-1", Some(8080)).unwrap().as_str(), "node-1:8080");
        assert_eq!(Address::parse("[::1]:90", None).unwrap().as_str(), "[::1]:90");
        assert_eq!(Address::parse("[::1]", Some(7)).unwrap().as_str(), "[::1]:7");
        assert!(matches!(Address::parse("node", None), Err(AddressError::NoPort(_))));
        assert!(matches!(Address::parse("node:0", None), Err(AddressError::BadPort(_))));
        assert!(matches!(Address::parse("node:99999", None), Err(AddressError::BadPort(_))));
        assert!(matches!(Address::parse(":80", None), Err(AddressError::BadHost(_))));
        assert!(matches!(Address::parse("a b:80", None), Err(AddressError::BadHost(_))));
    }
}
