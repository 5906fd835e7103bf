//! The audit log.

use serde_json::Value;
use sqlx::{Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};

use super::{codec, tx::Writer};
use crate::{
    audit::tree::{self, Hash, Node},
    store::{AuditEntry, AuditLine, StoreError},
};

/// Lines of a time without a tree that get their nodes in one transaction.
const GROWN_AT_ONCE: i64 = 2000;

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
    let nodes = completed(tx, entry, line).await?;
    sqlx::query(
        "INSERT INTO audit (number, at_ms, who, person, device, event, unit, detail, address, hash, nodes)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
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
    .bind(nodes)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// The nodes of the tree that a line completes, one behind the other.
async fn completed(tx: &mut SqliteConnection, entry: &AuditEntry, line: i64) -> Result<Vec<u8>, StoreError> {
    let mut siblings = Vec::new();
    for at in tree::siblings(u64::try_from(line).unwrap_or_default()) {
        // A log that was damaged goes on all the same: verifying it tells that it was.
        siblings.push(node(&mut *tx, at).await?.unwrap_or_default());
    }
    Ok(tree::completed(entry.leaf(line), &siblings).concat())
}

async fn node(database: impl sqlx::SqliteExecutor<'_>, Node { line, level }: Node) -> Result<Option<Hash>, StoreError> {
    let line = i64::try_from(line).map_err(|e| StoreError::Damaged(format!("audit: {e}")))?;
    let sql = "SELECT substr(nodes, 1 + 32 * $1, 32) FROM audit WHERE number = $2";
    let query = sqlx::query_scalar::<_, Option<Vec<u8>>>(sql).bind(level).bind(line);
    Ok(query.fetch_optional(database).await?.flatten().and_then(|bytes| bytes.try_into().ok()))
}

/// Nodes of the tree.
pub(super) async fn nodes(pool: &SqlitePool, nodes: &[Node]) -> Result<Vec<Hash>, StoreError> {
    let mut found = Vec::with_capacity(nodes.len());
    for at in nodes {
        let node = node(pool, *at).await?;
        found.push(node.ok_or_else(|| StoreError::Damaged(format!("audit: no node at line {}", at.line)))?);
    }
    Ok(found)
}

/// Lines that there are.
pub(super) async fn count(pool: &SqlitePool) -> Result<u64, StoreError> {
    let last: i64 = sqlx::query_scalar("SELECT coalesce(max(number), 0) FROM audit").fetch_one(pool).await?;
    Ok(u64::try_from(last).unwrap_or_default())
}

/// Gives lines of a time without a tree their nodes.
pub(super) async fn grow(writer: &Writer) -> Result<(), StoreError> {
    loop {
        let mut tx = writer.begin().await?;
        let sql = "SELECT number, at_ms, who, person, device, event, unit, detail, address, hash, nodes FROM audit
                   WHERE nodes IS NULL ORDER BY number LIMIT $1";
        let rows = sqlx::query(sql).bind(GROWN_AT_ONCE).fetch_all(&mut *tx).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in &rows {
            let AuditLine { number, entry, .. } = read(row)?;
            let nodes = completed(&mut tx, &entry, number).await?;
            let query = sqlx::query("UPDATE audit SET nodes = $1 WHERE number = $2").bind(nodes).bind(number);
            query.execute(&mut *tx).await?;
        }
        tx.commit().await?;
    }
}

fn numbered(entry: &AuditEntry, number: i64) -> Result<AuditEntry, StoreError> {
    let mut detail: Value =
        serde_json::from_str(&entry.detail).map_err(|e| StoreError::Damaged(format!("audit: {e}")))?;
    detail["number"] = number.into();
    Ok(AuditEntry { detail: detail.to_string(), ..entry.clone() })
}

pub(super) async fn lines(pool: &SqlitePool, after: i64, count: i64) -> Result<Vec<AuditLine>, StoreError> {
    let rows = sqlx::query(
        "SELECT number, at_ms, who, person, device, event, unit, detail, address, hash, nodes FROM audit
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
        nodes: row.try_get::<Option<_>, _>("nodes")?.unwrap_or_default(),
    })
}
