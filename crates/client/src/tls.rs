//! TLS: whose certificates are taken for those of nodes.

use std::sync::Arc;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::Error;

/// The settings of a client that trusts these authorities, in PEM.
pub(crate) fn trusting(authorities: &[u8]) -> Result<ClientConfig, Error> {
    let none = || Error::BadRequest { message: "the authorities are no certificates in PEM".to_owned() };
    let certificates = CertificateDer::pem_slice_iter(authorities).collect::<Result<Vec<_>, _>>();
    let mut roots = RootCertStore::empty();
    for certificate in certificates.map_err(|_| none())? {
        roots.add(certificate).map_err(|error| Error::BadRequest { message: error.to_string() })?;
    }
    if roots.is_empty() {
        return Err(none());
    }
    config(roots)
}

/// A connector that speaks TLS where the URI says so.
pub(crate) fn connector(mut http: HttpConnector, tls: Option<ClientConfig>) -> HttpsConnector<HttpConnector> {
    http.enforce_http(false);
    // Without TLS no URI says so, and nobody is trusted.
    let tls =
        tls.unwrap_or_else(|| config(RootCertStore::empty()).expect("the provider has all that its versions need"));
    HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(http)
}

fn config(roots: RootCertStore) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Error::BadRequest { message: error.to_string() })?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use crate::{Client, Error};

    #[test]
    fn authorities_are_certificates() {
        for wrong in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let built = Client::builder(["a:1"]).authorities(wrong).build();
            assert!(matches!(built, Err(Error::BadRequest { .. })), "{wrong}");
        }
    }
}
