//! Which key what is stored of a document is sealed with, and sealing what is stored under another, or under none yet.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use data_encoding::HEXLOWER;
use sqlx::{Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};
use sync_protocol::{Book, Identity};

use super::{
    codec,
    document_key::{DocumentKey, KeyId, Place, sealed_with, text_sealed_with},
    document_keys::{self, DocumentKeys},
    erase,
    group::for_rows,
    tx::Writer,
};
use crate::{
    aside::aside,
    store::{Refused, StoreError, blob},
};

/// Which file of keys is the database's, in the database.
const MARK: &str = "document_keys";
/// Documents of an earlier version that are sealed in one transaction.
const DOCUMENTS_PER_BATCH: usize = 50;

/// What a database says of the file of its keys.
pub(super) async fn mark(pool: &SqlitePool) -> Result<Option<KeyId>, StoreError> {
    let mark: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT value FROM meta WHERE key = $1").bind(MARK).fetch_optional(pool).await?;
    mark.map(|mark| mark.try_into().map_err(|_| StoreError::Damaged(MARK.into()))).transpose()
}

/// The keys beside a database. One that has none yet gets them.
pub(super) async fn open(path: &Path, writer: &SqlitePool) -> Result<Arc<DocumentKeys>, StoreError> {
    let (file, expected) = (path.with_file_name(document_keys::FILE), mark(writer).await?);
    let keys = DocumentKeys::open(file, expected)?;
    if expected.is_none() {
        sqlx::query("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = $2")
            .bind(MARK)
            .bind(keys.file().as_slice())
            .execute(writer)
            .await?;
    }
    Ok(Arc::new(keys))
}

/// The same for whoever writes nothing; where they are not there, none, and why.
pub(super) async fn open_to_read(path: &Path, reader: &SqlitePool) -> Result<Arc<DocumentKeys>, StoreError> {
    let file = path.with_file_name(document_keys::FILE);
    let opened = match mark(reader).await? {
        None => Ok(DocumentKeys::lost(file.clone(), Refused::NoDocumentKeys)),
        expected => DocumentKeys::open(file.clone(), expected),
    };
    match opened {
        Err(StoreError::Refused(fault)) => Ok(Arc::new(DocumentKeys::lost(file, fault))),
        keys => Ok(Arc::new(keys?)),
    }
}

/// The keys of documents that are written to, by their numbers; none for those that are open.
#[derive(Debug, Default)]
pub(super) struct Sealing(BTreeMap<i64, Arc<DocumentKey>>);

impl Sealing {
    pub(super) async fn of<'a>(
        tx: &mut SqliteConnection,
        keys: &Arc<DocumentKeys>,
        documents: impl Iterator<Item = (i64, &'a Identity)>,
    ) -> Result<Self, StoreError> {
        let restricted: Vec<(i64, &Identity)> = documents.filter(|(_, of)| of.book.is_restricted()).collect();
        let of: BTreeSet<&Identity> = restricted.iter().map(|(_, of)| *of).collect();
        let of: Vec<&Identity> = of.into_iter().collect();
        let found = of_all(tx, keys, &of).await?;
        let found: BTreeMap<&Identity, Arc<DocumentKey>> = of.into_iter().zip(found).collect();
        let numbered = restricted.into_iter().filter_map(|(number, of)| Some((number, found.get(of)?.clone())));
        Ok(Self(numbered.collect()))
    }

    pub(super) fn blob(&self, number: i64, place: Place<'_>, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
        packed(self.0.get(&number), place, bytes)
    }

    pub(super) fn text(&self, number: i64, place: Place<'_>, text: &str) -> Result<String, StoreError> {
        self.0.get(&number).map_or_else(|| Ok(text.to_owned()), |key| key.shut_text(place, text))
    }
}

/// Bytes as they are stored: sealed where there is a key.
pub(super) fn packed(key: Option<&Arc<DocumentKey>>, place: Place<'_>, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
    key.map_or_else(|| Ok(blob::pack(bytes)), |key| key.shut(place, bytes))
}

/// The key of a document that is written to; none, if it is open.
pub(super) async fn key_of(
    tx: &mut SqliteConnection,
    keys: &Arc<DocumentKeys>,
    of: &Identity,
) -> Result<Option<Arc<DocumentKey>>, StoreError> {
    if of.book.is_restricted() { Ok(of_all(tx, keys, &[of]).await?.pop()) } else { Ok(None) }
}

