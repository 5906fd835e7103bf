//! `GET /sync/repo`: automerge-repo's protocol over a WebSocket. The session is pure; this runs it.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{
        State, WebSocketUpgrade,
        ws::{WebSocket, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use sync_protocol::{
    DocumentId,
    repo::{Ended, RepoEffect, RepoSession, RepoTurn, Turned},
};
use tokio::{
    sync::broadcast::error::RecvError,
    task::{JoinError, JoinSet},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError,
    caller::SocketSender,
    exchange::note_filled,
    sockets::{Heard, Seat, Socket},
};
use crate::{Server, clock, origin::Carried, store::DeviceRecord};

/// How long a peer may be connected without saying who it is.
const JOIN_TIMEOUT: Duration = Duration::from_secs(20);
/// What a frame has beside its sync message.
const FRAME_BYTES_MAX: usize = 4096;

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(connect))
}

/// A socket for automerge-repo's protocol.
#[utoipa::path(get, path = "/sync/repo", tag = "sync",
    params(("access_token" = Option<String>, Query, description = "the device's token, where a header cannot be sent")),
    responses((status = 101, description = "the socket is open")))]
async fn connect(
    State(server): State<Arc<Server>>,
    SocketSender(device): SocketSender,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let bytes_max = server.sync.limits().sync_bytes_max + FRAME_BYTES_MAX;
    let upgrade = upgrade?.max_message_size(bytes_max).max_frame_size(bytes_max);
    // Such a peer keeps nothing of what it has had: each time it takes what it may hold.
    note_filled(&server, &device, true).await?;
    let origin = Carried::here();
    Ok(upgrade.on_upgrade(move |socket| origin.on(async move { run(server, device, socket).await })))
}

async fn run(server: Arc<Server>, device: DeviceRecord, socket: WebSocket) {
    let mut socket = Socket::new(socket);
    let us = server.county.to_string();
    let mut session = RepoSession::new(format!("taizhang-{us}"), us, server.sync.limits());
    // It counts as one of its device's sockets before it has a name.
    let ended = match server.sockets.wait(device.id) {
        Ok(seat) => {
            let mut connection = Connection { server, device, session, seat, has_joined: false };
            let ended = connection.talk(&mut socket).await;
            session = connection.session;
            ended
        }
        Err(sentence) => Some(Ended { code: 1008, sentence: sentence.to_owned() }),
    };
    if let Some(ended) = ended {
        if let Some(words) = session.last_words(&ended) {
            socket.send(words).await;
        }
        socket.close(ended.code, &ended.sentence).await;
    }
}

struct Connection {
    server: Arc<Server>,
    device: DeviceRecord,
    session: RepoSession,
    seat: Seat,
    /// Whether the peer has said who it is.
    has_joined: bool,
}

type Done = Result<(DocumentId, Turned), JoinError>;

impl Connection {
    /// Until the peer goes (none), or has to.
    async fn talk(&mut self, socket: &mut Socket) -> Option<Ended> {
        let stops = |sentence: &str| Some(Ended { code: 1011, sentence: sentence.to_owned() });
        let Ok(mut news) = self.server.sync.listen().await else { return stops("internal error") };
        let mut passing = self.server.sockets.passing();
        let mut turns: JoinSet<(DocumentId, Turned)> = JoinSet::new();
        let mut joins = std::pin::pin!(tokio::time::sleep(JOIN_TIMEOUT));
        loop {
            while let Some(turn) = self.session.next_turn() {
                turns.spawn(Carried::here().on(take(self.server.clone(), self.device.clone(), turn)));
            }
            let effects = tokio::select! {
                heard = socket.hear(), if !self.session.is_full() => match heard {
                    Heard::Frame(frame) => self.receive(&frame),
                    Heard::Sign => Ok(Vec::new()),
                    Heard::Nonsense => Err(Ended { code: 1003, sentence: "frames are binary".into() }),
                    Heard::Gone => return None,
                },
                Some(done) = turns.join_next() => self.done(done),
                moved = news.recv() => {
                    match moved {
                        Ok(moved) => self.session.moved(moved.documents.iter().map(|moved| moved.document)),
                        Err(RecvError::Lagged(_)) => self.session.all_moved(),
                        Err(RecvError::Closed) => return stops("the server is stopping"),
                    }
                    Ok(Vec::new())
                }
                ephemeral = passing.recv() => {
                    // Passing messages may be missed.
                    let frame = ephemeral.ok().and_then(|ephemeral| self.session.relay(&ephemeral));
                    Ok(frame.map(RepoEffect::Send).into_iter().collect())
                }
                () = &mut joins, if !self.has_joined => {
                    return Some(Ended { code: 1008, sentence: "a peer has to join first".into() });
                }
                _ = &mut self.seat.shown_out => {
                    return Some(Ended { code: 1001, sentence: "replaced by a newer connection, or the server stops".into() });
                }
            };
            let effects = match effects {
                Ok(effects) => effects,
                Err(ended) => return Some(ended),
            };
            for effect in effects {
                match effect {
                    RepoEffect::Send(frame) => {
                        if !socket.send(frame).await {
                            return None;
                        }
                    }
                    RepoEffect::Relay(ephemeral) => self.server.sockets.relay(ephemeral),
                    RepoEffect::Refused(document, refusal) => {
                        tracing::warn!(%document, device = %self.device.id, %refusal, "a peer's message was refused");
                    }
                }
            }
        }
    }

    fn receive(&mut self, frame: &[u8]) -> Result<Vec<RepoEffect>, Ended> {
        let effects = self.session.receive(frame, clock::now_ms())?;
        if !self.has_joined
            && let Some(peer) = self.session.peer()
        {
            let changed = self.seat.change(self.device.id, format!("repo {peer}"));
            changed.map_err(|sentence| Ended { code: 1008, sentence: sentence.to_owned() })?;
            self.has_joined = true;
        }
        Ok(effects)
    }

    fn done(&mut self, done: Done) -> Result<Vec<RepoEffect>, Ended> {
        let (document, turned) =
            done.map_err(|_| Ended { code: 1011, sentence: "internal error: connect again".into() })?;
        Ok(self.session.turned(document, turned))
    }
}

async fn take(server: Arc<Server>, device: DeviceRecord, turn: RepoTurn) -> (DocumentId, Turned) {
    let document = turn.document;
    let turned = server.sync.turn_of(&device, turn, clock::now_ms()).await;
    let turned = turned.unwrap_or_else(|error| {
        // One document that cannot be read is no reason to end the others' sync.
        tracing::error!(%document, %error, "a document is not available to a peer");
        Turned::Unavailable
    });
    (document, turned)
}
