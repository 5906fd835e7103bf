//! The server's store with a hand on it: it dies at a commit, or has a fault built in that the simulator must find.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use importer::{
    Memory,
    memory::{Decision, Doubt, Mapping},
};
use server::store::{
    Act, Arrival, AttachmentPart, Batch, Committed, Deed, DeviceRecord, DocumentWrite, Head, Moved, PeopleStore,
    Performed, PeriodStore, ProjectedRow, ProposalStore, Quarantined, Received, Replacement, RowCount, SeenDevice,
    Store, StoreError, StoredBatch, StoredConflict, StoredDocument, StoredDoubt, StoredRow, StoredWrongStep,
    Submission, TallySum, Totals, Visit, examine::ExamineStore,
};
use sync_protocol::{
    ActorId, Address, Book, ChangeHash, DeviceId, DocumentId, Identity, RowId, UnitId,
    document::RowKey,
    session::{FeedPage, FeedQuery, Position, Scope},
    unit::{Unit, UnitLevel},
};

use super::plan::Death;

/// A fault that a server could have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// It acknowledges what it has not stored.
    AcknowledgesTooEarly,
    /// It takes a change that it has for an error.
    ForgetsWhatItHas,
    /// Its cursor passes a change that it has not sent.
    PassesOver,
    /// It does not list conflicts.
    HidesConflicts,
    /// It takes a mask for a value.
    TakesMasks,
    /// It takes 待补 for somebody's number.
    TakesPlaceholdersForKeys,
    /// It takes the signatures below a table for a record.
    TakesSignaturesForRecords,
    /// It reads nothing of a text that was saved on Windows.
    ReadsNoWindowsFiles,
    /// It does not say what it has left out.
    LeavesOutInSilence,
    /// Taking back an import, it takes back what others have written.
    TakesBackOthers,
    /// Once its disk was full, it saves nothing any more.
    StopsSaving,
    /// It does what it does not note.
    NotesNothing,
    /// Another token brings back a device that was revoked.
    RevivesRevoked,
    /// It writes whatever a village's ledger says.
    LetsVillagesDecide,
}

impl Mutant {
    /// All of them, with their names on the command line.
    pub const ALL: [(&'static str, Mutant); 14] = [
        ("acknowledges-too-early", Mutant::AcknowledgesTooEarly),
        ("forgets-what-it-has", Mutant::ForgetsWhatItHas),
        ("passes-over", Mutant::PassesOver),
        ("hides-conflicts", Mutant::HidesConflicts),
        ("takes-masks", Mutant::TakesMasks),
        ("takes-placeholders-for-keys", Mutant::TakesPlaceholdersForKeys),
        ("takes-signatures-for-records", Mutant::TakesSignaturesForRecords),
        ("reads-no-windows-files", Mutant::ReadsNoWindowsFiles),
        ("leaves-out-in-silence", Mutant::LeavesOutInSilence),
        ("takes-back-others", Mutant::TakesBackOthers),
        ("stops-saving", Mutant::StopsSaving),
        ("notes-nothing", Mutant::NotesNothing),
        ("revives-revoked", Mutant::RevivesRevoked),
        ("lets-villages-decide", Mutant::LetsVillagesDecide),
    ];
}

/// A store that can be made to fail.
#[derive(Debug)]
pub(super) struct Faulty {
    inner: Arc<dyn Store>,
    mutant: Option<Mutant>,
    death: Mutex<Option<Death>>,
    commits: Mutex<u32>,
    is_full: AtomicBool,
    has_failed: AtomicBool,
    revived: Mutex<BTreeSet<DeviceId>>,
}

impl Faulty {
    pub(super) fn new(inner: Arc<dyn Store>, mutant: Option<Mutant>) -> Self {
        Self {
            inner,
            mutant,
            death: Mutex::default(),
            commits: Mutex::default(),
            is_full: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            revived: Mutex::default(),
        }
    }

    /// Arms the next death.
    pub(super) fn die(&self, death: Death) {
        *self.death.lock().unwrap_or_else(PoisonError::into_inner) = Some(death);
    }

    /// Commits find the disk full, until it has room again. Whoever was to die at one does not.
    pub(super) fn fill(&self) {
        *self.death.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.is_full.store(true, Ordering::Relaxed);
    }

    /// The disk has room again.
    pub(super) fn free(&self) {
        let goes_on = self.mutant != Some(Mutant::StopsSaving) || !self.has_failed.load(Ordering::Relaxed);
        if goes_on {
            self.is_full.store(false, Ordering::Relaxed);
        }
    }

    /// Whether this commit is the last: and whether it is stored.
    fn dies(&self) -> Option<bool> {
        let mut death = self.death.lock().unwrap_or_else(PoisonError::into_inner);
        match death.as_mut() {
            Some(Death { after: 0, stored }) => {
                let stored = *stored;
                *death = None;
                Some(stored)
            }
            Some(Death { after, .. }) => {
                *after -= 1;
                None
            }
            None => None,
        }
    }

