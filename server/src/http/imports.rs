//! `/api/imports`: an office sends a workbook in, looks at the plan, and has it applied.

use std::sync::Arc;

use axum::{
    Json,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError, XLSX,
    caller::{Asker, Path, Query, Raw},
    periods::in_period,
};
use crate::{
    Server,
    audit::{self, Event},
    auth::{Caller, Permission},
    import::{ImportError, Preview},
    uploads::{self, Status, UploadError},
};

/// Bytes of a workbook.
const WORKBOOK_BYTES_MAX: usize = 64 << 20;
/// Characters of a file's name.
const NAME_CHARS_MAX: usize = 200;

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new()
        .routes(routes!(upload, list))
        .routes(routes!(status))
        .routes(routes!(plan))
        .routes(routes!(apply))
        .routes(routes!(report))
        .routes(routes!(findings))
        .layer(DefaultBodyLimit::max(WORKBOOK_BYTES_MAX))
}

/// The file's name.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Named {
    /// The file's name: what imports are listed by.
    file: String,
    /// The year that it is for, such as `2012`; the configured one where it is left out.
    period: Option<String>,
}

/// Send a workbook in: it is planned at once.
#[utoipa::path(post, path = "/api/imports", tag = "imports", params(Named),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 202, body = Status)))]
async fn upload(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Query(Named { file, period }): Query<Named>,
    Raw(body): Raw,
) -> Result<impl IntoResponse, ApiError> {
    caller.may(Permission::Import)?;
    // Only its last part: what a browser calls a path is nobody's business.
    let name = file.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(ApiError::BadRequest("请在 ?file= 中给出文件名 | give the file's name in ?file=".into()));
    }
    let server = in_period(&server, period.as_deref()).await?;
    let status = uploads::receive(&server, caller, name.to_owned(), &body).await?;
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, format!("/api/imports/{}", status.id))], Json(status)))
}

/// One's own workbooks, the newest first.
#[utoipa::path(get, path = "/api/imports", tag = "imports", responses((status = 200, body = Vec<Status>)))]
async fn list(State(server): State<Arc<Server>>, Asker(caller): Asker) -> Result<Json<Vec<Status>>, ApiError> {
    caller.may(Permission::Import)?;
    Ok(Json(server.uploads.all(&caller)))
}

/// Where a workbook stands.
#[utoipa::path(get, path = "/api/imports/{id}", tag = "imports", params(("id" = String, Path)),
    responses((status = 200, body = Status)))]
async fn status(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Path(id): Path<String>,
) -> Result<Json<Status>, ApiError> {
    caller.may(Permission::Import)?;
    Ok(Json(server.uploads.status(&id, &caller)?))
}

/// What a workbook would change, cell by cell.
#[utoipa::path(get, path = "/api/imports/{id}/plan", tag = "imports", params(("id" = String, Path)),
    responses((status = 200, body = Object, description = "as `taizhang import --preview --json` prints it")))]
async fn plan(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Path(id): Path<String>,
) -> Result<Json<Arc<Preview>>, ApiError> {
    caller.may(Permission::Import)?;
    let plan = server.uploads.plan(&id, &caller)?;
    note_read(&server, &caller, &id, "plan").await?;
    Ok(Json(plan))
}

/// Write what was planned.
#[utoipa::path(post, path = "/api/imports/{id}/apply", tag = "imports", params(("id" = String, Path)),
    responses((status = 202, body = Status)))]
async fn apply(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    caller.may(Permission::Import)?;
    Ok((StatusCode::ACCEPTED, Json(uploads::apply(&server, &id, caller)?)))
}

/// What was written, and what was noticed.
#[utoipa::path(get, path = "/api/imports/{id}/report", tag = "imports", params(("id" = String, Path)),
    responses((status = 200, body = Object, description = "as `taizhang import --json` prints it")))]
async fn report(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Path(id): Path<String>,
) -> Result<Json<Arc<RawValue>>, ApiError> {
    caller.may(Permission::Import)?;
    let report = server.uploads.report(&id, &caller)?;
    note_read(&server, &caller, &id, "report").await?;
    Ok(Json(report))
}

/// The workbook with its bad cells marked, and sheets to decide on what is doubtful.
#[utoipa::path(get, path = "/api/imports/{id}/findings", tag = "imports", params(("id" = String, Path)),
    responses((status = 200, content_type = XLSX, body = Vec<u8>)))]
async fn findings(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    caller.may(Permission::Import)?;
    server.uploads.status(&id, &caller)?;
    let (writer, of, by) = (server.clone(), id.clone(), caller.clone());
    let work = async move { writer.uploads.findings(&writer, &of, &by).await };
    let bytes = server.heavy.run(&caller, work).await??;
    let file = server.uploads.status(&id, &caller)?.file;
    audit::note(&server, &caller, Event::FindingsDrawn, Some(caller.grant.unit), json!({ "file": file })).await?;
    Ok(([(header::CONTENT_TYPE, XLSX), (header::CACHE_CONTROL, "no-store")], bytes))
}

/// Both quote cells of the workbook.
async fn note_read(server: &Server, caller: &Caller, id: &str, what: &str) -> Result<(), ApiError> {
    let file = server.uploads.status(id, caller)?.file;
    let detail = json!({ "what": what, "file": file });
    Ok(audit::note(server, caller, Event::ImportRead, Some(caller.grant.unit), detail).await?)
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
