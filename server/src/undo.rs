//! Taking back an import: every cell that still says what the file said gets back what it said before.

use serde::Serialize;
use sync_protocol::{
    ActorId, Document, Identity,
    conflict::{Means, Provenance},
    document::Author,
};

use crate::{
    Server, clock,
    import::{ImportError, document_write},
    projection,
    returns::record_name,
    store::{Committed, StoredBatch},
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
    /// Cells that somebody has edited since the import: they stay.
    pub kept: Vec<KeptCell>,
}

/// A cell that was edited since.
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
    /// Who edited it.
    pub who: String,
}

/// Takes back the import with this id; `None` if there is none.
pub async fn undo(server: &Server, id: &str, who: &str) -> Result<Option<Undone>, ImportError> {
    let batches = server.store.batches().await?;
    let Some(StoredBatch { batch, .. }) = batches.into_iter().find(|stored| stored.batch.id == id) else {
        return Ok(None);
    };
    let Some(actor) = batch.actor() else { return Ok(None) };
    let author = Author {
        actor: ActorId(clock::random()),
        provenance: Provenance { who: who.to_owned(), how: Means::Undo, source: Some(batch.id.clone()) },
        time_s: clock::now_ms() / 1000,
    };
    let mut undone = Undone { file: batch.file.clone(), ..Undone::default() };
    for identity in server.store.documents_of(actor).await? {
        take_back(server, &identity, actor, &author, &mut undone).await?;
    }
    server.store.batch_undone(&batch.id, clock::now_ms()).await?;
    Ok(Some(undone))
}

async fn take_back(
    server: &Server,
    identity: &Identity,
    actor: ActorId,
    author: &Author,
    undone: &mut Undone,
) -> Result<(), ImportError> {
    for _ in 0..ROUNDS_MAX {
        let Some(stored) = server.store.document(identity.document(&server.tenant)).await? else { return Ok(()) };
        let mut document = Document::load(stored.snapshot.as_deref(), &stored.changes)?;
        let original = document.clone();
        let taken = document.take_back(identity, actor, author)?;
        let mut committed = true;
        if let Some(change) = taken.change {
            let rows = projection::project(&document, &taken.touched);
            let own = (change.hash, Some(change.bytes));
            let write =
                document_write(server, identity, &document, original.heads(), own, rows, author, stored.changes.len());
            committed = server.store.commit(vec![write]).await? == [Committed::Durable];
            undone.documents += usize::from(committed);
            undone.rows += if committed { taken.touched.len() } else { 0 };
        }
        if committed {
            let unit = server.store.unit(identity.unit).await?.map_or_else(String::new, |unit| unit.name);
            undone.kept.extend(taken.kept.iter().map(|address| {
                let ledger = server.catalogue.ledger(&address.ledger);
                let column = ledger.and_then(|ledger| ledger.column(&address.column));
                KeptCell {
                    unit: unit.clone(),
                    ledger: ledger.map_or_else(|| address.ledger.to_string(), |ledger| ledger.title.clone()),
                    record: record_name(&original.row_state(&address.into()).row),
                    column: column.map_or_else(|| address.cell().into_owned(), |column| column.title.clone()),
                    who: document.provenance(address).map(|provenance| provenance.who).unwrap_or_default(),
                }
            }));
            return Ok(());
        }
    }
    Err(ImportError::Interrupted(format!("{identity:?} 正被频繁修改，请稍后重试 is being written to: try again")))
}