/// The keys of these documents, in their order. Those that have none get one, which is on the disk before the transaction is
/// committed.
async fn of_all(
    tx: &mut SqliteConnection,
    keys: &Arc<DocumentKeys>,
    of: &[&Identity],
) -> Result<Vec<Arc<DocumentKey>>, StoreError> {
    let mut found: BTreeMap<&Identity, Arc<DocumentKey>> = BTreeMap::new();
    for of in of {
        if let Some(id) = current(tx, of).await? {
            found.insert(*of, keys.get(&id).ok_or(StoreError::KeyGone)?);
        }
    }
    let mut new: Vec<(Identity, Arc<DocumentKey>)> = Vec::new();
    let mut without: Vec<Identity> = Vec::new();
    for of in of.iter().filter(|of| !found.contains_key(*of)) {
        match keys.newest(of) {
            Some(key) => new.push(((*of).clone(), key)),
            None => without.push((*of).clone()),
        }
    }
    if !new.is_empty() || !without.is_empty() {
        let (keys, of, is_found) = (keys.clone(), without.clone(), !new.is_empty());
        let made = aside(move || {
            if is_found {
                keys.settle()?;
            }
            if of.is_empty() { Ok(Vec::new()) } else { keys.create(&of) }
        });
        new.extend(without.into_iter().zip(made.await??));
    }
    let insert = |values: &str| format!("INSERT INTO document_keys (unit, book, period, key) VALUES {values}");
    for_rows(tx, &new, "(?, ?, ?, ?)", insert, |query, (of, key)| {
        query.bind(of.unit.as_bytes().as_slice()).bind(of.book.as_str()).bind(&of.period).bind(key.id.as_slice())
    })
    .await?;
    let mut new: BTreeMap<Identity, Arc<DocumentKey>> = new.into_iter().collect();
    of.iter().map(|of| found.remove(of).or_else(|| new.remove(*of)).ok_or(StoreError::KeyGone)).collect()
}

/// The key that new writes of a document are sealed with.
async fn current(tx: &mut SqliteConnection, of: &Identity) -> Result<Option<KeyId>, StoreError> {
    let key: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT key FROM document_keys WHERE unit = $1 AND book = $2 AND period = $3")
            .bind(of.unit.as_bytes().as_slice())
            .bind(of.book.as_str())
            .bind(&of.period)
            .fetch_optional(tx)
            .await?;
    key.map(|key| key.try_into().map_err(|_| StoreError::Damaged("the key of a document".into()))).transpose()
}

/// From now on a document is sealed with this key.
pub(super) async fn set(tx: &mut SqliteConnection, of: &Identity, key: &KeyId) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO document_keys (unit, book, period, key) VALUES ($1, $2, $3, $4)
         ON CONFLICT (unit, book, period) DO UPDATE SET key = excluded.key",
    )
    .bind(of.unit.as_bytes().as_slice())
    .bind(of.book.as_str())
    .bind(&of.period)
    .bind(key.as_slice())
    .execute(tx)
    .await?;
    Ok(())
}

/// From now on a restricted document is sealed with another key than before, which has to be destroyed once that is committed.
pub(super) async fn renew(
    tx: &mut SqliteConnection,
    keys: &Arc<DocumentKeys>,
    of: &Identity,
) -> Result<Option<Arc<DocumentKey>>, StoreError> {
    if !of.book.is_restricted() {
        return Ok(None);
    }
    let Some(before) = current(tx, of).await? else {
        return key_of(tx, keys, of).await;
    };
    let (keys, own) = (keys.clone(), of.clone());
    let key = aside(move || keys.in_place_of(&own, before)).await??;
    set(tx, of, &key.id).await?;
    Ok(Some(key))
}

/// Destroys keys in whose place others are used by now. A key that was made for what was not committed, or is about to be, is left
/// alone, and so is the one in whose place it was made.
pub(super) async fn destroy_replaced(pool: &SqlitePool, keys: &Arc<DocumentKeys>) -> Result<(), StoreError> {
    let mut replaced = keys.replaced();
    if replaced.is_empty() {
        return Ok(());
    }
    let used: BTreeSet<Vec<u8>> =
        sqlx::query_scalar("SELECT key FROM document_keys").fetch_all(pool).await?.into_iter().collect();
    replaced.retain(|(old, new)| used.contains(new.as_slice()) && !used.contains(old.as_slice()));
    if replaced.is_empty() {
        return Ok(());
    }
    let (keys, old) = (keys.clone(), replaced.into_iter().map(|(old, _)| old).collect::<Vec<_>>());
    aside(move || keys.destroy(&old)).await?
}

