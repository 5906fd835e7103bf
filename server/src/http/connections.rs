//! The connections that are open: so many in all, and so many on which nobody has signed in from one network. Where there is
//! no room for another, the one gives way that has waited longest without saying who it is: so strangers get into each
//! other's way, not into that of anybody who is known.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum_server::accept::Accept;
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::oneshot,
    time::timeout,
};

use crate::{
    Server,
    audit::{self, By, Event},
    origin::{self, Origin},
    tls::Proxies,
};

/// Files that are open besides: the database, workbooks, programs that read them.
const OTHER_FILES: u64 = 256;
/// How long a connection that finds no room is listened to before it is told so.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// What it is told in the clear: by TLS it would cost more than it is worth.
const NO_ROOM: &str = "连接过多，请稍后再试 | too many connections: try again later";

/// How many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// In all.
    pub all: usize,
    /// From one network, of those on which nobody has signed in.
    pub strangers: usize,
}

/// All of them.
#[derive(Debug)]
pub struct Connections {
    room: Mutex<Room>,
    limits: ConnectionLimits,
    proxies: Vec<Proxies>,
}

#[derive(Debug, Default)]
struct Room {
    places: HashMap<SocketAddr, Taken>,
    /// Those on which nobody has signed in, by their network, the oldest first.
    strangers: HashMap<IpAddr, BTreeMap<u64, SocketAddr>>,
    number: u64,
    all_max: usize,
}

#[derive(Debug)]
struct Taken {
    number: u64,
    /// Of a stranger.
    network: Option<IpAddr>,
    /// Dropped to show its holder out.
    _holder: oneshot::Sender<()>,
}

/// There is no room, and nobody who gives way.
#[derive(Debug, PartialEq, Eq)]
struct Full;

/// A place among the open connections; given back when it is dropped.
#[derive(Debug)]
struct Place {
    connections: Arc<Connections>,
    peer: SocketAddr,
    number: u64,
    shown_out: oneshot::Receiver<()>,
    is_out: bool,
}

impl Room {
    fn meet(&mut self, peer: SocketAddr) {
        let Some(taken) = self.places.get_mut(&peer) else { return };
        if let Some(network) = taken.network.take() {
            let number = taken.number;
            self.leave_strangers(network, number);
        }
    }

    fn leave_strangers(&mut self, network: IpAddr, number: u64) {
        if let Some(own) = self.strangers.get_mut(&network) {
            own.remove(&number);
            if own.is_empty() {
                self.strangers.remove(&network);
            }
        }
    }

    fn leave(&mut self, peer: SocketAddr, number: u64) {
        if self.places.get(&peer).is_some_and(|taken| taken.number == number)
            && let Some(network) = self.places.remove(&peer).and_then(|taken| taken.network)
        {
            self.leave_strangers(network, number);
        }
    }

    /// Shows the oldest stranger of a network out.
    fn show_out(&mut self, network: IpAddr) {
        let oldest = self.strangers.get(&network).and_then(|own| own.first_key_value());
        if let Some((number, peer)) = oldest.map(|(number, peer)| (*number, *peer)) {
            self.leave(peer, number);
        }
    }

    /// The network that has most of the strangers.
    fn fullest(&self) -> Option<IpAddr> {
        self.strangers.iter().max_by_key(|(_, own)| own.len()).map(|(network, _)| *network)
    }
}

impl Connections {
    /// None yet.
    pub fn new(limits: ConnectionLimits, proxies: Vec<Proxies>) -> Self {
        let room = Room { all_max: limits.all, ..Room::default() };
        Self { room: Mutex::new(room), limits, proxies }
    }

    fn open(&self) -> MutexGuard<'_, Room> {
        // Nothing in here panics half-way.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the system for as many open files as this takes; where it gives fewer, there is room for fewer.
    pub(super) fn ask_for_files(&self) {
        let wanted = u64::try_from(self.limits.all).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
        let Ok(granted) = rlimit::increase_nofile_limit(wanted) else { return };
        if granted < wanted {
            let all_max = usize::try_from(granted.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX).max(1);
            tracing::warn!(
                wanted,
                granted,
                all_max,
                "the system gives fewer open files: there is room for fewer connections"
            );
            self.open().all_max = all_max;
        }
    }

    /// Takes a place, and says from which network somebody had to give way for it. Behind a proxy everybody has its
    /// address: there only the total counts.
    fn enter(self: &Arc<Self>, peer: SocketAddr) -> Result<(Place, Option<IpAddr>), Full> {
        let is_proxy = self.proxies.iter().any(|proxies| proxies.has(peer.ip().to_canonical()));
        let network = (!is_proxy).then(|| origin::network(peer.ip()));
        let mut room = self.open();
        let own = network.and_then(|network| room.strangers.get(&network)).map_or(0, BTreeMap::len);
        let gives_way = if own >= self.limits.strangers {
            network
        } else if room.places.len() >= room.all_max {
            Some(room.fullest().ok_or(Full)?)
        } else {
            None
        };
        if let Some(network) = gives_way {
            room.show_out(network);
        }
        room.number += 1;
        let number = room.number;
        let (holder, shown_out) = oneshot::channel();
        if let Some(network) = network {
            room.strangers.entry(network).or_default().insert(number, peer);
        }
        room.places.insert(peer, Taken { number, network, _holder: holder });
        Ok((Place { connections: self.clone(), peer, number, shown_out, is_out: false }, gives_way))
    }

    /// Somebody has said on this connection who they are.
    pub(super) fn meet(&self, peer: SocketAddr) {
        self.open().meet(peer);
    }
}

impl Place {
    /// Whether its holder has to go; if not, it is woken once it has.
    fn is_out(&mut self, context: &mut Context<'_>) -> bool {
        self.is_out = self.is_out || Pin::new(&mut self.shown_out).poll(context).is_ready();
        self.is_out
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.open().leave(self.peer, self.number);
    }
}

