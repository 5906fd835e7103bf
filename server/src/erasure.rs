//! Erasing what is kept of a person, restricted data or whole records: a document without those rows takes the place of each that
//! had them, here and, at their next exchange, on every replica. What was there before can be read from nowhere any more; that it
//! was erased stays.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::json;
use sync_protocol::{
    ActorId, Book, ChangeHash, Document, Identity, RowId, UnitId,
    catalogue::Sensitivity,
    document::{DocumentError, RowKey, change_rows},
    row::PHOTO,
};

use crate::{
    Server,
    audit::{By, Event},
    clock, projection,
    returns::record_name,
    store::{Act, Deed, DocumentWrite, Performed, QuarantineState, Replacement, StoreError},
};

/// How often documents are tried that somebody else is writing to.
const ROUNDS_MAX: usize = 16;

/// Why nothing was erased.
#[derive(Debug, thiserror::Error)]
pub enum ErasureError {
    /// Nothing that was to be erased is kept of this record.
    #[error(
        "没有这条记录可清除的内容，请核对单位、台账和编号 | nothing of this record is kept that could be erased: check unit, ledger and row"
    )]
    Unknown,
    /// It was erased before, and can be read from nowhere.
    #[error(
        "这条记录的相应内容此前已清除，无须再办 | what was kept of this record was erased before: nothing is left to do"
    )]
    Before,
    /// Its documents are written to all the time.
    #[error(
        "该单位的台账正被频繁修改，未清除，请稍后再试 | this unit's ledgers are being written to, nothing was erased: try again"
    )]
    Busy,
    /// What was erased can still be read from the file of the database.
    #[error(
        "已清除并记入审计日志，但数据库文件尚未清扫完（{0}），请再执行一次 | erased and noted, but the old pages of the database file could not be overwritten yet: erase once more"
    )]
    Unswept(StoreError),
    /// Changes that may be about it wait.
    #[error(
        "有 {0} 项未接收的修改待处理，请先接收或退回 | {0} change(s) of this unit wait in quarantine: admit or reject them first"
    )]
    Quarantine(usize),
    /// Rows of imports that may be about it wait, with their files.
    #[error("有 {0} 行导入待确认，请先处理 | {0} imported row(s) of this unit wait for a decision: decide first")]
    Doubts(usize),
    /// Workbooks that were sent in are being read.
    #[error("正在处理上传的文件，请稍后再试 | uploaded workbooks are being worked on: try again later")]
    Uploads,
    /// Something of it was found afterwards.
    #[error(
        "清除后仍发现 {0} 处痕迹，请运行 taizhang doctor | {0} trace(s) were found afterwards: run `taizhang doctor`"
    )]
    Traces(usize),
    /// A document.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which books are erased from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The restricted ones: the record stays, without its restricted columns.
    Restricted,
    /// All of them: the whole record.
    Whole,
}

impl Extent {
    /// Whether somebody wants the whole record gone.
    pub fn of(is_whole: bool) -> Self {
        if is_whole { Self::Whole } else { Self::Restricted }
    }

    fn covers(self, book: Book) -> bool {
        self == Self::Whole || book.is_restricted()
    }
}

/// A record of which something can be erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ErasableRecord {
    /// Catalogue id of the ledger.
    pub ledger: String,
    /// Title of the ledger.
    pub title: String,
    /// The record's id.
    #[schema(value_type = String)]
    pub row: RowId,
    /// What names the record.
    pub name: String,
    /// The campaign year.
    pub period: String,
    /// Titles of the columns that are filled. The values are nobody's business here.
    pub columns: Vec<String>,
}

/// What was done, and what was looked at afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Erased {
    /// Documents that got a successor.
    pub documents: Vec<ErasedFrom>,
    /// Photos of the record that were forgotten.
    pub photos: usize,
    /// Documents with their whole history, projected rows and changes in quarantine that were read through afterwards: none says
    /// anything of the record.
    pub places_read: usize,
    /// Devices that may hold the old document until they are here next.
    pub devices: Vec<String>,
}

/// A document that got a successor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ErasedFrom {
    /// The book.
    pub book: &'static str,
    /// The campaign year.
    pub period: String,
    /// Changes that are kept by their hash alone.
    pub changes: usize,
    /// The successor's first change.
    pub root: String,
}

/// The records of a unit of this name of which something can be erased, book by book.
pub async fn records(
    server: &Server,
    unit: UnitId,
    name: &str,
    extent: Extent,
) -> Result<Vec<ErasableRecord>, StoreError> {
    let mut found = Vec::new();
    for (identity, document) in documents(server, unit, extent).await? {
        let open = Identity { book: identity.book.open(), ..identity.clone() };
        let open = load(server, &open).await?.unwrap_or_default();
        for (key, state) in document.row_states() {
            let named = record_name(&server.catalogue, &key.ledger, &open.row_state(&key).row, Sensitivity::S3);
            let Some(ledger) = server.catalogue.ledger(&key.ledger).filter(|_| named.contains(name)) else { continue };
            let title = |column: &String| ledger.column(column).map_or_else(|| column.clone(), |c| c.title.clone());
            let filled = state.row.cells.iter().filter(|(_, value)| !value.is_null());
            found.push(ErasableRecord {
                ledger: key.ledger,
                title: ledger.title.clone(),
                row: key.row,
                name: named,
                period: identity.period.clone(),
                columns: filled.map(|(column, _)| title(column)).collect(),
            });
        }
    }
    Ok(found)
}