fn restricted() -> String {
    let names: Vec<String> =
        Book::ALL.into_iter().filter(|book| book.is_restricted()).map(|book| format!("'{book}'")).collect();
    names.join(", ")
}

fn identity(row: &SqliteRow) -> Option<Identity> {
    codec::identity(row).ok()
}

/// Seals what an earlier version has stored in clear, some documents at a time: being interrupted does no harm.
pub(super) async fn seal_all(writer: &Writer, keys: &Arc<DocumentKeys>) -> Result<(), StoreError> {
    let books = restricted();
    let sql = format!(
        "SELECT unit, book, period FROM documents d WHERE book IN ({books}) AND {NO_KEY}
         UNION SELECT unit, book, period FROM quarantine d WHERE book IN ({books}) AND {NO_KEY}
         UNION SELECT unit, book, period FROM proposals d WHERE book IN ({books}) AND {NO_KEY}"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(writer.outside()).await?;
    // What is damaged stays as it is: `doctor` tells.
    let unsealed: Vec<Identity> = rows.iter().filter_map(identity).collect();
    for batch in unsealed.chunks(DOCUMENTS_PER_BATCH) {
        let mut tx = writer.begin().await?;
        let own = of_all(&mut tx, keys, &batch.iter().collect::<Vec<_>>()).await?;
        for (of, key) in batch.iter().zip(&own) {
            seal(&mut tx, keys, of, key).await?;
        }
        erase::unswept(&mut tx).await?;
        tx.commit().await?;
    }
    if !unsealed.is_empty() {
        tracing::info!("{} restricted documents are sealed now", unsealed.len());
    }
    Ok(())
}

const NO_KEY: &str =
    "NOT EXISTS (SELECT 1 FROM document_keys k WHERE k.unit = d.unit AND k.book = d.book AND k.period = d.period)";

/// Seals everything that is stored of a document with its key: what is not, or with another. What cannot be read stays as it is.
pub(super) async fn seal(
    tx: &mut SqliteConnection,
    keys: &Arc<DocumentKeys>,
    of: &Identity,
    key: &DocumentKey,
) -> Result<(), StoreError> {
    let own = "document IN (SELECT number FROM documents WHERE unit = $1 AND book = $2 AND period = $3)";
    let by_identity = "unit = $1 AND book = $2 AND period = $3";
    for (table, id, column, filter, place) in [
        ("changes", "seq", "bytes", own, Place::Change),
        ("snapshots", "document", "bytes", own, Place::Snapshot),
        ("affirmed", "batch", "cells", own, Place::Affirmed),
        ("quarantine", "hash", "bytes", by_identity, Place::Quarantine),
    ] {
        seal_blobs(tx, (keys, of, key), (table, id, column, filter), place).await?;
    }
    seal_rows(tx, (keys, of, key), own).await?;
    seal_proposals(tx, (keys, of, key), by_identity).await
}

type With<'a> = (&'a Arc<DocumentKeys>, &'a Identity, &'a DocumentKey);

async fn of_document(tx: &mut SqliteConnection, sql: String, of: &Identity) -> Result<Vec<SqliteRow>, StoreError> {
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(of.unit.as_bytes().as_slice()).bind(of.book.as_str());
    Ok(query.bind(&of.period).fetch_all(tx).await?)
}

