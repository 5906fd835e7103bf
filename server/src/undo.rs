//! Taking back an import: each cell says what it would say had that import never been. What others have written stands.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use sync_protocol::{
    ActorId, Address, Document, Identity,
    catalogue::Sensitivity,
    conflict::{Means, Provenance},
    document::{Author, Kept, RowKey, TakenBack, TakenCell, Taking},
    row::{EXTRA, PHOTO, REMOVED, STATE},
};

use crate::{
    Server, clock,
    import::{ImportError, document_write},
    projection,
    returns::{record_name, said},
    store::{Batch, Committed, NewChange, StoredBatch, actor_bytes},
};

/// How often a document is tried that somebody else is writing to.
const ROUNDS_MAX: usize = 16;

/// What taking back an import did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Undone {
    /// The file that had been imported.
    pub file: String,
    /// Documents that were written.
    pub documents: usize,
    /// Rows that were touched.
    pub rows: usize,
    /// Cells that stay: somebody has worked on them, or another file says the same.
    pub kept: Vec<KeptCell>,
    /// Cells that say something else now.
    pub cells: Vec<UndoneCell>,
    /// Rows that only the import had made: they are gone.
    pub rows_gone: Vec<GoneRow>,
}

/// A cell that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptCell {
    /// The unit.
    pub unit: String,
    /// Title of the ledger.
    pub ledger: String,
    /// What names the record, or named it before.
    pub record: String,
    /// Title of the column.
    pub column: String,
    /// Who edited it; the file that says the same, where another import does.
    pub who: String,
    /// Whether it was edited since, or is affirmed by another file.
    pub why: Why,
}

/// Why a cell stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Somebody has seen what the import wrote, and has worked on it.
    Edited,
    /// Another file that was imported says the same.
    Affirmed,
    /// Something was erased from the document since, and with it its history: what stood there before is not known.
    Remade,
}

/// A cell that says something else now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UndoneCell {
    /// The unit.
    pub unit: String,
    /// Title of the ledger.
    pub ledger: String,
    /// What names the record.
    pub record: String,
    /// Title of the column.
    pub column: String,
    /// What happened.
    pub action: Action,
    /// What it said, the winner first, masked where restricted.
    pub before: Vec<String>,
    /// What it says now.
    pub after: Vec<String>,
}

/// What happened to a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It says again what it said before, or what others have written beside it.
    Restored,
    /// Nothing stands there any more.
    Emptied,
    /// People have written different things there: that is open again.
    Reopened,
}

/// A row that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GoneRow {
    /// The unit.
    pub unit: String,
    /// Title of the ledger.
    pub ledger: String,
    /// What named the record.
    pub record: String,
}

/// The imports that were taken back, this one too, and when each of all began.
struct Imports<'a> {
    batch: &'a Batch,
    actor: ActorId,
    before: Vec<ActorId>,
    began: HashMap<ActorId, i64>,
    /// Those that stand: when they began, and their files.
    standing: BTreeMap<&'a str, (i64, &'a str)>,
}

impl<'a> Imports<'a> {
    fn of(id: &str, batches: &'a [StoredBatch]) -> Option<Self> {
        let batch = &batches.iter().find(|stored| stored.batch.id == id)?.batch;
        let actor = batch.actor()?;
        let is_gone = |stored: &&StoredBatch| stored.undone_at_ms.is_some() || stored.batch.id == id;
        let began = |stored: &StoredBatch| Some((stored.batch.actor()?, stored.batch.started_at_ms));
        let standing = batches.iter().filter(|stored| !is_gone(stored)).map(|stored| &stored.batch);
        Some(Self {
            batch,
            actor,
            before: batches.iter().filter(is_gone).filter_map(|stored| stored.batch.actor()).collect(),
            began: batches.iter().filter_map(began).collect(),
            standing: standing.map(|b| (b.id.as_str(), (b.started_at_ms, b.file.as_str()))).collect(),
        })
    }

    /// The file of an import that stands, came after this one, and has found the cell saying what it says itself.
    fn affirming(&self, affirmed: &Affirmed, address: &Address, actor: ActorId) -> Option<&'a str> {
        let began = self.began.get(&actor)?;
        let files = affirmed.iter().filter_map(|(batch, cells)| {
            let (since, file) = self.standing.get(batch.as_str())?;
            (since >= began && cells.contains(address)).then_some(*file)
        });
        files.min()
    }
}

type Affirmed = BTreeMap<String, BTreeSet<Address>>;

