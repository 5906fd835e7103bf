//! The server's side of the exchange: runs the pure session against the store.

mod cache;
mod cursor;
mod feed;
mod push;
mod quarantine;
mod refusals;
mod repo;
pub(crate) mod steps;
mod workers;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use sha2::{Digest, Sha256};
use sync_protocol::{
    Book, ChangeHash, DeviceId, DocumentId, Identity, Tenant,
    bundle::Keys,
    catalogue::{Catalogue, Variables},
    document::{GateLimits, Refusal, RefusalCode},
    message::{Ask, ExchangeReply, ExchangeRequest, receipt_statement},
    session::{Effect, FeedPage, Judged, Scope, ServerSession, position_of},
};

use tokio::sync::broadcast;

use self::push::{Pushed, Sender};
use crate::{
    audit::Checkpoints,
    store::{Committed, Deed, DeviceRecord, Moved, Performed, Replacement, Store, StoreError, Visit},
};

/// Counters that tests and operators look at.
#[derive(Debug, Default)]
pub struct Counters {
    /// Exchanges answered.
    pub exchanges: AtomicU64,
    /// Documents loaded into automerge.
    pub documents_loaded: AtomicU64,
}

/// Why an exchange was not answered.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The request makes no sense.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store failed; the device keeps its changes and tries again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The exchange.
#[derive(Debug)]
pub struct Sync {
    store: Arc<dyn Store>,
    catalogue: Arc<Catalogue>,
    tenant: Tenant,
    /// Signs receipts.
    keys: Arc<Keys>,
    /// Seals cursors.
    cursor_key: Vec<u8>,
    /// Makes whoever gets a receipt a witness of the audit log.
    checkpoints: Arc<Checkpoints>,
    limits: GateLimits,
    /// Documents of one request that are worked on at once.
    pushes_at_once: usize,
    /// Values of county parameters by period, for what steps of workflows need.
    variables: Mutex<BTreeMap<String, Arc<Variables>>>,
    /// Deliveries to one document wait for one another here instead of making each other stale in the store; a few locks,
    /// shared by all documents, so that nothing grows. Other processes are still held off by the heads of a write.
    turns: Vec<tokio::sync::Mutex<()>>,
    /// Documents that were just written to.
    cache: cache::Cache,
    workers: workers::Workers,
    /// When devices were last here that only asked: noted once an hour, since a device that merely asks costs no write.
    asked: std::sync::Mutex<HashMap<DeviceId, i64>>,
    /// News for whoever is connected.
    feed: Arc<feed::Feed>,
    /// What happened so far.
    pub counters: Counters,
}

/// Bytes of documents that are kept loaded.
const CACHE_BYTES_MAX: usize = 64 << 20;

pub use quarantine::{AdmitError, note};

/// Periods of which the parameters are kept.
const PERIODS_MAX: usize = 64;

/// Documents that a device may ask about in one request.
const ASKS_MAX: usize = 5000;

/// Documents whose deliveries may be under way at once.
const TURNS: usize = 256;

impl Sync {
    /// An exchange on this store.
    pub fn new(
        store: Arc<dyn Store>,
        catalogue: Arc<Catalogue>,
        tenant: Tenant,
        (keys, cursor_key, checkpoints): (Arc<Keys>, Vec<u8>, Arc<Checkpoints>),
        (limits, pushes_at_once): (GateLimits, usize),
    ) -> Self {
        let counters = Counters::default();
        let turns = (0..TURNS).map(|_| tokio::sync::Mutex::new(())).collect();
        let cache = cache::Cache::new(CACHE_BYTES_MAX);
        let workers = workers::Workers::new();
        let feed = Arc::new(feed::Feed::new());
        Self {
            store,
            catalogue,
            tenant,
            keys,
            cursor_key,
            checkpoints,
            limits,
            pushes_at_once,
            variables: Mutex::default(),
            turns,
            cache,
            workers,
            asked: std::sync::Mutex::default(),
            feed,
            counters,
        }
    }

    /// Values of county parameters in a year.
    fn variables(&self, period: &str) -> Arc<Variables> {
        let mut known = self.variables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(variables) = known.get(period) {
            return variables.clone();
        }
        let variables = Arc::new(self.catalogue.variables(period.parse().unwrap_or_default(), None));
        // Whatever devices call a period, only years are kept.
        if known.len() < PERIODS_MAX {
            known.insert(period.to_owned(), variables.clone());
        }
        variables
    }

