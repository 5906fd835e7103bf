//! Changes from a device into documents: permission, gate, apply, commit, and only then a receipt.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::{StreamExt, TryStreamExt, stream};
use sync_protocol::{
    ActorId, Book, ChangeHash, DeviceId, Document, DocumentId, Identity,
    catalogue::{Actor, Catalogue, Variables},
    conflict::Means,
    document::{
        AdmittedChange, Applied, Chunk, DocumentError, GateLimits, LocalChange, Refusal, RefusalCode, RowKey,
        change_actor, change_dependencies,
    },
    message::{DocumentPush, PushedChange},
    session::{NotTaken, Scope, StoreOutcome},
};

use super::{
    Sync,
    cache::Cached,
    refusals::{forbidden, foreign, sealed},
    steps::{self, Judge, Verdict},
};
use crate::{
    clock, projection,
    store::{
        Committed, Deed, DeviceRecord, DocumentWrite, Head, NewChange, Performed, ProposalWrites, QuarantineState,
        Quarantined, StoreError, StoredDocument, wants_snapshot,
    },
};

/// A change that was not taken: its hash, why, and its chunk.
pub(super) type Refused = (ChangeHash, Refusal, Vec<u8>);

/// Who sends changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) device: &'a DeviceRecord,
    pub(super) scope: &'a Scope,
    /// Whether it may bring back what others wrote: this server was set back, and the device has a proof of it.
    pub(super) may_heal: bool,
}

/// What is the same for all that a request brings.
struct Request<'a> {
    sender: Sender<'a>,
    actor: Actor,
    /// Changes of it that are here already.
    known: BTreeSet<ChangeHash>,
    spare: Arc<Spare>,
    now_ms: i64,
}

/// Operations beyond one for each byte that the changes of one request may unfold to: thousands of changes of a hundred bytes
/// each could keep the server busy for minutes.
struct Spare(AtomicU64);

impl Spare {
    fn take(&self, excess: u64) -> Result<(), Refusal> {
        let less = |left: u64| left.checked_sub(excess);
        let sentence = "the changes of one request have too many operations for their size: send fewer at once";
        let refusal = |_| Refusal::new(RefusalCode::TooLarge, sentence);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).map(|_| ()).map_err(refusal)
    }
}

/// As whose changes are stored.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    pub(super) device: DeviceId,
    /// Who carries it.
    pub(super) who: String,
    pub(super) actor: Actor,
    /// Whether new actors are the device's from now on.
    pub(super) binds: bool,
    /// Changes of others that it brings back: what workflows say of them was said when they came first.
    pub(super) trusted: BTreeSet<ChangeHash>,
}

/// What became of what a device sent.
#[derive(Debug, Default)]
pub(super) struct Pushed {
    /// An outcome for each change.
    pub(super) outcomes: Vec<StoreOutcome>,
    /// When the oldest new one of them was written, by its writer's clock, in seconds since 1970.
    pub(super) oldest_s: Option<i64>,
}

/// Bytes of one device that wait in quarantine: more than anybody types, less than would fill a disk.
const QUARANTINE_BYTES_MAX: i64 = 16 << 20;

/// Attempts when other writers keep coming first.
const ATTEMPTS_MAX: usize = 16;

impl Sync {
    /// Takes what a request brings.
    pub(super) async fn take(
        &self,
        sender: Sender<'_>,
        pushes: Vec<DocumentPush>,
        now_ms: i64,
    ) -> Result<Pushed, StoreError> {
        let changes = pushes.iter().flat_map(|push| &push.changes);
        let hashes: Vec<ChangeHash> = changes.map(|change| change.hash).collect();
        let known = self.store.known_changes(&hashes).await?;
        let actor = self.actor(sender.device).await?;
        let spare = Arc::new(Spare(AtomicU64::new(self.limits.ops_max as u64)));
        let request = Request { sender, actor, known, spare, now_ms };
        // Documents do not know of each other: what is under way at once is committed in one group.
        let pushes = by_document(pushes).map(|push| self.push(&request, push));
        let mut done = stream::iter(pushes).buffered(self.pushes_at_once);
        let mut all = Pushed::default();
        while let Some(Pushed { outcomes, oldest_s }) = done.try_next().await? {
            all.outcomes.extend(outcomes);
            all.oldest_s = all.oldest_s.into_iter().chain(oldest_s).min();
        }
        Ok(all)
    }

