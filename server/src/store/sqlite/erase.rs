//! Putting a document's successor in its place, so that nothing of what was before can be read from the file any more.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use sqlx::{AssertSqlSafe, SqliteConnection, SqlitePool};
use sync_protocol::{Book, ChangeHash, UnitId, document::RowKey};

use super::{
    attachments, codec, deed::Outcome, document_keys::DocumentKeys, group, proposals, sealing, successors, tallies,
    tx::Writer,
};
use crate::store::{Committed, Replacement, StoreError, Tally, blob};

pub(super) async fn replace(
    writer: &Writer,
    (tally, keys): (&dyn Tally, &Arc<DocumentKeys>),
    replacement: &Replacement,
) -> Result<Committed, StoreError> {
    let mut tx = writer.begin().await?;
    let committed = put(&mut tx, (tally, keys), replacement).await?;
    if committed == Committed::Durable {
        tx.commit().await?;
        forget_keys(writer, keys).await;
    }
    Ok(committed)
}

/// Destroys the keys that a successor was put in the place of. What cannot be destroyed now is by the next sweep.
pub(super) async fn forget_keys(writer: &Writer, keys: &Arc<DocumentKeys>) {
    if let Err(error) = sealing::destroy_replaced(writer.outside(), keys).await {
        tracing::warn!(%error, "the key of what was erased is not destroyed yet");
    }
}

/// Erases what several documents of a unit, and its photos, say of a record.
pub(super) async fn erase(
    tx: &mut SqliteConnection,
    (tally, keys): (&dyn Tally, &Arc<DocumentKeys>),
    unit: UnitId,
    (replacements, photos): (&[Replacement], &[[u8; 32]]),
) -> Result<Outcome, StoreError> {
    let doubts: i64 = sqlx::query_scalar("SELECT count(*) FROM doubts WHERE unit = $1")
        .bind(unit.as_bytes().as_slice())
        .fetch_one(&mut *tx)
        .await?;
    if doubts > 0 {
        return Ok(Outcome::Stale);
    }
    for replacement in replacements {
        if put(tx, (tally, keys), replacement).await? == Committed::Stale {
            return Ok(Outcome::Stale);
        }
    }
    for hash in photos {
        attachments::forget(tx, unit, hash).await?;
    }
    Ok(Outcome::Written(None))
}

/// Puts one successor in its place.
async fn put(
    tx: &mut SqliteConnection,
    (tally, keys): (&dyn Tally, &Arc<DocumentKeys>),
    Replacement { write, carried, root, erased, quarantined }: &Replacement,
) -> Result<Committed, StoreError> {
    let of = &write.identity;
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
    // From here on it is sealed with another key: the one before is destroyed once this is committed.
    let key = sealing::renew(tx, keys, of).await?;
    let (numbers, sealing) = group::documents(tx, keys, &[write]).await?;
    let Some(number) = numbers[0] else { return Ok(Committed::Stale) };
    sqlx::query("UPDATE changes SET bytes = NULL WHERE document = $1").bind(number).execute(&mut *tx).await?;
    sqlx::query("UPDATE documents SET root = $2 WHERE number = $1")
        .bind(number)
        .bind(root.0.as_slice())
        .execute(&mut *tx)
        .await?;
    sqlx::query("DELETE FROM rows WHERE document = $1").bind(number).execute(&mut *tx).await?;
    let mut rows: Vec<_> = write.rows.iter().map(|row| (number, row)).collect();
    if let Some(carried) = carried {
        if group::documents(tx, keys, &[carried]).await?.0[0].is_none() {
            return Ok(Committed::Stale);
        }
        rows = carried.rows.iter().map(|row| (number, row)).collect();
    }
    group::project(tx, &sealing, &rows).await?;
    forget(tx, number, erased, quarantined).await?;
    for row in erased {
        proposals::forget(tx, of, row).await?;
    }
    if let Some(key) = key {
        // What waits beside it goes on waiting; and so that no older database loses what others have written.
        sealing::seal(tx, keys, of, &key).await?;
        successors::keep(tx, keys, (of, number), &key).await?;
    }
    tallies::count(tx, tally, keys, (of.unit, &of.period), &tally.concerned(None)).await?;
    unswept(tx).await?;
    Ok(Committed::Durable)
}

/// Notes that what was taken out is still in the file: until it was swept, and whatever happens before.
pub(super) async fn unswept(tx: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("INSERT OR REPLACE INTO meta (key, value) VALUES ('unswept', x'01')").execute(tx).await?;
    Ok(())
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

/// The books from which this row of a unit was erased.
pub(super) async fn erased_from(pool: &SqlitePool, unit: UnitId, row: &RowKey) -> Result<Vec<Book>, StoreError> {
    let rows = sqlx::query(
        "SELECT DISTINCT d.book FROM erased_rows e JOIN documents d ON d.number = e.document
         WHERE d.unit = $1 AND e.ledger = $2 AND e.row = $3",
    )
    .bind(unit.as_bytes().as_slice())
    .bind(&row.ledger)
    .bind(row.row.as_bytes().as_slice())
    .fetch_all(pool)
    .await?;
    rows.iter().map(codec::book).collect()
}

/// Writes the file anew without the pages that nothing uses any more: they still say what they said. `false` if nothing was
/// erased since that was last done.
pub(super) async fn sweep(writer: &Writer, keys: &Arc<DocumentKeys>) -> Result<bool, StoreError> {
    sealing::destroy_replaced(writer.outside(), keys).await?;
    let mut connection = writer.outside().acquire().await?;
    let unswept = "SELECT count(*) FROM meta WHERE key = 'unswept'";
    let unswept: i64 = sqlx::query_scalar(unswept).fetch_one(&mut *connection).await?;
    if unswept == 0 {
        return Ok(false);
    }
    // It has its settings for itself, and may have failed half way.
    connection.close_on_drop();
    // What is written anew is as large as the file: it goes to a file without a name beside it, not into memory. It holds what is
    // left, not what was erased; see docs/adr/0019.
    let file: String = sqlx::query_scalar("SELECT file FROM pragma_database_list WHERE name = 'main'")
        .fetch_one(&mut *connection)
        .await?;
    let folder = Path::new(&file).parent().unwrap_or(Path::new(".")).to_string_lossy().replace('\'', "''");
    let vacuum = format!("PRAGMA temp_store = FILE; PRAGMA temp_store_directory = '{folder}'; VACUUM");
    sqlx::raw_sql(AssertSqlSafe(vacuum)).execute(&mut *connection).await?;
    let busy: i64 = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *connection).await?;
    if busy != 0 {
        // A reader keeps the old pages: the next sweep finds it unswept, and begins anew.
        return Err(StoreError::Busy);
    }
    drop(connection);
    // Nobody reads an earlier state any more.
    keys.forget();
    let mut tx = writer.begin().await?;
    sqlx::query("DELETE FROM meta WHERE key = 'unswept'").execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(true)
}
