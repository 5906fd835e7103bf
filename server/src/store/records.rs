//! What a store remembers beside documents, as its callers see it.

use std::collections::BTreeSet;

use importer::memory::Doubt;
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use sync_protocol::bundle::{Keys, PublicKeys};
use sync_protocol::{
    ActorId, Book, ChangeHash, DeviceId, DocumentId, Identity, RowId, UnitId,
    document::{RefusalCode, RowKey},
    message::DocumentPull,
};

use super::{DocumentWrite, StoredDocument, people::PersonId};
use crate::auth::{Grant, Role};

/// A row that a return reads: open and restricted book still apart.
#[derive(Debug, Clone)]
pub struct StoredRow {
    /// The unit that owns it.
    pub unit: UnitId,
    /// The book.
    pub book: Book,
    /// The record.
    pub row: RowId,
    /// JSON object: column key → value.
    pub cells: String,
    /// Whether it was removed in this book.
    pub removed: bool,
}

/// A row that a tally reads.
#[derive(Debug, Clone, Copy)]
pub struct TallyRow<'a> {
    /// Catalogue id of the ledger.
    pub ledger: &'a str,
    /// The record.
    pub row: RowId,
    /// JSON object: column key → value.
    pub cells: &'a str,
    /// Whether it was removed in this book.
    pub removed: bool,
}

/// How many rows of a ledger stand in a unit: neither removed nor void.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowCount {
    /// The unit.
    pub unit: UnitId,
    /// Catalogue id of the ledger.
    pub ledger: String,
    /// How many.
    pub rows: i64,
    /// Those of them that nobody has reviewed: drafts, and what was sent back.
    pub unreviewed: i64,
}

/// A sum of tallies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TallySum {
    /// The unit or group it is of.
    pub of: SumOf,
    /// The measure's key.
    pub measure: String,
    /// The date, where the measure is kept apart by one.
    pub by: String,
    /// The sum.
    pub value: i64,
}

/// What a sum is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SumOf {
    /// A unit with everything below it.
    Unit(UnitId),
    /// The units that have this measure.
    Group(String),
}

/// A row in dispute.
#[derive(Debug, Clone, Serialize)]
pub struct StoredConflict {
    /// The unit that owns the row.
    pub unit: UnitId,
    /// The book.
    pub book: Book,
    /// The year.
    pub period: String,
    /// Catalogue id of the ledger.
    pub ledger: String,
    /// The record.
    pub row: RowId,
    /// The winning cells, to name the record.
    pub cells: Box<RawValue>,
    /// The conflicts as the projection keeps them.
    pub conflicts: Box<RawValue>,
}

/// An enrolled device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRecord {
    /// Its id.
    pub id: DeviceId,
    /// Its name in lists.
    pub name: String,
    /// The name of whoever carries it.
    pub owner: String,
    /// The person who carries it: what it may do follows theirs. None for one that was enrolled on the server itself.
    pub person: Option<PersonId>,
    /// SHA-256 of its token: the token itself is nowhere.
    pub token_hash: [u8; 32],
    /// What its carrier is.
    pub role: Role,
    /// The top of its subtree.
    pub unit: UnitId,
    /// The books it holds.
    pub books: Vec<Book>,
    /// Those of them that it may write to.
    pub writes: Vec<Book>,
    /// It may do nothing any more: what it still sends is kept for a supervisor.
    pub is_revoked: bool,
    /// Its public keys, for bundles.
    pub keys: Option<PublicKeys>,
}

impl DeviceRecord {
    /// A device that writes to these books of a unit and of those below it.
    pub fn new(id: DeviceId, (name, owner): (&str, &str), token: &str, unit: UnitId, books: &[Book]) -> Self {
        let is_office = books.iter().any(|book| book.is_restricted());
        Self {
            id,
            name: name.to_owned(),
            owner: owner.to_owned(),
            person: None,
            token_hash: token_hash(token),
            role: if is_office { Role::OfficeClerk } else { Role::FieldCadre },
            unit,
            books: books.to_vec(),
            writes: books.to_vec(),
            is_revoked: false,
            keys: Some(Keys::of(token.as_bytes()).public()),
        }
    }

    /// What it may do beside its books.
    pub fn grant(&self) -> Grant {
        Grant { role: self.role, unit: self.unit, is_handler: self.writes.iter().any(|book| book.is_restricted()) }
    }

    /// Whether it may write to this book, of a unit in its subtree.
    pub fn may_write(&self, book: Book) -> bool {
        !self.is_revoked && self.writes.contains(&book)
    }

    /// Whether it may see this book, of a unit in its subtree.
    pub fn may_read(&self, book: Book) -> bool {
        !self.is_revoked && self.books.contains(&book)
    }
}

/// How a token is stored and looked up.
pub fn token_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// A device, and what is known of its visits.
#[derive(Debug, Clone)]
pub struct SeenDevice {
    /// The device.
    pub device: DeviceRecord,
    /// When it was last here, if it ever was.
    pub last_seen_ms: Option<i64>,
    /// How far its clock was ahead of the server's.
    pub clock_ahead_ms: Option<i64>,
    /// How old its oldest unsent change was then.
    pub oldest_unsent_ms: Option<i64>,
    /// Who has invited it; none, if it was enrolled on the server itself, or at a time when that was not kept.
    pub invited_by: Option<String>,
    /// Somebody else has invited it, and the person whose device it is has not said yet that it is theirs.
    pub is_unconfirmed: bool,
}

