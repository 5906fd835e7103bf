//! The embedded store: one SQLite file, WAL, one writer, a pool of readers.

mod accounts;
mod affirmed;
mod attachments;
mod attempts;
mod audit;
mod batches;
mod codec;
#[cfg(test)]
mod damage;
mod deed;
mod document_key;
mod document_keys;
mod enrolment;
mod erase;
mod examine;
mod facts;
mod feed;
mod file;
mod group;
mod guard;
mod keeper;
mod memory;
mod open;
mod people;
mod periods;
mod proposals;
mod quarantine;
mod read;
mod registry;
mod sealing;
mod seals;
mod submissions;
mod successors;
mod tallies;
mod tx;
mod units;
#[cfg(test)]
mod unsealed;
mod witness;
mod write;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use importer::{
    Memory,
    memory::{Decision, Doubt, Mapping},
};
use sqlx::SqlitePool;
use sync_protocol::{
    ActorId, Address, Book, ChangeHash, DeviceId, DocumentId, Identity, RowId, UnitId,
    document::RowKey,
    session::{FeedPage, FeedQuery, Position, Scope},
    unit::{Unit, UnitLevel},
};

use super::{
    Arrival, AttachmentPart, Batch, Committed, Deed, DeviceRecord, DocumentWrite, Head, Moved, PeopleStore, Performed,
    PeriodStore, ProjectedRow, ProposalStore, Quarantined, Received, Replacement, RowCount, SeenDevice, Store,
    StoreError, StoredBatch, StoredConflict, StoredDocument, StoredDoubt, StoredRow, StoredWrongStep, Submission,
    Tally, TallySum, Totals, Visit, examine::ExamineStore,
};

/// What the write-ahead log keeps of its size when all of it is in the database.
const LOG_BYTES_MAX: u64 = 32 << 20;

pub use document_keys::{FILE as DOCUMENT_KEYS, SUCCESSORS};
pub use facts::Facts;
pub use keeper::HighWater;
pub use witness::kept_checkpoints;

/// A store in one file.
#[derive(Debug)]
pub struct SqliteStore {
    writer: tx::Writer,
    readers: SqlitePool,
    commits: write::Commits,
    tally: Arc<dyn Tally>,
    guard: Arc<guard::Guard>,
    keeper: OnceLock<keeper::Keeper>,
    lasting: OnceLock<PathBuf>,
    keys: Arc<document_keys::DocumentKeys>,
    /// Whether the database says that it has keys.
    is_sealed: bool,
}

