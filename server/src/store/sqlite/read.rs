//! Documents and the projection.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AssertSqlSafe, Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};
use sync_protocol::{Book, ChangeHash, DeviceId, DocumentId, Identity, UnitId, document::RowKey, message::Successor};

use super::{
    codec::{self, placeholders},
    document_key::Place,
    document_keys::DocumentKeys,
    tallies,
    tx::Tx,
};
use crate::store::{
    Arrival, Head, ProjectedRow, StoreError, StoredConflict, StoredDocument, StoredRow, StoredWrongStep, Totals,
    WrongStep,
};

/// Values in one `IN (…)`.
const LIST_MAX: usize = 500;

pub(super) async fn document(
    pool: &SqlitePool,
    keys: &DocumentKeys,
    document: DocumentId,
) -> Result<Option<StoredDocument>, StoreError> {
    // One transaction: snapshot and changes must be of the same moment.
    let mut tx = Tx::read(pool).await?;
    let row = sqlx::query("SELECT number, unit, book, period, heads, root FROM documents WHERE id = $1")
        .bind(document.as_bytes().as_slice())
        .fetch_optional(&mut *tx)
        .await?;
    let document = match row {
        Some(row) => Some(stored(&mut tx, keys, &row).await?),
        None => None,
    };
    tx.commit().await?;
    Ok(document)
}

pub(super) async fn head(pool: &SqlitePool, document: DocumentId) -> Result<Option<Head>, StoreError> {
    let row = sqlx::query(
        "SELECT unit, book, period, heads, root IS NOT NULL AS is_successor, (SELECT count(*) FROM changes c WHERE c.document = d.number AND c.seq >
                           coalesce((SELECT s.upto_seq FROM snapshots s WHERE s.document = d.number), 0)) AS loose
             FROM documents d WHERE id = $1",
    )
    .bind(document.as_bytes().as_slice())
    .fetch_optional(pool)
    .await?;
    let head = |row: SqliteRow| {
        let loose: i64 = row.try_get("loose")?;
        let loose = usize::try_from(loose).unwrap_or(usize::MAX);
        let is_successor = row.try_get("is_successor")?;
        Ok(Head { identity: codec::identity(&row)?, heads: codec::heads(&row)?, loose, is_successor })
    };
    row.map(head).transpose()
}

/// The bytes of a document whose row is at hand.
pub(super) async fn stored(
    tx: &mut SqliteConnection,
    keys: &DocumentKeys,
    row: &SqliteRow,
) -> Result<StoredDocument, StoreError> {
    let (number, of): (i64, _) = (row.try_get("number")?, codec::identity(row)?);
    let snapshot = sqlx::query("SELECT upto_seq, bytes FROM snapshots WHERE document = $1")
        .bind(number)
        .fetch_optional(&mut *tx)
        .await?;
    let upto: i64 = snapshot.as_ref().map(|s| s.try_get("upto_seq")).transpose()?.unwrap_or(0);
    let changes: Vec<Option<Vec<u8>>> =
        sqlx::query_scalar("SELECT bytes FROM changes WHERE document = $1 AND seq > $2 ORDER BY seq")
            .bind(number)
            .bind(upto)
            .fetch_all(&mut *tx)
            .await?;
    let changes = changes.into_iter().map(|bytes| {
        let bytes = bytes.ok_or_else(|| StoreError::Damaged("a change behind its snapshot has no bytes".into()))?;
        keys.open_blob(&of, Place::Change, &bytes)
    });
    Ok(StoredDocument {
        heads: codec::heads(row)?,
        successor: successor(tx, row).await?,
        snapshot: snapshot.map(|s| keys.open_blob(&of, Place::Snapshot, s.try_get("bytes")?)).transpose()?,
        changes: changes.collect::<Result<_, _>>()?,
        identity: of,
    })
}

/// What the document of this row stands for, where rows of it were erased.
async fn successor(tx: &mut SqliteConnection, row: &SqliteRow) -> Result<Option<Successor>, StoreError> {
    let Some(root) = codec::root(row)? else { return Ok(None) };
    let number: i64 = row.try_get("number")?;
    let covers = sqlx::query("SELECT hash FROM changes WHERE document = $1 AND bytes IS NULL ORDER BY seq")
        .bind(number)
        .fetch_all(&mut *tx)
        .await?;
    let erased =
        sqlx::query("SELECT ledger, row FROM erased_rows WHERE document = $1").bind(number).fetch_all(tx).await?;
    let name =
        |row: &SqliteRow| Ok(RowKey { ledger: row.try_get("ledger")?, row: codec::row_id(row, "row")? }.to_string());
    Ok(Some(Successor {
        root,
        covers: covers
            .iter()
            .map(|row| Ok(ChangeHash(codec::hash32(row, "hash")?)))
            .collect::<Result<_, StoreError>>()?,
        erased: erased.iter().map(name).collect::<Result<_, StoreError>>()?,
    }))
}