    /// Every fifth time: a fault that shows always would be found without a simulator.
    fn is_turn(&self) -> bool {
        let mut commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        *commits += 1;
        commits.is_multiple_of(5)
    }

    async fn write(&self, mut writes: Vec<DocumentWrite>) -> Result<Vec<Committed>, StoreError> {
        if self.is_full.load(Ordering::Relaxed) {
            self.has_failed.store(true, Ordering::Relaxed);
            return Err(StoreError::Full);
        }
        let died = || StoreError::Database("the server has died".into());
        match self.dies() {
            Some(false) => return Err(died()),
            Some(true) => {
                self.inner.commit(writes).await?;
                return Err(died());
            }
            None => {}
        }
        match self.mutant {
            Some(Mutant::AcknowledgesTooEarly) if self.is_turn() => Ok(vec![Committed::Durable; writes.len()]),
            Some(Mutant::HidesConflicts) => {
                writes.iter_mut().flat_map(|write| &mut write.rows).for_each(|row| row.conflicts = None);
                self.inner.commit(writes).await
            }
            _ => self.inner.commit(writes).await,
        }
    }

    async fn act(&self, deed: &Deed) -> Result<Performed, StoreError> {
        let mut deed = deed.clone();
        match (self.mutant, &deed.act) {
            (Some(Mutant::NotesNothing), _) => deed.notes.clear(),
            (Some(Mutant::RevivesRevoked), Act::RotateToken { device, .. }) => {
                self.revived.lock().unwrap_or_else(PoisonError::into_inner).insert(*device);
                return Ok(Performed::Done(None));
            }
            (Some(Mutant::HidesConflicts), _) => {
                deed.documents.iter_mut().flat_map(|write| &mut write.rows).for_each(|row| row.conflicts = None);
            }
            _ => {}
        }
        // It dies where it writes changes.
        let death = if deed.documents.is_empty() { None } else { self.dies() };
        let end = || StoreError::Database("the server has died".into());
        match death {
            Some(false) => Err(end()),
            Some(true) => {
                self.inner.perform(&deed).await?;
                Err(end())
            }
            None => self.inner.perform(&deed).await,
        }
    }

    async fn enrolled(&self, device: DeviceId) -> Result<Option<DeviceRecord>, StoreError> {
        let is_revived = self.revived.lock().unwrap_or_else(PoisonError::into_inner).contains(&device);
        let record = self.inner.device(device).await?;
        Ok(record.map(|record| DeviceRecord { is_revoked: record.is_revoked && !is_revived, ..record }))
    }

    async fn known(&self, hashes: &[ChangeHash]) -> Result<BTreeSet<ChangeHash>, StoreError> {
        let known = self.inner.known_changes(hashes).await?;
        if self.mutant == Some(Mutant::ForgetsWhatItHas) && !known.is_empty() {
            return Err(StoreError::Database("UNIQUE constraint failed: changes.hash".into()));
        }
        Ok(known)
    }

    async fn page(&self, scope: &Scope, query: &FeedQuery) -> Result<FeedPage, StoreError> {
        let mut page = self.inner.feed(scope, query).await?;
        if self.mutant == Some(Mutant::PassesOver) && !page.restart && self.is_turn() {
            page.documents.pop();
        }
        Ok(page)
    }
}

/// The whole trait: what is named after the arrow is this store's own, everything else the one behind it.
macro_rules! delegate {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty $(=> $own:ident)?;)*) => {
        #[async_trait]
        impl Store for Faulty {
            fn people(&self) -> &dyn PeopleStore {
                self.inner.people()
            }
            fn examine(&self) -> &dyn ExamineStore {
                self.inner.examine()
            }
            $(async fn $name(&self, $($argument: $type),*) -> Result<$result, StoreError> {
                delegate!(@call self, $name($($argument),*) $($own)?)
            })*
            async fn close(&self) {
                self.inner.close().await;
            }
            fn proposals(&self) -> &dyn ProposalStore {
                self.inner.proposals()
            }
            fn periods(&self) -> &dyn PeriodStore {
                self.inner.periods()
            }
        }
    };
    (@call $self:ident, $name:ident($($argument:ident),*)) => { $self.inner.$name($($argument),*).await };
    (@call $self:ident, $name:ident($($argument:ident),*) $own:ident) => { $self.$own($($argument),*).await };
}

