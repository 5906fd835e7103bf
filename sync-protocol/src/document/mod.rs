//! The document of one (unit, book, period): a flat map of cells.
//!
//! ```text
//! members/4f9k2m7c0q1x8z5t/name       = "张三"
//! members/4f9k2m7c0q1x8z5t/@removed   = true
//! @format = 1   @unit = "…"   @book = "unit"   @period = "2012"
//! ```
//!
//! Flat, because two replicas that create the same row at once then merge cell by cell; with nested
//! maps one of the two objects would silently hide the other. This folder is the only place that
//! knows automerge's operations; everybody else speaks rows and cells.

mod fields;
mod gate;
mod read;
mod restore;
mod standing;
mod successor;
mod sync;
mod text;
mod undo;
mod weight;
mod write;

use std::collections::BTreeSet;

use automerge::{Automerge, LoadOptions, ReadDoc, SaveOptions, TextEncoding};

use gate::Writes;
pub use gate::{AdmittedChange, Chunk, GateLimits, Refusal, RefusalCode, admit, identity_of, peek};
pub use read::{CellEdit, RowState};
pub use restore::Restored;
pub use standing::StandingCell;
pub use successor::change_rows;
pub use sync::{SyncMessage, SyncState};
pub use undo::{Kept, TakenBack, TakenCell, Taking};
pub use write::{Author, Edit, LocalChange};

use crate::{
    ids::{ChangeHash, Identity, RowId},
    row::Address,
};

/// Written as `@format`; a reader that meets a higher number must not write.
pub const FORMAT: i64 = 1;

/// Text positions count UTF-16 units, to agree with JavaScript clients.
const ENCODING: TextEncoding = TextEncoding::Utf16CodeUnit;

/// Why bytes did not become a document, or an edit did not become a change.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Stored bytes are damaged.
    #[error("the stored document cannot be read ({0}); run `taizhang doctor`")]
    Load(String),
    /// A change could not be applied.
    #[error("the change cannot be applied: {0}")]
    Apply(String),
    /// Changes whose predecessors are not here.
    #[error("{} earlier change(s) are missing; send the whole history of the document", .0.len())]
    MissingDependencies(Vec<ChangeHash>),
    /// A change takes a cell's last value away.
    #[error("清空单元格应写入空值，不能删除 `{0}` | a cell is emptied by writing null, not by deleting `{0}`")]
    Deleted(Address),
}

/// A row of a ledger, as the projection counts them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowKey {
    /// Catalogue id of the ledger.
    pub ledger: String,
    /// The record.
    pub row: RowId,
}

impl std::fmt::Display for RowKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.ledger, self.row)
    }
}

impl std::str::FromStr for RowKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(ledger, row)| Some((ledger.to_owned(), row.parse().ok()?)));
        let wrong = || "应为 台账名/编号，如 members/4f9k2m7c0q1x8z5t must be ledger/row".to_owned();
        parsed.map(|(ledger, row)| Self { ledger, row }).ok_or_else(wrong)
    }
}

impl From<&Address> for RowKey {
    fn from(address: &Address) -> Self {
        Self { ledger: address.ledger.to_string(), row: address.row }
    }
}

/// What applying changes did.
#[derive(Debug)]
pub struct Applied {
    /// Rows that the changes touched.
    pub touched: BTreeSet<RowKey>,
    /// The document as it was.
    pub before: Document,
}

/// One automerge document. It knows nothing of storage: bytes in, bytes out.
#[derive(Debug, Clone)]
pub struct Document {
    doc: Automerge,
}

impl Default for Document {
    fn default() -> Self {
        Self::new()
    }
}

impl Document {
    /// An empty document: no genesis change is needed.
    pub fn new() -> Self {
        Self { doc: Automerge::new_with_encoding(ENCODING) }
    }

    /// Reads what this program stored itself: a snapshot, then changes that came after it.
    /// Bytes from outside go through [`admit`] instead.
    pub fn load(snapshot: Option<&[u8]>, changes: &[Vec<u8>]) -> Result<Self, DocumentError> {
        let mut document = Self::new();
        if let Some(bytes) = snapshot {
            document.doc = Automerge::load_with_options(bytes, LoadOptions::new().text_encoding(ENCODING))
                .map_err(|e| DocumentError::Load(e.to_string()))?;
        }
        document.append(changes)?;
        Ok(document)
    }

    /// Takes in what a trusted peer sent: a whole document, changes, or both.
    pub fn take(&mut self, snapshot: Option<&[u8]>, changes: &[Vec<u8>]) -> Result<(), DocumentError> {
        if let Some(bytes) = snapshot {
            self.merge(&Document::load(Some(bytes), &[])?)?;
        }
        self.append(changes)
    }

