//! What a database says of itself before anything is written to it.

use std::path::Path;

use sqlx::{
    ConnectOptions, Connection, Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteRow},
};

use super::{
    file,
    open::{BUSY_TIMEOUT, MIGRATIONS},
};
use crate::store::{Refused, StoreError};

/// What a database says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The division code of its county; none in one that was made before it was kept.
    pub county: Option<String>,
    /// Which of all databases it is.
    pub installation: Option<String>,
    /// The newest change of its feed.
    pub seq: i64,
    /// What marks the feed up to it.
    pub mark: i64,
    /// The newest line of its audit log.
    pub audit: i64,
}

/// What the feed was at a number, and how far a database has come.
const NOW: &str = "SELECT (SELECT value FROM meta WHERE key = 'county') AS county,
                          (SELECT value FROM meta WHERE key = 'installation') AS installation,
                          coalesce((SELECT max(seq) FROM changes), 0) AS seq,
                          coalesce((SELECT chain FROM changes ORDER BY seq DESC LIMIT 1), 0) AS mark,
                          coalesce((SELECT max(number) FROM audit), 0) AS audit";

/// Opens a database only to look at it. `seq` is a number of its feed: with the facts comes what marks the feed up to it.
pub(super) async fn look(path: &Path, without_log: bool, seq: i64) -> Result<(Facts, i64), StoreError> {
    let io = |error: std::io::Error| StoreError::Database(error.to_string());
    file::look(path, without_log).map_err(io)??;
    let has_log = file::length(&file::log_of(path)).map_err(io)?.unwrap_or(0) > 0;
    // A connection that may write would move the log into the file when it closes: not before the file is known.
    let options = SqliteConnectOptions::new().filename(path).read_only(has_log).busy_timeout(BUSY_TIMEOUT);
    match ask(options.clone(), seq).await {
        // A full disk has no room for what several readers share; one that is alone, with nothing in the log, needs none.
        Err(error) if !matches!(error, StoreError::Refused(_)) && !has_log => {
            ask(options.read_only(true).immutable(true), seq).await
        }
        answer => answer,
    }
}

async fn ask(options: SqliteConnectOptions, seq: i64) -> Result<(Facts, i64), StoreError> {
    let mut connection = options.connect().await.map_err(malformed)?;
    let facts = facts(&mut connection, seq).await;
    connection.close().await?;
    facts
}

async fn facts(connection: &mut SqliteConnection, seq: i64) -> Result<(Facts, i64), StoreError> {
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name IN ('_sqlx_migrations', 'meta', 'changes', 'units')";
    let tables: i64 = sqlx::query_scalar(tables).fetch_one(&mut *connection).await.map_err(malformed)?;
    if tables == 0 {
        return Err(Refused::NoCounty.into());
    }
    if tables < 4 {
        return Err(Refused::NotADatabase.into());
    }
    let version: i64 = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
        .fetch_one(&mut *connection)
        .await
        .map_err(malformed)?;
    let newest = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    if version > newest {
        return Err(Refused::Newer(version).into());
    }
    if version < FIRST_WITH_AUDIT {
        // So old that it has neither marks nor an audit log: nothing stands outside of it either.
        return Ok((Facts::default(), 0));
    }
    let row = sqlx::query(NOW).fetch_one(&mut *connection).await.map_err(malformed)?;
    let mark = sqlx::query_scalar("SELECT coalesce((SELECT chain FROM changes WHERE seq = $1), 0)").bind(seq);
    let mark = mark.fetch_one(&mut *connection).await.map_err(malformed)?;
    Ok((read(&row)?, mark))
}

/// The migration that made the audit log; the feed had its marks before.
const FIRST_WITH_AUDIT: i64 = 10;

/// How far an open database has come.
pub(super) async fn now(pool: &sqlx::SqlitePool) -> Result<Facts, StoreError> {
    read(&sqlx::query(NOW).fetch_one(pool).await?)
}

fn read(row: &SqliteRow) -> Result<Facts, StoreError> {
    let text = |column: &str| -> Result<Option<String>, StoreError> {
        let bytes: Option<Vec<u8>> = row.try_get(column)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    };
    Ok(Facts {
        county: text("county")?,
        installation: text("installation")?,
        seq: row.try_get("seq")?,
        mark: row.try_get("mark")?,
        audit: row.try_get("audit")?,
    })
}

/// What SQLite cannot read is damaged (11), or no database (26); anything else is no fault of the file.
fn malformed(error: sqlx::Error) -> StoreError {
    let code =
        error.as_database_error().and_then(sqlx::error::DatabaseError::code).and_then(|code| code.parse::<i32>().ok());
    match code.map(|code| code & 0xff) {
        Some(11) => Refused::Malformed(error.to_string()).into(),
        Some(26) => Refused::NotADatabase.into(),
        _ => error.into(),
    }
}
