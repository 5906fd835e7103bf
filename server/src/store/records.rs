//! What a store remembers beside documents, as its callers see it.

use importer::memory::Doubt;
use serde::Serialize;
use serde_json::value::RawValue;
use sync_protocol::bundle::PublicKeys;
use sync_protocol::{ActorId, Book, ChangeHash, DeviceId, Identity, RowId, UnitId, document::RefusalCode};

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

/// A row in dispute.
#[derive(Debug, Clone, Serialize)]
pub struct StoredConflict {
    /// The unit that owns the row.
    pub unit: UnitId,
    /// The book.
    pub book: Book,
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
    /// The person who carries it.
    pub owner: String,
    /// SHA-256 of its token: the token itself is nowhere.
    pub token_hash: [u8; 32],
    /// The top of its subtree.
    pub unit: UnitId,
    /// The books it holds.
    pub books: Vec<Book>,
    /// The public keys that follow from its token, for bundles.
    pub keys: Option<PublicKeys>,
}

/// Sizes, for people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
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
}

impl Batch {
    /// An id of random bytes.
    pub fn new_id(random: [u8; 16]) -> String {
        uuid::Builder::from_random_bytes(random).into_uuid().to_string()
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