    fn append(&mut self, changes: &[Vec<u8>]) -> Result<(), DocumentError> {
        let decoded = changes
            .iter()
            .map(|bytes| automerge::Change::from_bytes(bytes.clone()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| DocumentError::Load(e.to_string()))?;
        self.doc.apply_changes(decoded).map_err(|e| DocumentError::Load(e.to_string()))?;
        let missing = missing(&self.doc);
        if missing.is_empty() { Ok(()) } else { Err(DocumentError::MissingDependencies(missing)) }
    }

    /// The whole document. Not deflated: stores and wire compress whole batches, which is smaller.
    pub fn save(&self) -> Vec<u8> {
        self.doc.save_with_options(SaveOptions { deflate: false, retain_orphans: false })
    }

    /// The newest changes, sorted: equal heads are equal documents.
    pub fn heads(&self) -> Vec<ChangeHash> {
        let mut heads: Vec<_> = self.doc.get_heads().into_iter().map(|h| ChangeHash(h.0)).collect();
        heads.sort_unstable();
        heads
    }

    /// The document as it was when these changes were the newest; none, if it does not know one of them.
    pub fn fork_at(&self, heads: &[ChangeHash]) -> Result<Option<Self>, DocumentError> {
        if !heads.iter().all(|hash| self.contains(*hash)) {
            return Ok(None);
        }
        if heads.is_empty() {
            return Ok(Some(Self::new()));
        }
        let heads: Vec<_> = heads.iter().map(|hash| automerge::ChangeHash(hash.0)).collect();
        let doc = self.doc.fork_at(&heads).map_err(|e| DocumentError::Apply(e.to_string()))?;
        Ok(Some(Self { doc }))
    }

    /// Whether nobody wrote anything yet.
    pub fn is_empty(&self) -> bool {
        self.doc.get_heads().is_empty()
    }

    /// Whether the document holds this change.
    pub fn contains(&self, hash: ChangeHash) -> bool {
        self.doc.get_change_meta_by_hash(&automerge::ChangeHash(hash.0)).is_some()
    }

    /// The changes that `known` does not have, oldest first.
    pub fn changes_since(&self, known: &[ChangeHash]) -> Vec<(ChangeHash, Vec<u8>)> {
        let known: Vec<_> = known.iter().map(|h| automerge::ChangeHash(h.0)).collect();
        self.doc
            .get_changes(&known)
            .into_iter()
            .map(|change| (ChangeHash(change.hash().0), change.raw_bytes().to_vec()))
            .collect()
    }

    /// Takes in changes that passed the gate; says which rows they touched and what the document was before.
    /// On an error the document is as it was.
    pub fn apply(&mut self, changes: Vec<AdmittedChange>) -> Result<Applied, DocumentError> {
        let mut next = self.doc.clone();
        let (changes, writes): (Vec<_>, Vec<_>) = changes.into_iter().map(AdmittedChange::into_inner).unzip();
        // automerge 0.12 still panics on some well-formed but absurd changes: a clone is at stake, not the document.
        let next = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            next.apply_changes(changes).map_err(|e| e.to_string())?;
            Ok::<_, String>(next)
        }))
        .map_err(|_| DocumentError::Apply("automerge rejected it with a panic".into()))?
        .map_err(DocumentError::Apply)?;
        let missing = missing(&next);
        if !missing.is_empty() {
            return Err(DocumentError::MissingDependencies(missing));
        }
        let next = Self { doc: next };
        let emptied = |writes: &Writes| {
            let cells = writes.deleted.iter().filter(|(cell, _)| next.get(cell).is_none());
            cells
                .filter(|(_, gone)| !(writes.is_undo && next.are_of_imports(gone)))
                .map(|(cell, _)| cell.clone())
                .next()
        };
        if let Some(address) = writes.iter().find_map(emptied) {
            return Err(DocumentError::Deleted(address));
        }
        let before = std::mem::replace(self, next);
        let mut touched = BTreeSet::new();
        for Writes { rows, texts, .. } in writes {
            touched.extend(rows);
            touched.extend(self.rows_of_texts(&texts));
        }
        Ok(Applied { touched, before })
    }

    /// Takes in another replica of the same document.
    pub fn merge(&mut self, other: &Document) -> Result<(), DocumentError> {
        let mut other = other.doc.clone();
        self.doc.merge(&mut other).map_err(|e| DocumentError::Apply(e.to_string()))?;
        Ok(())
    }

    /// What the document says of itself, when it says anything.
    pub fn identity(&self) -> Option<Identity> {
        Some(Identity {
            unit: self.mark("@unit")?.parse().ok()?,
            book: self.mark("@book")?.parse().ok()?,
            period: self.mark("@period")?,
        })
    }

    fn mark(&self, key: &str) -> Option<String> {
        let (value, _) = self.doc.get(automerge::ROOT, key).ok()??;
        value.as_str().map(str::to_owned)
    }
}

fn missing(doc: &Automerge) -> Vec<ChangeHash> {
    doc.get_missing_deps(&[]).into_iter().map(|h| ChangeHash(h.0)).collect()
}

/// The changes that a change chunk builds upon.
pub fn change_dependencies(bytes: &[u8]) -> Result<Vec<ChangeHash>, DocumentError> {
    automerge::Change::from_bytes(bytes.to_vec())
        .map(|change| change.deps().iter().map(|hash| ChangeHash(hash.0)).collect())
        .map_err(|e| DocumentError::Load(e.to_string()))
}

/// Who wrote a change chunk.
pub fn change_actor(bytes: &[u8]) -> Result<Vec<u8>, DocumentError> {
    automerge::Change::from_bytes(bytes.to_vec())
        .map(|change| change.actor_id().to_bytes().to_vec())
        .map_err(|e| DocumentError::Load(e.to_string()))
}

/// The hash of a change chunk that this program stored or a trusted peer sent.
pub fn change_hash(bytes: &[u8]) -> Result<ChangeHash, DocumentError> {
    automerge::Change::from_bytes(bytes.to_vec())
        .map(|change| ChangeHash(change.hash().0))
        .map_err(|e| DocumentError::Load(e.to_string()))
}
