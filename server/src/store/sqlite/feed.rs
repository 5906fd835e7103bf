//! The feed: what devices have not seen yet.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, Row, SqliteConnection, SqliteExecutor, SqlitePool, sqlite::SqliteRow};
use sync_protocol::{
    ChangeHash, DocumentId, UnitId,
    message::DocumentPull,
    session::{FeedPage, FeedQuery, Position, Scope},
};

use super::{
    codec::{self, placeholders},
    document_key::Place,
    document_keys::DocumentKeys,
    read::stored,
    registry,
    tx::Tx,
};
use crate::store::{Moved, MovedDocument, StoreError, whole};

/// Changes or documents in one page, whatever their size.
const PAGE_ITEMS_MAX: i64 = 1000;

pub(super) async fn is_of_feed(pool: &SqlitePool, position: &Position) -> Result<bool, StoreError> {
    let (Position::Feed { seq, mark: known } | Position::Bootstrap { upto_seq: seq, mark: known, .. }) = position;
    Ok(mark(&mut *pool.acquire().await?, *seq).await? == *known)
}

pub(super) async fn feed(
    pool: &SqlitePool,
    keys: &DocumentKeys,
    scope: &Scope,
    query: &FeedQuery,
) -> Result<FeedPage, StoreError> {
    let mut tx = Tx::read(pool).await?;
    let page = page(&mut tx, keys, scope, query).await?;
    tx.commit().await?;
    Ok(page)
}

async fn page(
    tx: &mut SqliteConnection,
    keys: &DocumentKeys,
    scope: &Scope,
    query: &FeedQuery,
) -> Result<FeedPage, StoreError> {
    let top = registry::path(&mut *tx, scope.unit).await?;
    let last = newest(&mut *tx).await?;
    let Some(top) = top else {
        let position = Position::Feed { seq: last, mark: mark(tx, last).await? };
        return Ok(FeedPage { documents: Vec::new(), position, more: false, restart: false });
    };
    // A server that was set back has lost changes that devices hold, and may have others at their numbers by now.
    match &query.position {
        Some(Position::Feed { seq, mark: known }) if mark(tx, *seq).await? == *known => {
            since(tx, keys, (scope, &top), (*seq, last), query).await
        }
        Some(Position::Bootstrap { upto_seq, after, mark: known }) if mark(tx, *upto_seq).await? == *known => {
            bootstrap(tx, keys, (scope, &top), (*upto_seq, Some(*after)), query).await
        }
        _ => bootstrap(tx, keys, (scope, &top), (last, None), query).await,
    }
}

pub(super) async fn newest(executor: impl SqliteExecutor<'_>) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM changes").fetch_one(executor).await?)
}

pub(super) async fn moved(pool: &SqlitePool, after: i64) -> Result<Moved, StoreError> {
    let mut tx = Tx::read(pool).await?;
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
    tx.commit().await?;
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
    keys: &DocumentKeys,
    (scope, top): (&Scope, &str),
    (upto_seq, after): (i64, Option<DocumentId>),
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
        let pull = whole(stored(&mut *tx, keys, row).await?);
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
    keys: &DocumentKeys,
    (scope, top): (&Scope, &str),
    (seq, last): (i64, i64),
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
            bytes += add(tx, keys, &mut page.documents, row).await?;
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
    keys: &DocumentKeys,
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
        let pull = whole(stored(tx, keys, row).await?);
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
    let change = keys.open_blob(&identity, Place::Change, &packed)?;
    let bytes = change.len();
    if let Some(at) = known {
        documents[at].changes.push(change.into());
    } else {
        // Whoever is this far already holds its successor, if it has one.
        let (changes, successor) = (vec![change.into()], None);
        documents.push(DocumentPull { identity, snapshot: None, changes, whole: false, successor });
    }
    Ok(bytes)
}

pub(super) async fn seq_at(pool: &SqlitePool, time_ms: i64) -> Result<i64, StoreError> {
    // A clock that was set back must not hide what came in before: the last number counts, not the last time.
    let seq = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM changes WHERE received_at_ms <= $1");
    Ok(seq.bind(time_ms).fetch_one(pool).await?)
}

pub(super) async fn changes_until(
    pool: &SqlitePool,
    document: DocumentId,
    seq: i64,
) -> Result<Vec<ChangeHash>, StoreError> {
    let rows = sqlx::query(
        "SELECT c.hash FROM changes c JOIN documents d ON d.number = c.document WHERE d.id = $1 AND c.seq <= $2",
    )
    .bind(document.as_bytes().as_slice())
    .bind(seq)
    .fetch_all(pool)
    .await?;
    rows.iter().map(|row| Ok(ChangeHash(codec::hash32(row, "hash")?))).collect()
}

pub(super) async fn newest_below(pool: &SqlitePool, unit: UnitId) -> Result<i64, StoreError> {
    let Some(path) = registry::path(pool, unit).await? else { return Ok(0) };
    let newest = sqlx::query_scalar(
        "SELECT coalesce(max(d.seq), 0) FROM documents d JOIN units u ON u.id = d.unit WHERE u.path >= $1 AND u.path < $2",
    );
    Ok(newest.bind(&path).bind(registry::subtree_end(&path)).fetch_one(pool).await?)
}
