//! The device's SQLite file.

use std::path::Path;

use sqlx::{
    Row as _, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::DeviceError;
use crate::{
    document::{Document, LocalChange},
    ids::{ChangeHash, Identity, UnitId},
    session::{Outgoing, Persist},
};

/// More changes than this behind a snapshot are folded into it.
const CHANGES_MAX: usize = 64;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS documents (
    unit BLOB NOT NULL, book TEXT NOT NULL, period TEXT NOT NULL, snapshot BLOB,
    PRIMARY KEY (unit, book, period)
) STRICT;
-- state: 0 of others, 1 own without a receipt, 2 own and refused by the server
CREATE TABLE IF NOT EXISTS changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE,
    unit BLOB NOT NULL, book TEXT NOT NULL, period TEXT NOT NULL,
    bytes BLOB NOT NULL, state INTEGER NOT NULL, refusal TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS changes_document ON changes (unit, book, period);
CREATE INDEX IF NOT EXISTS changes_unsent ON changes (number) WHERE state = 1;
";

/// One connection: a device has one user.
#[derive(Debug)]
pub(super) struct DeviceStore {
    pool: SqlitePool,
}

impl DeviceStore {
    pub(super) async fn open(path: &Path) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        sqlx::raw_sql(SCHEMA).execute(&pool).await?;
        Ok(Self { pool })
    }

    pub(super) async fn documents(&self) -> Result<Vec<Identity>, sqlx::Error> {
        let rows = sqlx::query("SELECT unit, book, period FROM documents ORDER BY unit, book, period")
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(identity).collect()
    }

    pub(super) async fn cursor(&self) -> Result<Option<Vec<u8>>, sqlx::Error> {
        sqlx::query_scalar("SELECT value FROM meta WHERE key = 'cursor'").fetch_optional(&self.pool).await
    }

    pub(super) async fn unsent(&self) -> Result<Vec<Outgoing>, sqlx::Error> {
        let rows = sqlx::query("SELECT unit, book, period, hash, bytes FROM changes WHERE state = 1 ORDER BY number")
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| Ok(Outgoing { identity: identity(row)?, hash: hash(row)?, bytes: row.try_get("bytes")? }))
            .collect()
    }

    pub(super) async fn document(&self, of: &Identity) -> Result<Document, DeviceError> {
        let snapshot: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT snapshot FROM documents WHERE unit = $1 AND book = $2 AND period = $3")
                .bind(of.unit.as_bytes().as_slice())
                .bind(of.book.as_str())
                .bind(&of.period)
                .fetch_optional(&self.pool)
                .await?
                .flatten();
        let changes: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT bytes FROM changes WHERE unit = $1 AND book = $2 AND period = $3 ORDER BY number",
        )
        .bind(of.unit.as_bytes().as_slice())
        .bind(of.book.as_str())
        .bind(&of.period)
        .fetch_all(&self.pool)
        .await?;
        Ok(Document::load(snapshot.as_deref(), &changes)?)
    }

    pub(super) async fn append_own(&self, of: &Identity, change: &LocalChange) -> Result<(), sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        register(&mut tx, of).await?;
        insert(&mut tx, of, change.hash, &change.bytes, 1).await?;
        tx.commit().await
    }

    /// Stores one reply whole: news, receipts and the cursor that they lead to.
    pub(super) async fn commit(&self, step: &Persist) -> Result<(), DeviceError> {
        // What has to be merged is read before the transaction: there is one connection.
        let mut snapshots = Vec::new();
        for pull in &step.documents {
            let changes: Vec<Vec<u8>> = pull.changes.iter().map(|bytes| bytes.to_vec()).collect();
            let count = self.count(&pull.identity).await?;
            if pull.snapshot.is_some() || count + changes.len() > CHANGES_MAX {
                let mut document = self.document(&pull.identity).await?;
                document.take(pull.snapshot.as_ref().map(|b| b.as_slice()), &changes)?;
                snapshots.push(Some(document.save()));
            } else {
                snapshots.push(None);
            }
        }
        let mut tx = self.pool.begin().await?;
        for (pull, snapshot) in step.documents.iter().zip(snapshots) {
            let of = &pull.identity;
            register(&mut tx, of).await?;
            if let Some(bytes) = snapshot {
                sqlx::query("UPDATE documents SET snapshot = $1 WHERE unit = $2 AND book = $3 AND period = $4")
                    .bind(bytes)
                    .bind(of.unit.as_bytes().as_slice())
                    .bind(of.book.as_str())
                    .bind(&of.period)
                    .execute(&mut *tx)
                    .await?;
                // Own changes without a receipt stay: they still have to be sent.
                sqlx::query("DELETE FROM changes WHERE unit = $1 AND book = $2 AND period = $3 AND state = 0")
                    .bind(of.unit.as_bytes().as_slice())
                    .bind(of.book.as_str())
                    .bind(&of.period)
                    .execute(&mut *tx)
                    .await?;
            } else {
                for bytes in &pull.changes {
                    let hash = crate::document::change_hash(bytes)?;
                    insert(&mut tx, of, hash, bytes, 0).await?;
                }
            }
        }
        for receipt in &step.receipts {
            sqlx::query("UPDATE changes SET state = 0 WHERE hash = $1")
                .bind(receipt.0.as_slice())
                .execute(&mut *tx)
                .await?;
        }
        for refusal in &step.refusals {
            sqlx::query("UPDATE changes SET state = 2, refusal = $1 WHERE hash = $2")
                .bind(&refusal.sentence)
                .bind(refusal.hash.0.as_slice())
                .execute(&mut *tx)
                .await?;
        }
        sqlx::query("INSERT INTO meta (key, value) VALUES ('cursor', $1) ON CONFLICT (key) DO UPDATE SET value = $1")
            .bind(&step.cursor)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    async fn count(&self, of: &Identity) -> Result<usize, sqlx::Error> {
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM changes WHERE unit = $1 AND book = $2 AND period = $3")
                .bind(of.unit.as_bytes().as_slice())
                .bind(of.book.as_str())
                .bind(&of.period)
                .fetch_one(&self.pool)
                .await?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }
}

