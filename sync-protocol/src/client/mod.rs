//! The device client: a Rust field program's own store and its HTTP end of the exchange.
//!
//! Everything works offline; [`Device::exchange`] is the only call that needs the server. An edit is
//! on disk before the call returns, and stays marked as unsent until the server's receipt is on disk too.

mod enrol;
mod http;
mod live;
mod news;
mod store;
mod tls;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::{
    bundle::{self, BundleError, BundleRequest, Keys, PublicKeys},
    catalogue::Catalogue,
    conflict::{Conflict, Means, Provenance},
    document::{Author, Document, Edit},
    ids::{ActorId, ChangeHash, Identity, RowId},
    message::{self, RefusedChange},
    row::{Address, Row},
    session::{DeviceSession, Persist, SessionError},
    value::Value,
};
pub use enrol::{Enrolled, enrol};
pub use http::Http;
pub use live::{Around, Live};
use store::DeviceStore;
pub use tls::Trust;

/// How to open a device.
#[derive(Clone)]
pub struct DeviceConfig {
    /// Its database file; created when absent.
    pub path: PathBuf,
    /// The server, for example `https://10.0.0.5:8443`.
    pub server: String,
    /// The certificate (PEM) that a county has made for itself; none where an authority vouches for its server.
    pub certificate: Option<String>,
    /// What it shows to the server.
    pub token: String,
    /// What its keys for bundles follow from: its own secret, where it was enrolled with a code; else the token.
    pub secret: Option<String>,
    /// The person at the device, as conflicts will name them.
    pub who: String,
    /// The county's public signing key from enrolment: receipts that it has not signed are not believed.
    pub server_key: Option<[u8; 32]>,
    /// Fresh randomness for this session: an actor is never used twice.
    pub actor: ActorId,
}

impl std::fmt::Debug for DeviceConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceConfig").field("path", &self.path).field("server", &self.server).finish_non_exhaustive()
    }
}

/// What can go wrong on a device.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The database file.
    #[error("the device's own store failed: {0}")]
    Store(#[from] sqlx::Error),
    /// No connection, or it broke: try again later, nothing is lost.
    #[error("the server cannot be reached ({0}); edits are kept and will be sent next time")]
    Offline(String),
    /// The server answered with an error.
    #[error("the server refused the exchange: {status} {text}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words.
        text: String,
    },
    /// The reply made no sense.
    #[error("the server's reply cannot be used: {0}")]
    Protocol(String),
    /// A bundle could not be written or taken.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A document could not be read or written.
    #[error(transparent)]
    Document(#[from] crate::document::DocumentError),
}

impl From<SessionError> for DeviceError {
    fn from(error: SessionError) -> Self {
        DeviceError::Protocol(error.to_string())
    }
}

/// Receipts as the server has signed them, together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedReceipt {
    /// When the server gave them.
    pub server_time_ms: i64,
    /// Changes that are durable.
    pub changes: Vec<ChangeHash>,
    /// Its signature of [`message::receipt_statement`].
    pub signature: Vec<u8>,
}

/// What one exchange did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchanged {
    /// HTTP requests.
    pub requests: usize,
    /// Body bytes sent, as on the wire.
    pub bytes_sent: usize,
    /// Body bytes received, as on the wire.
    pub bytes_received: usize,
    /// Own changes that arrived for good.
    pub receipts: Vec<ChangeHash>,
    /// Own changes that were not taken.
    pub refusals: Vec<RefusedChange>,
    /// Documents with news.
    pub documents: usize,
    /// How far this clock is ahead of the server's.
    pub clock_ahead_ms: i64,
}

/// What carries requests to the server and replies back.
#[async_trait::async_trait]
pub trait Transport: std::fmt::Debug + Send + Sync {
    /// Sends one request and waits for its reply.
    async fn send(&self, request: Vec<u8>) -> Result<Delivery, DeviceError>;
}

/// A reply, and what it cost.
#[derive(Debug)]
pub struct Delivery {
    /// The reply.
    pub reply: Vec<u8>,
    /// Body bytes sent, as on the wire.
    pub bytes_sent: usize,
    /// Body bytes received, as on the wire.
    pub bytes_received: usize,
}

