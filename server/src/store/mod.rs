//! Where everything durable is. One trait, one atomic use case per method: no transaction crosses it, so that
//! another database can stand behind it without a caller noticing.

mod attachments;
mod blob;
mod deed;
mod error;
pub mod examine;
mod people;
mod periods;
mod proposals;
mod records;
mod refused;
pub mod sqlite;
mod submissions;
pub mod units;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use importer::{
    Memory,
    memory::{Decision, Doubt, Mapping},
};
use sync_protocol::{
    ActorId, Address, Book, ChangeHash, DeviceId, DocumentId, Identity, RowId, UnitId,
    document::RowKey,
    message::Successor,
    session::{FeedPage, FeedQuery, Position, Scope},
    unit::{Unit, UnitLevel},
};

pub use attachments::{AttachmentPart, Received};
pub use deed::{Act, CodeTaken, Deed, Hidden, Performed};
pub use error::StoreError;
pub use people::{
    ATTEMPTS_MS, Attempt, AuditEntry, AuditLine, Credentials, Failed, INVITATION_MS, Invitation, LET_IN_MS,
    PeopleStore, Person, PersonId, Standing,
};
pub use periods::{Opening, Period, PeriodStore, Seal};
pub use proposals::{
    NewProposal, Proposal, ProposalDecision, ProposalQuery, ProposalState, ProposalStore, ProposalWrites,
};
pub(crate) use records::whole;
pub use records::{
    Arrival, Batch, DeviceRecord, Head, Moved, MovedDocument, QuarantineState, Quarantined, Replacement, RowCount,
    SeenDevice, StoredBatch, StoredConflict, StoredDoubt, StoredRow, SumOf, TallyRow, TallySum, Totals, Visit,
    token_hash,
};
pub use refused::Refused;
pub use submissions::{Submission, SubmissionStep};
pub use units::{UnitChange, UnitFault};

/// A change on its way into the store.
#[derive(Debug, Clone)]
pub struct NewChange {
    /// Its hash: storing it twice is storing it once.
    pub hash: ChangeHash,
    /// Who wrote it.
    pub actor: Vec<u8>,
    /// Its chunk; `None` when it is only kept inside the snapshot of the same write.
    pub bytes: Option<Vec<u8>>,
}

/// A row of the projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectedRow {
    /// Catalogue id of the ledger.
    pub ledger: String,
    /// The record.
    pub row: RowId,
    /// JSON object: column key → winning value.
    pub cells: String,
    /// JSON array of conflicts, if there are any.
    pub conflicts: Option<String>,
    /// Whether the row was removed.
    pub removed: bool,
}

impl ProjectedRow {
    /// Whether nothing is left of it: an import that made it was taken back.
    pub fn is_gone(&self) -> bool {
        self.cells == "{}" && self.conflicts.is_none() && !self.removed
    }
}

/// A step of a workflow that was not allowed: kept, for a supervisor to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongStep {
    /// The row.
    pub row: RowKey,
    /// The column that holds the state.
    pub column: String,
    /// State before, if there was one.
    pub before: Option<String>,
    /// State after.
    pub after: String,
    /// What is wrong: the code of a `StepFault`.
    pub fault: String,
    /// Who made it, where no device has sent it.
    pub who: Option<String>,
}

/// Such a step as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWrongStep {
    /// The unit that owns the row.
    pub unit: UnitId,
    /// The year.
    pub period: String,
    /// The step.
    pub step: WrongStep,
    /// The person whose device sent it, or who imported it.
    pub who: String,
    /// When it came in.
    pub received_at_ms: i64,
}