/// Erases what these books hold of one record, in one transaction with its line of the audit log, and reads everything
/// through afterwards. What was interrupted before the file of the database was overwritten is completed by the next one.
pub async fn erase(server: &Server, unit: UnitId, key: &RowKey, order: Order<'_>) -> Result<Erased, ErasureError> {
    let Order { by, reason, extent } = order;
    let row = key.row.to_string();
    // That it was ordered stays, whatever comes of it.
    let is_whole = extent == Extent::Whole;
    let detail = json!({ "ledger": key.ledger, "row": row, "reason": reason, "whole": is_whole });
    server.store.people().append_audit(&by.notes(Event::ErasureOrdered, Some(unit), &detail)).await?;
    // Files that wait here, whosever they are, are thrown away for what is there or was, not for a record of nobody's.
    let mut all = documents(server, unit, extent).await?.into_iter();
    if !all.any(|(_, document)| document.mentions(key)) && !was_erased(server, unit, key).await? {
        return Err(ErasureError::Unknown);
    }
    carry_out(server, unit, key, (&by, extent)).await
}

/// The same of what was ordered before.
pub(crate) async fn carry_out(
    server: &Server,
    unit: UnitId,
    key: &RowKey,
    (by, extent): (&By, Extent),
) -> Result<Erased, ErasureError> {
    if !server.uploads.forget_all() {
        return Err(ErasureError::Uploads);
    }
    let erased = replace(server, unit, key, (by, extent)).await?;
    let is_swept = server.store.sweep().await.map_err(ErasureError::Unswept)?;
    let mut erased = match erased {
        Some(erased) => erased,
        // An earlier one was interrupted before it had swept.
        None if is_swept && was_erased(server, unit, key).await? => Erased::default(),
        None if was_erased(server, unit, key).await? => return Err(ErasureError::Before),
        None => return Err(ErasureError::Unknown),
    };
    let (places_read, traces) = traces(server, unit, key, extent).await?;
    if traces > 0 {
        return Err(ErasureError::Traces(traces));
    }
    erased.places_read = places_read;
    Ok(erased)
}

/// Who has ordered it, and why.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    /// Who.
    pub by: By,
    /// Why.
    pub reason: &'a str,
    /// How much of the record.
    pub extent: Extent,
}

async fn was_erased(server: &Server, unit: UnitId, key: &RowKey) -> Result<bool, StoreError> {
    Ok(!server.store.erased_from(unit, key).await?.is_empty())
}

/// Finishes what was interrupted after it was erased and before the file of the database was overwritten.
pub async fn finish(server: &Server) {
    match server.store.sweep().await {
        Ok(true) => tracing::info!("an erasure that was interrupted is complete now"),
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, "an erasure that was interrupted is not complete yet: erase once more"),
    }
}

/// Puts documents without the record in the place of all that have it; none, if none has.
async fn replace(
    server: &Server,
    unit: UnitId,
    key: &RowKey,
    (by, extent): (&By, Extent),
) -> Result<Option<Erased>, ErasureError> {
    for _ in 0..ROUNDS_MAX {
        let doubts = server.store.doubts().await?.into_iter().filter(|stored| stored.doubt.unit == unit).count();
        if doubts > 0 {
            return Err(ErasureError::Doubts(doubts));
        }
        let (mut erased, mut replacements, mut photos) = (Erased::default(), Vec::new(), BTreeSet::new());
        for (identity, document) in documents(server, unit, extent).await? {
            if document.mentions(key) {
                let (replacement, from) = replacement(server, &identity, &document, key).await?;
                replacements.push(replacement);
                erased.documents.push(from);
                photos.extend(photos_of(server, &identity, key).await?);
            }
        }
        if replacements.is_empty() {
            return Ok(None);
        }
        erased.photos = photos.len();
        erased.devices = devices(server, unit, extent).await?;
        let mut detail = json!({ "ledger": key.ledger, "row": key.row.to_string(), "erased": erased });
        // Nothing has been read through yet.
        detail["erased"].as_object_mut().map(|erased| erased.remove("places_read"));
        let note = by.notes(Event::Erased, Some(unit), &detail);
        let photos = photos.into_iter().collect();
        let ids = replacements.iter().map(|replacement| replacement.write.document).collect();
        let deed = Deed::new(Act::Erase { unit, replacements, photos }, note);
        if let Performed::Done(_) = server.sync.perform(&deed, &ids).await? {
            return Ok(Some(erased));
        }
    }
    Err(ErasureError::Busy)
}

