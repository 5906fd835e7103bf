//! Putting a document's successor in its place, so that nothing of what was before can be read from the file any more.

use std::collections::BTreeSet;

use sync_protocol::{ChangeHash, document::RowKey};

use super::{group, proposals, tallies, tx::Writer};
use crate::store::{Committed, Replacement, StoreError, Tally, blob};

pub(super) async fn replace(
    writer: &Writer,
    tally: &dyn Tally,
    Replacement { write, carried, root, erased, quarantined }: &Replacement,
) -> Result<Committed, StoreError> {
    let of = &write.identity;
    let mut tx = writer.begin().await?;
    let waiting: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM quarantine WHERE unit = $1 AND book = $2 AND period = $3 AND state = 'waiting'",
    )
    .bind(of.unit.as_bytes().as_slice())
    .bind(of.book.as_str())
    .bind(&of.period)
    .fetch_one(&mut *tx)
    .await?;
    if waiting > 0 {
        return Ok(Committed::Stale);
    }
    let Some(number) = group::documents(&mut tx, &[write]).await?[0] else { return Ok(Committed::Stale) };
    sqlx::query("UPDATE changes SET bytes = NULL WHERE document = $1").bind(number).execute(&mut *tx).await?;
    sqlx::query("UPDATE documents SET root = $2 WHERE number = $1")
        .bind(number)
        .bind(root.0.as_slice())
        .execute(&mut *tx)
        .await?;
    sqlx::query("DELETE FROM rows WHERE document = $1").bind(number).execute(&mut *tx).await?;
    let mut rows: Vec<_> = write.rows.iter().map(|row| (number, row)).collect();
    if let Some(carried) = carried {
        if group::documents(&mut tx, &[carried]).await?[0].is_none() {
            return Ok(Committed::Stale);
        }
        rows = carried.rows.iter().map(|row| (number, row)).collect();
    }
    group::project(&mut tx, &rows).await?;
    forget(&mut tx, number, erased, quarantined).await?;
    for row in erased {
        proposals::forget(&mut tx, of, row).await?;
    }
    tallies::count(&mut tx, tally, (of.unit, &of.period), &tally.concerned(None)).await?;
    tx.commit().await?;
    Ok(Committed::Durable)
}

/// What else has quoted the rows.
async fn forget(
    tx: &mut sqlx::SqliteConnection,
    document: i64,
    erased: &BTreeSet<RowKey>,
    quarantined: &[ChangeHash],
) -> Result<(), StoreError> {
    for RowKey { ledger, row } in erased {
        sqlx::query("INSERT INTO erased_rows (document, ledger, row) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(document)
            .bind(ledger)
            .bind(row.as_bytes().as_slice())
            .execute(&mut *tx)
            .await?;
        sqlx::query("DELETE FROM wrong_steps WHERE document = $1 AND ledger = $2 AND row = $3")
            .bind(document)
            .bind(ledger)
            .bind(row.as_bytes().as_slice())
            .execute(&mut *tx)
            .await?;
    }
    for hash in quarantined {
        // The hash stays: the device that sent it would send it again.
        sqlx::query("UPDATE quarantine SET bytes = $2 WHERE hash = $1 AND state != 'waiting'")
            .bind(hash.0.as_slice())
            .bind(blob::pack(&[]))
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

/// Writes the file anew without the pages that nothing uses any more: they still say what they said.
pub(super) async fn sweep(writer: &Writer) -> Result<(), StoreError> {
    sqlx::raw_sql("VACUUM").execute(writer.outside()).await?;
    let busy: i64 = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(writer.outside()).await?;
    if busy != 0 {
        let sentence = "数据库正被读取，尚未清扫完，请再执行一次 | readers kept the old pages: erase once more";
        return Err(StoreError::Database(sentence.into()));
    }
    Ok(())
}
