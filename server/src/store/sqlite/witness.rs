//! The checkpoints that a device or an office has kept in its own store, read from a file that is not this program's to change.

use std::path::Path;

use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use sync_protocol::checkpoint::Kept;

use super::file;
use crate::store::StoreError;

/// The checkpoints in a database, oldest first: those of a device's own store, and those of an office's.
pub async fn kept_checkpoints(path: &Path) -> Result<Vec<String>, StoreError> {
    let io = |error: std::io::Error| StoreError::Database(error.to_string());
    let has_log = file::length(&file::log_of(path)).map_err(io)?.unwrap_or(0) > 0;
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    // Where nothing is in the log, nothing is written beside the file either: it may be on a stick that is shut.
    let mut connection = options.immutable(!has_log).connect().await?;
    let kept = read(&mut connection).await;
    connection.close().await?;
    kept
}

async fn read(connection: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    let is_there = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'meta'";
    if sqlx::query_scalar::<_, i64>(is_there).fetch_one(&mut *connection).await? == 0 {
        return Ok(Vec::new());
    }
    let sql = "SELECT value FROM meta WHERE key IN ('checkpoints', 'office_checkpoints')";
    let kept: Vec<Vec<u8>> = sqlx::query_scalar(sql).fetch_all(connection).await?;
    Ok(kept.iter().flat_map(|bytes| Kept::from_bytes(bytes).all().to_vec()).collect())
}