async fn seal_blobs(
    tx: &mut SqliteConnection,
    (keys, of, key): With<'_>,
    (table, id, column, filter): (&str, &str, &str, &str),
    place: Place<'_>,
) -> Result<(), StoreError> {
    // The row of a table without row numbers is known by two of its columns.
    let select = format!("SELECT {id} AS id, {column} AS stored FROM {table} WHERE {filter} AND {column} IS NOT NULL");
    for row in of_document(tx, select, of).await? {
        let stored: Vec<u8> = row.try_get("stored")?;
        if sealed_with(&stored) == Some(key.id) {
            continue;
        }
        let Ok(opened) = keys.open_any(place, &stored) else { continue };
        let update = format!("UPDATE {table} SET {column} = $5 WHERE {id} = $4 AND {filter}");
        let query = sqlx::query(sqlx::AssertSqlSafe(update)).bind(of.unit.as_bytes().as_slice());
        let query = query.bind(of.book.as_str()).bind(&of.period);
        let query = match id {
            "seq" | "document" => query.bind(row.try_get::<i64, _>("id")?),
            "batch" => query.bind(row.try_get::<String, _>("id")?),
            _ => query.bind(row.try_get::<Vec<u8>, _>("id")?),
        };
        query.bind(key.shut(place, &opened)?).execute(&mut *tx).await?;
    }
    Ok(())
}

/// A text as this key seals it; none, where it does so already or what stands there cannot be read.
fn resealed<'p>(
    (keys, _, key): With<'_>,
    place: Place<'p>,
    text: Option<String>,
    shut: impl Fn(&DocumentKey, Place<'p>, &str) -> Result<String, StoreError>,
) -> Result<Option<String>, StoreError> {
    let Some(text) = text.filter(|text| text_sealed_with(text) != Some(key.id)) else { return Ok(None) };
    let Ok(opened) = keys.open_any_text(place, text) else { return Ok(None) };
    shut(key, place, &opened).map(Some)
}

async fn seal_rows(tx: &mut SqliteConnection, (keys, of, key): With<'_>, filter: &str) -> Result<(), StoreError> {
    let select = format!("SELECT ledger, document, row, cells, conflicts FROM rows WHERE {filter}");
    for row in of_document(tx, select, of).await? {
        let (ledger, id): (String, Vec<u8>) = (row.try_get("ledger")?, row.try_get("row")?);
        let Ok(known) = codec::row_id(&row, "row") else { continue };
        let sealed = |place, text| resealed((keys, of, key), place, text, DocumentKey::shut_text);
        let cells = sealed(Place::Cells(&ledger, known), row.try_get("cells")?)?;
        let conflicts = sealed(Place::Conflicts(&ledger, known), row.try_get("conflicts")?)?;
        sqlx::query(
            "UPDATE rows SET cells = coalesce($4, cells), conflicts = coalesce($5, conflicts)
             WHERE ledger = $1 AND document = $2 AND row = $3",
        )
        .bind(&ledger)
        .bind(row.try_get::<i64, _>("document")?)
        .bind(id)
        .bind(cells)
        .bind(conflicts)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

async fn seal_proposals(tx: &mut SqliteConnection, (keys, of, key): With<'_>, filter: &str) -> Result<(), StoreError> {
    let select = format!("SELECT number, before, value FROM proposals WHERE {filter}");
    for row in of_document(tx, select, of).await? {
        let sealed = |place, text| resealed((keys, of, key), place, text, DocumentKey::shut_same);
        let (before, value) =
            (sealed(Place::Before, row.try_get("before")?)?, sealed(Place::Proposed, row.try_get("value")?)?);
        sqlx::query(
            "UPDATE proposals SET before = coalesce($2, before), value = coalesce($3, value) WHERE number = $1",
        )
        .bind(row.try_get::<i64, _>("number")?)
        .bind(before)
        .bind(value)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Documents whose key is not there: what is stored of them cannot be read. Whether a kept successor can take its place.
pub(super) async fn keyless(pool: &SqlitePool, keys: &Arc<DocumentKeys>) -> Result<Vec<(Identity, bool)>, StoreError> {
    let rows = sqlx::query("SELECT unit, book, period, key FROM document_keys").fetch_all(pool).await?;
    let mut keyless = Vec::new();
    for row in &rows {
        let key: Vec<u8> = row.try_get("key")?;
        let is_there = <KeyId>::try_from(key).is_ok_and(|id| keys.get(&id).is_some() && keys.state(&id) == Some(true));
        if let Some(of) = identity(row).filter(|_| !is_there) {
            let is_kept = keys.all_of(&of).iter().any(|id| kept(keys, id).exists());
            keyless.push((of, is_kept));
        }
    }
    Ok(keyless)
}

/// The file of the successor that was sealed with a key.
pub(super) fn kept(keys: &DocumentKeys, id: &KeyId) -> std::path::PathBuf {
    keys.successors().join(HEXLOWER.encode(id))
}