/// An exchange that is under way: between two of its requests everything may happen, even the end of the program.
#[derive(Debug)]
pub struct Exchange {
    session: DeviceSession,
    /// What it did so far.
    pub done: Exchanged,
}

/// A field device.
#[derive(Debug)]
pub struct Device {
    config: DeviceConfig,
    catalogue: Arc<Catalogue>,
    store: DeviceStore,
    transport: Box<dyn Transport>,
    /// How often changes of this session's actor went out of sight.
    lost_sight: AtomicU32,
    /// One form is saved after the other: two changes of one number would wedge their document.
    saving: tokio::sync::Mutex<()>,
    /// Something was saved that has to be sent.
    saved: tokio::sync::Notify,
}

impl Device {
    /// Opens or creates the device's store.
    pub async fn open(config: DeviceConfig, catalogue: Arc<Catalogue>) -> Result<Self, DeviceError> {
        let http = Http::new(&config.server, &Trust::new(config.certificate.as_deref())?, &config.token)?;
        Self::open_with(config, catalogue, Box::new(http)).await
    }

    /// Opens or creates the device's store, with something else than HTTP between it and the server.
    pub async fn open_with(
        config: DeviceConfig,
        catalogue: Arc<Catalogue>,
        transport: Box<dyn Transport>,
    ) -> Result<Self, DeviceError> {
        let store = DeviceStore::open(&config.path).await?;
        Ok(Self {
            config,
            catalogue,
            store,
            transport,
            lost_sight: AtomicU32::new(0),
            saving: tokio::sync::Mutex::new(()),
            saved: tokio::sync::Notify::new(),
        })
    }

    /// Closes its file.
    pub async fn close(self) {
        self.store.close().await;
    }

    /// The documents on this device.
    pub async fn documents(&self) -> Result<Vec<Identity>, DeviceError> {
        Ok(self.store.documents().await?)
    }

    /// A document with everything this device knows of it.
    pub async fn document(&self, identity: &Identity) -> Result<Document, DeviceError> {
        self.store.document(identity).await
    }

    /// The rows of a ledger in one document, removed ones left out.
    pub async fn rows(&self, identity: &Identity, ledger: &str) -> Result<Vec<Row>, DeviceError> {
        let rows = self.document(identity).await?.rows(ledger);
        Ok(rows.into_values().filter(|row| !row.removed).collect())
    }

    /// All conflicts on this device.
    pub async fn conflicts(&self) -> Result<Vec<(Identity, Conflict)>, DeviceError> {
        let mut conflicts = Vec::new();
        for identity in self.documents().await? {
            let found = self.document(&identity).await?.conflicts();
            conflicts.extend(found.into_iter().map(|conflict| (identity.clone(), conflict)));
        }
        Ok(conflicts)
    }

    /// Saves one form: all its cells in one change per document, on disk when this returns.
    /// S3 columns go to the restricted twin by themselves. Returns whether anything was new.
    pub async fn save(
        &self,
        identity: &Identity,
        ledger: &str,
        row: RowId,
        cells: &[(&str, Value)],
        now_ms: i64,
    ) -> Result<bool, DeviceError> {
        let _saving = self.saving.lock().await;
        let author = self.author(Means::Form, now_ms);
        let (mut open, mut restricted) = (Vec::new(), Vec::new());
        for (column, value) in cells {
            let edit = Edit { address: Address::new(ledger, row, *column), value: value.clone() };
            let declared = self.catalogue.ledger(ledger).and_then(|l| l.column(column).map(|c| l.book_of(c)));
            if declared.is_some_and(super::ids::Book::is_restricted) { restricted.push(edit) } else { open.push(edit) }
        }
        let twin = identity.in_book(identity.book.restricted());
        let mut new = false;
        for (identity, edits) in [(identity, open), (&twin, restricted)] {
            if edits.is_empty() {
                continue;
            }
            let mut document = self.store.document(identity).await?;
            if let Some(change) = document.write(identity, &edits, &author)? {
                self.store.append_own(identity, &change).await?;
                self.saved.notify_one();
                new = true;
            }
        }
        Ok(new)
    }

