//! The settings of a client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use crate::client::Settings;
use crate::tls;
use crate::transport::Transport;
use crate::{Address, Client, Error};

/// The settings of a [`Client`], each with its default. Made by [`Client::builder`].
#[derive(Clone)]
#[must_use]
pub struct ClientBuilder {
    nodes: Vec<String>,
    timeout: Duration,
    connect_timeout: Duration,
    response_bytes_max: usize,
    direct: bool,
    token: Option<String>,
    authorities: Option<Vec<u8>>,
}

impl ClientBuilder {
    pub(crate) fn new(nodes: Vec<String>) -> Self {
        Self {
            nodes,
            timeout: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(1),
            response_bytes_max: 64 << 20,
            direct: true,
            token: None,
            authorities: None,
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

    /// The token that nodes are shown, where they ask for one: none. It is never printed.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Speaks TLS with all nodes, and takes certificates by these authorities, in PEM, for theirs: HTTP without TLS is spoken.
    pub fn authorities(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities = Some(pem.into());
        self
    }

    /// Makes the client. Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidAddress`] if a node's address is not `host:port`, or if there are none; [`Error::BadRequest`] if the token is
    /// not one word of visible characters, or the authorities are none.
    pub fn build(self) -> Result<Client, Error> {
        let nodes = self.nodes.iter().map(|text| text.parse()).collect::<Result<Vec<Address>, Error>>()?;
        if nodes.is_empty() {
            let reason = "a client needs at least one node".to_owned();
            return Err(Error::InvalidAddress { address: String::new(), reason });
        }
        let authorization = self.token.as_deref().map(authorization).transpose()?;
        let tls = self.authorities.as_deref().map(tls::trusting).transpose()?;
        let transport = Transport::new(self.connect_timeout, self.response_bytes_max, authorization, tls);
        let transport = Arc::new(transport);
        Ok(Client::assemble(Settings { nodes, timeout: self.timeout, direct: self.direct }, transport))
    }
}

/// The header that shows a token. It does not appear in what is printed for debugging.
fn authorization(token: &str) -> Result<HeaderValue, Error> {
    let token = token.trim();
    let is_plain = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    let value = HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| is_plain);
    let mut value = value
        .ok_or_else(|| Error::BadRequest { message: "the token is not one word of visible characters".to_owned() })?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for ClientBuilder {
    /// All but the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("nodes", &self.nodes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word_and_never_printed() {
        let builder = |token: &str| Client::builder(["a:1"]).token(token);
        for wrong in ["", "a b", "a\nb", "ä"] {
            assert!(matches!(builder(wrong).build(), Err(Error::BadRequest { .. })), "{wrong:?}");
        }
        let client = builder(" sesame\n").build().unwrap();
        let printed = format!("{:?} {client:?}", builder("sesame"));
        assert!(!printed.contains("sesame"), "{printed}");
    }
}
