//! TLS: for clients, and with certificates on both sides between nodes. One port for both: a node shows its certificate when it
//! dials, a client need not have one.

pub(crate) mod make;

use std::io;
use std::sync::Arc;

use precede_core::id::Address;
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::live_file::Live;

/// TLS, if a node speaks it.
pub(crate) type Tls = Option<Arc<Live<Identity>>>;

/// A node's certificate and key, and whose certificates it takes for those of nodes.
pub(crate) struct Identity {
    /// Towards whoever connects.
    server: Arc<ServerConfig>,
    /// Towards other nodes.
    node: Arc<ClientConfig>,
    /// The authorities, in PEM.
    authorities: Vec<u8>,
}

/// Whose certificates a client takes for those of nodes.
#[derive(Clone)]
pub(crate) struct Trust(Arc<ClientConfig>);

/// The one place where it is chosen who does the cryptography.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

impl Identity {
    /// Reads the files: certificates (this node's first), its key, and those of the authorities that nodes' certificates are by.
    ///
    /// # Errors
    /// What is wrong with which of them.
    pub(crate) fn parse(files: &[Vec<u8>]) -> Result<Self, String> {
        let [chain, key, authorities] = files else { return Err("three files are needed".to_owned()) };
        let chain = certificates(chain).map_err(|error| format!("TLS_CERT_FILE: {error}"))?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| "TLS_KEY_FILE: it has no private key in PEM (PKCS#8, PKCS#1 or SEC1)".to_owned())?;
        let pem = authorities.clone();
        let authorities = Arc::new(roots(authorities).map_err(|error| format!("TLS_CA_FILE: {error}"))?);
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&authorities), provider())
            .allow_unauthenticated()
            .build()
            .map_err(|error| format!("TLS_CA_FILE: {error}"))?;
        let unfit = |error: rustls::Error| format!("TLS_CERT_FILE and TLS_KEY_FILE: {error}");
        let mut server = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(unfit)?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(unfit)?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let node = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(unfit)?
            .with_root_certificates(authorities)
            .with_client_auth_cert(chain, key)
            .map_err(unfit)?;
        Ok(Self { server: Arc::new(server), node: Arc::new(node), authorities: pem })
    }

    /// Whose certificates are taken for those of nodes, in PEM.
    pub(crate) fn authorities(&self) -> Vec<u8> {
        self.authorities.clone()
    }
}

/// Speaks TLS with who has connected.
pub(crate) async fn accept(tls: &Live<Identity>, socket: TcpStream) -> io::Result<server::TlsStream<TcpStream>> {
    let config = tls.look(|identity| Arc::clone(&identity.server));
    TlsAcceptor::from(config).accept(socket).await
}

/// Speaks TLS with a node that was dialled.
pub(crate) async fn dial(
    tls: &Live<Identity>,
    address: &Address,
    socket: TcpStream,
) -> io::Result<client::TlsStream<TcpStream>> {
    let config = tls.look(|identity| Arc::clone(&identity.node));
    TlsConnector::from(config).connect(name_of(address.as_str())?, socket).await
}

/// What a client needs that trusts these authorities, in PEM.
///
/// # Errors
/// They are none.
pub(crate) fn trust(authorities: &[u8]) -> Result<Trust, String> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots(authorities)?)
        .with_no_client_auth();
    Ok(Trust(Arc::new(config)))
}

/// Speaks TLS with a node of this name, as a client.
///
/// # Errors
/// The node is not of that name, or not trusted.
pub(crate) async fn connect(trust: &Trust, node: &str, socket: TcpStream) -> io::Result<client::TlsStream<TcpStream>> {
    TlsConnector::from(Arc::clone(&trust.0)).connect(name_of(node)?, socket).await
}

/// The certificate that the other side has shown, if it has shown one: one of the authorities has signed it.
pub(crate) fn shown(stream: &server::TlsStream<TcpStream>) -> Option<CertificateDer<'static>> {
    stream.get_ref().1.peer_certificates()?.first().cloned().map(CertificateDer::into_owned)
}

/// Whether a certificate is that of the node with this address: a client's of the same authority is not.
pub(crate) fn is_of(certificate: &CertificateDer<'_>, address: &str) -> bool {
    match (ParsedCertificate::try_from(certificate), name_of(address)) {
        (Ok(parsed), Ok(name)) => verify_server_name(&parsed, &name).is_ok(),
        _ => false,
    }
}

/// The host of an address, as certificates name it.
fn name_of(address: &str) -> io::Result<ServerName<'static>> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(io::Error::other)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err("it has no certificate in PEM".to_owned()),
    }
}

fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|error| format!("a certificate is not that of an authority: {error}"))?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_host() {
        for (address, name) in [("n1:8080", "n1"), ("10.0.0.1:8080", "10.0.0.1"), ("[::1]:8080", "::1")] {
            assert_eq!(name_of(address).unwrap(), ServerName::try_from(name).unwrap());
        }
        assert!(name_of("a b:1").is_err());
    }

    #[test]
    fn a_certificate_is_of_the_hosts_that_it_names() {
        let authority = make::authority().unwrap();
        let node = make::node(&authority, &["n1".to_owned(), "10.0.0.1".to_owned()]).unwrap();
        let certificate = certificates(node.certificate.as_bytes()).unwrap().remove(0);
        assert!(is_of(&certificate, "n1:8080") && is_of(&certificate, "10.0.0.1:1"));
        assert!(!is_of(&certificate, "n2:8080") && !is_of(&certificate, "10.0.0.2:1") && !is_of(&certificate, ""));
    }

    #[test]
    fn what_is_wrong_with_the_files_is_said() {
        let (one, other) = (make::authority().unwrap(), make::authority().unwrap());
        let node = make::node(&one, &["n1".to_owned()]).unwrap();
        let said =
            |files: [&str; 3]| Identity::parse(&files.map(|file| file.as_bytes().to_vec())).err().unwrap_or_default();
        assert_eq!(said([&node.certificate, &node.key, &one.certificate]), "");
        assert!(said(["", &node.key, &one.certificate]).contains("TLS_CERT_FILE: it has no certificate"));
        assert!(
            said([&node.certificate, &one.certificate, &one.certificate]).contains("TLS_KEY_FILE: it has no private")
        );
        assert!(said([&node.certificate, &node.key, ""]).contains("TLS_CA_FILE: it has no certificate"));
        assert!(said([&node.certificate, &other.key, &one.certificate]).contains("TLS_CERT_FILE and TLS_KEY_FILE"));
    }
}
