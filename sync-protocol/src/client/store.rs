//! The device's SQLite file.

use std::{collections::BTreeSet, path::Path};

use sqlx::{
    Row as _, Sqlite, SqlitePool,
    query::Query,
    sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{DeviceError, SignedReceipt};
use crate::{
    bundle::Asked,
    checkpoint::Kept,
    document::{Document, LocalChange, change_dependencies},
    ids::{ActorId, ChangeHash, Identity, UnitId},
    message::Ask,
    session::{Outgoing, Persist},
};

/// Documents asked about in one request.
const ASKS_MAX: i64 = 500;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS documents (
    unit BLOB NOT NULL, book TEXT NOT NULL, period TEXT NOT NULL, snapshot BLOB,
    PRIMARY KEY (unit, book, period)
) STRICT;
-- state: 0 the server has it, 1 still to be sent, 2 refused and kept by the server, 3 refused and not kept
CREATE TABLE IF NOT EXISTS changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE,
    unit BLOB NOT NULL, book TEXT NOT NULL, period TEXT NOT NULL,
    bytes BLOB NOT NULL, state INTEGER NOT NULL, refusal TEXT
) STRICT;
-- Hashes of changes one behind the other, as the server has signed them.
CREATE TABLE IF NOT EXISTS receipts (
    number INTEGER PRIMARY KEY AUTOINCREMENT, server_time_ms INTEGER NOT NULL, changes BLOB NOT NULL, signature BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS changes_document ON changes (unit, book, period);
CREATE INDEX IF NOT EXISTS changes_unsent ON changes (number) WHERE state = 1;
";
/// Whether the server was seen to have the document since it last began anew.
const CONFIRMED: &str = "ALTER TABLE documents ADD COLUMN confirmed INTEGER NOT NULL DEFAULT 1";

/// The server has the change.
pub(super) const THERE: i64 = 0;
/// It is still to be sent.
pub(super) const UNSENT: i64 = 1;
/// The server has refused it, and keeps it for a supervisor.
const HELD: i64 = 2;
/// The server has refused it, and only this device has it.
const REFUSED: i64 = 3;

/// A change as it is stored.
pub(super) struct Stored {
    pub(super) hash: ChangeHash,
    pub(super) bytes: Vec<u8>,
    pub(super) state: i64,
}

impl Stored {
    pub(super) fn is_refused(&self) -> bool {
        self.state >= HELD
    }
}

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
            .synchronous(SqliteSynchronous::Full)
            // What is deleted is overwritten, not only forgotten.
            .pragma("secure_delete", "ON");
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        sqlx::raw_sql(SCHEMA).execute(&pool).await?;
        let confirmed: i64 =
            sqlx::query_scalar("SELECT count(*) FROM pragma_table_info('documents') WHERE name = 'confirmed'")
                .fetch_one(&pool)
                .await?;
        if confirmed == 0 {
            sqlx::raw_sql(CONFIRMED).execute(&pool).await?;
        }
        Ok(Self { pool })
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
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

    /// The bundles that were written last.
    pub(super) async fn asked(&self) -> Result<Asked, sqlx::Error> {
        let bytes: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT value FROM meta WHERE key = 'asked'").fetch_optional(&self.pool).await?;
        Ok(bytes.map(|bytes| Asked::from_bytes(&bytes)).unwrap_or_default())
    }

    pub(super) async fn put_asked(&self, asked: &Asked) -> Result<(), sqlx::Error> {
        sqlx::query("INSERT INTO meta (key, value) VALUES ('asked', $1) ON CONFLICT (key) DO UPDATE SET value = $1")
            .bind(asked.to_bytes())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The checkpoints of the server's audit log that were seen.
    pub(super) async fn checkpoints(&self) -> Result<Kept, sqlx::Error> {
        checkpoints(&mut *self.pool.acquire().await?).await
    }

    /// Keeps checkpoints, the newest first as heads of bundles have them.
    pub(super) async fn keep_checkpoints(&self, seen: &[String]) -> Result<(), sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        for text in seen.iter().rev() {
            keep_checkpoint(&mut tx, text).await?;
        }
        tx.commit().await
    }

    pub(super) async fn unsent(&self) -> Result<Vec<Outgoing>, sqlx::Error> {
        let rows = sqlx::query("SELECT unit, book, period, hash, bytes FROM changes WHERE state = 1 ORDER BY number")
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| Ok(Outgoing { identity: identity(row)?, hash: hash(row)?, bytes: row.try_get("bytes")? }))
            .collect()
    }

    /// The document as this device sees it: without what the server has refused, and what builds upon that.
    pub(super) async fn document(&self, of: &Identity) -> Result<Document, DeviceError> {
        let mut changes = self.changes(of).await?;
        let mut refused: BTreeSet<ChangeHash> =
            changes.iter().filter(|change| change.is_refused()).map(|change| change.hash).collect();
        if !refused.is_empty() {
            for change in &changes {
                if change_dependencies(&change.bytes)?.iter().any(|hash| refused.contains(hash)) {
                    refused.insert(change.hash);
                }
            }
            changes.retain(|change| !refused.contains(&change.hash));
        }
        self.load(of, changes.into_iter().map(|change| change.bytes).collect()).await
    }

    /// The changes behind the snapshot, in the order in which they came.
    pub(super) async fn changes(&self, of: &Identity) -> Result<Vec<Stored>, sqlx::Error> {
        let rows = about(
            "SELECT hash, bytes, state FROM changes WHERE unit = $1 AND book = $2 AND period = $3 ORDER BY number",
            of,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| Ok(Stored { hash: hash(row)?, bytes: row.try_get("bytes")?, state: row.try_get("state")? }))
            .collect()
    }

    pub(super) async fn load(&self, of: &Identity, changes: Vec<Vec<u8>>) -> Result<Document, DeviceError> {
        let snapshot: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT snapshot FROM documents WHERE unit = $1 AND book = $2 AND period = $3")
                .bind(of.unit.as_bytes().as_slice())
                .bind(of.book.as_str())
                .bind(&of.period)
                .fetch_optional(&self.pool)
                .await?
                .flatten();
        Ok(Document::load(snapshot.as_deref(), &changes)?)
    }

    /// Changes that the server keeps for its supervisors; the oldest first, a few at a time.
    pub(super) async fn held(&self) -> Result<Vec<ChangeHash>, sqlx::Error> {
        let rows = sqlx::query("SELECT hash FROM changes WHERE state = $1 ORDER BY number LIMIT $2")
            .bind(HELD)
            .bind(ASKS_MAX)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(hash).collect()
    }

    pub(super) async fn refused(&self) -> Result<Vec<(ChangeHash, String)>, sqlx::Error> {
        let rows = sqlx::query("SELECT hash, refusal FROM changes WHERE state >= $1 ORDER BY number")
            .bind(HELD)
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| Ok((hash(row)?, row.try_get::<Option<String>, _>("refusal")?.unwrap_or_default())))
            .collect()
    }

    pub(super) async fn receipts(&self) -> Result<Vec<SignedReceipt>, sqlx::Error> {
        let rows = sqlx::query("SELECT server_time_ms, changes, signature FROM receipts ORDER BY number")
            .fetch_all(&self.pool)
            .await?;
        let receipt = |row: &sqlx::sqlite::SqliteRow| {
            let changes: &[u8] = row.try_get("changes")?;
            Ok(SignedReceipt {
                server_time_ms: row.try_get("server_time_ms")?,
                changes: changes.as_chunks::<32>().0.iter().copied().map(ChangeHash).collect(),
                signature: row.try_get("signature")?,
            })
        };
        rows.iter().map(receipt).collect()
    }

    /// Documents that the server has not named since it began anew; a few at a time.
    pub(super) async fn unconfirmed(&self) -> Result<Vec<Ask>, DeviceError> {
        let rows = sqlx::query("SELECT unit, book, period FROM documents WHERE confirmed = 0 LIMIT $1")
            .bind(ASKS_MAX)
            .fetch_all(&self.pool)
            .await?;
        let mut asks = Vec::new();
        for row in &rows {
            let identity = identity(row)?;
            let heads = self.document(&identity).await?.heads();
            // What the server keeps of it is not in the document, and nowhere else either.
            let held = self.changes(&identity).await?.into_iter().filter(|change| change.state == HELD);
            let held = held.map(|change| change.hash).collect();
            asks.push(Ask { identity, heads, held });
        }
        Ok(asks)
    }

    pub(super) async fn append_own(&self, of: &Identity, change: &LocalChange) -> Result<(), sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        register(&mut tx, of).await?;
        insert(&mut tx, of, change.hash, &change.bytes, UNSENT).await?;
        tx.commit().await
    }

    /// Stores one reply whole: news, receipts and the cursor that they lead to.
    /// `actors` gives actors that nobody has used yet.
    pub(super) async fn commit(
        &self,
        step: &Persist,
        actors: &mut (dyn FnMut() -> ActorId + Send),
    ) -> Result<(), DeviceError> {
        // What has to be merged is read before the transaction: there is one connection.
        let (news, is_any_replaced) = self.news(step, actors).await?;
        let mut tx = self.pool.begin().await?;
        if step.restart {
            sqlx::query("UPDATE documents SET confirmed = 0").execute(&mut *tx).await?;
        }
        for hash in &step.unknown {
            // It has forgotten what it kept for its supervisors.
            settle(&mut tx, *hash, UNSENT, None).await?;
        }
        for news in news {
            news.write(&mut tx).await?;
        }
        for of in &step.wanted {
            about("UPDATE changes SET state = $4 WHERE unit = $1 AND book = $2 AND period = $3 AND state = $5", of)
                .bind(UNSENT)
                .bind(HELD)
                .execute(&mut *tx)
                .await?;
        }
        for (asked, confirmed) in step.asked.iter().map(|of| (of, 1)).chain(step.wanted.iter().map(|of| (of, 0))) {
            about("UPDATE documents SET confirmed = $4 WHERE unit = $1 AND book = $2 AND period = $3", asked)
                .bind(confirmed)
                .execute(&mut *tx)
                .await?;
        }
        if let Some((signature, time_ms)) = step.signature.as_ref().filter(|_| !step.receipts.is_empty()) {
            let changes: Vec<u8> = step.receipts.iter().flat_map(|hash| hash.0).collect();
            sqlx::query("INSERT INTO receipts (server_time_ms, changes, signature) VALUES ($1, $2, $3)")
                .bind(time_ms)
                .bind(changes)
                .bind(signature)
                .execute(&mut *tx)
                .await?;
        }
        if let Some(text) = &step.checkpoint {
            keep_checkpoint(&mut tx, text).await?;
        }
        for receipt in &step.receipts {
            settle(&mut tx, *receipt, THERE, None).await?;
        }
        for refusal in &step.refusals {
            if refusal.is_unmet() {
                // What it builds upon was there once: the server has lost it, and gets all of the document.
                sqlx::query(
                    "UPDATE documents SET confirmed = 0 WHERE (unit, book, period) IN
                         (SELECT unit, book, period FROM changes WHERE hash = $1)",
                )
                .bind(refusal.hash.0.as_slice())
                .execute(&mut *tx)
                .await?;
            } else {
                let state = if refusal.quarantined { HELD } else { REFUSED };
                settle(&mut tx, refusal.hash, state, Some(&refusal.sentence)).await?;
            }
        }
        for of in &step.dropped {
            // Somebody may have gone on writing meanwhile: that is sent first, and the question asked again.
            let unsent: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM changes WHERE unit = $1 AND book = $2 AND period = $3 AND state = $4",
            )
            .bind(of.unit.as_bytes().as_slice())
            .bind(of.book.as_str())
            .bind(&of.period)
            .bind(UNSENT)
            .fetch_one(&mut *tx)
            .await?;
            if unsent > 0 {
                about("UPDATE documents SET confirmed = 0 WHERE unit = $1 AND book = $2 AND period = $3", of)
                    .execute(&mut *tx)
                    .await?;
                continue;
            }
            // What was refused stays, for whoever wrote it to see; unless nobody is to see anything any more.
            about("DELETE FROM documents WHERE unit = $1 AND book = $2 AND period = $3", of).execute(&mut *tx).await?;
            let gone = if step.erase { HELD } else { THERE };
            about("DELETE FROM changes WHERE unit = $1 AND book = $2 AND period = $3 AND state IN ($4, $5)", of)
                .bind(THERE)
                .bind(gone)
                .execute(&mut *tx)
                .await?;
        }
        sqlx::query("INSERT INTO meta (key, value) VALUES ('cursor', $1) ON CONFLICT (key) DO UPDATE SET value = $1")
            .bind(&step.cursor)
            .execute(&mut *tx)
            .await?;
        if step.erase {
            erase(&mut tx).await?;
        }
        tx.commit().await?;
        if step.erase || is_any_replaced {
            sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.pool).await?;
        }
        Ok(())
    }
}