    /// Takes one document's changes.
    async fn push(&self, request: &Request<'_>, push: DocumentPush) -> Result<Pushed, StoreError> {
        let Request { sender: Sender { device, scope, may_heal }, actor, now_ms, .. } = *request;
        let DocumentPush { identity, changes } = push;
        // A device repeats itself until it has the receipt: what is known is acknowledged without loading anything.
        let (known, new): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| request.known.contains(&change.hash));
        let mut outcomes: Vec<StoreOutcome> = known.into_iter().map(|change| (change.hash, Ok(()))).collect();
        if new.is_empty() {
            return Ok(Pushed { outcomes, oldest_s: None });
        }
        let may = device.may_write(identity.book) && self.is_in_scope(scope, &identity).await?;
        let gate = Gate { catalogue: self.catalogue.clone(), limits: self.limits, spare: request.spare.clone() };
        let (admitted, mut refused) = self.workers.work(move || gate.look_at(new, identity.book)).await?;
        let writers = self.store.writers(&admitted.iter().map(AdmittedChange::actor).collect()).await?;
        // What is known of others may come from anybody; what is new, from whom it is.
        let is_own = |change: &AdmittedChange| {
            may_heal || writers.get(&change.actor()).is_none_or(|writer| *writer == Some(device.id))
        };
        let (admitted, others): (Vec<_>, Vec<_>) = admitted.into_iter().partition(|change| may && is_own(change));
        refused.extend(others.into_iter().map(|change| {
            let refusal = if may { foreign() } else { forbidden(device) };
            (change.hash(), refusal, change.bytes().to_vec())
        }));
        let oldest_s = admitted.iter().map(AdmittedChange::time_s).min();
        if !admitted.is_empty() {
            let is_others = |change: &&AdmittedChange| may_heal && !is_of(device, &writers, change);
            let trusted = admitted.iter().filter(is_others).map(AdmittedChange::hash).collect();
            let who = device.owner.clone();
            let writer = Writer { device: device.id, who, actor, binds: !may_heal, trusted };
            let late: Vec<(ChangeHash, Vec<u8>)> =
                admitted.iter().map(|change| (change.hash(), change.bytes().to_vec())).collect();
            let stored = match self.store_changes(writer, &identity, admitted, now_ms, None).await {
                Err(StoreError::Sealed(period)) => {
                    let held = late.into_iter().map(|(hash, bytes)| (hash, sealed(&period), bytes));
                    Some((Vec::new(), held.collect()))
                }
                stored => stored?,
            };
            let (taken, not_taken) = stored.unwrap_or_default();
            outcomes.extend(taken.into_iter().map(|hash| (hash, Ok(()))));
            refused.extend(not_taken);
        }
        outcomes.extend(self.hold(device, &identity, refused, now_ms).await?);
        Ok(Pushed { outcomes, oldest_s })
    }

    /// Keeps what was refused and may hold a person's work, for a supervisor to look at.
    async fn hold(
        &self,
        device: &DeviceRecord,
        identity: &Identity,
        refused: Vec<Refused>,
        now_ms: i64,
    ) -> Result<Vec<StoreOutcome>, StoreError> {
        let mut outcomes = Vec::new();
        // What builds upon a held change is held with it; what builds upon something else only came too early.
        let mut held: BTreeSet<ChangeHash> = BTreeSet::new();
        for (hash, refusal, bytes) in refused {
            let mut keep = refusal.code.may_hold_work();
            if refusal.code == RefusalCode::MissingDependencies {
                keep = false;
                for dependency in change_dependencies(&bytes).unwrap_or_default() {
                    keep |= held.contains(&dependency) || self.store.quarantined_change(dependency).await?.is_some();
                }
            }
            let quarantined = keep && {
                let change = Quarantined {
                    hash,
                    identity: identity.clone(),
                    device: device.id,
                    code: refusal.code,
                    sentence: refusal.sentence.clone(),
                    received_at_ms: now_ms,
                    bytes,
                    state: QuarantineState::Waiting,
                    decided_by: None,
                };
                self.store.quarantine(&[change], QUARANTINE_BYTES_MAX).await?
            };
            if quarantined {
                held.insert(hash);
            }
            outcomes.push((hash, Err(NotTaken { refusal, quarantined })));
        }
        Ok(outcomes)
    }

    /// Whom the device acts for, by its carrier's role and the level of the unit at the top of its scope.
    pub(super) async fn actor(&self, device: &DeviceRecord) -> Result<Actor, StoreError> {
        let unit = self.store.unit(device.unit).await?;
        Ok(unit.map_or(Actor::Branch, |unit| device.grant().acts_for(unit.level)))
    }

    /// The document as it is stored now.
    pub(super) async fn base(&self, id: DocumentId) -> Result<Base, StoreError> {
        let head = self.store.head(id).await?;
        if let Some(Head { heads, loose, .. }) = &head
            && let Some(cached) = self.cache.take(id, heads)
        {
            return Ok(Base { document: Loaded::Cached(Box::new(cached)), heads: heads.clone(), loose: *loose });
        }
        let stored = if head.is_some() { self.store.document(id).await? } else { None };
        self.counters.documents_loaded.fetch_add(u64::from(stored.is_some()), Ordering::Relaxed);
        let (heads, loose) =
            stored.as_ref().map_or((Vec::new(), 0), |stored| (stored.heads.clone(), stored.changes.len()));
        Ok(Base { document: Loaded::Stored(stored), heads, loose })
    }

    /// Applies and commits; starts anew when somebody else wrote to the document meanwhile. As a part of a use case all of the
    /// changes are taken with it, or nothing is done: none, if what that begins from is not so any more.
    pub(super) async fn store_changes(
        &self,
        writer: Writer,
        identity: &Identity,
        changes: Vec<AdmittedChange>,
        now_ms: i64,
        deed: Option<&Deed>,
    ) -> Result<Option<(Vec<ChangeHash>, Vec<Refused>)>, StoreError> {
        let id = identity.document(&self.tenant);
        // Held until the write is durable, on purpose: what follows would be stale otherwise.
        let _turn = self.turn(id).lock().await;
        for _ in 0..ATTEMPTS_MAX {
            let base = self.base(id).await?;
            let arrival = Arrival {
                document: id,
                identity: identity.clone(),
                writer: writer.clone(),
                received_at_ms: now_ms,
                new_actor: || ActorId(clock::random()),
                catalogue: self.catalogue.clone(),
                variables: self.variables(&identity.period),
            };
            let changes = changes.clone();
            let applied = self.workers.work(move || apply(&arrival, base, changes)).await??;
            let outcome = (applied.taken, applied.refused);
            let documents = applied.writes;
            let is_stored = match deed {
                Some(_) if !outcome.1.is_empty() => return Ok(Some(outcome)),
                Some(deed) => match self.store.perform(&Deed { documents, ..deed.clone() }).await? {
                    Performed::Done(_) => true,
                    Performed::Stale => false,
                    Performed::NotNow => return Ok(None),
                },
                None => self.store.commit(documents).await?.iter().all(|outcome| *outcome == Committed::Durable),
            };
            if is_stored {
                self.feed.hurry();
                self.cache.put(id, applied.document);
                return Ok(Some(outcome));
            }
        }
        Err(StoreError::Database(format!("document {id} is written to by too many at once")))
    }
}

