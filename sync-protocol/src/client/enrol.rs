//! Enrolling a device with a one-time code.

use serde::Deserialize;

use super::{DeviceError, Trust};
use crate::bundle::{Keys, PublicKeys};

/// What a device knows once it is enrolled.
#[derive(Clone, Deserialize)]
pub struct Enrolled {
    /// The county's public keys.
    server_keys: String,
    /// Whom its changes name.
    pub owner: String,
    /// Id of the unit at the top of what it holds.
    pub unit: String,
    /// The books it holds.
    pub books: Vec<String>,
    /// Those it may write to.
    pub writes: Vec<String>,
    /// The period of its documents.
    pub period: String,
}

impl std::fmt::Debug for Enrolled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrolled").field("owner", &self.owner).field("unit", &self.unit).finish_non_exhaustive()
    }
}

impl Enrolled {
    /// The county's public keys: whose receipts and bundles are believed.
    pub fn server_keys(&self) -> Result<PublicKeys, DeviceError> {
        Ok(self.server_keys.parse()?)
    }
}

/// Enrols this device: `secret` never leaves it, its keys follow from it; `token`, 64 random hexadecimal digits, is what it shows
/// to the server from now on. Whoever gets no answer asks again with the same two.
pub async fn enrol(
    server: &str,
    trust: &Trust,
    code: &str,
    (secret, token): (&str, &str),
) -> Result<Enrolled, DeviceError> {
    let keys = Keys::of(secret.as_bytes()).public().to_string();
    let body = serde_json::json!({ "code": code, "keys": keys, "token": token }).to_string();
    let post = trust.client()?.post(format!("{server}/api/enrol"));
    let sent = post.header("content-type", "application/json").body(body).send().await;
    let response = sent.map_err(|e| DeviceError::Offline(e.without_url().to_string()))?;
    let status = response.status();
    let text = response.text().await.map_err(|e| DeviceError::Offline(e.without_url().to_string()))?;
    if !status.is_success() {
        return Err(DeviceError::Refused { status: status.as_u16(), text });
    }
    serde_json::from_str(&text).map_err(|e| DeviceError::Protocol(e.to_string()))
}