async fn register(tx: &mut sqlx::SqliteConnection, of: &Identity) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT OR IGNORE INTO documents (unit, book, period) VALUES ($1, $2, $3)")
        .bind(of.unit.as_bytes().as_slice())
        .bind(of.book.as_str())
        .bind(&of.period)
        .execute(tx)
        .await?;
    Ok(())
}

async fn insert(
    tx: &mut sqlx::SqliteConnection,
    of: &Identity,
    hash: ChangeHash,
    bytes: &[u8],
    state: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT OR IGNORE INTO changes (hash, unit, book, period, bytes, state) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(hash.0.as_slice())
    .bind(of.unit.as_bytes().as_slice())
    .bind(of.book.as_str())
    .bind(&of.period)
    .bind(bytes)
    .bind(state)
    .execute(tx)
    .await?;
    Ok(())
}

fn identity(row: &sqlx::sqlite::SqliteRow) -> Result<Identity, sqlx::Error> {
    let damaged = |e: &dyn std::fmt::Display| sqlx::Error::Decode(e.to_string().into());
    let unit: Vec<u8> = row.try_get("unit")?;
    let book: String = row.try_get("book")?;
    Ok(Identity {
        unit: UnitId::from_bytes(unit.try_into().map_err(|_| damaged(&"a unit id has 16 bytes"))?),
        book: book.parse().map_err(|e| damaged(&e))?,
        period: row.try_get("period")?,
    })
}

fn hash(row: &sqlx::sqlite::SqliteRow) -> Result<ChangeHash, sqlx::Error> {
    let bytes: Vec<u8> = row.try_get("hash")?;
    bytes.try_into().map(ChangeHash).map_err(|_| sqlx::Error::Decode("a change hash has 32 bytes".into()))
}