/// Takes back the import with this id; `None` if there is none.
pub async fn undo(server: &Server, id: &str, who: &str) -> Result<Option<Undone>, ImportError> {
    let batches = server.store.batches().await?;
    let Some(imports) = Imports::of(id, &batches) else { return Ok(None) };
    let author = Author {
        actor: ActorId(clock::random()),
        provenance: Provenance { who: who.to_owned(), how: Means::Undo, source: Some(id.to_owned()) },
        time_s: clock::now_ms() / 1000,
    };
    let mut undone = Undone { file: imports.batch.file.clone(), ..Undone::default() };
    let mut identities: BTreeSet<Identity> = server.store.documents_of(imports.actor).await?.into_iter().collect();
    identities.extend(server.store.documents_affirmed(id).await?);
    for identity in identities {
        take_back(server, &identity, &imports, &author, &mut undone).await?;
    }
    for identity in server.store.remade().await? {
        tell_remade(server, &identity, id, &mut undone).await?;
    }
    server.store.batch_undone(id, clock::now_ms()).await?;
    Ok(Some(undone))
}

/// Says which cells of a document that begins anew since an erasure still say what the import wrote.
async fn tell_remade(server: &Server, identity: &Identity, id: &str, undone: &mut Undone) -> Result<(), ImportError> {
    let Some(stored) = server.store.document(identity.document(&server.tenant)).await? else { return Ok(()) };
    let document = Document::load(stored.snapshot.as_deref(), &stored.changes)?;
    let unit = server.store.unit(identity.unit).await?.map_or_else(String::new, |unit| unit.name);
    let mut telling = Telling { server, identity, original: &document, document: &document, names: None };
    telling.read_names().await?;
    for (row, state) in document.row_states() {
        for column in state.row.cells.keys() {
            let Some(address) = Address::parse(&format!("{row}/{column}")) else { continue };
            let by = document.provenance(&address);
            let is_of_import = by.is_some_and(|by| by.how == Means::Import && by.source.as_deref() == Some(id));
            if is_of_import {
                let ledger = server.catalogue.ledger(&row.ledger).map_or(row.ledger.as_str(), |ledger| &ledger.title);
                undone.kept.push(KeptCell {
                    unit: unit.clone(),
                    ledger: ledger.to_owned(),
                    record: telling.record(&row),
                    column: telling.column(&address),
                    who: String::new(),
                    why: Why::Remade,
                });
            }
        }
    }
    Ok(())
}

async fn take_back(
    server: &Server,
    identity: &Identity,
    imports: &Imports<'_>,
    author: &Author,
    undone: &mut Undone,
) -> Result<(), ImportError> {
    let id = identity.document(&server.tenant);
    for _ in 0..ROUNDS_MAX {
        let Some(stored) = server.store.document(id).await? else { return Ok(()) };
        let affirmed = server.store.affirmed(id).await?;
        let mut document = Document::load(stored.snapshot.as_deref(), &stored.changes)?;
        let original = document.clone();
        let nothing = BTreeSet::new();
        let taking = Taking {
            actor: imports.actor,
            before: &imports.before,
            is_affirmed: &|address, actor| imports.affirming(&affirmed, address, actor).is_some(),
            affirms: affirmed.get(&imports.batch.id).unwrap_or(&nothing),
        };
        let taken = document.take_back(&taking, author)?;
        if let Some(last) = taken.changes.last() {
            let rows = projection::project(&document, &taken.touched);
            let (own, loose) = ((last.hash, Some(last.bytes.clone())), stored.changes.len() + taken.changes.len());
            let mut write = document_write(server, identity, &document, original.heads(), own, rows, author, loose);
            let change = |change: &sync_protocol::document::LocalChange| NewChange {
                hash: change.hash,
                actor: actor_bytes(author.actor),
                bytes: Some(change.bytes.clone()),
            };
            write.changes = taken.changes.iter().map(change).collect();
            if server.store.commit(vec![write]).await? != [Committed::Durable] {
                continue;
            }
            undone.documents += 1;
            undone.rows += taken.touched.len();
        }
        let mut telling = Telling { server, identity, original: &original, document: &document, names: None };
        return telling.tell(&taken, (imports, &affirmed), undone).await;
    }
    Err(ImportError::Interrupted(format!("{identity:?} 正被频繁修改，请稍后重试 is being written to: try again")))
}

/// Says in words what became of the cells of a document.
struct Telling<'a> {
    server: &'a Server,
    identity: &'a Identity,
    original: &'a Document,
    document: &'a Document,
    /// The open document beside a restricted one: it knows what a record is called.
    names: Option<Document>,
}

