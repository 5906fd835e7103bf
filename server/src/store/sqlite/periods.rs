//! Years: which of them were opened from others, and which are sealed.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use sync_protocol::unit::Unit;

use super::{SqliteStore, deed::Outcome};
use crate::store::{Opening, Period, PeriodStore, Seal, StoreError};

/// Notes that a year is being opened from another; not one that is sealed, nor was opened from a third.
pub(super) async fn open(
    tx: &mut SqliteConnection,
    (period, from): (&str, &str),
    (by, at_ms): (&str, i64),
) -> Result<Outcome, StoreError> {
    let done = sqlx::query(
        "INSERT INTO periods (period, from_period, opened_by, opened_at_ms) VALUES ($1, $2, $3, $4)
         ON CONFLICT (period) DO UPDATE SET carried_at_ms = NULL, from_period = excluded.from_period,
             opened_by = coalesce(opened_by, excluded.opened_by),
             opened_at_ms = coalesce(opened_at_ms, excluded.opened_at_ms)
         WHERE sealed_seq IS NULL AND coalesce(from_period, $2) = $2",
    );
    let done = done.bind(period).bind(from).bind(by).bind(at_ms).execute(tx).await?;
    Ok(Outcome::of_one(done.rows_affected()))
}

/// Notes that everything was carried over.
pub(super) async fn carried(tx: &mut SqliteConnection, period: &str, at_ms: i64) -> Result<Outcome, StoreError> {
    let done = sqlx::query("UPDATE periods SET carried_at_ms = $2 WHERE period = $1 AND sealed_seq IS NULL");
    Ok(Outcome::of_one(done.bind(period).bind(at_ms).execute(tx).await?.rows_affected()))
}

/// Seals a year that is not sealed, at the newest change.
pub(super) async fn seal(
    tx: &mut SqliteConnection,
    (period, by, at_ms): (&str, &str, i64),
    (register, checkpoint): (&[Unit], Option<&str>),
) -> Result<Outcome, StoreError> {
    let register = serde_json::to_string(register).map_err(|error| StoreError::Damaged(error.to_string()))?;
    let done = sqlx::query(
        "INSERT INTO periods (period, sealed_by, sealed_at_ms, sealed_seq, units, checkpoint)
         VALUES ($1, $2, $3, coalesce((SELECT max(seq) FROM changes), 0), $4, $5)
         ON CONFLICT (period) DO UPDATE SET sealed_by = excluded.sealed_by, sealed_at_ms = excluded.sealed_at_ms,
             sealed_seq = excluded.sealed_seq, units = excluded.units, checkpoint = excluded.checkpoint
         WHERE sealed_seq IS NULL",
    );
    let done = done.bind(period).bind(by).bind(at_ms).bind(register).bind(checkpoint).execute(tx).await?;
    Ok(Outcome::of_one(done.rows_affected()))
}

/// Takes the seal off a year that is sealed.
pub(super) async fn unseal(tx: &mut SqliteConnection, period: &str) -> Result<Outcome, StoreError> {
    let done = sqlx::query(
        "UPDATE periods SET sealed_by = NULL, sealed_at_ms = NULL, sealed_seq = NULL, units = NULL, checkpoint = NULL
         WHERE period = $1 AND sealed_seq IS NOT NULL",
    );
    Ok(Outcome::of_one(done.bind(period).execute(tx).await?.rows_affected()))
}

/// The years that are sealed, inside a transaction: what is sealed meanwhile is not written to.
pub(super) async fn sealed(tx: &mut SqliteConnection) -> Result<BTreeSet<String>, StoreError> {
    let sealed = sqlx::query_scalar("SELECT period FROM periods WHERE sealed_seq IS NOT NULL");
    Ok(sealed.fetch_all(tx).await?.into_iter().collect())
}

#[async_trait]
impl PeriodStore for SqliteStore {
    async fn list(&self) -> Result<Vec<Period>, StoreError> {
        let columns = "period, from_period, opened_by, opened_at_ms, carried_at_ms, sealed_by, sealed_at_ms,
                       sealed_seq, checkpoint";
        let sql = format!("SELECT {columns} FROM periods ORDER BY period");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.readers).await?;
        rows.iter().map(read).collect()
    }

    async fn written(&self) -> Result<Vec<String>, StoreError> {
        let periods = sqlx::query_scalar("SELECT DISTINCT period FROM documents ORDER BY period");
        Ok(periods.fetch_all(&self.readers).await?)
    }

    async fn register(&self, period: &str) -> Result<Option<Vec<Unit>>, StoreError> {
        let sql = "SELECT units FROM periods WHERE period = $1 AND sealed_seq IS NOT NULL";
        let json: Option<String> = sqlx::query_scalar(sql).bind(period).fetch_optional(&self.readers).await?;
        let read = |json: String| serde_json::from_str(&json).map_err(|e| StoreError::Damaged(e.to_string()));
        json.map(read).transpose()
    }
}

fn read(row: &SqliteRow) -> Result<Period, StoreError> {
    let from: Option<String> = row.try_get("from_period")?;
    let opened = from.map(|from| {
        let (by, carried_at_ms) = (row.try_get("opened_by")?, row.try_get("carried_at_ms")?);
        Ok::<_, StoreError>(Opening { from, by, at_ms: row.try_get("opened_at_ms")?, carried_at_ms })
    });
    let seq: Option<i64> = row.try_get("sealed_seq")?;
    let seal = seq.map(|seq| {
        let (by, checkpoint) = (row.try_get("sealed_by")?, row.try_get("checkpoint")?);
        Ok::<_, StoreError>(Seal { by, at_ms: row.try_get("sealed_at_ms")?, seq, checkpoint })
    });
    Ok(Period { period: row.try_get("period")?, opened: opened.transpose()?, seal: seal.transpose()? })
}
