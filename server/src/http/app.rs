//! The field app: pages, scripts and wasm that were built from `server/web` into this program.

use std::sync::Arc;

use axum::{
    http::{Method, Uri, header},
    response::{Html, IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::ApiError;
use crate::Server;

#[derive(RustEmbed)]
#[folder = "$OUT_DIR/web"]
struct App;

/// Nothing inline, nothing from elsewhere; wasm is compiled.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; \
     font-src 'self' data:; connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";
/// The camera reads the code of an invitation.
const FEATURES: &str = "camera=(self), geolocation=(), microphone=()";

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(page))
}

/// The field app.
#[utoipa::path(get, path = "/", tag = "app",
    responses((status = 200, content_type = "text/html", body = String)))]
async fn page() -> Result<Response, ApiError> {
    let file = App::get("index.html").ok_or(ApiError::NotFound)?;
    let html = Html(file.data.into_owned());
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-cache")];
    let mut response = (headers, html).into_response();
    response.headers_mut().insert("permissions-policy", header::HeaderValue::from_static(FEATURES));
    Ok(response)
}

/// Its other files; whatever else is asked for is not there.
pub(super) async fn file(method: Method, uri: Uri) -> Result<Response, ApiError> {
    let path = uri.path().trim_start_matches('/');
    let file = App::get(path).filter(|_| matches!(method, Method::GET | Method::HEAD)).ok_or(ApiError::NotFound)?;
    let EmbeddedFile { data, metadata } = file;
    // Files under assets/ are named by their content.
    let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [
        (header::CONTENT_TYPE, metadata.mimetype()),
        (header::CACHE_CONTROL, cache),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    Ok((headers, data.into_owned()).into_response())
}
