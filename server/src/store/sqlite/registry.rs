//! Units, devices, secrets, import batches: small tables that change rarely.

use sqlx::{AssertSqlSafe, Row, SqliteExecutor, SqlitePool, sqlite::SqliteRow};
use sync_protocol::{
    Book, UnitId,
    unit::{Unit, UnitLevel},
};

use super::{codec, erase, tx::Writer};
use crate::store::{DeviceRecord, SeenDevice, StoreError, Visit};

/// Where a unit stands in the tree: the ids from the county down to it, each with a slash behind it.
pub(super) async fn path(executor: impl SqliteExecutor<'_>, unit: UnitId) -> Result<Option<String>, StoreError> {
    let path = sqlx::query_scalar("SELECT path FROM units WHERE id = $1").bind(unit.as_bytes().as_slice());
    Ok(path.fetch_optional(executor).await?)
}

/// The first path behind a subtree: '0' follows '/' in ASCII.
pub(super) fn subtree_end(top: &str) -> String {
    format!("{}0", top.trim_end_matches('/'))
}

/// The number of the last move that has changed what stands below a unit.
pub(super) async fn moves(pool: &SqlitePool, unit: UnitId) -> Result<i64, StoreError> {
    let moved = sqlx::query_scalar("SELECT moved FROM units WHERE id = $1").bind(unit.as_bytes().as_slice());
    Ok(moved.fetch_optional(pool).await?.unwrap_or(0))
}

pub(super) async fn units(pool: &SqlitePool) -> Result<Vec<Unit>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, parent, level, code, name, short_name, sort_order FROM units ORDER BY length(path), sort_order, code, name",
    )
    .fetch_all(pool)
    .await?;
    rows.iter().map(read_unit).collect()
}

pub(super) async fn unit(executor: impl SqliteExecutor<'_>, unit: UnitId) -> Result<Option<Unit>, StoreError> {
    let row = sqlx::query("SELECT id, parent, level, code, name, short_name, sort_order FROM units WHERE id = $1")
        .bind(unit.as_bytes().as_slice())
        .fetch_optional(executor)
        .await?;
    row.as_ref().map(read_unit).transpose()
}

/// The units that stand directly under one.
pub(super) async fn below(executor: impl SqliteExecutor<'_>, unit: UnitId) -> Result<Vec<Unit>, StoreError> {
    let rows = sqlx::query("SELECT id, parent, level, code, name, short_name, sort_order FROM units WHERE parent = $1")
        .bind(unit.as_bytes().as_slice())
        .fetch_all(executor)
        .await?;
    rows.iter().map(read_unit).collect()
}

fn read_unit(row: &SqliteRow) -> Result<Unit, StoreError> {
    let level: &str = row.try_get("level")?;
    let level = [UnitLevel::County, UnitLevel::ReportingUnit, UnitLevel::Organisation]
        .into_iter()
        .find(|known| known.as_str() == level)
        .ok_or_else(|| StoreError::Damaged(format!("unit level `{level}`")))?;
    let has_parent = row.try_get::<Option<Vec<u8>>, _>("parent")?.is_some();
    Ok(Unit {
        id: codec::unit_id(row, "id")?,
        parent: has_parent.then(|| codec::unit_id(row, "parent")).transpose()?,
        level,
        code: row.try_get("code")?,
        name: row.try_get("name")?,
        short_name: row.try_get("short_name")?,
        sort_order: row.try_get("sort_order")?,
    })
}

pub(super) async fn is_below(pool: &SqlitePool, unit: UnitId, top: UnitId) -> Result<bool, StoreError> {
    let below: Option<bool> = sqlx::query_scalar(
        "SELECT substr(u.path, 1, length(t.path)) = t.path FROM units u, units t WHERE u.id = $1 AND t.id = $2",
    )
    .bind(unit.as_bytes().as_slice())
    .bind(top.as_bytes().as_slice())
    .fetch_optional(pool)
    .await?;
    Ok(below.unwrap_or(false))
}

pub(super) fn join_books(books: &[Book]) -> String {
    let names: Vec<&str> = books.iter().map(|book| book.as_str()).collect();
    names.join(",")
}

fn split_books(row: &SqliteRow, column: &str) -> Result<Vec<Book>, StoreError> {
    let books: &str = row.try_get(column)?;
    let books = books.split(',').filter(|book| !book.is_empty()).map(str::parse::<Book>);
    books.collect::<Result<_, _>>().map_err(|e| StoreError::Damaged(e.to_string()))
}