pub(super) async fn identities(
    pool: &SqlitePool,
    units: &[UnitId],
) -> Result<Vec<(Identity, Vec<ChangeHash>)>, StoreError> {
    let mut found = Vec::new();
    for units in units.chunks(LIST_MAX) {
        let sql =
            format!("SELECT unit, book, period, heads FROM documents WHERE unit IN ({})", placeholders(1, units.len()));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for unit in units {
            query = query.bind(unit.as_bytes().as_slice());
        }
        for row in query.fetch_all(pool).await? {
            found.push((codec::identity(&row)?, codec::heads(&row)?));
        }
    }
    Ok(found)
}

pub(super) async fn all_identities(pool: &SqlitePool) -> Result<Vec<(Identity, Vec<ChangeHash>)>, StoreError> {
    let rows = sqlx::query("SELECT unit, book, period, heads FROM documents ORDER BY id").fetch_all(pool).await?;
    rows.iter().map(|row| Ok((codec::identity(row)?, codec::heads(row)?))).collect()
}

pub(super) async fn known_changes(
    pool: &SqlitePool,
    hashes: &[ChangeHash],
) -> Result<BTreeSet<ChangeHash>, StoreError> {
    known_among(&mut *pool.acquire().await?, hashes).await
}

/// Those of these changes that are stored.
pub(super) async fn known_among(
    connection: &mut SqliteConnection,
    hashes: &[ChangeHash],
) -> Result<BTreeSet<ChangeHash>, StoreError> {
    let mut known = BTreeSet::new();
    for hashes in hashes.chunks(LIST_MAX) {
        let sql = format!("SELECT hash FROM changes WHERE hash IN ({})", placeholders(1, hashes.len()));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for hash in hashes {
            query = query.bind(hash.0.as_slice());
        }
        for row in query.fetch_all(&mut *connection).await? {
            known.insert(ChangeHash(codec::hash32(&row, "hash")?));
        }
    }
    Ok(known)
}

pub(super) async fn arrivals(
    pool: &SqlitePool,
    hashes: &[ChangeHash],
) -> Result<BTreeMap<ChangeHash, Arrival>, StoreError> {
    let mut arrivals = BTreeMap::new();
    for hashes in hashes.chunks(LIST_MAX) {
        let marks = placeholders(1, hashes.len());
        let sql = format!(
            "SELECT c.hash, c.device, c.received_at_ms, a.device AS writer
             FROM changes c LEFT JOIN actors a ON a.actor = c.actor WHERE c.hash IN ({marks})"
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for hash in hashes {
            query = query.bind(hash.0.as_slice());
        }
        for row in query.fetch_all(pool).await? {
            let (device, writer) = (codec::some_device(&row, "device")?, codec::some_device(&row, "writer")?);
            let arrival = Arrival { device, writer, received_at_ms: row.try_get("received_at_ms")? };
            arrivals.insert(ChangeHash(codec::hash32(&row, "hash")?), arrival);
        }
    }
    Ok(arrivals)
}

pub(super) async fn writers(
    pool: &SqlitePool,
    actors: &BTreeSet<Vec<u8>>,
) -> Result<BTreeMap<Vec<u8>, Option<DeviceId>>, StoreError> {
    let actors: Vec<&Vec<u8>> = actors.iter().collect();
    let mut writers = BTreeMap::new();
    for actors in actors.chunks(LIST_MAX) {
        let sql = format!("SELECT actor, device FROM actors WHERE actor IN ({})", placeholders(1, actors.len()));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for actor in actors {
            query = query.bind(actor.as_slice());
        }
        for row in query.fetch_all(pool).await? {
            writers.insert(row.try_get("actor")?, codec::some_device(&row, "device")?);
        }
    }
    Ok(writers)
}

pub(super) async fn rows(
    pool: &SqlitePool,
    keys: &DocumentKeys,
    ledger: &str,
    period: &str,
    units: &[UnitId],
) -> Result<Vec<StoredRow>, StoreError> {
    let mut found = Vec::new();
    for units in units.chunks(LIST_MAX) {
        let sql = format!(
            "SELECT d.unit, d.book, d.period, r.ledger, r.row, r.cells, r.removed FROM documents d
             CROSS JOIN rows r ON r.ledger = $1 AND r.document = d.number
             WHERE d.period = $2 AND d.unit IN ({})",
            placeholders(3, units.len())
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(ledger).bind(period);
        for unit in units {
            query = query.bind(unit.as_bytes().as_slice());
        }
        for row in query.fetch_all(pool).await? {
            found.push(StoredRow {
                unit: codec::unit_id(&row, "unit")?,
                book: codec::book(&row)?,
                row: codec::row_id(&row, "row")?,
                cells: tallies::cells(keys, &row)?,
                removed: row.try_get("removed")?,
            });
        }
    }
    Ok(found)
}

pub(super) async fn projection(
    pool: &SqlitePool,
    keys: &DocumentKeys,
    document: DocumentId,
) -> Result<Vec<ProjectedRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT d.unit, d.book, d.period, r.ledger, r.row, r.cells, r.conflicts, r.removed
         FROM documents d JOIN rows r ON r.document = d.number WHERE d.id = $1",
    )
    .bind(document.as_bytes().as_slice())
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(ProjectedRow {
                ledger: row.try_get("ledger")?,
                row: codec::row_id(row, "row")?,
                cells: tallies::cells(keys, row)?,
                conflicts: disputed(keys, row)?,
                removed: row.try_get("removed")?,
            })
        })
        .collect()
}