/// Lets connections in as far as there is room.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) server: Arc<Server>,
    pub(super) is_in_clear: bool,
}

type Entering<S> = Pin<Box<dyn Future<Output = io::Result<(Held, S)>> + Send>>;

impl<S: Send + 'static> Accept<TcpStream, S> for Door {
    type Stream = Held;
    type Service = S;
    type Future = Entering<S>;

    fn accept(&self, stream: TcpStream, service: S) -> Entering<S> {
        let door = self.clone();
        Box::pin(async move {
            let peer = stream.peer_addr()?;
            let Ok((place, gave_way)) = door.server.connections.enter(peer) else {
                tokio::spawn(note(door.server.clone(), peer.ip(), "refused"));
                if door.is_in_clear {
                    let _ = timeout(LAST_WORDS, turn_away(&stream)).await;
                }
                return Err(io::Error::new(io::ErrorKind::ConnectionRefused, NO_ROOM));
            };
            if let Some(network) = gave_way {
                tokio::spawn(note(door.server.clone(), network, "closed"));
            }
            // Small frames go out at once: a sync message waits for the one before it.
            stream.set_nodelay(true)?;
            Ok((Held { stream, place }, service))
        })
    }
}

/// Notes it once, and how often it has happened since, however many they are.
async fn note(server: Arc<Server>, address: IpAddr, what: &str) {
    // The name keeps it apart from what else was refused there.
    let detail = json!({ "name": "connections", "kind": what });
    let noted = audit::note_failed(&server, By::stranger(), Event::Denied, &detail);
    origin::within(Arc::new(Origin::new(address)), noted).await;
}

/// Says that there is no room, without reading what was asked for.
async fn turn_away(stream: &TcpStream) -> io::Result<()> {
    let body = format!(r#"{{"type":"about:blank","title":"service unavailable","status":503,"detail":"{NO_ROOM}"}}"#);
    let head = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 10\r\nconnection: close";
    let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    // What has come in is taken off: else the system would throw the answer away with it.
    stream.readable().await?;
    let _ = stream.try_read(&mut [0; 4096]);
    stream.writable().await?;
    stream.try_write(answer.as_bytes()).map(drop)
}

/// A connection that holds a place.
#[derive(Debug)]
pub(super) struct Held {
    stream: TcpStream,
    place: Place,
}

impl Held {
    fn stays(&mut self, context: &mut Context<'_>) -> io::Result<Pin<&mut TcpStream>> {
        if self.place.is_out(context) {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, NO_ROOM));
        }
        Ok(Pin::new(&mut self.stream))
    }
}

impl AsyncRead for Held {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stays(context)?.poll_read(context, into)
    }
}

impl AsyncWrite for Held {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stays(context)?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stays(context)?.poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stays(context)?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str, port: u16) -> SocketAddr {
        SocketAddr::new(address.parse().expect("an address"), port)
    }

    fn is_out(place: &mut Place) -> bool {
        place.is_out(&mut Context::from_waker(std::task::Waker::noop()))
    }

    #[test]
    fn strangers_give_way_to_each_other_and_never_those_who_are_known() {
        let proxies = vec![Proxies::try_from("10.0.0.1".to_owned()).expect("a proxy")];
        let connections = Arc::new(Connections::new(ConnectionLimits { all: 6, strangers: 2 }, proxies));
        let enter = |address, port| connections.enter(peer(address, port));
        let (mut first, _) = enter("203.0.113.9", 1).expect("room");
        let (mut second, _) = enter("203.0.113.9", 2).expect("room");
        connections.meet(peer("203.0.113.9", 1));
        let (mut third, gave_way) = enter("203.0.113.9", 3).expect("room");
        assert_eq!(gave_way, None, "whoever is known counts no more");
        let (mut fourth, gave_way) = enter("203.0.113.9", 4).expect("room");
        assert_eq!(gave_way, Some("203.0.113.9".parse().expect("an address")));
        assert_eq!([&mut first, &mut second, &mut third, &mut fourth].map(is_out), [false, true, false, false]);
        // All addresses of such a network are one subscriber's.
        let (_one, _) = enter("2001:db8::1", 1).expect("room");
        let (_other, _) = enter("2001:db8::2", 1).expect("room");
        let network = "2001:db8::".parse().expect("an address");
        let (_third, gave_way) = enter("2001:db8::ffff:3", 1).expect("room");
        assert_eq!(gave_way, Some(network));
        // There are five; the sixth is a proxy's, who is no stranger, and the seventh goes at the cost of whoever has most.
        let (mut behind, gave_way) = enter("10.0.0.1", 1).expect("room");
        assert_eq!(gave_way, None);
        let (_seventh, gave_way) = enter("198.51.100.7", 1).expect("room");
        assert!(gave_way.is_some());
        assert!(!is_out(&mut first) && !is_out(&mut behind));
        assert_eq!(connections.open().places.len(), 6);
    }

    #[test]
    fn where_everybody_is_known_nobody_gives_way_and_places_are_given_back() {
        let connections = Arc::new(Connections::new(ConnectionLimits { all: 2, strangers: 8 }, Vec::new()));
        let places = [1, 2].map(|port| {
            let entered = connections.enter(peer("203.0.113.9", port)).expect("room").0;
            connections.meet(peer("203.0.113.9", port));
            entered
        });
        assert_eq!(connections.enter(peer("198.51.100.7", 1)).err(), Some(Full));
        drop(places);
        assert!(connections.enter(peer("198.51.100.7", 1)).is_ok());
        let room = connections.open();
        assert!(room.places.is_empty() && room.strangers.is_empty(), "{room:?}");
    }
}
