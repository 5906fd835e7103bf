//! Documents, the feed, the projection.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AssertSqlSafe, Row, SqliteConnection, SqliteExecutor, SqlitePool, sqlite::SqliteRow};
use sync_protocol::{
    Book, ChangeHash, DeviceId, DocumentId, Identity, UnitId,
    document::RowKey,
    message::DocumentPull,
    session::{FeedPage, FeedQuery, Position, Scope},
};

use super::{
    codec::{self, placeholders},
    registry,
};
use crate::store::{
    Arrival, Head, Moved, MovedDocument, ProjectedRow, StoreError, StoredConflict, StoredDocument, StoredRow,
    StoredWrongStep, Totals, WrongStep, blob, whole,
};

/// Changes or documents in one page, whatever their size.
const PAGE_ITEMS_MAX: i64 = 1000;
/// Values in one `IN (…)`.
const LIST_MAX: usize = 500;

pub(super) async fn document(pool: &SqlitePool, document: DocumentId) -> Result<Option<StoredDocument>, StoreError> {
    // One transaction: snapshot and changes must be of the same moment.
    let mut tx = pool.begin().await?;
    let row = sqlx::query("SELECT number, unit, book, period, heads, root FROM documents WHERE id = $1")
        .bind(document.as_bytes().as_slice())
        .fetch_optional(&mut *tx)
        .await?;
    match row {
        Some(row) => stored(&mut tx, &row).await.map(Some),
        None => Ok(None),
    }
}

pub(super) async fn head(pool: &SqlitePool, document: DocumentId) -> Result<Option<Head>, StoreError> {
    let row = sqlx::query(
        "SELECT unit, book, period, heads, (SELECT count(*) FROM changes c WHERE c.document = d.number AND c.seq >
                           coalesce((SELECT s.upto_seq FROM snapshots s WHERE s.document = d.number), 0)) AS loose
             FROM documents d WHERE id = $1",
    )
    .bind(document.as_bytes().as_slice())
    .fetch_optional(pool)
    .await?;
    let head = |row: SqliteRow| {
        let loose: i64 = row.try_get("loose")?;
        let loose = usize::try_from(loose).unwrap_or(usize::MAX);
        Ok(Head { identity: codec::identity(&row)?, heads: codec::heads(&row)?, loose })
    };
    row.map(head).transpose()
}