/// Keeps nothing, once the server has said of every document that it has all of it; what only this device has stays.
async fn erase(tx: &mut sqlx::SqliteConnection) -> Result<(), sqlx::Error> {
    let left: i64 =
        sqlx::query_scalar("SELECT (SELECT count(*) FROM changes WHERE state = $1) + (SELECT count(*) FROM documents)")
            .bind(UNSENT)
            .fetch_one(&mut *tx)
            .await?;
    if left > 0 {
        // It may have lost what it has acknowledged.
        sqlx::query("UPDATE documents SET confirmed = 0").execute(tx).await?;
        return Ok(());
    }
    sqlx::query("DELETE FROM changes WHERE state != $1").bind(REFUSED).execute(&mut *tx).await?;
    // What it has seen of the audit log tells nothing of anybody: the device stays a witness.
    sqlx::query("DELETE FROM meta WHERE key != 'checkpoints'").execute(tx).await?;
    Ok(())
}

async fn checkpoints(connection: &mut sqlx::SqliteConnection) -> Result<Kept, sqlx::Error> {
    let bytes: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT value FROM meta WHERE key = 'checkpoints'").fetch_optional(connection).await?;
    Ok(bytes.map(|bytes| Kept::from_bytes(&bytes)).unwrap_or_default())
}