    /// The row for a new record: named by its natural key, so that the same person registered on two phones is
    /// one row; `random` names it when no key is filled.
    pub fn new_row(&self, ledger: &str, cells: &[(&str, Value)], random: [u8; 10]) -> RowId {
        let value_of = |column: &str| cells.iter().find(|(key, _)| *key == column).map(|(_, value)| value);
        let public_key = self.catalogue.public_key();
        let derived = self.catalogue.ledger(ledger).and_then(|ledger| ledger.row_id(public_key, None, value_of));
        derived.unwrap_or_else(|| RowId::random(random))
    }

    /// A person decides what a disputed cell says.
    pub async fn settle(
        &self,
        identity: &Identity,
        address: &Address,
        value: &Value,
        now_ms: i64,
    ) -> Result<(), DeviceError> {
        let _saving = self.saving.lock().await;
        let mut document = self.store.document(identity).await?;
        if let Some(change) = document.settle(address, value, &self.author(Means::Resolve, now_ms))? {
            self.store.append_own(identity, &change).await?;
            self.saved.notify_one();
        }
        Ok(())
    }

    /// How many changes have no receipt yet: "3 处修改尚未送达".
    pub async fn unsent(&self) -> Result<usize, DeviceError> {
        Ok(self.outbox().await?.len())
    }

    /// The changes that have no receipt yet.
    pub async fn outbox(&self) -> Result<Vec<ChangeHash>, DeviceError> {
        Ok(self.store.unsent().await?.into_iter().map(|change| change.hash).collect())
    }

    /// Own changes that the server did not take, and what it said: they are kept, and shown to the person.
    pub async fn refused(&self) -> Result<Vec<(ChangeHash, String)>, DeviceError> {
        Ok(self.store.refused().await?)
    }

    /// Sends what is unsent and takes what is new, in as many requests as it takes.
    /// After an error everything that was stored stays stored; call again.
    pub async fn exchange(&self, now_ms: i64) -> Result<Exchanged, DeviceError> {
        self.exchange_over(self.transport.as_ref(), now_ms).await
    }

    async fn exchange_over(&self, transport: &dyn Transport, now_ms: i64) -> Result<Exchanged, DeviceError> {
        let mut exchange = self.begin().await?;
        while self.step_over(transport, &mut exchange, now_ms).await? {}
        Ok(exchange.done)
    }

    /// Writes what is unsent into a bundle for the server, for where there is no network.
    ///
    /// With `answer_bytes_max` it asks for an answer that fits: receipts without news, where all of it would be too much.
    pub async fn write_bundle(
        &self,
        server: &PublicKeys,
        answer_bytes_max: Option<u32>,
        now_ms: i64,
    ) -> Result<Vec<u8>, DeviceError> {
        let mut session = DeviceSession::in_one(
            self.store.cursor().await?,
            self.store.unsent().await?,
            self.store.held().await?,
            self.store.unconfirmed().await?,
        );
        let request = session.next_request(now_ms).ok_or_else(|| DeviceError::Protocol("nothing to ask".into()))?;
        let bundle = BundleRequest { request, units: b"[]".to_vec().into(), answer_bytes_max };
        let kept = self.store.checkpoints().await?;
        // Through a camera every byte counts.
        let few = if answer_bytes_max.is_some() { kept.newest().cloned().into_iter().collect() } else { kept.spread() };
        let (bytes, digest) = bundle::seal_with(&bundle, (None, &few), &self.keys(), server)?;
        // Known before the file is out of this device: its answer is taken, and no other.
        let mut asked = self.store.asked().await?;
        asked.add(digest);
        self.store.put_asked(&asked).await?;
        Ok(bytes)
    }

    /// Takes the server's answer; as often as one likes.
    pub async fn read_bundle(&self, bytes: &[u8], server: &PublicKeys) -> Result<Exchanged, DeviceError> {
        let (reply, head) = bundle::open_reply(bytes, &self.keys(), server, &self.store.asked().await?)?;
        self.store.keep_checkpoints(&head.checkpoints).await?;
        let mut done = Exchanged::default();
        let asked = reply.asked;
        for reply in reply.replies {
            let page = DeviceSession::page(reply)?;
            let asked = if page.complete { asked.clone() } else { Vec::new() };
            self.commit(Persist { asked, ..page }, &mut done).await?;
        }
        Ok(done)
    }

    fn keys(&self) -> Keys {
        Keys::of(self.config.secret.as_ref().unwrap_or(&self.config.token).as_bytes())
    }

