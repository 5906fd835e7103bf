//! Erasing a person's restricted data: a document without those rows takes the place of each that had them, here and, at
//! their next exchange, on every replica. What was there before can be read from nowhere any more; that it was erased stays.

use std::collections::BTreeSet;

use serde::Serialize;
use sync_protocol::{
    ActorId, ChangeHash, Document, Identity, RowId, UnitId,
    document::{DocumentError, RowKey, change_rows},
    row::PHOTO,
};

use crate::{
    Server, clock, projection,
    returns::record_name,
    store::{Committed, DocumentWrite, NewChange, ProposalWrites, QuarantineState, Replacement, StoreError},
};

/// How often a document is tried that somebody else is writing to.
const ROUNDS_MAX: usize = 16;

/// Why nothing was erased.
#[derive(Debug, thiserror::Error)]
pub enum ErasureError {
    /// Nothing restricted is kept of this record.
    #[error(
        "没有这条记录的敏感信息，请核对单位、台账和编号 | nothing restricted is kept of this record: check unit, ledger and row"
    )]
    Unknown,
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

/// A record of which something restricted is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RestrictedRecord {
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

/// The records of a unit of this name of which something restricted is kept.
pub async fn records(server: &Server, unit: UnitId, name: &str) -> Result<Vec<RestrictedRecord>, StoreError> {
    let mut found = Vec::new();
    for (identity, document) in documents(server, unit).await? {
        let open = Identity { book: identity.book.open(), ..identity.clone() };
        let open = load(server, &open).await?.unwrap_or_default();
        for (key, state) in document.row_states() {
            let named = record_name(&open.row_state(&key).row);
            let Some(ledger) = server.catalogue.ledger(&key.ledger).filter(|_| named.contains(name)) else { continue };
            let title = |column: &String| ledger.column(column).map_or_else(|| column.clone(), |c| c.title.clone());
            let filled = state.row.cells.iter().filter(|(_, value)| !value.is_null());
            found.push(RestrictedRecord {
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

/// Erases what restricted books hold of one record, and reads everything through afterwards.
pub async fn erase(server: &Server, unit: UnitId, key: &RowKey) -> Result<Erased, ErasureError> {
    let doubts = server.store.doubts().await?.into_iter().filter(|stored| stored.doubt.unit == unit).count();
    if doubts > 0 {
        return Err(ErasureError::Doubts(doubts));
    }
    if !server.uploads.forget_all() {
        return Err(ErasureError::Uploads);
    }
    let mut erased = Erased::default();
    for (identity, document) in documents(server, unit).await? {
        if document.mentions(key) {
            erased.documents.push(from_document(server, &identity, key).await?);
            erased.photos += forget_photos(server, &identity, key).await?;
        }
    }
    // An erasure that was interrupted here is finished by the next one, which finds nothing left.
    server.store.sweep().await?;
    if erased.documents.is_empty() {
        return Err(ErasureError::Unknown);
    }
    let (places_read, traces) = traces(server, unit, key).await?;
    if traces > 0 {
        return Err(ErasureError::Traces(traces));
    }
    erased.places_read = places_read;
    for seen in server.store.devices().await? {
        let device = seen.device;
        let holds = device.books.iter().any(|book| book.is_restricted());
        if holds && server.store.is_below(unit, device.unit).await? {
            erased.devices.push(device.name);
        }
    }
    Ok(erased)
}

/// Forgets the photos of a record, which may show whom it is about; says how many.
async fn forget_photos(server: &Server, identity: &Identity, key: &RowKey) -> Result<usize, ErasureError> {
    let open = Identity { book: identity.book.open(), ..identity.clone() };
    let row = load(server, &open).await?.unwrap_or_default().row_state(key).row;
    let names = row.cells.keys().filter_map(|cell| cell.strip_prefix(PHOTO)?.strip_prefix('/'));
    let hashes: Vec<ChangeHash> = names.filter_map(|name| name.parse().ok()).collect();
    for hash in &hashes {
        server.store.forget_attachment(identity.unit, &hash.0).await?;
    }
    Ok(hashes.len())
}

async fn from_document(server: &Server, identity: &Identity, key: &RowKey) -> Result<ErasedFrom, ErasureError> {
    let rows = BTreeSet::from([key.clone()]);
    let id = identity.document(&server.tenant);
    for _ in 0..ROUNDS_MAX {
        let held = server.store.quarantined().await?.into_iter().filter(|held| held.identity == *identity);
        let (waiting, decided): (Vec<_>, Vec<_>) = held.partition(|held| held.state == QuarantineState::Waiting);
        if !waiting.is_empty() {
            return Err(ErasureError::Quarantine(waiting.len()));
        }
        let Some(stored) = server.store.document(id).await? else { return Err(ErasureError::Unknown) };
        let document = Document::load(stored.snapshot.as_deref(), &stored.changes)?;
        let (successor, root) = document.successor(identity, &rows, &mut || ActorId(clock::random()))?;
        let about = |bytes: &[u8]| change_rows(bytes).map_or(true, |written| written.contains(key));
        let replacement = Replacement {
            quarantined: decided.iter().filter(|held| about(&held.bytes)).map(|held| held.hash).collect(),
            erased: rows.clone(),
            root,
            carried: None,
            write: replacing(identity, id, &successor, document.heads(), None)?,
        };
        if server.sync.replace(&replacement).await? == Committed::Durable {
            let changes = document.changes_since(&[]).len();
            let (book, period) = (identity.book.as_str(), identity.period.clone());
            return Ok(ErasedFrom { book, period, changes, root: root.to_string() });
        }
    }
    Err(StoreError::Database(format!("document {id} is written to by too many at once")).into())
}

/// The write that puts a whole document in the place of another.
pub(crate) fn replacing(
    identity: &Identity,
    id: sync_protocol::DocumentId,
    successor: &Document,
    expected_heads: Vec<ChangeHash>,
    device: Option<sync_protocol::DeviceId>,
) -> Result<DocumentWrite, DocumentError> {
    let rows: BTreeSet<RowKey> = successor.row_states().into_keys().collect();
    let change = |(hash, bytes): (ChangeHash, Vec<u8>)| {
        Ok(NewChange { hash, actor: sync_protocol::document::change_actor(&bytes)?, bytes: None })
    };
    Ok(DocumentWrite {
        document: id,
        identity: identity.clone(),
        expected_heads,
        heads: successor.heads(),
        changes: successor.changes_since(&[]).into_iter().map(change).collect::<Result<_, DocumentError>>()?,
        snapshot: Some(successor.save()),
        rows: projection::project(successor, &rows),
        wrong_steps: Vec::new(),
        device,
        received_at_ms: clock::now_ms(),
        binds: true,
        proposals: ProposalWrites::default(),
    })
}

/// Reads through what is stored of a unit's restricted books: how many places, and how many still name the record.
async fn traces(server: &Server, unit: UnitId, key: &RowKey) -> Result<(usize, usize), ErasureError> {
    let (mut places, mut traces) = (0, 0);
    let mut look = |is_there: bool| {
        places += 1;
        traces += usize::from(is_there);
    };
    for (identity, document) in documents(server, unit).await? {
        look(document.mentions(key));
        for row in server.store.projection(identity.document(&server.tenant)).await? {
            look(row.ledger == key.ledger && row.row == key.row);
        }
    }
    for held in server.store.quarantined().await? {
        let is_restricted = held.identity.unit == unit && held.identity.book.is_restricted();
        look(is_restricted && !held.bytes.is_empty() && change_rows(&held.bytes)?.contains(key));
    }
    Ok((places, traces))
}

/// The restricted documents of a unit.
async fn documents(server: &Server, unit: UnitId) -> Result<Vec<(Identity, Document)>, StoreError> {
    let mut documents = Vec::new();
    for (identity, _) in server.store.identities(&[unit]).await? {
        if identity.book.is_restricted()
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
