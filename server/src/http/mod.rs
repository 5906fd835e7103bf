//! HTTP: one file per resource.

mod device;
mod error;
mod exchange;
mod imports;
mod live;
mod repo;
mod sockets;
mod status;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
    serve::ListenerExt,
};
use tower_http::{
    catch_panic::CatchPanicLayer, compression::CompressionLayer, decompression::RequestDecompressionLayer,
    set_header::SetResponseHeaderLayer,
};

pub use error::ApiError;
pub use sockets::Sockets;

use crate::Server;

/// Bytes of one request after decompression.
const BODY_BYTES_MAX: usize = 8 << 20;

/// All routes.
pub fn router(server: Arc<Server>) -> Router {
    let header = |name: &'static str, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(
            axum::http::HeaderName::from_static(name),
            axum::http::HeaderValue::from_static(value),
        )
    };
    Router::new()
        .route("/", get(status::page))
        .route("/api/status", get(status::json))
        .route("/sync/exchange", post(exchange::exchange))
        .route("/sync/live", get(live::connect))
        .route("/sync/repo", get(repo::connect))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .merge(imports::routes())
        .layer(RequestDecompressionLayer::new())
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::new())
        .layer(header("x-content-type-options", "nosniff"))
        .layer(header("referrer-policy", "no-referrer"))
        .layer(header("content-security-policy", "default-src 'none'; style-src 'self' 'unsafe-inline'"))
        .with_state(server)
}

/// Serves until the signal, then lets requests that are under way finish.
pub async fn serve(
    server: Arc<Server>,
    listener: tokio::net::TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let (store, sockets) = (server.store.clone(), server.sockets.clone());
    let stop = async move {
        stop.await;
        sockets.close();
    };
    // Small frames go out at once: a sync message waits for the one before it.
    let listener = listener.tap_io(|tcp| {
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "a connection without TCP_NODELAY");
        }
    });
    axum::serve(listener, router(server)).with_graceful_shutdown(stop).await?;
    // Nothing is lost if this takes too long: what has a receipt is on the disk.
    let _ = tokio::time::timeout(Duration::from_secs(10), store.close()).await;
    Ok(())
}
