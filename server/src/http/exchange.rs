//! `POST /sync/exchange`: CBOR in, CBOR out, device token in `Authorization: Bearer`.

use std::sync::Arc;

use axum::{extract::State, http::header, response::IntoResponse};
use serde_json::json;
use sync_protocol::message::{self, ExchangeRequest, MEDIA_TYPE};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError,
    caller::{Raw, Sender},
};
use crate::{
    Server,
    audit::{self, Event},
    auth::Caller,
    clock,
    store::{DeviceRecord, StoreError},
};

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
    note_filled(&server, &device, request.cursor.is_none()).await?;
    let reply = server.sync.exchange(&device, request, clock::now_ms()).await?;
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], message::encode(&reply)))
}

/// Notes that a device begins with nothing, and is given whatever it may hold.
pub(super) async fn note_filled(server: &Server, device: &DeviceRecord, begins: bool) -> Result<(), StoreError> {
    if !begins || device.is_revoked {
        return Ok(());
    }
    let detail = json!({ "device": device.name, "owner": device.owner });
    let caller = Caller::device(device.clone());
    audit::note_often(server, &caller, Event::DeviceFilled, Some(device.unit), &detail).await
}
