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

    /// Takes the place of this name. A newer socket of the same device replaces the older one, and its oldest where it has
    /// too many; another device's name is not to be had.
    pub(super) fn enter(self: &Arc<Self>, device: DeviceId, name: String) -> Result<Seat, &'static str> {
        let mut room = self.open();
        if room.is_closed {
            return Err("the server is stopping");
        }
        if room.seats.get(&name).is_some_and(|taken| taken.device != device) {
            return Err("another device is connected under this peer id");
        }
        let others = room.seats.iter().filter(|(other, taken)| taken.device == device && **other != name);
        let mut others: Vec<(u64, String)> = others.map(|(other, taken)| (taken.number, other.clone())).collect();
        if others.len() >= OF_DEVICE_MAX {
            others.sort();
            for (_, oldest) in &others[..=others.len() - OF_DEVICE_MAX] {
                room.seats.remove(oldest);
            }
        }
        room.number += 1;
        let number = room.number;
        let (holder, shown_out) = oneshot::channel();
        room.seats.insert(name.clone(), Taken { device, number, _holder: holder });
        Ok(Seat { sockets: self.clone(), name, number, shown_out })
    }

    /// Takes a place for a socket on which nobody has said yet under which name it comes.
    pub(super) fn wait(self: &Arc<Self>, device: DeviceId) -> Result<Seat, &'static str> {
        let number = self.open().number;
        // No peer's name begins with a blank.
        self.enter(device, format!(" {device} {number}"))
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

impl Seat {
    /// Takes the place of another name for this one.
    pub(super) fn change(&mut self, device: DeviceId, name: String) -> Result<(), &'static str> {
        self.leave();
        *self = self.sockets.enter(device, name)?;
        Ok(())
    }

    fn leave(&self) {
        let mut room = self.sockets.open();
        if room.seats.get(&self.name).is_some_and(|taken| taken.number == self.number) {
            room.seats.remove(&self.name);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_opens_another_socket_loses_its_oldest() {
        let sockets = Arc::new(Sockets::default());
        let (device, other) = (DeviceId::from_bytes([1; 16]), DeviceId::from_bytes([2; 16]));
        let mut others = sockets.enter(other, "repo other".into()).expect("a seat");
        let enter = |name: usize| sockets.enter(device, format!("repo {name}")).expect("a seat");
        let mut seats: Vec<Seat> = (0..OF_DEVICE_MAX).map(enter).collect();
        let is_out = |seat: &mut Seat| seat.shown_out.try_recv() == Err(oneshot::error::TryRecvError::Closed);
        assert!(seats.iter_mut().all(|seat| !is_out(seat)));
        // Under a name of its own, without one yet, and under one that it has already: that one is replaced.
        let mut ninth = enter(OF_DEVICE_MAX);
        let mut waiting = sockets.wait(device).expect("a seat");
        let mut again = enter(OF_DEVICE_MAX);
        let gone: Vec<bool> = seats.iter_mut().map(is_out).collect();
        assert_eq!(gone.iter().position(|gone| !gone), Some(2), "{gone:?}");
        assert!(gone[2..].iter().all(|gone| !gone), "{gone:?}");
        assert!(is_out(&mut ninth) && !is_out(&mut waiting) && !is_out(&mut again) && !is_out(&mut others));
        assert!(sockets.enter(other, "repo 5".into()).is_err(), "another device's name");
    }
}
