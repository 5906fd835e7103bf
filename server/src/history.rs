//! What was ever written to a cell, and by whom: provenance.

use std::collections::BTreeMap;

use importer::mask::shown;
use serde::Serialize;
use sync_protocol::{
    Address, ChangeHash, Document, Identity, RowId, UnitId,
    catalogue::{Column, Sensitivity},
};

use crate::{Server, aside::aside, store::StoreError};

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// No such ledger, column or document.
    #[error("没有这项内容 | no such cell")]
    Unknown,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A cell, and the document that holds it.
#[derive(Debug)]
pub struct Place<'a> {
    /// The document.
    pub identity: Identity,
    address: Address,
    column: &'a Column,
}

/// A value that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CellVersion {
    /// The value; masked by role. Empty where the cell was cleared.
    pub value: String,
    /// The value before it, in the order of the list.
    pub previous: Option<String>,
    /// Who wrote it: whoever carries the device that wrote it, else whom the change itself names.
    pub who: String,
    /// The device that brought it.
    pub device: Option<String>,
    /// The file that it was read from.
    pub file: Option<String>,
    /// `form`, `import`, `return`, `resolve`, `undo`, `keep` or `carry`.
    pub how: Option<String>,
    /// The year that it was carried over from.
    pub carried_from: Option<String>,
    /// When, by the writer's clock, in milliseconds since 1970.
    pub written_at_ms: i64,
    /// When the server got it, in milliseconds since 1970.
    pub received_at_ms: Option<i64>,
}

/// Where a cell of a ledger is kept.
pub fn place<'a>(
    server: &'a Server,
    unit: UnitId,
    ledger: &str,
    row: RowId,
    column: &str,
) -> Result<Place<'a>, HistoryError> {
    let ledger = server.catalogue.ledger(ledger).ok_or(HistoryError::Unknown)?;
    let column = ledger.column(column).ok_or(HistoryError::Unknown)?;
    let identity = Identity { unit, book: ledger.book_of(column), period: server.period() };
    Ok(Place { identity, address: Address::new(&ledger.id, row, &column.key), column })
}

impl Place<'_> {
    /// The cell of one member, where the column is a set.
    #[must_use]
    pub fn member(self, member: &str) -> Self {
        Self { address: self.address.member(member), ..self }
    }
}

/// Everything that was written there, oldest first.
pub async fn history(
    server: &Server,
    place: &Place<'_>,
    clearance: Sensitivity,
) -> Result<Vec<CellVersion>, HistoryError> {
    let stored = server.store.document(place.identity.document(&server.tenant)).await?.ok_or(HistoryError::Unknown)?;
    let address = place.address.clone();
    let read = move || Document::load(stored.snapshot.as_deref(), &stored.changes).map(|d| d.history(&address));
    let written = aside(read).await?;
    let written = written.map_err(|e| StoreError::Damaged(e.to_string()))?;
    let hashes: Vec<ChangeHash> = written.iter().map(|value| value.change).collect();
    let arrivals = server.store.arrivals(&hashes).await?;
    let files: BTreeMap<String, String> =
        server.store.batches().await?.into_iter().map(|stored| (stored.batch.id, stored.batch.file)).collect();
    let mut devices = BTreeMap::new();
    for device in server.store.devices().await? {
        devices.insert(device.device.id, device.device);
    }
    let mut versions: Vec<CellVersion> = Vec::new();
    for value in written {
        let arrival = arrivals.get(&value.change);
        let device = arrival.and_then(|arrival| devices.get(&arrival.device?));
        let writer = arrival.and_then(|arrival| devices.get(&arrival.writer?));
        let claimed = value.provenance.as_ref();
        let text = if value.value.is_null() { String::new() } else { value.value.to_string() };
        versions.push(CellVersion {
            value: shown(&text, &place.column.column_type, place.column.sensitivity, clearance),
            previous: versions.last().map(|before| before.value.clone()),
            who: writer.map(|d| d.owner.clone()).or(claimed.map(|c| c.who.clone())).unwrap_or_else(|| "未知".into()),
            device: device.map(|device| device.name.clone()),
            file: claimed.and_then(|claimed| files.get(claimed.source.as_ref()?).cloned()),
            how: claimed.and_then(|claimed| Some(serde_json::to_value(claimed.how).ok()?.as_str()?.to_owned())),
            carried_from: claimed.and_then(|claimed| claimed.carried_from()).map(str::to_owned),
            written_at_ms: value.written_at_s.saturating_mul(1000),
            received_at_ms: arrival.map(|arrival| arrival.received_at_ms),
        });
    }
    Ok(versions)
}
