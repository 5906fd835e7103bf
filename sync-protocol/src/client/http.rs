//! The exchange over HTTP.

use std::time::Duration;

use super::{Delivery, DeviceError, Transport, Trust};
use crate::{
    live::{PACK_BYTES_MIN, pack, unpack},
    message::MEDIA_TYPE,
};

/// Replies larger than this are not read: the server pages below it.
const REPLY_BYTES_MAX: usize = 64 << 20;

/// A server's address and the token it knows the device by.
pub struct Http {
    server: String,
    token: String,
    client: reqwest::Client,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Http {
    /// A connection that is made when it is needed.
    pub fn new(server: &str, trust: &Trust, token: &str) -> Result<Self, DeviceError> {
        Ok(Self { server: server.to_owned(), token: token.to_owned(), client: trust.client()? })
    }
}

impl Trust {
    /// Connections to servers that it vouches for.
    pub fn client(&self) -> Result<reqwest::Client, DeviceError> {
        reqwest::Client::builder()
            .tls_backend_preconfigured(rustls::ClientConfig::clone(&self.0))
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_mins(2))
            .build()
            .map_err(|e| DeviceError::Offline(e.to_string()))
    }
}

#[async_trait::async_trait]
impl Transport for Http {
    async fn send(&self, mut request: Vec<u8>) -> Result<Delivery, DeviceError> {
        let offline = |e: reqwest::Error| DeviceError::Offline(e.without_url().to_string());
        let unusable = |e: std::io::Error| DeviceError::Protocol(e.to_string());
        let mut post = self
            .client
            .post(format!("{}/sync/exchange", self.server))
            .bearer_auth(&self.token)
            .header("content-type", MEDIA_TYPE)
            .header("accept-encoding", "zstd");
        if request.len() >= PACK_BYTES_MIN {
            request = pack(request).map_err(unusable)?;
            post = post.header("content-encoding", "zstd");
        }
        let bytes_sent = request.len();
        let mut response = post.body(request).send().await.map_err(offline)?;
        let status = response.status();
        let zstd = response.headers().get("content-encoding").is_some_and(|value| value == "zstd");
        let mut reply = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(offline)? {
            reply.extend_from_slice(&chunk);
            if reply.len() > REPLY_BYTES_MAX {
                return Err(DeviceError::Protocol("the reply is too large".into()));
            }
        }
        let bytes_received = reply.len();
        if zstd {
            reply = unpack(&reply, REPLY_BYTES_MAX).map_err(unusable)?.into_owned();
        }
        if !status.is_success() {
            let text = String::from_utf8_lossy(&reply).chars().take(500).collect();
            return Err(DeviceError::Refused { status: status.as_u16(), text });
        }
        Ok(Delivery { reply, bytes_sent, bytes_received })
    }
}
