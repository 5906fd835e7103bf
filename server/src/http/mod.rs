//! HTTP: one file per resource. Every route is in the OpenAPI document, and the test of all routes by all roles reads it.

mod app;
mod attachments;
mod attempts;
mod audit;
mod bundles;
mod caller;
mod catalogue;
mod connections;
mod devices;
mod erasures;
mod error;
mod exchange;
mod imports;
mod listen;
mod live;
mod openapi;
mod origin;
mod pace;
mod people;
mod periods;
mod proposals;
mod quarantine;
mod records;
mod repo;
mod returns;
mod session;
mod sockets;
mod status;
mod submissions;
mod units;
mod verify;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{StatusCode, header},
    middleware::{from_fn, from_fn_with_state},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::{
        CompressionLayer, Predicate,
        predicate::{DefaultPredicate, NotForContentType},
    },
    decompression::RequestDecompressionLayer,
    set_header::SetResponseHeaderLayer,
    timeout::TimeoutLayer,
};
use utoipa_axum::router::OpenApiRouter;

pub use connections::{ConnectionLimits, Connections};
pub use error::ApiError;
pub use listen::serve;
pub use openapi::document;
pub use sockets::Sockets;

use crate::Server;

/// Bytes of one request after decompression.
const BODY_BYTES_MAX: usize = 8 << 20;
/// How long a request may take: a workbook over a bad line takes long. Sockets are no requests.
const REQUEST_TIMEOUT: Duration = Duration::from_hours(1);
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// All routes, and what is written down about them.
struct Routes {
    /// Those of which anybody may ask what they may.
    requests: OpenApiRouter<Arc<Server>>,
    /// Those by which somebody gets in: how often they are asked is limited.
    attempts: OpenApiRouter<Arc<Server>>,
    /// Those by which strangers make the server work: limited, too, on an account of their own.
    checks: OpenApiRouter<Arc<Server>>,
    /// Those that last.
    sockets: OpenApiRouter<Arc<Server>>,
}

fn routes() -> Routes {
    let requests = OpenApiRouter::new()
        .merge(status::routes())
        .merge(session::routes())
        .merge(people::routes())
        .merge(devices::routes())
        .merge(units::routes())
        .merge(catalogue::routes())
        .merge(attachments::routes())
        .merge(app::routes())
        .merge(records::routes())
        .merge(quarantine::routes())
        .merge(proposals::routes())
        .merge(periods::routes())
        .merge(erasures::routes())
        .merge(returns::routes())
        .merge(submissions::routes())
        .merge(verify::page_routes())
        .merge(audit::routes())
        .merge(exchange::routes())
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .merge(imports::routes())
        .merge(bundles::routes().layer(DefaultBodyLimit::max(bundles::BUNDLE_BYTES_MAX)));
    let attempts = OpenApiRouter::new().merge(session::open_routes()).merge(devices::open_routes());
    let attempts = attempts.layer(DefaultBodyLimit::max(64 << 10));
    let sockets = OpenApiRouter::new().merge(live::routes()).merge(repo::routes());
    Routes { requests, attempts, checks: verify::routes(), sockets }
}

/// All routes.
pub fn router(server: Arc<Server>) -> Router {
    let header = |name: header::HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, header::HeaderValue::from_static(value))
    };
    let Routes { requests, attempts, checks, sockets } = routes();
    let (requests, attempts) = (Router::from(requests), Router::from(attempts));
    let (checks, sockets) = (Router::from(checks), Router::from(sockets));
    let checks = checks.layer(from_fn(pace::keep_strangers));
    let is_secure = server.is_secure;
    let timeout = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST_TIMEOUT);
    let router = requests
        .merge(attempts::limited(attempts))
        .merge(attempts::limited(checks))
        .layer(timeout)
        .merge(sockets)
        .fallback(app::file)
        .layer(RequestDecompressionLayer::new())
        .layer(from_fn(pace::keep))
        // A workbook is compressed already, and its length tells a browser how far a download is.
        .layer(CompressionLayer::new().compress_when(DefaultPredicate::new().and(NotForContentType::new(XLSX))))
        .layer(CatchPanicLayer::custom(|_| axum::response::IntoResponse::into_response(ApiError::Internal)))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(header::X_FRAME_OPTIONS, "DENY"))
        .layer(header(header::REFERRER_POLICY, "no-referrer"))
        .layer(header(header::CACHE_CONTROL, "no-store"))
        .layer(header(header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'self' 'unsafe-inline'"));
    let router =
        if is_secure { router.layer(header(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000")) } else { router };
    router.layer(from_fn_with_state(server.clone(), origin::remember)).with_state(server)
}

/// A text as a QR code: an SVG image.
fn qr(text: &str) -> Result<String, ApiError> {
    let code = qrcode::QrCode::new(text).map_err(|error| {
        tracing::error!(%error, "a QR code was not drawn");
        ApiError::Internal
    })?;
    Ok(code.render::<qrcode::render::svg::Color<'_>>().min_dimensions(240, 240).build())
}

/// A text for a header that takes ASCII only.
fn percent_encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
