//! Listening: in the clear behind a proxy or on this machine, else by TLS.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum_server::{Handle, accept::NoDelayAcceptor, tls_rustls::RustlsConfig};

use super::router;
use crate::{Server, audit, photos, uploads};

/// How long requests that are under way may go on once the server stops.
const GRACE: Duration = Duration::from_secs(10);
/// How often it is noted what was only counted.
const COUNT_INTERVAL: Duration = Duration::from_mins(1);
/// How long a peer may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves until the signal, then lets requests that are under way finish.
pub async fn serve(
    server: Arc<Server>,
    listener: tokio::net::TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    uploads::serve(&server).await.map_err(std::io::Error::other)?;
    let (store, sockets) = (server.store.clone(), server.sockets.clone());
    let (unswept, counted) = (server.clone(), server.clone());
    tokio::spawn(async move { crate::erasure::finish(&unswept).await });
    let sweeps = tokio::spawn(photos::keep_swept(server.as_ref().clone()));
    let counting = server.clone();
    let counts = tokio::spawn(async move {
        loop {
            tokio::time::sleep(COUNT_INTERVAL).await;
            audit::note_counted(&counting, false).await;
        }
    });
    let handle = Handle::new();
    let stopping = handle.clone();
    tokio::spawn(async move {
        stop.await;
        sockets.close();
        stopping.graceful_shutdown(Some(GRACE));
    });
    let tls = server.tls.clone();
    let service = router(server).into_make_service_with_connect_info::<SocketAddr>();
    let mut listening = axum_server::from_tcp(listener.into_std()?)?.handle(handle);
    let http = listening.http_builder();
    http.http1().timer(hyper_util::rt::TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    // Small frames go out at once: a sync message waits for the one before it.
    match tls {
        None => listening.acceptor(NoDelayAcceptor::new()).serve(service).await?,
        Some(tls) => {
            let tls = RustlsConfig::from_config(tls);
            let acceptor = axum_server::tls_rustls::RustlsAcceptor::new(tls).acceptor(NoDelayAcceptor::new());
            listening.acceptor(acceptor).serve(service).await?;
        }
    }
    counts.abort();
    sweeps.abort();
    audit::note_counted(&counted, true).await;
    // Nothing is lost if this takes too long: what has a receipt is on the disk.
    let _ = tokio::time::timeout(GRACE, store.close()).await;
    Ok(())
}
