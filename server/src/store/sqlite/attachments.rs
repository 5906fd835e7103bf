//! Photos of records, as far as they have come.

use sqlx::{SqliteConnection, SqlitePool};
use sync_protocol::UnitId;

use super::{deed::Outcome, tx::Writer};
use crate::store::{AttachmentPart, Received, StoreError};

pub(super) async fn append(writer: &Writer, part: &AttachmentPart) -> Result<Received, StoreError> {
    let mut tx = writer.begin().await?;
    let mut known = received(&mut tx, part.unit, &part.hash).await?;
    if known.is_some_and(|(_, size)| size != part.size) {
        // Whoever began it was wrong about its size: it would never be whole.
        forget(&mut tx, part.unit, &part.hash).await?;
        known = None;
    }
    let (received, is_news) = match known {
        None if part.offset == 0 => {
            let device = part.device.map(|device| device.as_bytes().to_vec());
            let all: (i64, i64) = sqlx::query_as(
                "SELECT (SELECT coalesce(sum(size), 0) FROM attachments WHERE unit = $1),
                        (SELECT coalesce(sum(size), 0) FROM attachments WHERE device = $2)",
            )
            .bind(part.unit.as_bytes().as_slice())
            .bind(&device)
            .fetch_one(&mut *tx)
            .await?;
            let is_full = |all: i64, max| all.saturating_add(part.size) > max;
            if is_full(all.0, part.unit_bytes_max) || is_full(all.1, part.device_bytes_max) {
                return Ok(Received::NoRoom);
            }
            sqlx::query(
                "INSERT INTO attachments (unit, hash, size, bytes, device, received_at_ms) VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(part.unit.as_bytes().as_slice())
            .bind(part.hash.as_slice())
            .bind(part.size)
            .bind(&part.bytes)
            .bind(device)
            .bind(part.received_at_ms)
            .execute(&mut *tx)
            .await?;
            (i64::try_from(part.bytes.len()).unwrap_or(i64::MAX), true)
        }
        None => (0, false),
        Some((received, size)) if received == part.offset && received < size => {
            let mut bytes: Vec<u8> = sqlx::query_scalar("SELECT bytes FROM attachments WHERE unit = $1 AND hash = $2")
                .bind(part.unit.as_bytes().as_slice())
                .bind(part.hash.as_slice())
                .fetch_one(&mut *tx)
                .await?;
            bytes.extend_from_slice(&part.bytes);
            bytes.truncate(usize::try_from(size).unwrap_or_default());
            let received = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
            sqlx::query("UPDATE attachments SET bytes = $1 WHERE unit = $2 AND hash = $3")
                .bind(bytes)
                .bind(part.unit.as_bytes().as_slice())
                .bind(part.hash.as_slice())
                .execute(&mut *tx)
                .await?;
            (received, true)
        }
        Some((received, _)) => (received, false),
    };
    if is_news && received >= part.size {
        // In the transaction that makes it whole: another device may be sending the same.
        let whole: Vec<u8> = sqlx::query_scalar("SELECT bytes FROM attachments WHERE unit = $1 AND hash = $2")
            .bind(part.unit.as_bytes().as_slice())
            .bind(part.hash.as_slice())
            .fetch_one(&mut *tx)
            .await?;
        if !(part.is_it)(&part.hash, &whole) {
            forget(&mut tx, part.unit, &part.hash).await?;
            tx.commit().await?;
            return Ok(Received::NotIt);
        }
    }
    tx.commit().await?;
    Ok(Received::SoFar(received))
}

/// Bytes received, and bytes that it has.
async fn received(tx: &mut SqliteConnection, unit: UnitId, hash: &[u8; 32]) -> Result<Option<(i64, i64)>, StoreError> {
    let row = sqlx::query_as("SELECT length(bytes), size FROM attachments WHERE unit = $1 AND hash = $2");
    Ok(row.bind(unit.as_bytes().as_slice()).bind(hash.as_slice()).fetch_optional(tx).await?)
}

/// A whole one.
pub(super) async fn one(pool: &SqlitePool, unit: UnitId, hash: &[u8; 32]) -> Result<Option<Vec<u8>>, StoreError> {
    let bytes =
        sqlx::query_scalar("SELECT bytes FROM attachments WHERE unit = $1 AND hash = $2 AND length(bytes) = size");
    Ok(bytes.bind(unit.as_bytes().as_slice()).bind(hash.as_slice()).fetch_optional(pool).await?)
}

pub(super) async fn forget(tx: &mut SqliteConnection, unit: UnitId, hash: &[u8; 32]) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM attachments WHERE unit = $1 AND hash = $2")
        .bind(unit.as_bytes().as_slice())
        .bind(hash.as_slice())
        .execute(tx)
        .await?;
    Ok(())
}

/// Forgets those that came before this time and have not become whole, or that no record names. Whether a change that waits for
/// somebody names one is not known: while any waits, those of its unit stay.
pub(super) async fn expire(tx: &mut SqliteConnection, before_ms: i64) -> Result<Outcome, StoreError> {
    let expired = sqlx::query(
        "DELETE FROM attachments WHERE received_at_ms < $1 AND (
             length(bytes) < size
             OR NOT EXISTS (SELECT 1 FROM documents d JOIN rows r ON r.document = d.number
                            WHERE d.unit = attachments.unit AND instr(r.cells, lower(hex(attachments.hash))) > 0)
                AND NOT EXISTS (SELECT 1 FROM quarantine q WHERE q.unit = attachments.unit AND q.state = 'waiting'))",
    )
    .bind(before_ms)
    .execute(tx)
    .await?;
    let count = i64::try_from(expired.rows_affected()).unwrap_or(i64::MAX);
    Ok(if count > 0 { Outcome::Written(Some(count)) } else { Outcome::NotNow })
}