/// Everything that changes with one write to one document, in one transaction.
#[derive(Debug, Clone)]
pub struct DocumentWrite {
    /// The document.
    pub document: DocumentId,
    /// What it is of.
    pub identity: Identity,
    /// The heads that this write was made from: if the document has others by now, nothing is written.
    pub expected_heads: Vec<ChangeHash>,
    /// The heads after it.
    pub heads: Vec<ChangeHash>,
    /// New changes, oldest first.
    pub changes: Vec<NewChange>,
    /// The whole document after the write, when it is time to keep one.
    pub snapshot: Option<Vec<u8>>,
    /// Rows that the write touched.
    pub rows: Vec<ProjectedRow>,
    /// Steps of workflows in it that were not allowed.
    pub wrong_steps: Vec<WrongStep>,
    /// The device that sent it; none for imports and the server's own writes.
    pub device: Option<DeviceId>,
    /// When it came in.
    pub received_at_ms: i64,
    /// Whether actors that nobody has used yet are the device's from now on, or the server's own.
    pub binds: bool,
    /// What it makes of proposals.
    pub proposals: ProposalWrites,
}

impl DocumentWrite {
    /// Bytes that will be written, roughly.
    pub fn bytes(&self) -> usize {
        let changes: usize = self.changes.iter().filter_map(|c| c.bytes.as_ref()).map(Vec::len).sum();
        let rows: usize = self.rows.iter().map(|row| row.cells.len()).sum();
        changes + rows + self.snapshot.as_ref().map_or(0, Vec::len)
    }

    /// Whether these are enough for one commit of work on many documents.
    pub(crate) fn are_enough<'w>(writes: impl Iterator<Item = &'w Self>) -> bool {
        const DOCUMENTS_MAX: usize = 64;
        const BYTES_MAX: usize = 4 << 20;
        let add = |(count, bytes): (usize, usize), write: &Self| (count + 1, bytes + write.bytes());
        let (count, bytes) = writes.fold((0, 0), add);
        count >= DOCUMENTS_MAX || bytes >= BYTES_MAX
    }
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// It is durable.
    Durable,
    /// Somebody else wrote first: read the document again and try again.
    Stale,
}

/// A document as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredDocument {
    /// What it is of.
    pub identity: Identity,
    /// Its heads.
    pub heads: Vec<ChangeHash>,
    /// What it stands for, where it is the successor of one of which rows were erased.
    pub successor: Option<Successor>,
    /// The whole document as of some time.
    pub snapshot: Option<Vec<u8>>,
    /// The changes since.
    pub changes: Vec<Vec<u8>>,
}

/// Changes behind a snapshot before a new one is kept.
const LOOSE_CHANGES_MAX: usize = 32;

/// Whether a document with this many changes behind its snapshot is worth a new one when more are added.
pub(crate) fn wants_snapshot(loose: usize, added: usize) -> bool {
    loose + added > LOOSE_CHANGES_MAX
}

/// What a store counts for each unit, whenever one of its documents changes.
pub trait Tally: Send + Sync + std::fmt::Debug {
    /// What a change of rows of these ledgers concerns; everything, if none are given.
    fn concerned(&self, touched: Option<&BTreeSet<&str>>) -> Concerned;

    /// Changes whenever it would count differently: then everything is counted anew.
    fn fingerprint(&self) -> [u8; 32];

    /// Counts the rows of one unit in a year: measure key, what it is kept apart by, value.
    fn tally(
        &self,
        period: &str,
        rows: &[TallyRow<'_>],
        concerned: &Concerned,
    ) -> Result<Vec<(String, String, i64)>, StoreError>;
}

/// Measures that have to be counted anew.
#[derive(Debug, Clone)]
pub struct Concerned {
    /// Their places.
    pub measures: Vec<usize>,
    /// The keys that they are stored under.
    pub keys: Vec<String>,
    /// The ledgers whose rows they read.
    pub ledgers: Vec<String>,
}

/// The store.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// The part that knows people.
    fn people(&self) -> &dyn PeopleStore;

    /// Adds units or brings them up to date; parents come before their children or are known. What nobody notes: for stores that
    /// are made up, and for repairs, which are noted as such.
    async fn put_units(&self, units: &[Unit]) -> Result<(), StoreError>;