/// The bytes of a document whose row is at hand.
async fn stored(tx: &mut SqliteConnection, row: &SqliteRow) -> Result<StoredDocument, StoreError> {
    let number: i64 = row.try_get("number")?;
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
        blob::unpack(&bytes.ok_or_else(|| StoreError::Damaged("a change behind its snapshot has no bytes".into()))?)
    });
    Ok(StoredDocument {
        identity: codec::identity(row)?,
        heads: codec::heads(row)?,
        root: codec::root(row)?,
        snapshot: snapshot.map(|s| blob::unpack(s.try_get("bytes")?)).transpose()?,
        changes: changes.collect::<Result<_, _>>()?,
    })
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
    let mut known = BTreeSet::new();
    for hashes in hashes.chunks(LIST_MAX) {
        let sql = format!("SELECT hash FROM changes WHERE hash IN ({})", placeholders(1, hashes.len()));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for hash in hashes {
            query = query.bind(hash.0.as_slice());
        }
        for row in query.fetch_all(pool).await? {
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

pub(super) async fn is_of_feed(pool: &SqlitePool, position: &Position) -> Result<bool, StoreError> {
    let (Position::Feed { seq, mark: known } | Position::Bootstrap { upto_seq: seq, mark: known, .. }) = position;
    Ok(mark(&mut *pool.acquire().await?, *seq).await? == *known)
}

pub(super) async fn feed(pool: &SqlitePool, scope: &Scope, query: &FeedQuery) -> Result<FeedPage, StoreError> {
    let mut tx = pool.begin().await?;
    let top = registry::path(&mut *tx, scope.unit).await?;
    let last = newest(&mut *tx).await?;
    let Some(top) = top else {
        let position = Position::Feed { seq: last, mark: mark(&mut tx, last).await? };
        return Ok(FeedPage { documents: Vec::new(), position, more: false, restart: false });
    };
    // A server that was set back has lost changes that devices hold, and may have others at their numbers by now.
    match &query.position {
        Some(Position::Feed { seq, mark: known }) if mark(&mut tx, *seq).await? == *known => {
            since(&mut tx, scope, &top, *seq, last, query).await
        }
        Some(Position::Bootstrap { upto_seq, after, mark: known }) if mark(&mut tx, *upto_seq).await? == *known => {
            bootstrap(&mut tx, scope, &top, *upto_seq, Some(*after), query).await
        }
        _ => bootstrap(&mut tx, scope, &top, last, None, query).await,
    }
}

pub(super) async fn newest(executor: impl SqliteExecutor<'_>) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM changes").fetch_one(executor).await?)
}

pub(super) async fn moved(pool: &SqlitePool, after: i64) -> Result<Moved, StoreError> {
    let mut tx = pool.begin().await?;
    let seq = newest(&mut *tx).await?;
    let rows = sqlx::query(
        "SELECT DISTINCT d.id, d.book, u.path, c.device
         FROM changes c JOIN documents d ON d.number = c.document JOIN units u ON u.id = d.unit
         WHERE c.seq > $1 AND c.seq <= $2",
    )
    .bind(after)
    .bind(seq)
    .fetch_all(&mut *tx)
    .await?;
    let documents = rows.iter().map(|row| {
        let path: &str = row.try_get("path")?;
        let units = path.split('/').filter(|unit| !unit.is_empty()).map(str::parse);
        let device: Option<Vec<u8>> = row.try_get("device")?;
        Ok(MovedDocument {
            document: codec::document_id(row, "id")?,
            book: codec::book(row)?,
            units: units.collect::<Result<_, _>>().map_err(|_| StoreError::Damaged("path".into()))?,
            device: device.map(|_| codec::device_id(row, "device")).transpose()?,
        })
    });
    Ok(Moved { seq, documents: documents.collect::<Result<_, StoreError>>()? })
}

/// What marks the feed up to this number: zero at the very beginning, and where there is none.
async fn mark(tx: &mut SqliteConnection, seq: i64) -> Result<i64, StoreError> {
    let chain: Option<i64> =
        sqlx::query_scalar("SELECT chain FROM changes WHERE seq = $1").bind(seq).fetch_optional(tx).await?;
    Ok(chain.unwrap_or(0))
}

/// A statement over the documents of a scope: `$1` is the position, `$2` and `$3` the subtree, then the books.
fn in_scope(select: &str, condition: &str, order: &str, books: usize) -> String {
    format!(
        "{select} JOIN units u ON u.id = d.unit
         WHERE {condition} AND u.path >= $2 AND u.path < $3 AND d.book IN ({}) ORDER BY {order} LIMIT {PAGE_ITEMS_MAX}",
        placeholders(4, books)
    )
}

/// Whole documents in the order of their ids.
async fn bootstrap(
    tx: &mut SqliteConnection,
    scope: &Scope,
    top: &str,
    upto_seq: i64,
    after: Option<DocumentId>,
    query: &FeedQuery,
) -> Result<FeedPage, StoreError> {
    let select = "SELECT d.id, d.number, d.unit, d.book, d.period, d.heads, d.root FROM documents d";
    let sql = in_scope(select, "d.id > $1", "d.id", scope.books.len());
    let mut statement = sqlx::query(AssertSqlSafe(sql))
        .bind(after.map(|id| id.as_bytes().to_vec()).unwrap_or_default())
        .bind(top)
        .bind(registry::subtree_end(top));
    for book in &scope.books {
        statement = statement.bind(book.as_str());
    }
    let rows = statement.fetch_all(&mut *tx).await?;
    let mark = mark(tx, upto_seq).await?;
    let position = Position::Feed { seq: upto_seq, mark };
    let mut page = FeedPage { documents: Vec::new(), position, more: false, restart: after.is_none() };
    let mut bytes = 0;
    for (index, row) in rows.iter().enumerate() {
        let pull = whole(stored(&mut *tx, row).await?);
        bytes += pull.bytes();
        page.documents.push(pull);
        let is_last = index + 1 == rows.len() && i64::try_from(rows.len()).unwrap_or(i64::MAX) < PAGE_ITEMS_MAX;
        if !is_last && (bytes >= query.bytes_max || index + 1 == rows.len()) {
            let after = codec::document_id(row, "id")?;
            page.position = Position::Bootstrap { upto_seq, after, mark };
            page.more = true;
            break;
        }
    }
    Ok(page)
}

/// Changes since a seq but for those just handed over: a range scan that loads no document.
async fn since(
    tx: &mut SqliteConnection,
    scope: &Scope,
    top: &str,
    seq: i64,
    last: i64,
    query: &FeedQuery,
) -> Result<FeedPage, StoreError> {
    // Without the bytes: a page must not hold more of them than it will send.
    let select = "SELECT c.seq, c.hash, c.bytes IS NULL AS folded, d.number, d.unit, d.book, d.period, d.heads, d.root
                  FROM changes c JOIN documents d ON d.number = c.document";
    let sql = in_scope(select, "c.seq > $1", "c.seq", scope.books.len());
    let mut statement = sqlx::query(AssertSqlSafe(sql)).bind(seq).bind(top).bind(registry::subtree_end(top));
    for book in &scope.books {
        statement = statement.bind(book.as_str());
    }
    let rows = statement.fetch_all(&mut *tx).await?;
    let cut = i64::try_from(rows.len()).unwrap_or(i64::MAX) >= PAGE_ITEMS_MAX;
    let position = Position::Feed { seq: last, mark: mark(tx, last).await? };
    let mut page = FeedPage { documents: Vec::new(), position, more: false, restart: false };
    let pushed: BTreeSet<&ChangeHash> = query.pushed.iter().collect();
    let mut bytes = 0;
    for (index, row) in rows.iter().enumerate() {
        if !pushed.contains(&ChangeHash(codec::hash32(row, "hash")?)) {
            bytes += add(tx, &mut page.documents, row).await?;
        }
        let is_last = index + 1 == rows.len();
        if bytes >= query.bytes_max && !is_last || is_last && cut {
            let seq = row.try_get("seq")?;
            page.position = Position::Feed { seq, mark: mark(tx, seq).await? };
            page.more = true;
            break;
        }
    }
    Ok(page)
}

/// Adds one change to a page; returns the bytes it added.
async fn add(
    tx: &mut SqliteConnection,
    documents: &mut Vec<DocumentPull>,
    row: &SqliteRow,
) -> Result<usize, StoreError> {
    let identity = codec::identity(row)?;
    let known = documents.iter().position(|pull| pull.identity == identity);
    // Already sent whole, which includes this change.
    if known.is_some_and(|at| documents[at].snapshot.is_some()) {
        return Ok(0);
    }
    // Only kept inside the snapshot: the document is sent whole, once.
    if row.try_get("folded")? {
        let pull = whole(stored(tx, row).await?);
        let bytes = pull.bytes();
        match known {
            Some(at) => documents[at] = pull,
            None => documents.push(pull),
        }
        return Ok(bytes);
    }
    let packed: Vec<u8> = sqlx::query_scalar("SELECT bytes FROM changes WHERE seq = $1")
        .bind(row.try_get::<i64, _>("seq")?)
        .fetch_one(tx)
        .await?;
    let change = blob::unpack(&packed)?;
    let bytes = change.len();
    if let Some(at) = known {
        documents[at].changes.push(change.into());
    } else {
        let (root, changes) = (codec::root(row)?, vec![change.into()]);
        documents.push(DocumentPull { identity, snapshot: None, changes, whole: false, root });
    }
    Ok(bytes)
}

pub(super) async fn rows(
    pool: &SqlitePool,
    ledger: &str,
    period: &str,
    units: &[UnitId],
) -> Result<Vec<StoredRow>, StoreError> {
    let mut found = Vec::new();
    for units in units.chunks(LIST_MAX) {
        let sql = format!(
            "SELECT d.unit, d.book, r.row, r.cells, r.removed FROM documents d
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
                cells: row.try_get("cells")?,
                removed: row.try_get("removed")?,
            });
        }
    }
    Ok(found)
}