/// Enrols a device; `conflict` says what becomes of one that has its id. Returns how many rows were written.
pub(super) async fn insert_device(
    executor: impl SqliteExecutor<'_>,
    device: &DeviceRecord,
    now_ms: i64,
    conflict: &'static str,
) -> Result<u64, StoreError> {
    let sql = format!(
        "INSERT INTO devices (id, name, owner, token_hash, unit, books, created_at_ms, signing_key, keys, person, role,
                              writes, is_revoked)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) {conflict}"
    );
    let inserted = sqlx::query(AssertSqlSafe(sql))
        .bind(device.id.as_bytes().as_slice())
        .bind(&device.name)
        .bind(&device.owner)
        .bind(device.token_hash.as_slice())
        .bind(device.unit.as_bytes().as_slice())
        .bind(join_books(&device.books))
        .bind(now_ms)
        .bind(device.keys.as_ref().map(|keys| keys.signing.to_vec()))
        .bind(device.keys.as_ref().map(ToString::to_string))
        .bind(device.person.map(|person| person.as_bytes().to_vec()))
        .bind(device.role.as_str())
        .bind(join_books(&device.writes))
        .bind(device.is_revoked)
        .execute(executor)
        .await?;
    Ok(inserted.rows_affected())
}

pub(super) async fn put_device(
    executor: impl SqliteExecutor<'_>,
    device: &DeviceRecord,
    now_ms: i64,
) -> Result<(), StoreError> {
    // Nothing brings back one that was revoked.
    let conflict = "ON CONFLICT (id) DO UPDATE
         SET name = $2, owner = $3, token_hash = $4, unit = $5, books = $6, signing_key = $8, keys = $9, person = $10,
             role = $11, writes = $12, is_revoked = $13
         WHERE devices.is_revoked = 0";
    insert_device(executor, device, now_ms, conflict).await.map(drop)
}

/// The device whose `column` has this value.
pub(super) async fn device(
    pool: &SqlitePool,
    column: &'static str,
    value: &[u8],
) -> Result<Option<DeviceRecord>, StoreError> {
    let sql = format!("{DEVICES} WHERE {column} = $1");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(value).fetch_optional(pool).await?;
    row.as_ref().map(read_device).transpose()
}

pub(super) async fn devices(pool: &SqlitePool) -> Result<Vec<SeenDevice>, StoreError> {
    let sql = format!("{DEVICES} ORDER BY name, id");
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(pool).await?;
    let read = |row: &SqliteRow| {
        Ok(SeenDevice {
            device: read_device(row)?,
            last_seen_ms: row.try_get("last_seen_ms")?,
            clock_ahead_ms: row.try_get("clock_ahead_ms")?,
            oldest_unsent_ms: row.try_get("oldest_unsent_ms")?,
            invited_by: row.try_get("invited_by")?,
            is_unconfirmed: row.try_get("is_unconfirmed")?,
        })
    };
    rows.iter().map(read).collect()
}

const DEVICES: &str = "SELECT id, name, owner, token_hash, unit, books, keys, person, role, writes, is_revoked,
                              last_seen_ms, clock_ahead_ms, oldest_unsent_ms, invited_by, is_unconfirmed FROM devices";

fn read_device(row: &SqliteRow) -> Result<DeviceRecord, StoreError> {
    Ok(DeviceRecord {
        id: codec::device_id(row, "id")?,
        name: row.try_get("name")?,
        owner: row.try_get("owner")?,
        person: codec::person_id(row, "person")?,
        token_hash: codec::hash32(row, "token_hash")?,
        role: codec::role(row)?,
        unit: codec::unit_id(row, "unit")?,
        books: split_books(row, "books")?,
        writes: split_books(row, "writes")?,
        is_revoked: row.try_get("is_revoked")?,
        keys: row
            .try_get::<Option<&str>, _>("keys")?
            .map(str::parse)
            .transpose()
            .map_err(|_| StoreError::Damaged("keys of a device".into()))?,
    })
}

pub(super) async fn visited(executor: impl SqliteExecutor<'_>, visit: &Visit) -> Result<(), StoreError> {
    sqlx::query("UPDATE devices SET last_seen_ms = $1, clock_ahead_ms = $2, oldest_unsent_ms = $3 WHERE id = $4")
        .bind(visit.at_ms)
        .bind(visit.clock_ahead_ms)
        .bind(visit.oldest_unsent_ms)
        .bind(visit.device.as_bytes().as_slice())
        .execute(executor)
        .await?;
    Ok(())
}

pub(super) async fn put_secret(writer: &Writer, name: &str, value: &[u8]) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    sqlx::query("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = $2")
        .bind(name)
        .bind(value)
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}

pub(super) async fn forget_secrets(writer: &Writer, names: &[&str]) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    for name in names {
        sqlx::query("DELETE FROM meta WHERE key = $1").bind(*name).execute(&mut *tx).await?;
    }
    erase::unswept(&mut tx).await?;
    tx.commit().await
}

pub(super) async fn get_secret(pool: &SqlitePool, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(sqlx::query_scalar("SELECT value FROM meta WHERE key = $1").bind(name).fetch_optional(pool).await?)
}

pub(super) async fn secret(writer: &Writer, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut tx = writer.begin().await?;
    sqlx::query("INSERT OR IGNORE INTO meta (key, value) VALUES ($1, $2)")
        .bind(name)
        .bind(fresh)
        .execute(&mut *tx)
        .await?;
    let value = sqlx::query_scalar("SELECT value FROM meta WHERE key = $1").bind(name).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(value)
}
