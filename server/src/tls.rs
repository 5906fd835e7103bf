//! TLS: the county's own certificate, or one from files. An intranet has no domain name and no authority that would vouch
//! for it: the server makes a certificate for its addresses, and people compare its fingerprint once.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
    sync::Arc,
};

use anyhow::Context;
use ipnet::IpNet;
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
    Proxy {
        /// Addresses and networks of such proxies, `10.0.0.2` or `10.0.0.0/24`: nobody else's word is taken. This machine
        /// itself where none are given.
        #[serde(default = "this_machine")]
        trusted_proxies: Vec<Proxies>,
    },
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

/// The address of a proxy, or the network that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Proxies(IpNet);

impl Proxies {
    /// Whether this is one of them.
    pub fn has(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

impl TryFrom<String> for Proxies {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let one = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
        let wrong = |_| format!("不是地址或网段 neither an address nor a network: `{text}` (10.0.0.2, 10.0.0.0/24)");
        one.or_else(|_| text.parse()).map(Self).map_err(wrong)
    }
}

impl From<Proxies> for String {
    fn from(proxies: Proxies) -> Self {
        proxies.0.to_string()
    }
}

fn this_machine() -> Vec<Proxies> {
    let loopback = [IpNet::new(Ipv4Addr::new(127, 0, 0, 0).into(), 8), IpNet::new(Ipv6Addr::LOCALHOST.into(), 128)];
    loopback.into_iter().flatten().map(Proxies).collect()
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

    /// The proxies whose word is taken for whom they ask for.
    pub fn proxies(&self) -> Vec<Proxies> {
        if let Tls::Proxy { trusted_proxies } = self { trusted_proxies.clone() } else { Vec::new() }
    }

    /// Makes it ready; an own certificate is kept in the data folder, and made once.
    pub fn ready(&self, data_dir: &Path) -> anyhow::Result<Option<Ready>> {
        let (certificate, key) = match self {
            Tls::None | Tls::Proxy { .. } => return Ok(None),
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