/// What is in dispute in a row that comes with what its document is of.
fn disputed(keys: &DocumentKeys, row: &SqliteRow) -> Result<Option<String>, StoreError> {
    let Some(text) = row.try_get("conflicts")? else { return Ok(None) };
    let place = Place::Conflicts(row.try_get("ledger")?, codec::row_id(row, "row")?);
    keys.open_text(&codec::identity(row)?, place, text).map(Some)
}

pub(super) async fn conflicts(pool: &SqlitePool, keys: &DocumentKeys) -> Result<Vec<StoredConflict>, StoreError> {
    let rows = sqlx::query(
        "SELECT d.unit, d.book, d.period, r.ledger, r.row, r.cells, r.conflicts FROM rows r
         JOIN documents d ON d.number = r.document WHERE r.conflicts IS NOT NULL
         ORDER BY r.ledger, d.unit, d.book, r.row",
    )
    .fetch_all(pool)
    .await?;
    let json =
        |text: String| serde_json::value::RawValue::from_string(text).map_err(|e| StoreError::Damaged(e.to_string()));
    rows.iter()
        .map(|row| {
            Ok(StoredConflict {
                unit: codec::unit_id(row, "unit")?,
                book: codec::book(row)?,
                period: row.try_get("period")?,
                ledger: row.try_get("ledger")?,
                row: codec::row_id(row, "row")?,
                cells: json(tallies::cells(keys, row)?)?,
                conflicts: json(disputed(keys, row)?.unwrap_or_default())?,
            })
        })
        .collect()
}

pub(super) async fn wrong_steps(pool: &SqlitePool) -> Result<Vec<StoredWrongStep>, StoreError> {
    let rows = sqlx::query(
        "SELECT d.unit, d.period, s.ledger, s.row, s.\"column\", s.before, s.after, s.fault, s.received_at_ms,
                coalesce(s.who, v.owner, '') AS owner
         FROM wrong_steps s JOIN documents d ON d.number = s.document LEFT JOIN devices v ON v.id = s.device
         ORDER BY s.number DESC",
    )
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(StoredWrongStep {
                unit: codec::unit_id(row, "unit")?,
                period: row.try_get("period")?,
                step: WrongStep {
                    row: RowKey { ledger: row.try_get("ledger")?, row: codec::row_id(row, "row")? },
                    column: row.try_get("column")?,
                    before: row.try_get("before")?,
                    after: row.try_get("after")?,
                    fault: row.try_get("fault")?,
                    who: None,
                },
                who: row.try_get("owner")?,
                received_at_ms: row.try_get("received_at_ms")?,
            })
        })
        .collect()
}

pub(super) async fn totals(pool: &SqlitePool) -> Result<Totals, StoreError> {
    let open: Vec<&str> = Book::ALL.into_iter().filter(|book| !book.is_restricted()).map(Book::as_str).collect();
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM units) AS units, (SELECT count(*) FROM documents) AS documents,
                (SELECT count(*) FROM changes) AS changes,
                (SELECT count(*) FROM rows r JOIN documents d ON d.number = r.document
                 WHERE r.removed = 0 AND d.book IN ($1, $2, $3)) AS rows,
                (SELECT count(*) FROM rows WHERE conflicts IS NOT NULL) AS conflicts",
    )
    .bind(open[0])
    .bind(open[1])
    .bind(open[2])
    .fetch_one(pool)
    .await?;
    Ok(Totals {
        units: row.try_get("units")?,
        documents: row.try_get("documents")?,
        changes: row.try_get("changes")?,
        rows: row.try_get("rows")?,
        conflicts: row.try_get("conflicts")?,
    })
}

pub(super) async fn check(pool: &SqlitePool) -> Result<Vec<String>, StoreError> {
    let mut wrong: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check").fetch_all(pool).await?;
    wrong.retain(|line| line != "ok");
    let dangling = sqlx::query("PRAGMA foreign_key_check").fetch_all(pool).await?.len();
    if dangling > 0 {
        wrong.push(format!("{dangling} row(s) refer to a document that does not exist"));
    }
    Ok(wrong)
}