    /// All units, parents first.
    async fn units(&self) -> Result<Vec<Unit>, StoreError>;

    /// One unit.
    async fn unit(&self, unit: UnitId) -> Result<Option<Unit>, StoreError>;

    /// Whether `unit` is `top` or stands below it.
    async fn is_below(&self, unit: UnitId, top: UnitId) -> Result<bool, StoreError>;

    /// A document with its bytes.
    async fn document(&self, document: DocumentId) -> Result<Option<StoredDocument>, StoreError>;

    /// What is known of a document without its bytes.
    async fn head(&self, document: DocumentId) -> Result<Option<Head>, StoreError>;

    /// The documents of these units, without bytes.
    async fn identities(&self, units: &[UnitId]) -> Result<Vec<(Identity, Vec<ChangeHash>)>, StoreError>;

    /// The number of the last change of a document of this unit or one below it.
    async fn newest_below(&self, unit: UnitId) -> Result<i64, StoreError>;

    /// The number of the last change that had come in by this time; zero before the first.
    async fn seq_at(&self, time_ms: i64) -> Result<i64, StoreError>;

    /// The changes of a document up to this number of the feed.
    async fn changes_until(&self, document: DocumentId, seq: i64) -> Result<Vec<ChangeHash>, StoreError>;

    /// Every document, without bytes, by id.
    async fn all_identities(&self) -> Result<Vec<(Identity, Vec<ChangeHash>)>, StoreError>;

    /// Which of these changes are stored.
    async fn known_changes(&self, hashes: &[ChangeHash]) -> Result<BTreeSet<ChangeHash>, StoreError>;

    /// How these changes came in, of those that are stored.
    async fn arrivals(&self, hashes: &[ChangeHash]) -> Result<BTreeMap<ChangeHash, Arrival>, StoreError>;

    /// Whose these actors are, of those that have written before: a device's, or the server's own (none).
    async fn writers(&self, actors: &BTreeSet<Vec<u8>>) -> Result<BTreeMap<Vec<u8>, Option<DeviceId>>, StoreError>;

    /// Whether a position is one of this feed. If it is not, the store was set back since it was given out.
    async fn is_of_feed(&self, position: &Position) -> Result<bool, StoreError>;

    /// Writes documents, each whole or not at all; returns when all of them are durable.
    async fn commit(&self, writes: Vec<DocumentWrite>) -> Result<Vec<Committed>, StoreError>;

    /// The part of the feed that a device has not seen; whole documents, where its position is not one of this feed.
    async fn feed(&self, scope: &Scope, query: &FeedQuery) -> Result<FeedPage, StoreError>;

    /// The number of the newest change.
    async fn newest(&self) -> Result<i64, StoreError>;

    /// The documents that have changes behind this number.
    async fn moved(&self, after: i64) -> Result<Moved, StoreError>;

    /// The number of the last move in the tree that has changed what stands below a unit.
    async fn moves(&self, unit: UnitId) -> Result<i64, StoreError>;

    /// The rows of a ledger in these units, open and restricted books, by unit.
    async fn rows(&self, ledger: &str, period: &str, units: &[UnitId]) -> Result<Vec<StoredRow>, StoreError>;

    /// How many rows of these ledgers stand in each unit.
    async fn row_counts(&self, ledgers: &[String], period: &str) -> Result<Vec<RowCount>, StoreError>;

    /// Sums of these measures for each unit of this level below `top` (with everything below it), or for `top` itself.
    async fn sums_by_unit(
        &self,
        top: UnitId,
        level: UnitLevel,
        period: &str,
        measures: &[String],
    ) -> Result<Vec<TallySum>, StoreError>;

    /// Sums of these measures over the units below `top` that have each of these group measures.
    async fn sums_by_group(
        &self,
        top: UnitId,
        groups: &[String],
        period: &str,
        measures: &[String],
    ) -> Result<Vec<TallySum>, StoreError>;

