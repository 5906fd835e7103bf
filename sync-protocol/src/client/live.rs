//! The exchange over a socket that stays open, and staying in step with the server by it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use tokio::{net::TcpStream, sync::Mutex, time::timeout};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{self, Message, client::IntoClientRequest},
};

use super::{Delivery, Device, DeviceError, Exchanged, Transport, Trust};
use crate::{
    live::{LiveFrame, pack, unpack},
    message,
    session::Backoff,
};

/// A reply larger than this is not read: the server pages below it.
const FRAME_BYTES_MAX: usize = 64 << 20;
/// How long connecting and a reply may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
const REPLY_TIMEOUT: Duration = Duration::from_mins(2);
/// How often a device asks although nothing has poked it.
const QUIET_INTERVAL: Duration = Duration::from_mins(10);
/// How often it asks where sockets do not get through.
const POLL_INTERVAL: Duration = Duration::from_mins(1);

/// A connection to `/sync/live`.
#[derive(Debug)]
pub struct Live {
    socket: Mutex<WebSocketStream<MaybeTlsStream<TcpStream>>>,
    is_poked: AtomicBool,
}

fn offline(error: &impl std::fmt::Display) -> DeviceError {
    DeviceError::Offline(error.to_string())
}

impl Live {
    /// Connects to a server (`http://…` or `https://…`) with a device's token.
    pub async fn connect(server: &str, trust: &Trust, token: &str) -> Result<Self, DeviceError> {
        let address = format!("{}/sync/live", server.replacen("http", "ws", 1));
        let mut request = address.into_client_request().map_err(|e| offline(&e))?;
        let bearer = format!("Bearer {token}").parse().map_err(|_| DeviceError::Protocol("no such token".into()))?;
        request.headers_mut().insert("authorization", bearer);
        let tls = Connector::Rustls(trust.0.clone());
        let connected = timeout(CONNECT_TIMEOUT, connect_async_tls_with_config(request, None, true, Some(tls)))
            .await
            .map_err(|e| offline(&e))?;
        let (socket, _) = connected.map_err(|error| match error {
            tungstenite::Error::Http(response) => {
                let text = response.body().as_deref().map(|body| String::from_utf8_lossy(body).into_owned());
                DeviceError::Refused { status: response.status().as_u16(), text: text.unwrap_or_default() }
            }
            other => offline(&other),
        })?;
        Ok(Self { socket: Mutex::new(socket), is_poked: AtomicBool::new(false) })
    }

    /// Returns when others have written; may be dropped meanwhile.
    pub async fn poked(&self) -> Result<(), DeviceError> {
        let mut socket = self.socket.lock().await;
        while !self.is_poked.swap(false, Ordering::Relaxed) {
            let (frame, _) = next(&mut socket).await?;
            if frame == LiveFrame::Poke {
                self.is_poked.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

async fn next(socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>) -> Result<(LiveFrame, usize), DeviceError> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Binary(bytes))) => {
                let unusable = |e: &dyn std::fmt::Display| DeviceError::Protocol(e.to_string());
                let frame = unpack(&bytes, FRAME_BYTES_MAX).map_err(|e| unusable(&e))?;
                return Ok((message::decode(&frame).map_err(|e| unusable(&e))?, bytes.len()));
            }
            Some(Ok(Message::Close(close))) => {
                let reason = close.map(|close| close.reason.to_string()).unwrap_or_default();
                return Err(DeviceError::Offline(reason));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(offline(&error)),
            None => return Err(DeviceError::Offline("the connection has ended".into())),
        }
    }
}

#[async_trait::async_trait]
impl Transport for Live {
    async fn send(&self, request: Vec<u8>) -> Result<Delivery, DeviceError> {
        let mut socket = self.socket.lock().await;
        let packed = pack(request).map_err(|e| DeviceError::Protocol(e.to_string()))?;
        let bytes_sent = packed.len();
        socket.send(Message::binary(packed)).await.map_err(|e| offline(&e))?;
        loop {
            let (frame, bytes_received) =
                timeout(REPLY_TIMEOUT, next(&mut socket)).await.map_err(|e| offline(&e))??;
            match frame {
                LiveFrame::Poke => self.is_poked.store(true, Ordering::Relaxed),
                LiveFrame::Reply(reply) => {
                    return Ok(Delivery { reply: message::encode(&*reply), bytes_sent, bytes_received });
                }
            }
        }
    }
}

/// What a device that stays in step is given from outside, and whom it tells.
pub struct Around<'a> {
    /// The time in milliseconds.
    pub clock: &'a (dyn Fn() -> i64 + Sync),
    /// Randomness, so that not all devices come back at once.
    pub random: &'a (dyn Fn() -> u64 + Sync),
    /// Hears what each exchange did, or why it failed.
    pub tell: &'a (dyn Fn(&Result<Exchanged, DeviceError>) + Sync),
}

impl Device {
    /// Stays in step with the server until this is dropped: exchanges when something was saved here or written by others,
    /// and comes back, later each time, when the connection breaks.
    pub async fn keep_in_sync(&self, around: &Around<'_>) {
        let mut backoff = Backoff::default();
        loop {
            let (was_of_use, error) = self.live(around).await;
            (around.tell)(&Err(error));
            let mut polls = false;
            if was_of_use {
                backoff.succeeded();
            } else {
                // Where sockets do not get through, requests may.
                let over_http = self.exchange((around.clock)()).await;
                polls = over_http.is_ok();
                (around.tell)(&over_http);
            }
            let wait = if polls { POLL_INTERVAL } else { Duration::from_millis(backoff.failed((around.random)())) };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.saved.notified(), if polls => {}
            }
        }
    }

    /// One connection to its end; whether it was of any use, and why it ended.
    async fn live(&self, around: &Around<'_>) -> (bool, DeviceError) {
        let connect = async {
            let trust = Trust::new(self.config.certificate.as_deref())?;
            Live::connect(&self.config.server, &trust, &self.config.token).await
        };
        let live = match connect.await {
            Ok(live) => live,
            Err(error) => return (false, error),
        };
        let mut was_of_use = false;
        loop {
            let exchanged = self.exchange_over(&live, (around.clock)()).await;
            (around.tell)(&exchanged);
            if let Err(error) = exchanged {
                return (was_of_use, error);
            }
            was_of_use = true;
            tokio::select! {
                poked = live.poked() => if let Err(error) = poked {
                    return (was_of_use, error);
                },
                () = self.saved.notified() => {}
                () = tokio::time::sleep(QUIET_INTERVAL) => {}
            }
        }
    }
}
