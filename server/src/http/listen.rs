//! Listening: in the clear behind a proxy or on this machine, else by TLS.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum_server::{
    Handle,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};

use super::{connections::Door, router};
use crate::{Server, audit, photos, uploads};

/// How long requests that are under way may go on once the server stops.
const GRACE: Duration = Duration::from_secs(10);
/// How often it is noted what was only counted.
const COUNT_INTERVAL: Duration = Duration::from_mins(1);
/// How long a peer may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests at once on one connection of HTTP/2.
const STREAMS_MAX: u32 = 64;
/// How often a silent connection of HTTP/2 is asked whether somebody is there, and how long that may take.
const PING_INTERVAL: Duration = Duration::from_secs(30);

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
    server.connections.ask_for_files();
    let door = Door { server: server.clone(), is_in_clear: tls.is_none() };
    let service = router(server).into_make_service_with_connect_info::<SocketAddr>();
    let listening = axum_server::from_tcp(listener.into_std()?)?.handle(handle);
    let mut listening = listening.first_request_timeout(HEAD_TIMEOUT);
    let http = listening.http_builder();
    http.http1().timer(hyper_util::rt::TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    http.http2()
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    match tls {
        None => listening.acceptor(door).serve(service).await?,
        Some(tls) => {
            let acceptor = RustlsAcceptor::new(RustlsConfig::from_config(tls)).acceptor(door);
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
