//! Rows of the database into the types of the program.

use sqlx::{Row, sqlite::SqliteRow};
use sync_protocol::{Book, ChangeHash, DeviceId, DocumentId, Identity, RowId, UnitId};

use crate::{
    auth::Role,
    store::{PersonId, StoreError},
};

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(what.to_owned())
}

fn bytes<const N: usize>(row: &SqliteRow, column: &str) -> Result<[u8; N], StoreError> {
    let bytes: Vec<u8> = row.try_get(column)?;
    bytes.try_into().map_err(|_| damaged(column))
}

pub(super) fn unit_id(row: &SqliteRow, column: &str) -> Result<UnitId, StoreError> {
    bytes(row, column).map(UnitId::from_bytes)
}

pub(super) fn device_id(row: &SqliteRow, column: &str) -> Result<DeviceId, StoreError> {
    bytes(row, column).map(DeviceId::from_bytes)
}

/// A device, or none where the server itself is meant: nothing, or no bytes.
pub(super) fn some_device(row: &SqliteRow, column: &str) -> Result<Option<DeviceId>, StoreError> {
    let bytes: Option<Vec<u8>> = row.try_get(column)?;
    let bytes = bytes.filter(|bytes| !bytes.is_empty());
    bytes.map(|bytes| bytes.try_into().map(DeviceId::from_bytes)).transpose().map_err(|_| damaged(column))
}

pub(super) fn person_id(row: &SqliteRow, column: &str) -> Result<Option<PersonId>, StoreError> {
    let bytes: Option<Vec<u8>> = row.try_get(column)?;
    let id = bytes.map(|bytes| bytes.try_into().map(PersonId::from_bytes));
    id.transpose().map_err(|_| damaged(column))
}

pub(super) fn role(row: &SqliteRow) -> Result<Role, StoreError> {
    row.try_get::<&str, _>("role")?.parse().map_err(|_| damaged("role"))
}

pub(super) fn document_id(row: &SqliteRow, column: &str) -> Result<DocumentId, StoreError> {
    bytes(row, column).map(DocumentId::from_bytes)
}

pub(super) fn hash32(row: &SqliteRow, column: &str) -> Result<[u8; 32], StoreError> {
    bytes(row, column)
}

pub(super) fn row_id(row: &SqliteRow, column: &str) -> Result<RowId, StoreError> {
    bytes(row, column).map(RowId::random)
}

pub(super) fn book(row: &SqliteRow) -> Result<Book, StoreError> {
    let book: &str = row.try_get("book")?;
    book.parse().map_err(|_| damaged("book"))
}

pub(super) fn identity(row: &SqliteRow) -> Result<Identity, StoreError> {
    Ok(Identity { unit: unit_id(row, "unit")?, book: book(row)?, period: row.try_get("period")? })
}

pub(super) fn heads(row: &SqliteRow) -> Result<Vec<ChangeHash>, StoreError> {
    let bytes: &[u8] = row.try_get("heads")?;
    split_heads(bytes)
}

pub(super) fn split_heads(bytes: &[u8]) -> Result<Vec<ChangeHash>, StoreError> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if rest.is_empty() { Ok(hashes.iter().copied().map(ChangeHash).collect()) } else { Err(damaged("heads")) }
}

pub(super) fn join_heads(heads: &[ChangeHash]) -> Vec<u8> {
    heads.iter().flat_map(|hash| hash.0).collect()
}

/// The first change of a document's successor, if it has one.
pub(super) fn root(row: &SqliteRow) -> Result<Option<ChangeHash>, StoreError> {
    let bytes: Option<Vec<u8>> = row.try_get("root")?;
    bytes.map(|bytes| bytes.try_into().map(ChangeHash)).transpose().map_err(|_| damaged("root"))
}

/// `$2, $3 …` for a list of values, as SQL text.
pub(super) fn placeholders(first: usize, count: usize) -> String {
    let marks: Vec<String> = (first..first + count).map(|n| format!("${n}")).collect();
    marks.join(", ")
}
