//! `/api/units/{unit}/attachments/{hash}`: photos of records, named by their content. They come in parts, so that a line that
//! breaks loses little.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use sync_protocol::UnitId;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError,
    caller::{Asker, Path, Query, Raw},
};
use crate::{
    Server,
    audit::{self, Event},
    auth::{Caller, Denied, Permission},
    clock,
    store::{AttachmentPart, Received},
};

/// Bytes of a photo: phones send them compressed.
const SIZE_MAX: i64 = 2 << 20;
/// Bytes of all photos of a unit.
const UNIT_BYTES_MAX: i64 = 512 << 20;
/// Bytes of all photos that one device has sent.
const DEVICE_BYTES_MAX: i64 = 512 << 20;
/// What a JPEG begins with.
const JPEG: [u8; 3] = [0xff, 0xd8, 0xff];

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(put, get))
}

/// Which part it is.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Part {
    /// Where it begins.
    offset: i64,
    /// Bytes of the whole photo.
    size: i64,
}

/// How far it has come.
#[derive(Serialize, ToSchema)]
struct Progress {
    /// Bytes received: where the next part begins.
    received: i64,
}

/// Hand over a part of a photo (JPEG); an empty one only asks how far it has come. A part is taken where the last one has ended;
/// the last one is answered when the whole is what it is named by.
#[utoipa::path(put, path = "/api/units/{unit}/attachments/{hash}", tag = "attachments",
    params(("unit" = String, Path), ("hash" = String, Path, description = "SHA-256 of the photo, in hexadecimal digits"), Part),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses((status = 200, body = Progress)))]
async fn put(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Path((unit, hash)): Path<(String, String)>,
    Query(part): Query<Part>,
    Raw(bytes): Raw,
) -> Result<Json<Progress>, ApiError> {
    caller.may(Permission::Sync)?;
    // Its records still come in and wait; a photo, which nobody could look over, does not.
    if caller.device.as_ref().is_some_and(|device| device.is_revoked) {
        return Err(Denied::Revoked.into());
    }
    // Whoever writes no record has no photo of one.
    if caller.books.writes.is_empty() {
        return Err(ApiError::NotFound);
    }
    let (unit, hash) = named(&server, &caller, &unit, &hash, Permission::Sync).await?;
    let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let fits = part.offset >= 0 && part.size > 0 && part.offset.checked_add(length).is_some_and(|end| end <= part.size);
    if !fits {
        return Err(ApiError::BadRequest("照片分段有误 | the part is not of this photo".into()));
    }
    if part.size > SIZE_MAX {
        return Err(ApiError::TooLarge);
    }
    let stored = AttachmentPart {
        unit,
        hash,
        size: part.size,
        offset: part.offset,
        bytes: bytes.to_vec(),
        device: caller.device.as_ref().map(|device| device.id),
        received_at_ms: clock::now_ms(),
        unit_bytes_max: UNIT_BYTES_MAX,
        device_bytes_max: DEVICE_BYTES_MAX,
        is_it: |hash, whole| whole.starts_with(&JPEG) && <[u8; 32]>::from(Sha256::digest(whole)) == *hash,
    };
    let received = match server.store.append_attachment(&stored).await? {
        Received::SoFar(received) => received,
        Received::NoRoom => return Err(ApiError::TooLarge),
        Received::NotIt => {
            let sentence = "照片内容与名称不符，请重新上传 | it is not the photo it is named by: send it anew";
            return Err(ApiError::BadRequest(sentence.into()));
        }
    };
    Ok(Json(Progress { received }))
}

/// A photo, for whoever sees the records of its unit.
#[utoipa::path(get, path = "/api/units/{unit}/attachments/{hash}", tag = "attachments",
    params(("unit" = String, Path), ("hash" = String, Path)),
    responses((status = 200, content_type = "image/jpeg", body = Vec<u8>)))]
async fn get(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Path((unit, hash)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let permission = if caller.device.is_some() { Permission::Sync } else { Permission::ReadRecords };
    caller.may(permission)?;
    if caller.device.as_ref().is_some_and(|device| device.is_revoked) {
        return Err(ApiError::NotFound);
    }
    let (unit, hash) = named(&server, &caller, &unit, &hash, permission).await?;
    let bytes = server.store.attachment(unit, &hash).await?.ok_or(ApiError::NotFound)?;
    audit::note_often(&server, &caller, Event::PhotosRead, Some(unit), &json!({})).await?;
    let headers = [(header::CONTENT_TYPE, "image/jpeg"), (header::CONTENT_DISPOSITION, "inline")];
    Ok((StatusCode::OK, headers, bytes).into_response())
}

async fn named(
    server: &Server,
    caller: &Caller,
    unit: &str,
    hash: &str,
    permission: Permission,
) -> Result<(UnitId, [u8; 32]), ApiError> {
    let unit: UnitId = unit.parse().map_err(|_| ApiError::NotFound)?;
    caller.may_at(server.store.as_ref(), permission, unit).await?;
    let hash = HEXLOWER.decode(hash.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    Ok((unit, hash.ok_or(ApiError::NotFound)?))
}