    /// The projection of one document.
    async fn projection(&self, document: DocumentId) -> Result<Vec<ProjectedRow>, StoreError>;

    /// Puts a document's successor in its place; stale, too, while changes of the document wait in quarantine.
    async fn replace(&self, replacement: &Replacement) -> Result<Committed, StoreError>;

    /// Makes sure that what was erased or replaced can be read from nowhere any more; `false` if nothing was since last time.
    async fn sweep(&self) -> Result<bool, StoreError>;

    /// The books from which this row of a unit was erased.
    async fn erased_from(&self, unit: UnitId, row: &RowKey) -> Result<Vec<Book>, StoreError>;

    /// Every row in dispute.
    async fn conflicts(&self) -> Result<Vec<StoredConflict>, StoreError>;

    /// Keeps changes that were not taken, all or none: `false` if what waits of their device would exceed `bytes_max`.
    async fn quarantine(&self, held: &[Quarantined], bytes_max: i64) -> Result<bool, StoreError>;

    /// All changes that were not taken, oldest first.
    async fn quarantined(&self) -> Result<Vec<Quarantined>, StoreError>;

    /// One of them.
    async fn quarantined_change(&self, hash: ChangeHash) -> Result<Option<Quarantined>, StoreError>;

    /// Steps of workflows that were not allowed, newest first.
    async fn wrong_steps(&self) -> Result<Vec<StoredWrongStep>, StoreError>;

    /// Enrols a device, or replaces what is known of it; one that was revoked stays as it is. What nobody notes: for stores
    /// that are made up.
    async fn put_device(&self, device: &DeviceRecord, now_ms: i64) -> Result<(), StoreError>;

    /// All devices, by name, and when they were here.
    async fn devices(&self) -> Result<Vec<SeenDevice>, StoreError>;

    /// The device with this id.
    async fn device(&self, device: DeviceId) -> Result<Option<DeviceRecord>, StoreError>;

    /// The device with this token.
    async fn device_by_token(&self, token_hash: &[u8; 32]) -> Result<Option<DeviceRecord>, StoreError>;

    /// The device that signs bundles with this key.
    async fn device_by_signing_key(&self, key: &[u8; 32]) -> Result<Option<DeviceRecord>, StoreError>;

    /// Notes that a device was here; may reach the disk a little later.
    async fn visited(&self, visit: Visit) -> Result<(), StoreError>;

