//! The settings of a client.

use std::time::Duration;

use crate::client::Settings;
use crate::transport::Transport;
use crate::{Address, Client, Error};

/// The settings of a [`Client`], each with its default. Made by [`Client::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct ClientBuilder {
    nodes: Vec<String>,
    timeout: Duration,
    connect_timeout: Duration,
    response_bytes_max: usize,
    direct: bool,
}

impl ClientBuilder {
    pub(crate) fn new(nodes: Vec<String>) -> Self {
        Self {
            nodes,
            timeout: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(1),
            response_bytes_max: 64 << 20,
            direct: true,
        }
    }

    /// The deadline of an operation, all its attempts included, unless the operation has its own: 3 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long one attempt to connect may take, all addresses of a host name together: 1 s. It ends with the
    /// operation's deadline in any case.
    pub fn connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connect_timeout = connect_timeout;
        self
    }

    /// The largest answer taken, in bytes: 64 MiB. Answers are held in memory whole.
    pub fn response_bytes_max(mut self, response_bytes_max: usize) -> Self {
        self.response_bytes_max = response_bytes_max;
        self
    }

    /// Whether to learn the cluster's view and to ask the nodes that hold a key first: true. Switch it off where the
    /// addresses in the view cannot be reached from here, as behind a load balancer: then only the given nodes are
    /// asked.
    pub fn direct(mut self, direct: bool) -> Self {
        self.direct = direct;
        self
    }

    /// Makes the client. Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidAddress`] if a node's address is not `host:port`, or if there are none.
    pub fn build(self) -> Result<Client, Error> {
        let nodes = self.nodes.iter().map(|text| text.parse()).collect::<Result<Vec<Address>, Error>>()?;
        if nodes.is_empty() {
            let reason = "a client needs at least one node".to_owned();
            return Err(Error::InvalidAddress { address: String::new(), reason });
        }
        let transport = Transport::new(self.connect_timeout, self.response_bytes_max);
        Ok(Client::assemble(Settings { nodes, timeout: self.timeout, direct: self.direct }, transport))
    }
}
