//! `POST /sync/exchange`: CBOR in, CBOR out, device token in `Authorization: Bearer`.

use std::sync::Arc;

use axum::{extract::State, http::header, response::IntoResponse};
use sync_protocol::message::{self, ExchangeRequest, MEDIA_TYPE};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError,
    caller::{Raw, Sender},
};
use crate::{Server, clock};

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(exchange))
}

/// A device hands its changes over and takes everybody else's.
#[utoipa::path(post, path = "/sync/exchange", tag = "sync",
    request_body(content = Vec<u8>, content_type = MEDIA_TYPE),
    responses((status = 200, content_type = MEDIA_TYPE, body = Vec<u8>)))]
async fn exchange(
    State(server): State<Arc<Server>>,
    Sender(device): Sender,
    Raw(body): Raw,
) -> Result<impl IntoResponse, ApiError> {
    let request: ExchangeRequest = message::decode(&body).map_err(|e| ApiError::BadRequest(e.to_string()))?;
    let reply = server.sync.exchange(&device, request, clock::now_ms()).await?;
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], message::encode(&reply)))
}
