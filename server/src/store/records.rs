//! What a store remembers beside documents, as its callers see it.

use importer::memory::Doubt;
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use sync_protocol::bundle::{Keys, PublicKeys};
use sync_protocol::{ActorId, Book, ChangeHash, DeviceId, DocumentId, Identity, RowId, UnitId, document::RefusalCode};

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
    /// What it may do.
    pub access: Access,
    /// The public keys that follow from its token, for bundles.
    pub keys: Option<PublicKeys>,
}

impl DeviceRecord {
    /// A device that writes to these books of a unit and of those below it.
    pub fn new(id: DeviceId, (name, owner): (&str, &str), token: &str, unit: UnitId, books: &[Book]) -> Self {
        Self {
            id,
            name: name.to_owned(),
            owner: owner.to_owned(),
            token_hash: token_hash(token),
            unit,
            books: books.to_vec(),
            access: Access::Write,
            keys: Some(Keys::of(token.as_bytes()).public()),
        }
    }
}

/// How a token is stored and looked up.
pub fn token_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// What a device may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Read and write what is in its scope.
    #[default]
    Write,
    /// Only read it.
    Read,
    /// Nothing any more: what it still sends is kept for a supervisor.
    Revoked,
}

impl Access {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Write, Self::Read, Self::Revoked];

    /// The name in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Read => "read",
            Self::Revoked => "revoked",
        }
    }
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