    /// The limits on what comes from outside.
    pub fn limits(&self) -> GateLimits {
        self.limits
    }

    /// News of everything that is written from now on, by whomever.
    pub async fn listen(&self) -> Result<broadcast::Receiver<Arc<Moved>>, StoreError> {
        self.feed.listen(&self.store).await
    }

    /// Those of these changes that are neither stored nor in quarantine.
    async fn unknown(&self, hashes: Vec<ChangeHash>) -> Result<Vec<ChangeHash>, StoreError> {
        let known = self.store.known_changes(&hashes).await?;
        let mut unknown = Vec::new();
        for hash in hashes.into_iter().filter(|hash| !known.contains(hash)) {
            if self.store.quarantined_change(hash).await?.is_none() {
                unknown.push(hash);
            }
        }
        Ok(unknown)
    }

    /// Whether a device of this scope may hold and write to a document.
    async fn is_in_scope(&self, scope: &Scope, identity: &Identity) -> Result<bool, StoreError> {
        Ok(scope.books.contains(&identity.book) && self.store.is_below(identity.unit, scope.unit).await?)
    }

    /// Puts a document's successor in its place.
    pub async fn replace(&self, replacement: &Replacement) -> Result<Committed, StoreError> {
        let id = replacement.write.document;
        let _turn = self.turn(id).lock().await;
        // What is kept loaded of it is thrown away, whatever comes of this.
        self.cache.take(id, &[]);
        self.store.replace(replacement).await
    }

    /// Carries out a use case that replaces these documents.
    pub async fn perform(&self, deed: &Deed, replaced: &BTreeSet<DocumentId>) -> Result<Performed, StoreError> {
        // Always in the same order, and each once: several documents may share a turn.
        let turns: BTreeSet<usize> = replaced.iter().map(|id| turn_of(*id)).collect();
        let mut held = Vec::with_capacity(turns.len());
        for turn in turns {
            held.push(self.turns[turn].lock().await);
        }
        for id in replaced {
            self.cache.take(*id, &[]);
        }
        self.store.perform(deed).await
    }

    /// The lock of a document.
    fn turn(&self, document: DocumentId) -> &tokio::sync::Mutex<()> {
        &self.turns[turn_of(document)]
    }

    /// Whether a visit in which nothing is sent is noted: the first of an hour, and each of a revoked device, so that it shows whether
    /// a lost phone has learned it.
    fn is_first_of_the_hour(&self, device: &DeviceRecord, now_ms: i64) -> bool {
        const HOUR_MS: i64 = 3_600_000;
        let mut asked = self.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let last = asked.get(&device.id).copied();
        let is_first = device.is_revoked || last.is_none_or(|last| (now_ms - last).abs() >= HOUR_MS);
        if is_first {
            asked.insert(device.id, now_ms);
        }
        is_first
    }

