//! Stored records that may be one: found in the projection, settled in the documents.

use std::collections::BTreeSet;

use importer::{
    memory::Decision,
    plan::Counts,
    twins::{Twin, probable_duplicates},
};
use sync_protocol::{
    ActorId, Address, Document, Identity, Row, RowId, Value,
    catalogue::Ledger,
    conflict::{Means, Provenance},
    document::{Author, Edit},
    row::{REASON, STATE},
};

use crate::{
    Server, clock,
    doubts::{Choice, Decided},
    import::{ImportError, ImportReport, document_write},
    projection,
    returns::read,
    store::{Committed, StoreError, StoredDoubt},
};

/// Units whose rows are in memory at once.
const UNITS_PER_CHUNK: usize = 200;
/// How often a document is tried that somebody else is writing to.
const ROUNDS_MAX: usize = 16;
/// Why one of the two stands no more.
const MERGED: &str = "与另一条记录重复，已合并";

/// Stored records that may be one, with the ledger of each; those that somebody has said to be others are left out.
pub(crate) async fn find(server: &Server) -> Result<Vec<(Twin, String)>, ImportError> {
    let memory = server.store.memory(&[]).await?;
    let units: Vec<_> = server.store.units().await?.into_iter().map(|unit| unit.id).collect();
    let is_apart = |question: RowId| memory.is_apart(question);
    let mut found = Vec::new();
    for ledger in server.catalogue.ledgers() {
        for chunk in units.chunks(UNITS_PER_CHUNK) {
            let rows = read(server, &ledger.id, chunk).await.map_err(|e| ImportError::Interrupted(e.to_string()))?;
            for (unit, rows) in rows {
                let twins = probable_duplicates(ledger, unit, server.keyring.county(), &rows, &is_apart);
                found.extend(twins.into_iter().map(|twin| (twin, ledger.id.clone())));
            }
        }
    }
    Ok(found)
}

/// Follows a person's decision on two stored records.
pub(crate) async fn decide(server: &Server, id: RowId, choice: Choice, who: &str) -> Result<Decided, ImportError> {
    let found = find(server).await?.into_iter().find(|(twin, _)| twin.doubt.id == id);
    let Some((twin, ledger)) = found else { return Ok(Decided::Unknown) };
    let keeps = twin.doubt.candidates.first().map(|candidate| candidate.row);
    let decision = match choice {
        // Both stay as they are.
        Choice::New | Choice::Drop => Decision::New,
        Choice::Same(named) => match keeps {
            Some(kept) if named.is_none_or(|named| named == kept) => Decision::Same(kept),
            _ => {
                let stored = StoredDoubt { doubt: twin.doubt, file: String::new(), digest: [0; 32] };
                return Ok(Decided::Several(stored));
            }
        },
    };
    let mut report = ImportReport::default();
    if let (Decision::Same(kept), Some(ledger)) = (decision, server.catalogue.ledger(&ledger)) {
        report.documents = join(server, ledger, &twin, kept, who).await?;
        report.counts = Counts { changed: 1, ..Counts::default() };
    }
    server.store.learn(server.county, &[], &[(id, decision)], who, clock::now_ms()).await?;
    Ok(if choice == Choice::Drop { Decided::Dropped } else { Decided::Written(report) })
}

/// What the one that stays does not say it takes over from the other, which is made void: everything that it said stays in
/// it. Both books are written in one transaction.
async fn join(server: &Server, ledger: &Ledger, twin: &Twin, kept: RowId, who: &str) -> Result<usize, ImportError> {
    let author = Author {
        actor: ActorId(clock::random()),
        provenance: Provenance { who: who.to_owned(), how: Means::Resolve, source: None },
        time_s: clock::now_ms() / 1000,
    };
    for _ in 0..ROUNDS_MAX {
        let mut writes = Vec::new();
        for book in [ledger.book, ledger.book.restricted()] {
            let identity = Identity { unit: twin.doubt.unit, book, period: server.period() };
            let Some(stored) = server.store.document(identity.document(&server.tenant)).await? else { continue };
            let mut document = Document::load(stored.snapshot.as_deref(), &stored.changes)?;
            let heads = document.heads();
            let rows = document.rows(&ledger.id);
            let mut edits =
                rows.get(&twin.row).map_or_else(Vec::new, |row| missing(ledger, row, rows.get(&kept), kept));
            if book == ledger.book {
                let mark = |column: &str, text: &str| Edit {
                    address: Address::new(&ledger.id, twin.row, column),
                    value: Value::text(text),
                };
                edits.extend([mark(STATE, "void"), mark(REASON, MERGED)]);
            }
            let Some(change) = document.write(&identity, &edits, &author)? else { continue };
            let touched: BTreeSet<_> = edits.iter().map(|edit| (&edit.address).into()).collect();
            let rows = projection::project(&document, &touched);
            let own = (change.hash, Some(change.bytes));
            let loose = stored.changes.len();
            writes.push(document_write(server, &identity, &document, heads, own, rows, &author, loose));
        }
        let count = writes.len();
        if server.store.commit(writes).await?.iter().all(|committed| *committed == Committed::Durable) {
            return Ok(count);
        }
    }
    Err(StoreError::Database("the two records are being written to: try again".into()).into())
}

/// The cells that only the other fills; marks of the record itself are its own.
fn missing(ledger: &Ledger, row: &Row, kept: Option<&Row>, id: RowId) -> Vec<Edit> {
    let is_missing = |cell: &str| kept.and_then(|kept| kept.get(cell)).is_none();
    let taken = row.cells.iter().filter(|(cell, value)| {
        let is_mark = cell.starts_with('@') && cell.contains('/');
        !value.is_null() && (is_mark || !cell.starts_with('@')) && is_missing(cell)
    });
    let edit = |(cell, value): (&String, &Value)| {
        let address = match cell.split_once('/') {
            Some((column, member)) => Address::new(&ledger.id, id, column).member(member),
            None => Address::new(&ledger.id, id, cell.as_str()),
        };
        Edit { address, value: value.clone() }
    };
    taken.map(edit).collect()
}
