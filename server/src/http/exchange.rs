//! `POST /sync/exchange`: CBOR in, CBOR out, device token in `Authorization: Bearer`.

use std::sync::Arc;

use axum::{body::Bytes, extract::State, http::header, response::IntoResponse};
use sync_protocol::message::{self, ExchangeRequest, MEDIA_TYPE};

use super::{ApiError, device::Sender};
use crate::{Server, clock};

pub(super) async fn exchange(
    State(server): State<Arc<Server>>,
    Sender(device): Sender,
    body: Bytes,
) -> Result<impl IntoResponse, ApiError> {
    let request: ExchangeRequest = message::decode(&body).map_err(|e| ApiError::BadRequest(e.to_string()))?;
    let reply = server.sync.exchange(&device, request, clock::now_ms()).await?;
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], message::encode(&reply)))
}