/// Whether a change that a device brings back to a server that was set back is its own. Whose an actor is, the server may
/// have forgotten with the change; what a server itself has written, no device has.
fn is_of(device: &DeviceRecord, writers: &BTreeMap<Vec<u8>, Option<DeviceId>>, change: &AdmittedChange) -> bool {
    match writers.get(&change.actor()) {
        Some(writer) => *writer == Some(device.id),
        None => {
            change.provenance().is_none_or(|by| by.who == device.owner && !matches!(by.how, Means::Keep | Means::Carry))
        }
    }
}

/// One push for each document: what builds upon the same changes must not overtake one another.
fn by_document(pushes: Vec<DocumentPush>) -> impl Iterator<Item = DocumentPush> {
    let mut changes: BTreeMap<Identity, Vec<PushedChange>> = BTreeMap::new();
    for push in pushes {
        changes.entry(push.identity).or_default().extend(push.changes);
    }
    changes.into_iter().map(|(identity, changes)| DocumentPush { identity, changes })
}

/// What changes are checked against.
struct Gate {
    catalogue: Arc<Catalogue>,
    limits: GateLimits,
    spare: Arc<Spare>,
}

impl Gate {
    fn look_at(&self, changes: Vec<PushedChange>, book: Book) -> (Vec<AdmittedChange>, Vec<Refused>) {
        let (mut admitted, mut refused) = (Vec::new(), Vec::new());
        for change in changes {
            match self.admit(&change, book) {
                Ok(change) => admitted.push(change),
                Err(refusal) => refused.push((change.hash, refusal, Vec::from(change.bytes))),
            }
        }
        (admitted, refused)
    }