impl SqliteStore {
    /// What was committed, once it is kept how far the database has come; or why its file takes nothing any more.
    async fn kept<T: Send>(&self, committed: Result<T, StoreError>) -> Result<T, StoreError> {
        let committed = committed.map_err(|error| self.guard.refusal().map_or(error, Into::into))?;
        if let Some(keeper) = self.keeper.get() {
            keeper.committed().await;
        }
        Ok(committed)
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.guard.release();
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn people(&self) -> &dyn PeopleStore {
        self
    }

    async fn put_units(&self, units: &[Unit]) -> Result<(), StoreError> {
        units::put(&self.writer, units).await
    }

    async fn units(&self) -> Result<Vec<Unit>, StoreError> {
        registry::units(&self.readers).await
    }

    async fn unit(&self, unit: UnitId) -> Result<Option<Unit>, StoreError> {
        registry::unit(&self.readers, unit).await
    }

    async fn is_below(&self, unit: UnitId, top: UnitId) -> Result<bool, StoreError> {
        registry::is_below(&self.readers, unit, top).await
    }

    async fn document(&self, document: DocumentId) -> Result<Option<StoredDocument>, StoreError> {
        read::document(&self.readers, &self.keys, document).await
    }

    async fn head(&self, document: DocumentId) -> Result<Option<Head>, StoreError> {
        read::head(&self.readers, document).await
    }

    async fn identities(&self, units: &[UnitId]) -> Result<Vec<(Identity, Vec<ChangeHash>)>, StoreError> {
        read::identities(&self.readers, units).await
    }

    async fn all_identities(&self) -> Result<Vec<(Identity, Vec<ChangeHash>)>, StoreError> {
        read::all_identities(&self.readers).await
    }

    async fn newest_below(&self, unit: UnitId) -> Result<i64, StoreError> {
        feed::newest_below(&self.readers, unit).await
    }

    async fn seq_at(&self, time_ms: i64) -> Result<i64, StoreError> {
        feed::seq_at(&self.readers, time_ms).await
    }

    async fn changes_until(&self, document: DocumentId, seq: i64) -> Result<Vec<ChangeHash>, StoreError> {
        feed::changes_until(&self.readers, document, seq).await
    }

    async fn known_changes(&self, hashes: &[ChangeHash]) -> Result<BTreeSet<ChangeHash>, StoreError> {
        read::known_changes(&self.readers, hashes).await
    }

    async fn arrivals(&self, hashes: &[ChangeHash]) -> Result<BTreeMap<ChangeHash, Arrival>, StoreError> {
        read::arrivals(&self.readers, hashes).await
    }

    async fn writers(&self, actors: &BTreeSet<Vec<u8>>) -> Result<BTreeMap<Vec<u8>, Option<DeviceId>>, StoreError> {
        read::writers(&self.readers, actors).await
    }

    async fn is_of_feed(&self, position: &Position) -> Result<bool, StoreError> {
        feed::is_of_feed(&self.readers, position).await
    }

    async fn commit(&self, writes: Vec<DocumentWrite>) -> Result<Vec<Committed>, StoreError> {
        let committed = self.commits.commit(writes).await;
        self.kept(committed).await
    }

    async fn replace(&self, replacement: &Replacement) -> Result<Committed, StoreError> {
        erase::replace(&self.writer, (self.tally.as_ref(), &self.keys), replacement).await
    }

    async fn sweep(&self) -> Result<bool, StoreError> {
        erase::sweep(&self.writer, &self.keys).await
    }

    async fn erased_from(&self, unit: UnitId, row: &RowKey) -> Result<Vec<Book>, StoreError> {
        erase::erased_from(&self.readers, unit, row).await
    }

    async fn feed(&self, scope: &Scope, query: &FeedQuery) -> Result<FeedPage, StoreError> {
        feed::feed(&self.readers, &self.keys, scope, query).await
    }

    async fn newest(&self) -> Result<i64, StoreError> {
        feed::newest(&self.readers).await
    }

    async fn moved(&self, after: i64) -> Result<Moved, StoreError> {
        feed::moved(&self.readers, after).await
    }

    async fn moves(&self, unit: UnitId) -> Result<i64, StoreError> {
        registry::moves(&self.readers, unit).await
    }

    async fn rows(&self, ledger: &str, period: &str, units: &[UnitId]) -> Result<Vec<StoredRow>, StoreError> {
        read::rows(&self.readers, &self.keys, ledger, period, units).await
    }

    async fn sums_by_unit(
        &self,
        top: UnitId,
        level: UnitLevel,
        period: &str,
        measures: &[String],
    ) -> Result<Vec<TallySum>, StoreError> {
        tallies::sums_by_unit(&self.readers, top, level, period, measures).await
    }

    async fn row_counts(&self, ledgers: &[String], period: &str) -> Result<Vec<RowCount>, StoreError> {
        tallies::row_counts(&self.readers, ledgers, period).await
    }

    async fn sums_by_group(
        &self,
        top: UnitId,
        groups: &[String],
        period: &str,
        measures: &[String],
    ) -> Result<Vec<TallySum>, StoreError> {
        tallies::sums_by_group(&self.readers, top, groups, period, measures).await
    }

    async fn projection(&self, document: DocumentId) -> Result<Vec<ProjectedRow>, StoreError> {
        read::projection(&self.readers, &self.keys, document).await
    }

    async fn conflicts(&self) -> Result<Vec<StoredConflict>, StoreError> {
        read::conflicts(&self.readers, &self.keys).await
    }

    async fn quarantine(&self, held: &[Quarantined], bytes_max: i64) -> Result<bool, StoreError> {
        quarantine::put(&self.writer, &self.keys, held, bytes_max).await
    }

    async fn quarantined(&self) -> Result<Vec<Quarantined>, StoreError> {
        quarantine::all(&self.readers, &self.keys).await
    }

    async fn quarantined_change(&self, hash: ChangeHash) -> Result<Option<Quarantined>, StoreError> {
        quarantine::one(&self.readers, &self.keys, hash).await
    }

    async fn wrong_steps(&self) -> Result<Vec<StoredWrongStep>, StoreError> {
        read::wrong_steps(&self.readers).await
    }

    async fn put_device(&self, device: &DeviceRecord, now_ms: i64) -> Result<(), StoreError> {
        let mut tx = self.writer.begin().await?;
        registry::put_device(&mut *tx, device, now_ms).await?;
        tx.commit().await
    }

    async fn devices(&self) -> Result<Vec<SeenDevice>, StoreError> {
        registry::devices(&self.readers).await
    }

    async fn device(&self, device: DeviceId) -> Result<Option<DeviceRecord>, StoreError> {
        registry::device(&self.readers, "id", device.as_bytes().as_slice()).await
    }

    async fn device_by_token(&self, token_hash: &[u8; 32]) -> Result<Option<DeviceRecord>, StoreError> {
        registry::device(&self.readers, "token_hash", token_hash).await
    }

    async fn device_by_signing_key(&self, key: &[u8; 32]) -> Result<Option<DeviceRecord>, StoreError> {
        registry::device(&self.readers, "signing_key", key).await
    }

    async fn visited(&self, visit: Visit) -> Result<(), StoreError> {
        self.commits.seen(visit);
        Ok(())
    }

    async fn secret(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
        registry::secret(&self.writer, name, fresh).await
    }

    async fn put_secret(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        registry::put_secret(&self.writer, name, value).await
    }

    async fn forget_secrets(&self, names: &[&str]) -> Result<(), StoreError> {
        registry::forget_secrets(&self.writer, names).await
    }

    async fn get_secret(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        registry::get_secret(&self.readers, name).await
    }

    async fn own_changes(&self) -> Result<BTreeMap<Identity, BTreeSet<ChangeHash>>, StoreError> {
        batches::own_changes(&self.readers).await
    }

    async fn begin_batch(&self, batch: &Batch) -> Result<(), StoreError> {
        batches::begin(&self.writer, batch).await
    }

    async fn finish_batch(&self, id: &str, now_ms: i64, counts: &str) -> Result<(), StoreError> {
        batches::finish(&self.writer, id, now_ms, counts).await
    }

    async fn batches(&self) -> Result<Vec<StoredBatch>, StoreError> {
        batches::all(&self.readers).await
    }

    async fn documents_of(&self, actor: ActorId) -> Result<Vec<Identity>, StoreError> {
        batches::documents_of(&self.readers, actor).await
    }

    async fn batch_undone(&self, id: &str, now_ms: i64) -> Result<(), StoreError> {
        batches::undone(&self.writer, id, now_ms).await
    }

    async fn affirm(&self, batch: &str, cells: &[(DocumentId, &[Address])]) -> Result<(), StoreError> {
        affirmed::affirm(&self.writer, &self.keys, batch, cells).await
    }

    async fn remade(&self) -> Result<Vec<Identity>, StoreError> {
        batches::remade(&self.readers).await
    }

    async fn documents_affirmed(&self, batch: &str) -> Result<Vec<Identity>, StoreError> {
        affirmed::documents(&self.readers, batch).await
    }

    async fn affirmed(&self, document: DocumentId) -> Result<BTreeMap<String, BTreeSet<Address>>, StoreError> {
        affirmed::cells(&self.readers, &self.keys, document).await
    }

    async fn is_imported(&self, digest: &[u8; 32], period: &str) -> Result<bool, StoreError> {
        batches::is_imported(&self.readers, digest, period).await
    }

    async fn memory(&self, units: &[UnitId]) -> Result<Memory, StoreError> {
        memory::memory(&self.readers, units).await
    }

    async fn learn(
        &self,
        unit: UnitId,
        mappings: &[Mapping],
        decisions: &[(RowId, Decision)],
        who: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        memory::learn(&self.writer, unit, mappings, decisions, who, now_ms).await
    }

    async fn put_doubts(
        &self,
        batch: &str,
        digest: &[u8; 32],
        file: &[u8],
        doubts: &[Doubt],
    ) -> Result<(), StoreError> {
        memory::put_doubts(&self.writer, batch, digest, file, doubts).await
    }

    async fn doubts(&self) -> Result<Vec<StoredDoubt>, StoreError> {
        memory::doubts(&self.readers).await
    }

    async fn waiting_file(&self, digest: &[u8; 32]) -> Result<Option<Vec<u8>>, StoreError> {
        memory::waiting_file(&self.readers, digest).await
    }

    async fn settle_doubts(&self, doubts: &[RowId]) -> Result<(), StoreError> {
        memory::settle(&self.writer, doubts).await
    }

    async fn append_attachment(&self, part: &AttachmentPart) -> Result<Received, StoreError> {
        attachments::append(&self.writer, part).await
    }

    async fn attachment(&self, unit: UnitId, hash: &[u8; 32]) -> Result<Option<Vec<u8>>, StoreError> {
        attachments::one(&self.readers, unit, hash).await
    }

    async fn keep_seal(&self, code: &str, drawn: &str, at_ms: i64) -> Result<(), StoreError> {
        seals::keep(&self.writer, code, drawn, at_ms).await
    }

    async fn seal(&self, code: &str) -> Result<Option<String>, StoreError> {
        seals::of(&self.readers, code).await
    }

    async fn submissions(&self) -> Result<Vec<Submission>, StoreError> {
        submissions::all(&self.readers).await
    }

    async fn submitted_workbook(&self, number: i64) -> Result<Option<Vec<u8>>, StoreError> {
        submissions::workbook(&self.readers, number).await
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        read::totals(&self.readers).await
    }

    async fn check(&self) -> Result<Vec<String>, StoreError> {
        read::check(&self.readers).await
    }

    async fn can_write(&self) -> Result<(), StoreError> {
        // What is lost is said before anybody has tried.
        self.guard.is_right();
        match self.guard.refusal() {
            Some(refused) => Err(refused.into()),
            None => self.writer.probe().await,
        }
    }

    fn examine(&self) -> &dyn ExamineStore {
        self
    }

    async fn close(&self) {
        self.commits.close().await;
        if let Some(keeper) = self.keeper.get() {
            keeper.close().await;
        }
        self.guard.release();
        self.readers.close().await;
        self.writer.close().await;
    }

    fn proposals(&self) -> &dyn ProposalStore {
        self
    }

    fn periods(&self) -> &dyn PeriodStore {
        self
    }

    async fn perform(&self, deed: &Deed) -> Result<Performed, StoreError> {
        let lasting = self.lasting.get().map(PathBuf::as_path);
        let performed = deed::perform(&self.writer, (self.tally.as_ref(), &self.keys), lasting, deed).await;
        self.kept(performed).await
    }
}
