//! Whose request it is: the device token in `Authorization: Bearer`, looked at before anything of the body is read.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};

use super::ApiError;
use crate::{Server, store::DeviceRecord, sync::token_hash};

/// The device that sent a request.
pub(super) struct Sender(pub(super) DeviceRecord);

impl FromRequestParts<Arc<Server>> for Sender {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, ApiError> {
        let token = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or(ApiError::Unauthorized)?;
        server.store.device_by_token(&token_hash(token)).await?.map(Self).ok_or(ApiError::Unauthorized)
    }
}
