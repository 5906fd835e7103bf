//! The server's side of the exchange: runs the pure session against the store.

mod cache;
mod push;
mod quarantine;
mod steps;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use sha2::{Digest, Sha256};
use sync_protocol::{
    Book, ChangeHash, DocumentId, Identity, Tenant,
    catalogue::{Catalogue, Variables},
    document::{GateLimits, Refusal, RefusalCode},
    message::{Ask, ExchangeReply, ExchangeRequest},
    session::{Effect, Judged, Scope, ServerSession},
};

use crate::store::{DeviceRecord, Store, StoreError};

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
    limits: GateLimits,
    /// Values of county parameters, for what steps of workflows need.
    variables: Arc<Variables>,
    /// Deliveries to one document wait for one another here instead of making each other stale in the store; a few locks,
    /// shared by all documents, so that nothing grows. Other processes are still held off by the heads of a write.
    turns: Vec<tokio::sync::Mutex<()>>,
    /// Documents that were just written to.
    cache: cache::Cache,
    /// What happened so far.
    pub counters: Counters,
}

/// Bytes of documents that are kept loaded.
const CACHE_BYTES_MAX: usize = 64 << 20;

pub use quarantine::AdmitError;

/// Documents that a device may ask about in one request.
const ASKS_MAX: usize = 5000;

/// Documents whose deliveries may be under way at once.
const TURNS: usize = 256;

impl Sync {
    /// An exchange on this store.
    pub fn new(store: Arc<dyn Store>, catalogue: Arc<Catalogue>, tenant: Tenant, campaign_year: i16) -> Self {
        let variables = Arc::new(catalogue.variables(campaign_year, None));
        let (limits, counters) = (GateLimits::default(), Counters::default());
        let turns = (0..TURNS).map(|_| tokio::sync::Mutex::new(())).collect();
        let cache = cache::Cache::new(CACHE_BYTES_MAX);
        Self { store, catalogue, tenant, limits, variables, turns, cache, counters }
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

    /// The lock of a document.
    fn turn(&self, document: DocumentId) -> &tokio::sync::Mutex<()> {
        // Ids are hashes: any byte of them is as good as another.
        &self.turns[usize::from(document.as_bytes()[15]) % TURNS]
    }

    /// Answers one request of a device. `now_ms` is the server's time.
    pub async fn exchange(
        &self,
        device: &DeviceRecord,
        request: ExchangeRequest,
        now_ms: i64,
    ) -> Result<ExchangeReply, ExchangeError> {
        self.counters.exchanges.fetch_add(1, Ordering::Relaxed);
        let scope = scope(device, self.store.moves().await?);
        let clock_ahead_ms = request.device_time_ms.saturating_sub(now_ms);
        let (mut session, mut effect) = ServerSession::start(request, &scope)?;
        loop {
            effect = match effect {
                Effect::Store(pushes) => {
                    let mut outcomes = Vec::new();
                    for push in pushes {
                        outcomes.extend(self.push(device, &scope, push, now_ms).await?);
                    }
                    // Only noted when something was sent: a device that merely asks costs no write.
                    self.store.device_seen(device.id, now_ms, clock_ahead_ms).await?;
                    session.stored(outcomes)
                }
                Effect::Judge(asks, held) => {
                    if asks.len() > ASKS_MAX || held.len() > ASKS_MAX {
                        let sentence = format!("more than {ASKS_MAX} documents or changes are asked about at once");
                        return Err(Refusal::new(RefusalCode::TooLarge, sentence).into());
                    }
                    let mut judged = Judged { unknown: self.unknown(held).await?, ..Judged::default() };
                    for Ask { identity, heads, held } in asks {
                        let may = self.is_in_scope(&scope, &identity).await?;
                        // What another device could only leave in quarantine, this one may bring into its document.
                        let lacks = if may {
                            self.store.known_changes(&heads).await?.len() < heads.len()
                        } else {
                            !self.unknown(heads).await?.is_empty()
                        };
                        if lacks || !self.unknown(held).await?.is_empty() {
                            judged.wanted.push(identity);
                        } else if !may {
                            judged.dropped.push(identity);
                        }
                    }
                    session.judged(judged)
                }
                Effect::ReadFeed(query) => {
                    let page = self.store.feed(&scope, &query).await?;
                    match session.page(page, now_ms) {
                        Effect::Reply(reply) => return Ok(reply),
                        _ => unreachable!("a page is always answered by the reply"),
                    }
                }
                Effect::Reply(reply) => return Ok(reply),
            };
        }
    }
}

/// What a device may see and write. Its version follows from its content, and from how often units have moved.
pub fn scope(device: &DeviceRecord, moves: i64) -> Scope {
    let books: Vec<&str> = device.books.iter().map(|book| Book::as_str(*book)).collect();
    let digest = Sha256::digest(format!("{}\0{}\0{moves}", device.unit, books.join(",")));
    let version = u64::from_be_bytes(digest[..8].try_into().expect("a digest is longer than 8 bytes"));
    Scope { unit: device.unit, books: device.books.clone(), version }
}

/// How a token is stored and looked up.
pub fn token_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
