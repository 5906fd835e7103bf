//! Whose request it is: the device token in `Authorization: Bearer`, looked at before anything of the body is read.
//! A browser cannot send headers when it opens a socket: there the token may stand in the query as `access_token`
//! (RFC 6750 §2.3). Queries are logged nowhere.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};

use super::ApiError;
use crate::{
    Server,
    store::{Access, DeviceRecord, token_hash},
};

/// The device that sent a request.
pub(super) struct Sender(pub(super) DeviceRecord);

/// The same, of a device that may write.
pub(super) struct Writer(pub(super) DeviceRecord);

/// The device that opens a socket.
pub(super) struct SocketSender(pub(super) DeviceRecord);

impl FromRequestParts<Arc<Server>> for Sender {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, ApiError> {
        known(server, bearer(parts)).await.map(Self)
    }
}

impl FromRequestParts<Arc<Server>> for Writer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, ApiError> {
        let device = known(server, bearer(parts)).await?;
        if device.access == Access::Write { Ok(Self(device)) } else { Err(ApiError::Forbidden) }
    }
}

impl FromRequestParts<Arc<Server>> for SocketSender {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        let in_query = query.split('&').find_map(|pair| pair.strip_prefix("access_token="));
        known(server, bearer(parts).or(in_query)).await.map(Self)
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

async fn known(server: &Server, token: Option<&str>) -> Result<DeviceRecord, ApiError> {
    let token = token.ok_or(ApiError::Unauthorized)?;
    server.store.device_by_token(&token_hash(token)).await?.ok_or(ApiError::Unauthorized)
}