pub(super) async fn projection(pool: &SqlitePool, document: DocumentId) -> Result<Vec<ProjectedRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT r.ledger, r.row, r.cells, r.conflicts, r.removed FROM rows r
         WHERE r.document = (SELECT number FROM documents WHERE id = $1)",
    )
    .bind(document.as_bytes().as_slice())
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(ProjectedRow {
                ledger: row.try_get("ledger")?,
                row: codec::row_id(row, "row")?,
                cells: row.try_get("cells")?,
                conflicts: row.try_get("conflicts")?,
                removed: row.try_get("removed")?,
            })
        })
        .collect()
}

pub(super) async fn conflicts(pool: &SqlitePool) -> Result<Vec<StoredConflict>, StoreError> {
    let rows = sqlx::query(
        "SELECT d.unit, d.book, r.ledger, r.row, r.cells, r.conflicts FROM rows r
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
                ledger: row.try_get("ledger")?,
                row: codec::row_id(row, "row")?,
                cells: json(row.try_get("cells")?)?,
                conflicts: json(row.try_get("conflicts")?)?,
            })
        })
        .collect()
}

pub(super) async fn wrong_steps(pool: &SqlitePool) -> Result<Vec<StoredWrongStep>, StoreError> {
    let rows = sqlx::query(
        "SELECT d.unit, s.ledger, s.row, s.\"column\", s.before, s.after, s.fault, s.received_at_ms,
                coalesce(v.owner, '') AS owner
         FROM wrong_steps s JOIN documents d ON d.number = s.document LEFT JOIN devices v ON v.id = s.device
         ORDER BY s.number DESC",
    )
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(StoredWrongStep {
                unit: codec::unit_id(row, "unit")?,
                step: WrongStep {
                    row: RowKey { ledger: row.try_get("ledger")?, row: codec::row_id(row, "row")? },
                    column: row.try_get("column")?,
                    before: row.try_get("before")?,
                    after: row.try_get("after")?,
                    fault: row.try_get("fault")?,
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
