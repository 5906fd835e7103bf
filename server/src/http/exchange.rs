//! `POST /sync/exchange`: CBOR in, CBOR out, device token in `Authorization: Bearer`.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, header},
    response::IntoResponse,
};
use sync_protocol::message::{self, ExchangeRequest, MEDIA_TYPE};

use super::ApiError;
use crate::{Server, clock, sync::token_hash};

pub(super) async fn exchange(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<impl IntoResponse, ApiError> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or(ApiError::Unauthorized)?;
    let device = server.store.device_by_token(&token_hash(token)).await?.ok_or(ApiError::Unauthorized)?;
    let request: ExchangeRequest = message::decode(&body).map_err(|e| ApiError::BadRequest(e.to_string()))?;
    let reply = server.sync.exchange(&device, request, clock::now_ms()).await?;
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], message::encode(&reply)))
}
