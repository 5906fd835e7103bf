//! `GET /sync/live`: the exchange over a WebSocket, with a poke when something new is waiting.

use std::{borrow::Cow, sync::Arc};

use axum::{
    extract::{State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    response::Response,
};
use sync_protocol::{
    live::{LiveFrame, pack, unpack},
    message::{self, ExchangeRequest},
};
use tokio::sync::broadcast::error::RecvError;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError, BODY_BYTES_MAX,
    caller::SocketSender,
    exchange::note_filled,
    sockets::{Heard, Socket},
};
use crate::{
    Server, clock,
    origin::Carried,
    store::{DeviceRecord, Moved},
    sync::ExchangeError,
};

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(connect))
}

/// A socket for exchange frames, and a poke when something new is waiting.
#[utoipa::path(get, path = "/sync/live", tag = "sync",
    params(("access_token" = Option<String>, Query, description = "the device's token, where a header cannot be sent")),
    responses((status = 101, description = "the socket is open")))]
async fn connect(
    State(server): State<Arc<Server>>,
    SocketSender(device): SocketSender,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade?.max_message_size(BODY_BYTES_MAX).max_frame_size(BODY_BYTES_MAX);
    let origin = Carried::here();
    Ok(upgrade.on_upgrade(move |socket| origin.on(async move { run(&server, device, Socket::new(socket)).await })))
}

async fn run(server: &Server, mut device: DeviceRecord, mut socket: Socket) {
    let (code, reason) = match server.sockets.enter(device.id, format!("live {}", device.id)) {
        Err(reason) => (1008, reason.into()),
        Ok(mut seat) => {
            tokio::select! {
                ended = talk(server, &mut device, &mut socket) => match ended {
                    Some(ended) => ended,
                    None => return,
                },
                _ = &mut seat.shown_out => (1001, "replaced by a newer connection, or the server stops".into()),
            }
        }
    };
    socket.close(code, &reason).await;
}

/// Until the device goes (none), or has to.
async fn talk(server: &Server, device: &mut DeviceRecord, socket: &mut Socket) -> Option<(u16, Cow<'static, str>)> {
    let Ok(mut news) = server.sync.listen().await else { return Some((1011, "internal error: connect again".into())) };
    // One poke is enough until the device has asked.
    let mut is_poked = false;
    loop {
        let frame = tokio::select! {
            heard = socket.hear() => match heard {
                Heard::Sign => continue,
                Heard::Gone => return None,
                Heard::Nonsense => return Some((1003, "frames are binary".into())),
                Heard::Frame(frame) => {
                    is_poked = false;
                    match answer(server, device, &frame).await {
                        Ok(reply) => reply,
                        Err(ended) => return Some(ended),
                    }
                }
            },
            moved = news.recv() => {
                let is_news = match moved {
                    Ok(moved) => concerns(&moved, device),
                    Err(RecvError::Lagged(_)) => true,
                    Err(RecvError::Closed) => return Some((1001, "the server stops".into())),
                };
                if !is_news || is_poked {
                    continue;
                }
                is_poked = true;
                LiveFrame::Poke
            }
        };
        let packed = pack(message::encode(&frame)).ok()?;
        if !socket.send(packed).await {
            return None;
        }
    }
}

async fn answer(
    server: &Server,
    device: &mut DeviceRecord,
    frame: &[u8],
) -> Result<LiveFrame, (u16, Cow<'static, str>)> {
    let internal = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "an exchange was not answered");
        (1011, "internal error: nothing is lost, connect again".into())
    };
    let unusable = || (1008, "not an exchange frame".into());
    let frame = unpack(frame, BODY_BYTES_MAX).map_err(|_| unusable())?;
    let request: ExchangeRequest = message::decode(&frame).map_err(|_| unusable())?;
    // What it may do can have changed since it has connected.
    let known = server.store.device(device.id).await.map_err(|error| internal(&error))?;
    *device = known.ok_or_else(|| (1008, "no longer enrolled".into()))?;
    note_filled(server, device, request.cursor.is_none()).await.map_err(|error| internal(&error))?;
    match server.sync.exchange(device, request, clock::now_ms()).await {
        Ok(reply) => Ok(LiveFrame::Reply(Box::new(reply))),
        Err(ExchangeError::Refused(refusal)) => Err((1008, refusal.sentence.into())),
        Err(ExchangeError::Store(error)) => Err(internal(&error)),
    }
}

/// Whether somebody else has written to what a device holds.
fn concerns(moved: &Moved, device: &DeviceRecord) -> bool {
    let is_its = |book, units: &[_]| device.may_read(book) && units.contains(&device.unit);
    moved.documents.iter().any(|moved| moved.device != Some(device.id) && is_its(moved.book, &moved.units))
}
