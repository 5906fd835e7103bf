//! What people have decided about files, and the rows that wait for them to.

use importer::{
    Memory,
    memory::{Decision, Doubt, Mapping},
};
use sqlx::{Row, SqliteConnection, SqlitePool};
use sync_protocol::{RowId, UnitId};

use super::{codec, tx::Writer};
use crate::store::{StoreError, StoredDoubt, blob};

pub(super) async fn memory(pool: &SqlitePool, units: &[UnitId]) -> Result<Memory, StoreError> {
    let mut memory = Memory::default();
    for unit in units {
        let known =
            sqlx::query("SELECT ledger, columns FROM mappings WHERE unit = $1").bind(unit.as_bytes().as_slice());
        for row in known.fetch_all(pool).await? {
            memory.map(Mapping { ledger: row.try_get("ledger")?, columns: json(row.try_get("columns")?)? });
        }
    }
    for row in sqlx::query("SELECT doubt, same FROM decisions").fetch_all(pool).await? {
        let same = row.try_get::<Option<Vec<u8>>, _>("same")?.is_some();
        let decision = if same { Decision::Same(codec::row_id(&row, "same")?) } else { Decision::New };
        memory.decide(codec::row_id(&row, "doubt")?, decision);
    }
    Ok(memory)
}

pub(super) async fn learn(
    writer: &Writer,
    unit: UnitId,
    mappings: &[Mapping],
    decisions: &[(RowId, Decision)],
    who: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    for mapping in mappings {
        sqlx::query(
            "INSERT INTO mappings (unit, fingerprint, ledger, columns, who, decided_at_ms)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (unit, fingerprint) DO UPDATE SET ledger = $3, columns = $4, who = $5, decided_at_ms = $6",
        )
        .bind(unit.as_bytes().as_slice())
        .bind(mapping.fingerprint())
        .bind(&mapping.ledger)
        .bind(serde_json::to_string(&mapping.columns).map_err(|e| StoreError::Damaged(e.to_string()))?)
        .bind(who)
        .bind(now_ms)
        .execute(&mut *tx)
        .await?;
    }
    for (doubt, decision) in decisions {
        let same = match decision {
            Decision::Same(row) => Some(row.as_bytes().to_vec()),
            Decision::New => None,
        };
        sqlx::query(
            "INSERT INTO decisions (doubt, same, who, decided_at_ms) VALUES ($1, $2, $3, $4)
             ON CONFLICT (doubt) DO UPDATE SET same = $2, who = $3, decided_at_ms = $4",
        )
        .bind(doubt.as_bytes().as_slice())
        .bind(same)
        .bind(who)
        .bind(now_ms)
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await
}

pub(super) async fn put_doubts(
    writer: &Writer,
    batch: &str,
    digest: &[u8; 32],
    file: &[u8],
    doubts: &[Doubt],
) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    sqlx::query("INSERT OR IGNORE INTO waiting_files (digest, bytes) VALUES ($1, $2)")
        .bind(digest.as_slice())
        .bind(blob::pack(file))
        .execute(&mut *tx)
        .await?;
    for doubt in doubts {
        sqlx::query(
            "INSERT OR REPLACE INTO doubts (id, batch, unit, sheet, cell, ledger, record, candidates)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(doubt.id.as_bytes().as_slice())
        .bind(batch)
        .bind(doubt.unit.as_bytes().as_slice())
        .bind(&doubt.sheet)
        .bind(&doubt.cell)
        .bind(&doubt.ledger)
        .bind(&doubt.record)
        .bind(serde_json::to_string(&doubt.candidates).map_err(|e| StoreError::Damaged(e.to_string()))?)
        .execute(&mut *tx)
        .await?;
    }
    drop_idle_files(&mut tx).await?;
    tx.commit().await
}

pub(super) async fn doubts(pool: &SqlitePool) -> Result<Vec<StoredDoubt>, StoreError> {
    let rows = sqlx::query(
        "SELECT d.id, d.unit, d.sheet, d.cell, d.ledger, d.record, d.candidates, b.file, b.digest
             FROM doubts d JOIN import_batches b ON b.id = d.batch ORDER BY b.started_at_ms, d.sheet, d.rowid",
    )
    .fetch_all(pool)
    .await?;
    let stored = |row: &sqlx::sqlite::SqliteRow| -> Result<StoredDoubt, StoreError> {
        let doubt = Doubt {
            id: codec::row_id(row, "id")?,
            unit: codec::unit_id(row, "unit")?,
            sheet: row.try_get("sheet")?,
            cell: row.try_get("cell")?,
            ledger: row.try_get("ledger")?,
            record: row.try_get("record")?,
            candidates: json(row.try_get("candidates")?)?,
        };
        Ok(StoredDoubt { doubt, file: row.try_get("file")?, digest: codec::hash32(row, "digest")? })
    };
    rows.iter().map(stored).collect()
}

pub(super) async fn waiting_file(pool: &SqlitePool, digest: &[u8; 32]) -> Result<Option<Vec<u8>>, StoreError> {
    let bytes: Option<Vec<u8>> = sqlx::query_scalar("SELECT bytes FROM waiting_files WHERE digest = $1")
        .bind(digest.as_slice())
        .fetch_optional(pool)
        .await?;
    bytes.map(|bytes| blob::unpack(&bytes)).transpose()
}

pub(super) async fn settle(writer: &Writer, doubts: &[RowId]) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    for doubt in doubts {
        sqlx::query("DELETE FROM doubts WHERE id = $1").bind(doubt.as_bytes().as_slice()).execute(&mut *tx).await?;
    }
    drop_idle_files(&mut tx).await?;
    tx.commit().await
}

/// Forgets the files of which no row waits any more: they hold personal data.
pub(super) async fn drop_idle_files(tx: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM waiting_files WHERE digest NOT IN
             (SELECT b.digest FROM doubts d JOIN import_batches b ON b.id = d.batch)",
    )
    .execute(tx)
    .await?;
    Ok(())
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::Damaged(e.to_string()))
}