    fn admit(&self, change: &PushedChange, book: Book) -> Result<AdmittedChange, Refusal> {
        let chunk = Chunk::open(&change.bytes, &self.limits)?;
        // What is kept is kept under its name.
        if chunk.hash() != change.hash {
            return Err(Refusal::new(RefusalCode::Malformed, "the change does not have the hash it was sent under"));
        }
        self.spare.take(chunk.excess())?;
        chunk.admit(book, &self.catalogue, &self.limits)
    }
}

/// What a delivery is applied to.
pub(super) struct Base {
    pub(super) document: Loaded,
    pub(super) heads: Vec<ChangeHash>,
    /// Changes behind the snapshot.
    loose: usize,
}

/// A document, or what it is loaded from.
pub(super) enum Loaded {
    Cached(Box<Cached>),
    Stored(Option<StoredDocument>),
}

impl Loaded {
    pub(super) fn load(self) -> Result<Cached, StoreError> {
        let stored = match self {
            Loaded::Cached(cached) => return Ok(*cached),
            Loaded::Stored(None) => return Ok(Cached { document: Document::new(), saved_bytes: 0 }),
            Loaded::Stored(Some(stored)) => stored,
        };
        let snapshot = stored.snapshot.as_ref().map_or(0, Vec::len);
        let saved_bytes = snapshot + stored.changes.iter().map(Vec::len).sum::<usize>();
        let document = Document::load(stored.snapshot.as_deref(), &stored.changes)
            .map_err(|e| StoreError::Damaged(e.to_string()))?;
        Ok(Cached { document, saved_bytes })
    }
}

/// What is known of a delivery before its changes are looked at.
struct Arrival {
    document: DocumentId,
    identity: Identity,
    writer: Writer,
    received_at_ms: i64,
    /// Gives actors that nobody has used yet.
    new_actor: fn() -> ActorId,
    catalogue: Arc<Catalogue>,
    variables: Arc<Variables>,
}

struct Delivered {
    /// The document with what was taken.
    document: Cached,
    taken: Vec<ChangeHash>,
    refused: Vec<Refused>,
    /// What the device has written, and behind it what the server has to say about that; nothing when nothing could be
    /// applied.
    writes: Vec<DocumentWrite>,
}

