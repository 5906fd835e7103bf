//! `/api/imports`: an office sends a workbook in, looks at the plan, and has it applied.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use serde::Deserialize;

use super::{ApiError, device::Writer};
use crate::{
    Server,
    import::{ImportError, ImportReport, Preview},
    uploads::{self, Status, UploadError},
};

/// Bytes of a workbook.
const WORKBOOK_BYTES_MAX: usize = 64 << 20;
/// Characters of a file's name.
const NAME_CHARS_MAX: usize = 200;
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/api/imports", post(upload).get(list))
        .route("/api/imports/{id}", get(status))
        .route("/api/imports/{id}/plan", get(plan))
        .route("/api/imports/{id}/apply", post(apply))
        .route("/api/imports/{id}/report", get(report))
        .route("/api/imports/{id}/findings", get(findings))
        .layer(DefaultBodyLimit::max(WORKBOOK_BYTES_MAX))
}

#[derive(Deserialize)]
struct Named {
    /// The file's name: what imports are listed by.
    file: String,
}

async fn upload(
    State(server): State<Arc<Server>>,
    Writer(device): Writer,
    Query(Named { file }): Query<Named>,
    body: Bytes,
) -> Result<impl IntoResponse, ApiError> {
    // Only its last part: what a browser calls a path is nobody's business.
    let name = file.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(ApiError::BadRequest("请在 ?file= 中给出文件名 | give the file's name in ?file=".into()));
    }
    let status = uploads::receive(&server, device, name.to_owned(), &body).await?;
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, format!("/api/imports/{}", status.id))], Json(status)))
}

async fn list(State(server): State<Arc<Server>>, Writer(device): Writer) -> Result<Json<Vec<Status>>, ApiError> {
    Ok(Json(server.uploads.all(device.id)))
}

async fn status(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
    Writer(device): Writer,
) -> Result<Json<Status>, ApiError> {
    Ok(Json(server.uploads.status(&id, device.id)?))
}

async fn plan(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
    Writer(device): Writer,
) -> Result<Json<Arc<Preview>>, ApiError> {
    Ok(Json(server.uploads.plan(&id, device.id)?))
}

async fn apply(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
    Writer(device): Writer,
) -> Result<impl IntoResponse, ApiError> {
    Ok((StatusCode::ACCEPTED, Json(uploads::apply(&server, &id, device.id)?)))
}

async fn report(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
    Writer(device): Writer,
) -> Result<Json<Arc<ImportReport>>, ApiError> {
    Ok(Json(server.uploads.report(&id, device.id)?))
}

async fn findings(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
    Writer(device): Writer,
) -> Result<impl IntoResponse, ApiError> {
    let bytes = server.uploads.findings(&server, &id, device.id).await?;
    Ok(([(header::CONTENT_TYPE, XLSX), (header::CACHE_CONTROL, "no-store")], bytes))
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Unknown => ApiError::NotFound,
            UploadError::NotNow(_) | UploadError::Busy => ApiError::Conflict(error.to_string()),
            UploadError::Import(ImportError::Store(error)) => error.into(),
            UploadError::Import(ImportError::Io(error)) => {
                tracing::error!(%error, "an upload cannot be kept or read");
                ApiError::Internal
            }
            UploadError::Import(error) => ApiError::BadRequest(error.to_string()),
        }
    }
}