/// Devices that may hold the old documents until they are here next.
async fn devices(server: &Server, unit: UnitId, extent: Extent) -> Result<Vec<String>, StoreError> {
    let mut devices = Vec::new();
    for seen in server.store.devices().await? {
        let device = seen.device;
        let holds = device.books.iter().any(|book| extent.covers(*book));
        if holds && server.store.is_below(unit, device.unit).await? {
            devices.push(device.name);
        }
    }
    Ok(devices)
}

/// The photos of a record, which may show whom it is about.
async fn photos_of(server: &Server, identity: &Identity, key: &RowKey) -> Result<Vec<[u8; 32]>, ErasureError> {
    let open = Identity { book: identity.book.open(), ..identity.clone() };
    let row = load(server, &open).await?.unwrap_or_default().row_state(key).row;
    let names = row.cells.keys().filter_map(|cell| cell.strip_prefix(PHOTO)?.strip_prefix('/'));
    Ok(names.filter_map(|name| name.parse::<ChangeHash>().ok()).map(|hash| hash.0).collect())
}

/// What takes the place of a document, without the record.
async fn replacement(
    server: &Server,
    identity: &Identity,
    document: &Document,
    key: &RowKey,
) -> Result<(Replacement, ErasedFrom), ErasureError> {
    let held = server.store.quarantined().await?.into_iter().filter(|held| held.identity == *identity);
    let (waiting, decided): (Vec<_>, Vec<_>) = held.partition(|held| held.state == QuarantineState::Waiting);
    if !waiting.is_empty() {
        return Err(ErasureError::Quarantine(waiting.len()));
    }
    let rows = BTreeSet::from([key.clone()]);
    let (successor, root) = document.successor(identity, &rows, &mut || ActorId(clock::random()))?;
    let about = |bytes: &[u8]| change_rows(bytes).map_or(true, |written| written.contains(key));
    let id = identity.document(&server.tenant);
    let replacement = Replacement {
        quarantined: decided.iter().filter(|held| about(&held.bytes)).map(|held| held.hash).collect(),
        erased: rows,
        root,
        carried: None,
        write: replacing(identity, id, &successor, document.heads(), None)?,
    };
    let from = ErasedFrom {
        book: identity.book.as_str(),
        period: identity.period.clone(),
        changes: document.changes_since(&[]).len(),
        root: root.to_string(),
    };
    Ok((replacement, from))
}

/// The write that puts a whole document in the place of another.
pub(crate) fn replacing(
    identity: &Identity,
    id: sync_protocol::DocumentId,
    successor: &Document,
    expected_heads: Vec<ChangeHash>,
    device: Option<sync_protocol::DeviceId>,
) -> Result<DocumentWrite, DocumentError> {
    let whole = projection::whole(identity, id, successor)?;
    Ok(DocumentWrite { expected_heads, device, received_at_ms: clock::now_ms(), binds: true, ..whole })
}

/// The records of which a document says anything, or has said.
pub(crate) async fn mentioned(server: &Server, identity: &Identity) -> Result<BTreeSet<RowKey>, StoreError> {
    let document = load(server, identity).await?.unwrap_or_default();
    let mut mentioned = BTreeSet::new();
    for (_, bytes) in document.changes_since(&[]) {
        mentioned.extend(change_rows(&bytes).map_err(|error| StoreError::Damaged(error.to_string()))?);
    }
    Ok(mentioned)
}

/// Reads through what is stored of a unit's books: how many places, and how many still name the record.
async fn traces(server: &Server, unit: UnitId, key: &RowKey, extent: Extent) -> Result<(usize, usize), ErasureError> {
    let (mut places, mut traces) = (0, 0);
    let mut look = |is_there: bool| {
        places += 1;
        traces += usize::from(is_there);
    };
    for (identity, document) in documents(server, unit, extent).await? {
        look(document.mentions(key));
        for row in server.store.projection(identity.document(&server.tenant)).await? {
            look(row.ledger == key.ledger && row.row == key.row);
        }
    }
    for held in server.store.quarantined().await? {
        let is_covered = held.identity.unit == unit && extent.covers(held.identity.book);
        look(is_covered && !held.bytes.is_empty() && change_rows(&held.bytes)?.contains(key));
    }
    Ok((places, traces))
}

/// The documents of a unit that are erased from.
async fn documents(server: &Server, unit: UnitId, extent: Extent) -> Result<Vec<(Identity, Document)>, StoreError> {
    let mut documents = Vec::new();
    for (identity, _) in server.store.identities(&[unit]).await? {
        if extent.covers(identity.book)
            && let Some(document) = load(server, &identity).await?
        {
            documents.push((identity, document));
        }
    }
    Ok(documents)
}

async fn load(server: &Server, identity: &Identity) -> Result<Option<Document>, StoreError> {
    let stored = server.store.document(identity.document(&server.tenant)).await?;
    let document = stored.map(|stored| Document::load(stored.snapshot.as_deref(), &stored.changes)).transpose();
    document.map_err(|e| StoreError::Damaged(e.to_string()))
}
