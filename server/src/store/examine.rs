//! What is stored, as it is stored: for whoever looks it over, and trusts none of it.

use async_trait::async_trait;
use sync_protocol::{ChangeHash, Identity, Tenant};

use super::{ProjectedRow, Refused, StoreError};

/// A document's line. Ids are bytes here: what is damaged need not be an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawDocument {
    /// By which other tables name it.
    pub number: i64,
    /// Its id.
    pub id: Vec<u8>,
    /// The unit's id.
    pub unit: Vec<u8>,
    /// The book.
    pub book: String,
    /// The period.
    pub period: String,
    /// Hashes, one after the other.
    pub heads: Vec<u8>,
    /// Its last number in the feed.
    pub seq: i64,
    /// Whether another document is the one of this unit, book and period.
    pub is_stray: bool,
    /// Whether rows of it were erased: then some of its changes are kept by hash alone.
    pub is_successor: bool,
}

/// Bytes that were packed, or why they cannot be unpacked.
pub type Packed = Result<Vec<u8>, String>;

/// A change of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawChange {
    /// Its number in the feed.
    pub seq: i64,
    /// Its hash.
    pub hash: Vec<u8>,
    /// Its bytes; none, where it is only kept inside the snapshot.
    pub bytes: Option<Packed>,
}

/// What a document is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawContent {
    /// The number up to which the snapshot stands, and its bytes.
    pub snapshot: Option<(i64, Packed)>,
    /// All changes, in the order of the feed.
    pub changes: Vec<RawChange>,
    /// The projection. Of a row's id only what is stored.
    pub rows: Vec<(Vec<u8>, ProjectedRow)>,
}

/// A line of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedLine {
    /// Its number.
    pub seq: i64,
    /// The hash of the change.
    pub hash: Vec<u8>,
    /// What marks the feed up to it.
    pub chain: i64,
}

/// A unit's line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawUnit {
    /// Its id.
    pub id: Vec<u8>,
    /// The unit above.
    pub parent: Option<Vec<u8>>,
    /// Its level.
    pub level: String,
    /// Its name.
    pub name: String,
    /// The ids from the county down to it.
    pub path: String,
}

/// A unit that something belongs to and that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphans {
    /// Its id.
    pub unit: Vec<u8>,
    /// What belongs to it: a table of the store.
    pub table: &'static str,
    /// How many.
    pub count: i64,
}

/// An actor that is nobody's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnboundActor {
    /// Its changes.
    pub changes: i64,
    /// Whether a device brought the first of them; else the server wrote it.
    pub by_device: bool,
}

/// What is known of the keys of restricted documents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeysSeen {
    /// Why the file of them is not that of the database.
    pub fault: Option<Refused>,
    /// Documents whose key is not in it, and whether a successor is kept that can take their place.
    pub keyless: Vec<(Identity, bool)>,
}

/// What a document shall be from now on; what is none stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Repair {
    /// What it is of, with the id that follows.
    pub identity: Option<(Identity, [u8; 16])>,
    /// Its heads.
    pub heads: Option<Vec<ChangeHash>>,
    /// Its last number in the feed.
    pub seq: Option<i64>,
    /// A snapshot, and the number up to which it stands.
    pub snapshot: Option<(i64, Vec<u8>)>,
    /// The number up to which the snapshot that is there stands.
    pub upto: Option<i64>,
    /// Bytes of changes, by number in the feed.
    pub changes: Vec<(i64, Vec<u8>)>,
    /// All of its projection.
    pub rows: Option<Vec<ProjectedRow>>,
}

/// The part of the store that is looked over.
#[async_trait]
pub trait ExamineStore: Send + Sync {
    /// The database's own check of itself: what is wrong, one sentence each.
    async fn integrity(&self) -> Result<Vec<String>, StoreError>;

    /// All documents.
    async fn raw_documents(&self) -> Result<Vec<RawDocument>, StoreError>;

    /// One, and what it is made of, as of one moment; none, if it is gone by now.
    async fn content(&self, number: i64) -> Result<Option<(RawDocument, RawContent)>, StoreError>;

    /// Lines of the feed behind this number, so many at most.
    async fn feed_lines(&self, after: i64, count: i64) -> Result<Vec<FeedLine>, StoreError>;

    /// Whether the feed may begin with changes of a time when it was not marked.
    async fn may_begin_unmarked(&self) -> Result<bool, StoreError>;

    /// The newest number that the feed has ever given.
    async fn newest_given(&self) -> Result<i64, StoreError>;

    /// The mark of a feed that goes on with a change.
    fn chained(&self, chain: i64, hash: &[u8]) -> Option<i64>;

    /// All units.
    async fn raw_units(&self) -> Result<Vec<RawUnit>, StoreError>;

    /// What belongs to units that are not there.
    async fn orphans(&self) -> Result<Vec<Orphans>, StoreError>;

    /// Actors that have written and are nobody's.
    async fn unbound_actors(&self) -> Result<Vec<UnboundActor>, StoreError>;

    /// Units (in hex) and periods whose tallies are not what their rows give, with how many.
    async fn wrong_tallies(&self) -> Result<Vec<(String, String, usize)>, StoreError>;

    /// Whole photos whose bytes are not what they are named by: the unit's id and the hash.
    async fn wrong_attachments(&self) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError>;

    /// Puts right what a document is.
    async fn repair_document(&self, number: i64, repair: &Repair) -> Result<(), StoreError>;

    /// Puts right the paths of these units.
    async fn repair_paths(&self, paths: &[(Vec<u8>, String)]) -> Result<(), StoreError>;

    /// Removes units to which nothing belongs.
    async fn remove_units(&self, units: &[Vec<u8>]) -> Result<(), StoreError>;

    /// Puts right the marks of the feed.
    async fn repair_marks(&self, marks: &[(i64, i64)]) -> Result<(), StoreError>;

    /// Counts every unit anew.
    async fn recount(&self) -> Result<(), StoreError>;

    /// The keys of restricted documents.
    async fn document_keys(&self) -> Result<KeysSeen, StoreError>;

    /// Puts what is kept outside of the database in the place of restricted documents whose keys are destroyed, because something
    /// was erased from them after this state of the database: of which ones.
    async fn take_successors(&self) -> Result<Vec<Identity>, StoreError>;

    /// Gives actors that are nobody's to whoever brought the first of their changes.
    async fn bind_actors(&self) -> Result<(), StoreError>;

    /// Of several documents of one unit, book and period, sets those apart whose ids are not of this county.
    async fn set_apart(&self, county: &Tenant) -> Result<(), StoreError>;
}