/// What a device's visit tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// Whose it was.
    pub device: DeviceId,
    /// When.
    pub at_ms: i64,
    /// How far its clock was ahead of the server's.
    pub clock_ahead_ms: i64,
    /// How old its oldest unsent change was by its own clock.
    pub oldest_unsent_ms: Option<i64>,
}

/// How a change came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The device that brought it; none for imports and the server's own writes.
    pub device: Option<DeviceId>,
    /// The device whose actor wrote it: another one, where it was brought back to a server that had lost it.
    pub writer: Option<DeviceId>,
    /// When.
    pub received_at_ms: i64,
}

/// What is known of a document without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// What it is of.
    pub identity: Identity,
    /// Its newest changes.
    pub heads: Vec<ChangeHash>,
    /// How many changes stand behind its snapshot.
    pub loose: usize,
    /// Whether it stands for one from which something was erased.
    pub is_successor: bool,
}

/// A document's successor, to be put in its place.
#[derive(Debug, Clone)]
pub struct Replacement {
    /// The whole successor: a snapshot, its changes without bytes, all of its rows.
    pub write: DocumentWrite,
    /// What this replica had written and nobody else had yet, written anew on top of it.
    pub carried: Option<DocumentWrite>,
    /// Its first change.
    pub root: ChangeHash,
    /// The rows that it does not have any more.
    pub erased: BTreeSet<RowKey>,
    /// Changes in quarantine, already decided on, that have written to them.
    pub quarantined: Vec<ChangeHash>,
}

/// Documents that have changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moved {
    /// The number of the newest change.
    pub seq: i64,
    /// They.
    pub documents: Vec<MovedDocument>,
}

/// A document that has changed, once for each device that has written to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedDocument {
    /// Its id.
    pub document: DocumentId,
    /// The book.
    pub book: Book,
    /// Its unit and those above it.
    pub units: Vec<UnitId>,
    /// The device that has written to it, if it was one.
    pub device: Option<DeviceId>,
}

/// Sizes, for people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Totals {
    /// Units in the register.
    pub units: i64,
    /// Documents.
    pub documents: i64,
    /// Changes in the feed.
    pub changes: i64,
    /// Rows of open books that are not removed.
    pub rows: i64,
    /// Rows with conflicts.
    pub conflicts: i64,
}

/// An import, as it is remembered.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Its id.
    pub id: String,
    /// The file's name.
    pub file: String,
    /// SHA-256 of the file.
    pub digest: [u8; 32],
    /// When it began.
    pub started_at_ms: i64,
    /// The year that it was imported into; of what older programs have imported it is not known.
    pub period: Option<String>,
}

impl Batch {
    /// An id of random bytes.
    pub fn new_id(random: [u8; 16]) -> String {
        uuid::Builder::from_random_bytes(random).into_uuid().to_string()
    }

    /// The import of a file into a year.
    pub fn new((file, digest): (&str, [u8; 32]), period: String, random: [u8; 16], started_at_ms: i64) -> Self {
        let id = Self::new_id(random);
        Self { id, file: file.to_owned(), digest, started_at_ms, period: Some(period) }
    }

    /// The actor of all its changes: the id itself, so that they are found again.
    pub fn actor(&self) -> Option<ActorId> {
        uuid::Uuid::parse_str(&self.id).ok().map(|id| ActorId(id.into_bytes()))
    }
}

/// An import as it is remembered.
#[derive(Debug, Clone)]
pub struct StoredBatch {
    /// The import.
    pub batch: Batch,
    /// When it was done, if it was.
    pub finished_at_ms: Option<i64>,
    /// When it was taken back, if it was.
    pub undone_at_ms: Option<i64>,
}

/// A row that waits for a person to say whether it is a record that exists.
#[derive(Debug, Clone, Serialize)]
pub struct StoredDoubt {
    /// The question.
    #[serde(flatten)]
    pub doubt: Doubt,
    /// The file's name.
    pub file: String,
    /// SHA-256 of the file.
    #[serde(skip)]
    pub digest: [u8; 32],
}

/// A change that was not taken into its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its hash.
    pub hash: ChangeHash,
    /// The document that it was sent for.
    pub identity: Identity,
    /// The device that sent it.
    pub device: DeviceId,
    /// Why it was not taken.
    pub code: RefusalCode,
    /// The same in words.
    pub sentence: String,
    /// When it came in.
    pub received_at_ms: i64,
    /// Its chunk.
    pub bytes: Vec<u8>,
    /// What a supervisor has made of it.
    pub state: QuarantineState,
    /// Who that was.
    pub decided_by: Option<String>,
}

/// What a supervisor has made of a quarantined change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuarantineState {
    /// Nothing yet.
    Waiting,
    /// It was taken into its document.
    Admitted,
    /// It was not, and stays where it is.
    Rejected,
}

impl QuarantineState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Admitted, Self::Rejected];

    /// The name in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Admitted => "admitted",
            Self::Rejected => "rejected",
        }
    }
}

/// A document as a device takes it whole.
pub(crate) fn whole(stored: StoredDocument) -> DocumentPull {
    DocumentPull {
        identity: stored.identity,
        snapshot: stored.snapshot.map(Into::into),
        changes: stored.changes.into_iter().map(Into::into).collect(),
        whole: true,
        successor: stored.successor,
    }
}