    /// Answers one request of a device. `now_ms` is the server's time.
    pub async fn exchange(
        &self,
        device: &DeviceRecord,
        mut request: ExchangeRequest,
        now_ms: i64,
    ) -> Result<ExchangeReply, ExchangeError> {
        self.counters.exchanges.fetch_add(1, Ordering::Relaxed);
        let scope = scope(device, self.store.moves(device.unit).await?);
        let device_time_ms = request.device_time_ms;
        let clock_ahead_ms = device_time_ms.saturating_sub(now_ms);
        let healing_until_ms = self.open_cursor(device, &mut request, now_ms).await?;
        // A longer time than is given was given while the clock was wrong.
        let heals_ms = healing_until_ms.saturating_sub(now_ms);
        if request.push.is_empty() && self.is_first_of_the_hour(device, now_ms) {
            let visit = Visit { device: device.id, at_ms: now_ms, clock_ahead_ms, oldest_unsent_ms: None };
            self.store.visited(visit).await?;
        }
        let sender = Sender { device, scope: &scope, may_heal: (1..=cursor::HEALING_MS).contains(&heals_ms) };
        let may_read = (!device.is_revoked).then_some(&scope);
        let (mut session, mut effect) = ServerSession::start(request, may_read)?;
        loop {
            effect = match effect {
                Effect::Store(pushes) => {
                    let Pushed { outcomes, oldest_s } = self.take(sender, pushes, now_ms).await?;
                    let oldest_unsent_ms = oldest_s.map(|s| device_time_ms.saturating_sub(s.saturating_mul(1000)));
                    let visit = Visit { device: device.id, at_ms: now_ms, clock_ahead_ms, oldest_unsent_ms };
                    self.store.visited(visit).await?;
                    session.stored(outcomes)
                }
                Effect::Judge(asks, held) => {
                    if asks.len() > ASKS_MAX || held.len() > ASKS_MAX {
                        let sentence = format!("more than {ASKS_MAX} documents or changes are asked about at once");
                        return Err(Refusal::new(RefusalCode::TooLarge, sentence).into());
                    }
                    let mut judged = Judged { unknown: self.unknown(held).await?, ..Judged::default() };
                    for Ask { identity, heads, held } in asks {
                        let holds = !device.is_revoked && self.is_in_scope(&scope, &identity).await?;
                        // What another device could only leave in quarantine, this one may bring into its document.
                        let lacks = if holds && device.may_write(identity.book) {
                            self.store.known_changes(&heads).await?.len() < heads.len()
                        } else {
                            !self.unknown(heads).await?.is_empty()
                        };
                        if lacks || !self.unknown(held).await?.is_empty() {
                            judged.wanted.push(identity);
                        } else if !holds {
                            judged.dropped.push(identity);
                        }
                    }
                    session.judged(judged)
                }
                Effect::ReadFeed(query) => session.page(self.store.feed(&scope, &query).await?, now_ms),
                Effect::Dismiss => session.page(FeedPage::empty(), now_ms),
                Effect::Reply(reply) => {
                    let opened = cursor::Opened { cursor: &reply.cursor, healing_until_ms };
                    let cursor = cursor::seal(&self.cursor_key, device.id, opened).into();
                    return Ok(self.signed(ExchangeReply { cursor, ..reply }).await);
                }
            };
        }
    }

    /// Takes the server's seal off the cursor of a request; returns until when its device may bring back what others wrote.
    async fn open_cursor(
        &self,
        device: &DeviceRecord,
        request: &mut ExchangeRequest,
        now_ms: i64,
    ) -> Result<i64, StoreError> {
        let sealed = request.cursor.take();
        let opened = sealed.as_ref().and_then(|sealed| cursor::open(&self.cursor_key, device.id, sealed));
        // A cursor of which nobody knows whose it is only costs a fresh start.
        let Some(cursor::Opened { cursor, healing_until_ms }) = opened else { return Ok(0) };
        request.cursor = Some(cursor.to_vec().into());
        match position_of(cursor) {
            Some(position) if !self.store.is_of_feed(&position).await? => {
                tracing::warn!(device = %device.id, "this server was set back: a device brings back what was lost");
                Ok(now_ms.saturating_add(cursor::HEALING_MS))
            }
            _ => Ok(healing_until_ms),
        }
    }

    async fn signed(&self, reply: ExchangeReply) -> ExchangeReply {
        // A quiet exchange stays small.
        if reply.receipts.is_empty() {
            return reply;
        }
        let statement = receipt_statement(&reply.receipts, reply.server_time_ms);
        let signature = Some(self.keys.sign(&statement).to_vec().into());
        ExchangeReply { signature, checkpoint: self.checkpoints.latest().await, ..reply }
    }
}

/// Which of the locks is a document's. Ids are hashes: any byte of them is as good as another.
fn turn_of(document: DocumentId) -> usize {
    usize::from(document.as_bytes()[15]) % TURNS
}

/// What a device may see and write. Its version follows from its content, and from the last move that has changed
/// what stands below its unit.
pub fn scope(device: &DeviceRecord, moves: i64) -> Scope {
    let books: Vec<&str> = device.books.iter().map(|book| Book::as_str(*book)).collect();
    let digest = Sha256::digest(format!("{}\0{}\0{moves}", device.unit, books.join(",")));
    let version = u64::from_be_bytes(digest[..8].try_into().expect("a digest is longer than 8 bytes"));
    Scope { unit: device.unit, books: device.books.clone(), version }
}