impl Telling<'_> {
    async fn read_names(&mut self) -> Result<(), ImportError> {
        let Self { server, identity, .. } = *self;
        let open = Identity { book: identity.book.open(), ..identity.clone() };
        if identity.book.is_restricted()
            && let Some(stored) = server.store.document(open.document(&server.tenant)).await?
        {
            self.names = Some(Document::load(stored.snapshot.as_deref(), &stored.changes)?);
        }
        Ok(())
    }

    async fn tell(
        &mut self,
        taken: &TakenBack,
        (imports, affirmed): (&Imports<'_>, &Affirmed),
        undone: &mut Undone,
    ) -> Result<(), ImportError> {
        let Self { server, identity, .. } = *self;
        if !taken.cells.is_empty() {
            self.read_names().await?;
        }
        let unit = server.store.unit(identity.unit).await?.map_or_else(String::new, |unit| unit.name);
        let mut gone: BTreeSet<RowKey> = BTreeSet::new();
        for cell in &taken.cells {
            let row = RowKey::from(&cell.address);
            let ledger = server.catalogue.ledger(&row.ledger);
            let ledger = ledger.map_or_else(|| row.ledger.clone(), |ledger| ledger.title.clone());
            let (unit, record, column) = (unit.clone(), self.record(&row), self.column(&cell.address));
            if let Some(kept) = cell.kept {
                let file = imports.affirming(affirmed, &cell.address, imports.actor);
                let by = || self.document.provenance(&cell.address).map(|by| by.who).unwrap_or_default();
                let (who, why) = match (kept, file) {
                    (Kept::Affirmed, Some(file)) => (file.to_owned(), Why::Affirmed),
                    _ => (by(), Why::Edited),
                };
                let (unit, ledger, record, column) = (unit.clone(), ledger.clone(), record.clone(), column.clone());
                undone.kept.push(KeptCell { unit, ledger, record, column, who, why });
            }
            if cell.before == cell.after {
                continue;
            }
            if !self.is_left(&row) {
                // The record is named once, where it is open.
                if gone.insert(row) && !identity.book.is_restricted() {
                    undone.rows_gone.push(GoneRow { unit, ledger, record });
                }
                continue;
            }
            let (action, before, after) = self.words(cell);
            undone.cells.push(UndoneCell { unit, ledger, record, column, action, before, after });
        }
        Ok(())
    }

    fn is_left(&self, row: &RowKey) -> bool {
        let state = self.document.row_state(row);
        !state.row.cells.is_empty() || state.row.removed
    }

    fn record(&self, row: &RowKey) -> String {
        let known = [self.names.as_ref(), Some(self.document), Some(self.original)].into_iter().flatten();
        let named = known.map(|document| {
            record_name(&self.server.catalogue, &row.ledger, &document.row_state(row).row, Sensitivity::S2)
        });
        named.into_iter().find(|name| *name != row.row.to_string()).unwrap_or_else(|| row.row.to_string())
    }

    fn column(&self, address: &Address) -> String {
        let ledger = self.server.catalogue.ledger(&address.ledger);
        let column = ledger.and_then(|ledger| ledger.column(&address.column));
        let member = address.member.as_deref();
        match (column, address.column.as_str(), member) {
            (Some(column), _, None) => column.title.clone(),
            (Some(column), _, Some(code)) => {
                let list = column.column_type.list().and_then(|list| self.server.catalogue.list(list));
                format!("{}：{}", column.title, list.map_or(code, |list| list.label(code)))
            }
            (None, REMOVED, _) => "删除".to_owned(),
            (None, STATE, _) => "状态".to_owned(),
            (None, PHOTO, _) => "照片".to_owned(),
            (None, EXTRA, Some(header)) => header.to_owned(),
            (None, _, _) => address.cell().into_owned(),
        }
    }

    fn words(&self, cell: &TakenCell) -> (Action, Vec<String>, Vec<String>) {
        let ledger = self.server.catalogue.ledger(&cell.address.ledger);
        let column = ledger.and_then(|ledger| ledger.column(&cell.address.column));
        let is_flag = cell.address.member.is_some() && column.is_some();
        let say = |value: &sync_protocol::Value| match cell.address.column.as_str() {
            REMOVED | PHOTO => value.to_string(),
            _ if is_flag => value.to_string(),
            _ => said(self.server, column, value, Sensitivity::S2),
        };
        let action = match cell.after.as_slice() {
            [] => Action::Emptied,
            [_] => Action::Restored,
            _ => Action::Reopened,
        };
        (action, cell.before.iter().map(say).collect(), cell.after.iter().map(say).collect())
    }
}
