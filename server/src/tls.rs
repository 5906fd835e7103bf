//! TLS: the county's own certificate, or one from files. An intranet has no domain name and no authority that would vouch
//! for it: the server makes a certificate for its addresses, and people compare its fingerprint once.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How the server is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Tls {
    /// In the clear: only on this machine.
    #[default]
    None,
    /// In the clear, behind a proxy that speaks TLS and says whom it asks for (`X-Forwarded-For`).
    Proxy,
    /// By a certificate that the server makes for these names and addresses.
    OwnCertificate {
        /// For example `10.0.0.5` or `taizhang.county.local`.
        names: Vec<String>,
    },
    /// By a certificate from files, both PEM.
    Files {
        /// The certificate, and those that vouch for it.
        certificate: std::path::PathBuf,
        /// Its key.
        key: std::path::PathBuf,
    },
}

/// A certificate and its key, for the listener.
pub type Shown = Arc<ServerConfig>;

/// A certificate that is ready to be used.
#[derive(Debug, Clone)]
pub struct Ready {
    /// For the listener.
    pub shown: Shown,
    /// SHA-256 of the certificate, as browsers show it.
    pub fingerprint: String,
}

impl Tls {
    /// Whether people reach the server by https.
    pub fn is_secure(&self) -> bool {
        *self != Tls::None
    }

    /// Makes it ready; an own certificate is kept in the data folder, and made once.
    pub fn ready(&self, data_dir: &Path) -> anyhow::Result<Option<Ready>> {
        let (certificate, key) = match self {
            Tls::None | Tls::Proxy => return Ok(None),
            Tls::Files { certificate, key } => (certificate.clone(), key.clone()),
            Tls::OwnCertificate { names } => {
                let (certificate, key) = (data_dir.join("tls.crt"), data_dir.join("tls.key"));
                if !certificate.exists() || !key.exists() {
                    make(names, &certificate, &key)?;
                }
                (certificate, key)
            }
        };
        let read = || format!("{} / {}", certificate.display(), key.display());
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&certificate)
            .with_context(read)?
            .collect::<Result<_, _>>()
            .with_context(read)?;
        let first = chain.first().with_context(read)?;
        let pairs: Vec<String> = Sha256::digest(first).iter().map(|byte| format!("{byte:02X}")).collect();
        let fingerprint = pairs.join(":");
        let key = PrivateKeyDer::from_pem_file(&key).with_context(read)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = builder.with_no_client_auth().with_single_cert(chain, key).with_context(read)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Some(Ready { shown: Arc::new(config), fingerprint }))
    }
}

fn make(names: &[String], certificate: &Path, key: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(!names.is_empty(), "tls.names 应列出本机地址 lists this server's addresses, e.g. [\"10.0.0.5\"]");
    let made = rcgen::generate_simple_self_signed(names).context("tls.names")?;
    std::fs::write(certificate, made.cert.pem()).with_context(|| certificate.display().to_string())?;
    write_private(key, &made.signing_key.serialize_pem()).with_context(|| key.display().to_string())
}

/// Writes a file that only its owner reads.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    std::io::Write::write_all(&mut options.open(path)?, text.as_bytes())
}
