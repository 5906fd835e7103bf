//! Changes that wait for a supervisor.

use std::sync::Arc;

use sqlx::{Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};
use sync_protocol::{ChangeHash, document::RefusalCode};

use super::{codec, deed::Outcome, document_key::Place, document_keys::DocumentKeys, sealing, tx::Writer};
use crate::store::{QuarantineState, Quarantined, StoreError};

pub(super) async fn put(
    writer: &Writer,
    keys: &Arc<DocumentKeys>,
    held: &[Quarantined],
    bytes_max: i64,
) -> Result<bool, StoreError> {
    let mut tx = writer.begin().await?;
    for change in held {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT coalesce(sum(length(bytes)), 0) FROM quarantine WHERE device = $1 AND state = 'waiting'",
        )
        .bind(change.device.as_bytes().as_slice())
        .fetch_one(&mut *tx)
        .await?;
        let key = sealing::key_of(&mut tx, keys, &change.identity).await?;
        let packed = sealing::packed(key.as_ref(), Place::Quarantine, &change.bytes)?;
        if waiting.saturating_add(i64::try_from(packed.len()).unwrap_or(i64::MAX)) > bytes_max {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO quarantine (hash, unit, book, period, device, code, sentence, received_at_ms, bytes, state)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'waiting') ON CONFLICT (hash) DO NOTHING",
        )
        .bind(change.hash.0.as_slice())
        .bind(change.identity.unit.as_bytes().as_slice())
        .bind(change.identity.book.as_str())
        .bind(&change.identity.period)
        .bind(change.device.as_bytes().as_slice())
        .bind(change.code.as_str())
        .bind(&change.sentence)
        .bind(change.received_at_ms)
        .bind(packed)
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(true)
}

pub(super) async fn all(pool: &SqlitePool, keys: &DocumentKeys) -> Result<Vec<Quarantined>, StoreError> {
    let rows = sqlx::query("SELECT * FROM quarantine ORDER BY received_at_ms, rowid").fetch_all(pool).await?;
    rows.iter().map(|row| read(keys, row)).collect()
}

pub(super) async fn one(
    pool: &SqlitePool,
    keys: &DocumentKeys,
    hash: ChangeHash,
) -> Result<Option<Quarantined>, StoreError> {
    let row =
        sqlx::query("SELECT * FROM quarantine WHERE hash = $1").bind(hash.0.as_slice()).fetch_optional(pool).await?;
    row.as_ref().map(|row| read(keys, row)).transpose()
}

fn read(keys: &DocumentKeys, row: &SqliteRow) -> Result<Quarantined, StoreError> {
    let damaged = |what: &str| StoreError::Damaged(format!("quarantine: {what}"));
    let code: &str = row.try_get("code")?;
    let state: &str = row.try_get("state")?;
    Ok(Quarantined {
        hash: ChangeHash(codec::hash32(row, "hash")?),
        bytes: keys.open_blob(&codec::identity(row)?, Place::Quarantine, row.try_get("bytes")?)?,
        identity: codec::identity(row)?,
        device: codec::device_id(row, "device")?,
        code: RefusalCode::ALL.into_iter().find(|known| known.as_str() == code).ok_or_else(|| damaged("code"))?,
        sentence: row.try_get("sentence")?,
        received_at_ms: row.try_get("received_at_ms")?,
        state: QuarantineState::ALL
            .into_iter()
            .find(|known| known.as_str() == state)
            .ok_or_else(|| damaged("state"))?,
        decided_by: row.try_get("decided_by")?,
    })
}

/// Decides on changes that are still in these states: on all of them, or on none.
pub(super) async fn settle(
    tx: &mut SqliteConnection,
    held: &[(ChangeHash, QuarantineState)],
    state: QuarantineState,
    (who, at_ms): (&str, i64),
) -> Result<Outcome, StoreError> {
    for (hash, from) in held {
        let settled = sqlx::query(
            "UPDATE quarantine SET state = $1, decided_by = $2, decided_at_ms = $3 WHERE hash = $4 AND state = $5",
        )
        .bind(state.as_str())
        .bind(who)
        .bind(at_ms)
        .bind(hash.0.as_slice())
        .bind(from.as_str())
        .execute(&mut *tx)
        .await?;
        if settled.rows_affected() == 0 {
            return Ok(Outcome::NotNow);
        }
    }
    Ok(Outcome::Written(None))
}