    /// Begins an exchange.
    pub async fn begin(&self) -> Result<Exchange, DeviceError> {
        let (cursor, unsent, held) = (self.store.cursor().await?, self.store.unsent().await?, self.store.held().await?);
        let session = DeviceSession::new(cursor, unsent, held);
        Ok(Exchange { session, done: Exchanged::default() })
    }

    /// One request and its reply; `false` once both ends have everything.
    pub async fn step(&self, exchange: &mut Exchange, now_ms: i64) -> Result<bool, DeviceError> {
        self.step_over(self.transport.as_ref(), exchange, now_ms).await
    }

    async fn step_over(
        &self,
        transport: &dyn Transport,
        exchange: &mut Exchange,
        now_ms: i64,
    ) -> Result<bool, DeviceError> {
        let Exchange { session, done } = exchange;
        let Some(request) = session.next_request(now_ms) else { return Ok(false) };
        done.requests += 1;
        let delivery = transport.send(message::encode(&request)).await?;
        done.bytes_sent += delivery.bytes_sent;
        done.bytes_received += delivery.bytes_received;
        let reply = message::decode(&delivery.reply).map_err(|e| DeviceError::Protocol(e.to_string()))?;
        let step = session.receive(reply)?;
        self.check_receipts(&step)?;
        let complete = step.complete;
        self.commit(step, done).await?;
        if complete {
            session.go_on(self.store.unconfirmed().await?, self.store.unsent().await?);
        }
        Ok(true)
    }

    /// A server that is not the county's must not make anybody believe that their work has arrived.
    fn check_receipts(&self, step: &Persist) -> Result<(), DeviceError> {
        let Some(key) = self.config.server_key.filter(|_| !step.receipts.is_empty()) else { return Ok(()) };
        let is_signed = step.signature.as_ref().is_some_and(|(signature, time_ms)| {
            bundle::is_signed_by(&key, &message::receipt_statement(&step.receipts, *time_ms), signature)
        });
        let forged = "回执不是本县服务器签发的，已忽略 | a receipt that the county's server has not signed: ignored";
        if is_signed { Ok(()) } else { Err(DeviceError::Protocol(forged.into())) }
    }

    /// What the server has signed so far, oldest first: the proof that somebody's work has arrived.
    pub async fn receipts(&self) -> Result<Vec<SignedReceipt>, DeviceError> {
        Ok(self.store.receipts().await?)
    }

    /// The checkpoints of the server's audit log that this device has seen, oldest first: it is a witness of them.
    pub async fn checkpoints(&self) -> Result<Vec<String>, DeviceError> {
        Ok(self.store.checkpoints().await?.all().to_vec())
    }

    /// Stores one page.
    async fn commit(&self, step: Persist, done: &mut Exchanged) -> Result<(), DeviceError> {
        // A form that is being saved is finished first: what it was read from must not change under it.
        let _saving = self.saving.lock().await;
        // What is written anew into a document's successor must not be taken for what it was written from.
        let mut actors = || {
            self.lost_sight.fetch_add(1, Ordering::Relaxed);
            self.actor()
        };
        self.store.commit(&step, &mut actors).await?;
        if !step.dropped.is_empty() || !step.refusals.is_empty() {
            self.lost_sight.fetch_add(1, Ordering::Relaxed);
        }
        done.receipts.extend_from_slice(&step.receipts);
        done.documents += step.documents.len();
        done.clock_ahead_ms = step.clock_ahead_ms;
        done.refusals.extend(step.refusals);
        Ok(())
    }

    fn author(&self, how: Means, now_ms: i64) -> Author {
        let provenance = Provenance { who: self.config.who.clone(), how, source: None };
        Author { actor: self.actor(), provenance, time_s: now_ms / 1000 }
    }

    fn actor(&self) -> ActorId {
        // A document that lost changes of an actor would number its next ones alike, and two changes of one number
        // wedge a document for good: whoever goes on writing is another actor.
        let mut actor = self.config.actor;
        let lost_sight = self.lost_sight.load(Ordering::Relaxed).to_be_bytes();
        actor.0.iter_mut().zip(lost_sight).for_each(|(byte, other)| *byte ^= other);
        actor
    }
}
