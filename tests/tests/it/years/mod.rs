//! Years: what a new one begins with, what comes late, what a seal keeps, and the story of three of them.

mod opening;
mod sealing;
mod story;

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result};
use server::{
    Server,
    audit::By,
    import::{ImportReport, import_file},
    periods::{self, Opened},
    projection,
};
use sync_protocol::{Address, Book, Document, Identity, Row, RowId, UnitId, conflict::Provenance};
use tests::{roster, sheet};

/// Opens 2013 from 2012.
async fn open_2013(server: &Server) -> Result<Opened> {
    Ok(periods::open(server, "2013", "2012", &By::from("王主任"), &|_, _| {}).await?)
}

async fn import(server: &Server, folder: &Path, name: &str, sheets: &[sheet::Sheet<'_>]) -> Result<ImportReport> {
    let path = folder.join(format!("{name}.xlsx"));
    std::fs::write(&path, sheet::workbook(sheets)?)?;
    Ok(import_file(server, &path, "县", &|_, _| {}).await?)
}

/// The rows of a ledger of a unit in a year that stand, restricted cells joined.
async fn rows(server: &Server, ledger: &str, period: &str, unit: UnitId) -> Result<BTreeMap<RowId, Row>> {
    let mut rows: BTreeMap<RowId, Row> = BTreeMap::new();
    for stored in server.store.rows(ledger, period, &[unit]).await? {
        let row = rows.entry(stored.row).or_insert_with(|| Row::new(stored.row));
        row.removed |= stored.removed;
        row.cells.extend(projection::cells(&stored.cells)?);
    }
    rows.retain(|_, row| row.stands());
    Ok(rows)
}

/// The only row of a ledger in which a column says this.
async fn row(server: &Server, (ledger, period, unit): (&str, &str, UnitId), column: &str, says: &str) -> Result<Row> {
    let found = rows(server, ledger, period, unit).await?;
    let mut found = found.into_values().filter(|row| row.text(column) == says);
    let row = found.next().with_context(|| format!("{ledger} {period} {says}"))?;
    anyhow::ensure!(found.next().is_none(), "{ledger} {period} {says}: more than one");
    Ok(row)
}

async fn document(server: &Server, identity: &Identity) -> Result<Document> {
    let stored = server.store.document(identity.document(&server.tenant)).await?.context("a document")?;
    Ok(Document::load(stored.snapshot.as_deref(), &stored.changes)?)
}

/// Who wrote a cell, and how.
async fn provenance(server: &Server, identity: &Identity, address: &Address) -> Result<Provenance> {
    document(server, identity).await?.provenance(address).context("provenance")
}

fn unit_book(unit: UnitId, period: &str) -> Identity {
    Identity { unit, book: Book::Unit, period: period.to_owned() }
}

fn code() -> String {
    roster::branch_code(0)
}