    /// A secret of this installation: the stored one, or `fresh` from now on.
    async fn secret(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// Puts a secret in place of whatever is there: what an office gets from its county.
    async fn put_secret(&self, name: &str, value: &[u8]) -> Result<(), StoreError>;

    /// Forgets secrets that are kept elsewhere from now on; the next sweep takes what is left of them.
    async fn forget_secrets(&self, names: &[&str]) -> Result<(), StoreError>;

    /// A secret, if there is one.
    async fn get_secret(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// The changes that no device has sent: imports of this very store, and what took them back.
    async fn own_changes(&self) -> Result<BTreeMap<Identity, BTreeSet<ChangeHash>>, StoreError>;

    /// Remembers that an import began.
    async fn begin_batch(&self, batch: &Batch) -> Result<(), StoreError>;

    /// Remembers that it ended, with its counts as JSON.
    async fn finish_batch(&self, id: &str, now_ms: i64, counts: &str) -> Result<(), StoreError>;

    /// All imports, the newest first.
    async fn batches(&self) -> Result<Vec<StoredBatch>, StoreError>;

    /// The documents that an actor has written to.
    async fn documents_of(&self, actor: ActorId) -> Result<Vec<Identity>, StoreError>;

    /// Notes that an import was taken back.
    async fn batch_undone(&self, id: &str, now_ms: i64) -> Result<(), StoreError>;

    /// Whether a file with this digest was imported whole into this year: one that had refused rows is worth another try.
    async fn is_imported(&self, digest: &[u8; 32], period: &str) -> Result<bool, StoreError>;

    /// What people have decided about files; of headers, what these units said, a later one before an earlier.
    async fn memory(&self, units: &[UnitId]) -> Result<Memory, StoreError>;

    /// Remembers what a person of this unit has decided.
    async fn learn(
        &self,
        unit: UnitId,
        mappings: &[Mapping],
        decisions: &[(RowId, Decision)],
        who: &str,
        now_ms: i64,
    ) -> Result<(), StoreError>;

    /// Keeps rows of an import that wait for a person, and the file that holds them.
    async fn put_doubts(&self, batch: &str, digest: &[u8; 32], file: &[u8], doubts: &[Doubt])
    -> Result<(), StoreError>;

    /// Rows that wait for a person, in the order of their imports.
    async fn doubts(&self) -> Result<Vec<StoredDoubt>, StoreError>;

    /// A file of which rows wait.
    async fn waiting_file(&self, digest: &[u8; 32]) -> Result<Option<Vec<u8>>, StoreError>;

    /// These rows wait no longer; a file of which none waits is forgotten.
    async fn settle_doubts(&self, doubts: &[RowId]) -> Result<(), StoreError>;

    /// Takes a part of a photo, if it begins where the last one has ended; says how much there is now.
    async fn append_attachment(&self, part: &AttachmentPart) -> Result<Received, StoreError>;

    /// A photo, once it is whole.
    async fn attachment(&self, unit: UnitId, hash: &[u8; 32]) -> Result<Option<Vec<u8>>, StoreError>;

    /// All submitted returns, the oldest first.
    async fn submissions(&self) -> Result<Vec<Submission>, StoreError>;

    /// Keeps of what a sealed return was drawn, by the code that is printed on it.
    async fn keep_seal(&self, code: &str, drawn: &str, at_ms: i64) -> Result<(), StoreError>;

    /// Of what the return with this code was drawn.
    async fn seal(&self, code: &str) -> Result<Option<String>, StoreError>;

    /// The workbook of one.
    async fn submitted_workbook(&self, number: i64) -> Result<Option<Vec<u8>>, StoreError>;

    /// Sizes.
    async fn totals(&self) -> Result<Totals, StoreError>;

    /// The database's own check of itself: what is wrong, one sentence each.
    async fn check(&self) -> Result<Vec<String>, StoreError>;

    /// Whether something can be saved now; an error says why not.
    async fn can_write(&self) -> Result<(), StoreError>;

    /// The part that is looked over.
    fn examine(&self) -> &dyn examine::ExamineStore;

    /// Ends the writer after what is under way.
    async fn close(&self);

    /// The part that knows proposals.
    fn proposals(&self) -> &dyn ProposalStore;

    /// The part that knows years.
    fn periods(&self) -> &dyn PeriodStore;

    /// Carries out a use case: all of it with its lines of the audit log, or nothing.
    async fn perform(&self, deed: &Deed) -> Result<Performed, StoreError>;

    /// Notes cells that an import has found saying what its file says.
    async fn affirm(&self, batch: &str, cells: &[(DocumentId, &[Address])]) -> Result<(), StoreError>;

    /// The documents that begin anew because something was erased from them.
    async fn remade(&self) -> Result<Vec<Identity>, StoreError>;

    /// The documents in which an import has found such cells.
    async fn documents_affirmed(&self, batch: &str) -> Result<Vec<Identity>, StoreError>;

    /// The cells of a document that imports have found so, by import.
    async fn affirmed(&self, document: DocumentId) -> Result<BTreeMap<String, BTreeSet<Address>>, StoreError>;
}

/// An actor as stored.
pub fn actor_bytes(actor: ActorId) -> Vec<u8> {
    actor.0.to_vec()
}