delegate! {
    fn put_units(units: &[Unit]) -> ();
    fn units() -> Vec<Unit>;
    fn unit(unit: UnitId) -> Option<Unit>;
    fn is_below(unit: UnitId, top: UnitId) -> bool;
    fn document(document: DocumentId) -> Option<StoredDocument>;
    fn head(document: DocumentId) -> Option<Head>;
    fn identities(units: &[UnitId]) -> Vec<(Identity, Vec<ChangeHash>)>;
    fn newest_below(unit: UnitId) -> i64;
    fn seq_at(time_ms: i64) -> i64;
    fn changes_until(document: DocumentId, seq: i64) -> Vec<ChangeHash>;
    fn all_identities() -> Vec<(Identity, Vec<ChangeHash>)>;
    fn known_changes(hashes: &[ChangeHash]) -> BTreeSet<ChangeHash> => known;
    fn arrivals(hashes: &[ChangeHash]) -> BTreeMap<ChangeHash, Arrival>;
    fn writers(actors: &BTreeSet<Vec<u8>>) -> BTreeMap<Vec<u8>, Option<DeviceId>>;
    fn is_of_feed(position: &Position) -> bool;
    fn commit(writes: Vec<DocumentWrite>) -> Vec<Committed> => write;
    fn replace(replacement: &Replacement) -> Committed;
    fn sweep() -> bool;
    fn erased_from(unit: UnitId, row: &RowKey) -> Vec<Book>;
    fn feed(scope: &Scope, query: &FeedQuery) -> FeedPage => page;
    fn newest() -> i64;
    fn moved(after: i64) -> Moved;
    fn moves(unit: UnitId) -> i64;
    fn rows(ledger: &str, period: &str, units: &[UnitId]) -> Vec<StoredRow>;
    fn row_counts(ledgers: &[String], period: &str) -> Vec<RowCount>;
    fn sums_by_unit(top: UnitId, level: UnitLevel, period: &str, measures: &[String]) -> Vec<TallySum>;
    fn sums_by_group(top: UnitId, groups: &[String], period: &str, measures: &[String]) -> Vec<TallySum>;
    fn projection(document: DocumentId) -> Vec<ProjectedRow>;
    fn conflicts() -> Vec<StoredConflict>;
    fn quarantine(held: &[Quarantined], bytes_max: i64) -> bool;
    fn quarantined() -> Vec<Quarantined>;
    fn quarantined_change(hash: ChangeHash) -> Option<Quarantined>;
    fn wrong_steps() -> Vec<StoredWrongStep>;
    fn put_device(device: &DeviceRecord, now_ms: i64) -> ();
    fn devices() -> Vec<SeenDevice>;
    fn device(device: DeviceId) -> Option<DeviceRecord> => enrolled;
    fn device_by_token(token_hash: &[u8; 32]) -> Option<DeviceRecord>;
    fn visited(visit: Visit) -> ();
    fn secret(name: &str, fresh: &[u8]) -> Vec<u8>;
    fn device_by_signing_key(key: &[u8; 32]) -> Option<DeviceRecord>;
    fn put_secret(name: &str, value: &[u8]) -> ();
    fn forget_secrets(names: &[&str]) -> ();
    fn get_secret(name: &str) -> Option<Vec<u8>>;
    fn own_changes() -> BTreeMap<Identity, BTreeSet<ChangeHash>>;
    fn begin_batch(batch: &Batch) -> ();
    fn finish_batch(id: &str, now_ms: i64, counts: &str) -> ();
    fn batches() -> Vec<StoredBatch>;
    fn documents_of(actor: ActorId) -> Vec<Identity>;
    fn batch_undone(id: &str, now_ms: i64) -> ();
    fn is_imported(digest: &[u8; 32], period: &str) -> bool;
    fn memory(units: &[UnitId]) -> Memory;
    fn learn(unit: UnitId, mappings: &[Mapping], decisions: &[(RowId, Decision)], who: &str, now_ms: i64) -> ();
    fn put_doubts(batch: &str, digest: &[u8; 32], file: &[u8], doubts: &[Doubt]) -> ();
    fn doubts() -> Vec<StoredDoubt>;
    fn waiting_file(digest: &[u8; 32]) -> Option<Vec<u8>>;
    fn settle_doubts(doubts: &[RowId]) -> ();
    fn totals() -> Totals;
    fn append_attachment(part: &AttachmentPart) -> Received;
    fn attachment(unit: UnitId, hash: &[u8; 32]) -> Option<Vec<u8>>;
    fn submissions() -> Vec<Submission>;
    fn keep_seal(code: &str, drawn: &str, at_ms: i64) -> ();
    fn seal(code: &str) -> Option<String>;
    fn submitted_workbook(number: i64) -> Option<Vec<u8>>;
    fn check() -> Vec<String>;
    fn can_write() -> ();
    fn perform(deed: &Deed) -> Performed => act;
    fn affirm(batch: &str, cells: &[(DocumentId, &[Address])]) -> ();
    fn remade() -> Vec<Identity>;
    fn documents_affirmed(batch: &str) -> Vec<Identity>;
    fn affirmed(document: DocumentId) -> BTreeMap<String, BTreeSet<Address>>;
}
