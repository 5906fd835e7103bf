//! Imports: what was read when, and whether it was taken back.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{Row, SqlitePool};
use sync_protocol::{ActorId, ChangeHash, Identity};

use super::{codec, memory, tx::Writer};
use crate::store::{Batch, StoreError, StoredBatch, actor_bytes};

pub(super) async fn begin(writer: &Writer, batch: &Batch) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    sqlx::query("INSERT INTO import_batches (id, file, digest, started_at_ms, period) VALUES ($1, $2, $3, $4, $5)")
        .bind(&batch.id)
        .bind(&batch.file)
        .bind(batch.digest.as_slice())
        .bind(batch.started_at_ms)
        .bind(&batch.period)
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}

pub(super) async fn finish(writer: &Writer, id: &str, now_ms: i64, counts: &str) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    sqlx::query("UPDATE import_batches SET finished_at_ms = $1, counts = $2 WHERE id = $3")
        .bind(now_ms)
        .bind(counts)
        .bind(id)
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}

pub(super) async fn is_imported(pool: &SqlitePool, digest: &[u8; 32], period: &str) -> Result<bool, StoreError> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT 1 FROM import_batches
             WHERE digest = $1 AND coalesce(period, $2) = $2 AND finished_at_ms IS NOT NULL AND undone_at_ms IS NULL
             AND json_extract(counts, '$.refused') = 0
             AND COALESCE(json_extract(counts, '$.doubtful'), 0) = 0
             AND COALESCE(json_extract(counts, '$.proposed'), 0) = 0 LIMIT 1",
    )
    .bind(digest.as_slice())
    .bind(period)
    .fetch_optional(pool)
    .await?;
    Ok(found.is_some())
}

pub(super) async fn undone(writer: &Writer, id: &str, now_ms: i64) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    sqlx::query("UPDATE import_batches SET undone_at_ms = $1 WHERE id = $2")
        .bind(now_ms)
        .bind(id)
        .execute(&mut *tx)
        .await?;
    // What it left waiting is not wanted any more either.
    sqlx::query("DELETE FROM doubts WHERE batch = $1").bind(id).execute(&mut *tx).await?;
    memory::drop_idle_files(&mut tx).await?;
    tx.commit().await
}

pub(super) async fn all(pool: &SqlitePool) -> Result<Vec<StoredBatch>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, file, digest, started_at_ms, period, finished_at_ms, undone_at_ms
             FROM import_batches ORDER BY started_at_ms DESC, id",
    )
    .fetch_all(pool)
    .await?;
    let stored = |row: &sqlx::sqlite::SqliteRow| -> Result<StoredBatch, StoreError> {
        let batch = Batch {
            id: row.try_get("id")?,
            file: row.try_get("file")?,
            digest: codec::hash32(row, "digest")?,
            started_at_ms: row.try_get("started_at_ms")?,
            period: row.try_get("period")?,
        };
        let (finished_at_ms, undone_at_ms) = (row.try_get("finished_at_ms")?, row.try_get("undone_at_ms")?);
        Ok(StoredBatch { batch, finished_at_ms, undone_at_ms })
    };
    rows.iter().map(stored).collect()
}

pub(super) async fn documents_of(pool: &SqlitePool, actor: ActorId) -> Result<Vec<Identity>, StoreError> {
    let rows = sqlx::query(
        "SELECT unit, book, period FROM documents
             WHERE number IN (SELECT document FROM changes WHERE actor = $1) ORDER BY number",
    )
    .bind(actor_bytes(actor))
    .fetch_all(pool)
    .await?;
    rows.iter().map(codec::identity).collect()
}

pub(super) async fn remade(pool: &SqlitePool) -> Result<Vec<Identity>, StoreError> {
    let rows = sqlx::query("SELECT unit, book, period FROM documents WHERE root IS NOT NULL ORDER BY number");
    rows.fetch_all(pool).await?.iter().map(codec::identity).collect()
}

pub(super) async fn own_changes(pool: &SqlitePool) -> Result<BTreeMap<Identity, BTreeSet<ChangeHash>>, StoreError> {
    let rows = sqlx::query(
        "SELECT d.unit, d.book, d.period, c.hash FROM changes c JOIN documents d ON d.number = c.document
             WHERE c.device IS NULL",
    )
    .fetch_all(pool)
    .await?;
    let mut own: BTreeMap<Identity, BTreeSet<ChangeHash>> = BTreeMap::new();
    for row in &rows {
        own.entry(codec::identity(row)?).or_default().insert(ChangeHash(codec::hash32(row, "hash")?));
    }
    Ok(own)
}