async fn keep_checkpoint(connection: &mut sqlx::SqliteConnection, text: &str) -> Result<(), sqlx::Error> {
    let mut kept = checkpoints(connection).await?;
    if kept.add(text) {
        let sql = "INSERT INTO meta (key, value) VALUES ('checkpoints', $1) ON CONFLICT (key) DO UPDATE SET value = $1";
        sqlx::query(sql).bind(kept.to_bytes()).execute(connection).await?;
    }
    Ok(())
}

/// A statement whose first three values name a document.
pub(super) fn about<'q>(sql: &'static str, of: &'q Identity) -> Query<'q, Sqlite, SqliteArguments> {
    sqlx::query(sql).bind(of.unit.as_bytes().as_slice()).bind(of.book.as_str()).bind(&of.period)
}

async fn settle(
    tx: &mut sqlx::SqliteConnection,
    hash: ChangeHash,
    state: i64,
    refusal: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE changes SET state = $1, refusal = $2 WHERE hash = $3")
        .bind(state)
        .bind(refusal)
        .bind(hash.0.as_slice())
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn register(tx: &mut sqlx::SqliteConnection, of: &Identity) -> Result<(), sqlx::Error> {
    about("INSERT OR IGNORE INTO documents (unit, book, period) VALUES ($1, $2, $3)", of).execute(tx).await?;
    Ok(())
}

pub(super) async fn insert(
    tx: &mut sqlx::SqliteConnection,
    of: &Identity,
    hash: ChangeHash,
    bytes: &[u8],
    state: i64,
) -> Result<(), sqlx::Error> {
    about(
        "INSERT INTO changes (unit, book, period, hash, bytes, state) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (hash) DO UPDATE SET state = excluded.state, refusal = NULL",
        of,
    )
    .bind(hash.0.as_slice())
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
