//! `/verify`: whoever holds a return has it checked. Open to everybody, and says nothing but what stands on the return.

use std::sync::Arc;

use axum::{
    Json,
    extract::{DefaultBodyLimit, State},
    http::header,
    response::{Html, IntoResponse},
};
use tokio::sync::Semaphore;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{ApiError, caller::Raw};
use crate::{
    Server,
    returns::verify::{self, Verified, VerifyError},
};

/// Bytes of a workbook that anybody may send.
const WORKBOOK_BYTES_MAX: usize = 4 << 20;
/// Workbooks of strangers that are read at once.
static TURNS: Semaphore = Semaphore::const_new(1);

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(check)).layer(DefaultBodyLimit::max(WORKBOOK_BYTES_MAX))
}

pub(super) fn page_routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(page)).routes(routes!(script))
}

/// Check a return: is it as it was drawn here, and is what it was drawn of still so. The body is the workbook.
#[utoipa::path(post, path = "/api/returns/verify", tag = "returns", request_body(content = Vec<u8>,
    content_type = "application/octet-stream"), responses((status = 200, body = Verified)))]
async fn check(State(server): State<Arc<Server>>, Raw(bytes): Raw) -> Result<Json<Verified>, ApiError> {
    let _turn = TURNS.acquire().await;
    Ok(Json(verify::verify(&server, bytes.to_vec()).await?))
}

/// A page on which anybody has a return checked.
#[utoipa::path(get, path = "/verify", tag = "returns",
    responses((status = 200, content_type = "text/html", body = String)))]
async fn page() -> impl IntoResponse {
    let policy = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(include_str!("verify.html")))
}

/// What that page does.
#[utoipa::path(get, path = "/verify.js", tag = "returns",
    responses((status = 200, content_type = "text/javascript", body = String)))]
async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("verify.js"))
}

impl From<VerifyError> for ApiError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Read(error) => ApiError::BadRequest(error.to_string()),
            VerifyError::Store(error) => error.into(),
        }
    }
}
