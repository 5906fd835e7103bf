//! The audit log.

use serde_json::Value;
use sqlx::{Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};

use super::codec;
use crate::store::{AuditEntry, AuditLine, StoreError};

/// Appends a line, inside the transaction of what it tells of. `number` is what that has given a number.
pub(super) async fn append(
    tx: &mut SqliteConnection,
    entry: &AuditEntry,
    number: Option<i64>,
) -> Result<(), StoreError> {
    let entry = match number {
        Some(number) => &numbered(entry, number)?,
        None => entry,
    };
    let last = sqlx::query("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1");
    let (line, before) = match last.fetch_optional(&mut *tx).await? {
        Some(row) => (row.try_get::<i64, _>("number")? + 1, codec::hash32(&row, "hash")?),
        None => (1, [0; 32]),
    };
    sqlx::query(
        "INSERT INTO audit (number, at_ms, who, person, device, event, unit, detail, address, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(line)
    .bind(entry.at_ms)
    .bind(&entry.who)
    .bind(entry.person.map(|id| id.as_bytes().to_vec()))
    .bind(entry.device.map(|id| id.as_bytes().to_vec()))
    .bind(&entry.event)
    .bind(entry.unit.map(|id| id.as_bytes().to_vec()))
    .bind(&entry.detail)
    .bind(&entry.address)
    .bind(entry.chained(&before, line).as_slice())
    .execute(&mut *tx)
    .await?;
    Ok(())
}

fn numbered(entry: &AuditEntry, number: i64) -> Result<AuditEntry, StoreError> {
    let mut detail: Value =
        serde_json::from_str(&entry.detail).map_err(|e| StoreError::Damaged(format!("audit: {e}")))?;
    detail["number"] = number.into();
    Ok(AuditEntry { detail: detail.to_string(), ..entry.clone() })
}

pub(super) async fn lines(pool: &SqlitePool, after: i64, count: i64) -> Result<Vec<AuditLine>, StoreError> {
    let rows = sqlx::query(
        "SELECT number, at_ms, who, person, device, event, unit, detail, address, hash FROM audit
         WHERE number > $1 ORDER BY number LIMIT $2",
    )
    .bind(after)
    .bind(count)
    .fetch_all(pool)
    .await?;
    rows.iter().map(read).collect()
}

pub(super) async fn is_noted(pool: &SqlitePool, event: &str, number: i64) -> Result<bool, StoreError> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM audit WHERE event = $1 AND json_extract(detail, '$.number') = $2 LIMIT 1")
            .bind(event)
            .bind(number)
            .fetch_optional(pool)
            .await?;
    Ok(found.is_some())
}

fn read(row: &SqliteRow) -> Result<AuditLine, StoreError> {
    let is_null = |column| row.try_get::<Option<&[u8]>, _>(column).map(|bytes| bytes.is_none());
    Ok(AuditLine {
        number: row.try_get("number")?,
        entry: AuditEntry {
            at_ms: row.try_get("at_ms")?,
            who: row.try_get("who")?,
            person: codec::person_id(row, "person")?,
            device: codec::some_device(row, "device")?,
            event: row.try_get("event")?,
            unit: if is_null("unit")? { None } else { Some(codec::unit_id(row, "unit")?) },
            detail: row.try_get("detail")?,
            address: row.try_get("address")?,
        },
        hash: codec::hash32(row, "hash")?,
    })
}