/// Pure: a stored document and changes in, writes and outcomes out.
fn apply(
    arrival: &Arrival,
    Base { document, heads: expected_heads, loose }: Base,
    changes: Vec<AdmittedChange>,
) -> Result<Delivered, StoreError> {
    let Cached { mut document, mut saved_bytes } = document.load()?;
    let mut refused = Vec::new();
    let mut taken = Vec::new();
    let mut touched = BTreeSet::new();
    let mut original: Option<Document> = None;
    let mut take = |document: &mut Document, batch: Vec<AdmittedChange>| match document.apply(batch.clone()) {
        Ok(Applied { touched: rows, before }) => {
            original.get_or_insert(before);
            touched.extend(rows);
            taken.extend(batch);
            Ok(())
        }
        Err(error) => Err(error),
    };
    // All at once, which is the rule; one by one to find the bad one, which is the exception.
    if take(&mut document, changes.clone()).is_err() {
        for change in changes {
            let (hash, bytes) = (change.hash(), change.bytes().to_vec());
            if let Err(error) = take(&mut document, vec![change]) {
                let code = match error {
                    DocumentError::MissingDependencies(_) => RefusalCode::MissingDependencies,
                    DocumentError::Deleted(_) => RefusalCode::ForeignOperation,
                    _ => RefusalCode::Malformed,
                };
                refused.push((hash, Refusal::new(code, error.to_string()), bytes));
            }
        }
    }
    saved_bytes += taken.iter().map(|change| change.bytes().len()).sum::<usize>();
    let hashes = taken.iter().map(AdmittedChange::hash).collect();
    let mut writes = Vec::new();
    if let Some(before) = original {
        let Arrival { writer, catalogue, identity, .. } = arrival;
        let judge = Judge {
            catalogue,
            actor: writer.actor,
            who: &writer.who,
            trusted: &writer.trusted,
            is_twin: identity.book.is_restricted(),
        };
        let Verdict { restored, proposals } = judge.judge(&before, &document, &touched);
        let heads = document.heads();
        let own = document
            .restore(&restored, arrival.received_at_ms / 1000, &mut || (arrival.new_actor)())
            .map_err(|e| StoreError::Damaged(e.to_string()))?;
        saved_bytes += own.iter().map(|change| change.bytes.len()).sum::<usize>();
        let stand = |key: &RowKey| (key.clone(), before.row_state(key).row, document.row_state(key).row);
        let rows = &mut touched.iter().map(stand);
        let wrong_steps = steps::wrong_steps(rows, writer.actor, catalogue, &arrival.variables);
        let snapshot = wants_snapshot(loose, taken.len() + own.len()).then(|| document.save());
        let rows = projection::project(&document, &touched);
        let changes = taken.iter().map(|change| NewChange {
            hash: change.hash(),
            actor: change.actor(),
            bytes: Some(change.bytes().to_vec()),
        });
        writes.push(DocumentWrite {
            document: arrival.document,
            identity: identity.clone(),
            expected_heads,
            heads,
            changes: changes.collect(),
            snapshot: None,
            rows: Vec::new(),
            wrong_steps,
            device: Some(writer.device),
            received_at_ms: arrival.received_at_ms,
            binds: writer.binds,
            proposals: ProposalWrites { new: proposals, decided: None },
        });
        if !own.is_empty() {
            // The server's own, so that the device gets it like any other: in the same transaction, so that nobody sees one
            // without the other.
            let change = |LocalChange { hash, bytes }: LocalChange| {
                let actor = change_actor(&bytes).map_err(|e| StoreError::Damaged(e.to_string()))?;
                Ok(NewChange { hash, actor, bytes: Some(bytes) })
            };
            writes.push(DocumentWrite {
                document: arrival.document,
                identity: identity.clone(),
                expected_heads: writes[0].heads.clone(),
                heads: document.heads(),
                changes: own.into_iter().map(change).collect::<Result<_, StoreError>>()?,
                snapshot: None,
                rows: Vec::new(),
                wrong_steps: Vec::new(),
                device: None,
                received_at_ms: arrival.received_at_ms,
                binds: true,
                proposals: ProposalWrites::default(),
            });
        }
        if let Some(last) = writes.last_mut() {
            (last.snapshot, last.rows) = (snapshot, rows);
        }
    }
    Ok(Delivered { document: Cached { document, saved_bytes }, taken: hashes, refused, writes })
}
