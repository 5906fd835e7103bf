//! The sockets that are open: who has them, and how each of them is closed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    body::Bytes,
    extract::ws::{CloseFrame, Message, WebSocket},
};
use sync_protocol::{DeviceId, repo::Ephemeral};
use tokio::{
    sync::{broadcast, oneshot},
    time::{Instant, Interval, MissedTickBehavior, interval, timeout},
};

/// Sockets of one device: a few programs, a few tabs.
const OF_DEVICE_MAX: usize = 8;
/// Passing messages that a slow peer may leave unread before it misses some.
const EPHEMERAL_UNREAD_MAX: usize = 256;
/// Nobody waits longer for a peer that does not read.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a peer is asked whether it is still there, and how long it may be silent.
const PING_INTERVAL: Duration = Duration::from_secs(25);
const SILENCE_MAX: Duration = Duration::from_secs(75);

/// All of them.
#[derive(Debug)]
pub struct Sockets {
    room: Mutex<Room>,
    ephemeral: broadcast::Sender<Arc<Ephemeral>>,
}

#[derive(Debug, Default)]
struct Room {
    seats: HashMap<String, Taken>,
    number: u64,
    is_closed: bool,
}

#[derive(Debug)]
struct Taken {
    device: DeviceId,
    number: u64,
    /// Dropped to show its holder out.
    _holder: oneshot::Sender<()>,
}

/// A place among the open sockets; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    sockets: Arc<Sockets>,
    name: String,
    number: u64,
    /// Ends when the holder has to go.
    pub(super) shown_out: oneshot::Receiver<()>,
}

impl Default for Sockets {
    fn default() -> Self {
        Self { room: Mutex::default(), ephemeral: broadcast::channel(EPHEMERAL_UNREAD_MAX).0 }
    }
}

impl Sockets {
    fn open(&self) -> MutexGuard<'_, Room> {
        // Nothing in here panics half-way.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the place of this name. A newer socket of the same device replaces the older one; another device's name is
    /// not to be had.
    pub(super) fn enter(self: &Arc<Self>, device: DeviceId, name: String) -> Result<Seat, &'static str> {
        let mut room = self.open();
        if room.is_closed {
            return Err("the server is stopping");
        }
        if room.seats.get(&name).is_some_and(|taken| taken.device != device) {
            return Err("another device is connected under this peer id");
        }
        let others = room.seats.iter().filter(|(other, taken)| taken.device == device && **other != name);
        if others.count() >= OF_DEVICE_MAX {
            return Err("this device has too many connections");
        }
        room.number += 1;
        let number = room.number;
        let (holder, shown_out) = oneshot::channel();
        room.seats.insert(name.clone(), Taken { device, number, _holder: holder });
        Ok(Seat { sockets: self.clone(), name, number, shown_out })
    }

    /// Shows everybody out, for good.
    pub(super) fn close(&self) {
        let mut room = self.open();
        room.is_closed = true;
        room.seats.clear();
    }

    /// Gives a passing message to whoever listens.
    pub(super) fn relay(&self, ephemeral: Ephemeral) {
        // Nobody may listen.
        let _ = self.ephemeral.send(Arc::new(ephemeral));
    }

    /// The passing messages from now on.
    pub(super) fn passing(&self) -> broadcast::Receiver<Arc<Ephemeral>> {
        self.ephemeral.subscribe()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut room = self.sockets.open();
        if room.seats.get(&self.name).is_some_and(|taken| taken.number == self.number) {
            room.seats.remove(&self.name);
        }
    }
}

/// What a socket brings.
pub(super) enum Heard {
    /// A frame.
    Frame(Bytes),
    /// It still lives.
    Sign,
    /// Something else than binary frames.
    Nonsense,
    /// It is gone.
    Gone,
}

/// A socket that notices when nobody is there any more.
pub(super) struct Socket {
    inner: WebSocket,
    heard_at: Instant,
    ping: Interval,
}

impl Socket {
    pub(super) fn new(socket: WebSocket) -> Self {
        let mut ping = interval(PING_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { inner: socket, heard_at: Instant::now(), ping }
    }

    /// The next thing that the peer says. While this is not called the peer waits.
    pub(super) async fn hear(&mut self) -> Heard {
        loop {
            tokio::select! {
                message = self.inner.recv() => {
                    self.heard_at = Instant::now();
                    return match message {
                        Some(Ok(Message::Binary(bytes))) => Heard::Frame(bytes),
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Heard::Sign,
                        Some(Ok(Message::Text(_))) => Heard::Nonsense,
                        Some(Ok(Message::Close(_)) | Err(_)) | None => Heard::Gone,
                    };
                }
                _ = self.ping.tick() => {
                    let is_silent = self.heard_at.elapsed() > SILENCE_MAX;
                    if is_silent || !self.send_message(Message::Ping(Bytes::new())).await {
                        return Heard::Gone;
                    }
                }
            }
        }
    }

    /// Sends a frame; `false` when nobody takes it.
    pub(super) async fn send(&mut self, frame: Vec<u8>) -> bool {
        self.send_message(Message::Binary(frame.into())).await
    }

    async fn send_message(&mut self, message: Message) -> bool {
        matches!(timeout(SEND_TIMEOUT, self.inner.send(message)).await, Ok(Ok(())))
    }

    /// Closes it and says why.
    pub(super) async fn close(mut self, code: u16, reason: &str) {
        // A close frame holds 123 bytes of text.
        let mut end = reason.len().min(123);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let frame = CloseFrame { code, reason: reason[..end].into() };
        self.send_message(Message::Close(Some(frame))).await;
    }
}
