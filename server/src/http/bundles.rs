//! `POST /api/bundles`: a bundle that somebody has carried here, and its answer to carry back.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError,
    caller::{Asker, Raw},
};
use crate::{
    Server,
    audit::{self, Event},
    auth::Permission,
    bundle::{self, AnswerError},
};

/// Bytes of a bundle.
pub(super) const BUNDLE_BYTES_MAX: usize = 128 << 20;

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(answer))
}

/// Take a bundle in and answer it. What is inside counts as its sender's, whoever carries it.
#[utoipa::path(post, path = "/api/bundles", tag = "sync",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>)))]
async fn answer(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Raw(bytes): Raw,
) -> Result<Response, ApiError> {
    caller.may(Permission::CarryBundles)?;
    let answer = bundle::answer(&server, &bytes).await?;
    let detail = answer.detail();
    audit::note(&server, &caller, Event::BundleAnswered, Some(answer.device.unit), detail).await?;
    let headers = [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, answer.bytes).into_response())
}

impl From<AnswerError> for ApiError {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Interrupted(_) => ApiError::Unavailable(error.to_string()),
            AnswerError::Bundle(_) | AnswerError::Stranger => ApiError::BadRequest(error.to_string()),
            AnswerError::Exchange(error) => error.into(),
            AnswerError::Store(error) => error.into(),
        }
    }
}
