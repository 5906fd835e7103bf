//! Whom a device believes to be its server.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::DeviceError;

/// The certificates that vouch for a server.
#[derive(Debug, Clone)]
pub struct Trust(pub(super) Arc<ClientConfig>);

impl Trust {
    /// Only this certificate (PEM), which a county without a domain name makes for itself; the authorities that everybody
    /// knows where there is none.
    pub fn new(certificate: Option<&str>) -> Result<Self, DeviceError> {
        let mut roots = RootCertStore::empty();
        let unusable = |error: &dyn std::fmt::Display| DeviceError::Protocol(format!("the certificate: {error}"));
        match certificate {
            Some(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                    roots.add(certificate.map_err(|e| unusable(&e))?).map_err(|e| unusable(&e))?;
                }
            }
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = builder.map_err(|e| unusable(&e))?.with_root_certificates(roots).with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}
