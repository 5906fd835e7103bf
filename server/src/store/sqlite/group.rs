//! A group of writes inside one transaction: each table in as few statements as it takes. What a statement costs is mostly
//! its way to SQLite's thread and back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Row, SqliteConnection, query::Query, sqlite::SqliteArguments};
use sync_protocol::{ChangeHash, DocumentId, UnitId};

use super::{
    codec::{self, join_heads, placeholders},
    document_key::Place,
    document_keys::DocumentKeys,
    proposals, read,
    sealing::Sealing,
};
use crate::store::{DocumentWrite, NewChange, ProjectedRow, StoreError};

/// Rows in one statement.
const ROWS_MAX: usize = 100;

type Insert<'q> = Query<'q, sqlx::Sqlite, SqliteArguments>;

/// Runs one statement for every hundred of these rows: `sql` gets their marks, `bind` their values.
pub(super) async fn for_rows<T>(
    tx: &mut SqliteConnection,
    rows: &[T],
    marks: &str,
    sql: impl Fn(&str) -> String,
    bind: impl for<'q> Fn(Insert<'q>, &'q T) -> Insert<'q>,
) -> Result<(), StoreError> {
    for rows in rows.chunks(ROWS_MAX) {
        // Bare marks: named ones are looked up one by one, which is quadratic in a statement of this size.
        let sql = sql(&vec![marks; rows.len()].join(", "));
        rows.iter().fold(sqlx::query(AssertSqlSafe(sql)), &bind).execute(&mut *tx).await?;
    }
    Ok(())
}

/// A document before the group.
struct Before {
    number: i64,
    heads: Vec<ChangeHash>,
    seq: i64,
}

/// A new change and its place in the feed.
struct Link<'a> {
    /// Which of the writes it is in.
    at: usize,
    write: &'a DocumentWrite,
    change: &'a NewChange,
    seq: i64,
    chain: i64,
}

/// Writes documents' heads, changes and snapshots. The number of each, and with what it is sealed; none where its heads are not the
/// expected ones.
pub(super) async fn documents(
    tx: &mut SqliteConnection,
    keys: &Arc<DocumentKeys>,
    writes: &[&DocumentWrite],
) -> Result<(Vec<Option<i64>>, Sealing), StoreError> {
    let before = before(tx, writes).await?;
    let mut heads: BTreeMap<DocumentId, &[ChangeHash]> =
        before.iter().map(|(id, before)| (*id, before.heads.as_slice())).collect();
    let waiting = proposals::waiting(tx, writes).await?;
    let mut is_taken = Vec::with_capacity(writes.len());
    for write in writes {
        // Whoever decides on a proposal that another has decided on meanwhile writes nothing, either.
        let decided = write.proposals.decided.as_ref().is_none_or(|decision| waiting.contains(&decision.number));
        let expected = decided && heads.get(&write.document).copied().unwrap_or_default() == write.expected_heads;
        if expected {
            heads.insert(write.document, &write.heads);
        }
        is_taken.push(expected);
    }
    let taken: Vec<&DocumentWrite> =
        writes.iter().zip(&is_taken).filter(|(_, taken)| **taken).map(|(write, _)| *write).collect();
    let links = links(tx, &taken).await?;
    let last: BTreeMap<DocumentId, i64> = links.iter().map(|link| (link.write.document, link.seq)).collect();
    let written: BTreeMap<DocumentId, &DocumentWrite> = taken.iter().map(|write| (write.document, *write)).collect();
    let mut numbers = BTreeMap::new();
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for (id, write) in written {
        let seq = last.get(&id).copied().unwrap_or(0);
        match before.get(&id) {
            Some(before) => {
                numbers.insert(id, before.number);
                old.push((before.number, join_heads(&write.heads), seq));
            }
            None => new.push((write, join_heads(&write.heads), seq)),
        }
    }
    let update = |values: &str| {
        format!(
            "UPDATE documents SET heads = v.column2, seq = max(seq, v.column3) FROM (VALUES {values}) v
             WHERE number = v.column1"
        )
    };
    for_rows(tx, &old, "(?, ?, ?)", update, |query, (number, heads, seq)| query.bind(*number).bind(heads).bind(*seq))
        .await?;
    numbers.extend(insert_documents(tx, &new).await?);
    let number_of = |id: &DocumentId| {
        numbers.get(id).copied().ok_or_else(|| StoreError::Damaged("a document without a number".into()))
    };
    bind_actors(tx, &taken).await?;
    let mut numbered = Vec::with_capacity(taken.len());
    for write in &taken {
        numbered.push((number_of(&write.document)?, &write.identity));
    }
    let sealing = Sealing::of(tx, keys, numbered.into_iter()).await?;
    let mut rows = Vec::with_capacity(links.len());
    for link in &links {
        let number = number_of(&link.write.document)?;
        let bytes = link.change.bytes.as_deref().map(|bytes| sealing.blob(number, Place::Change, bytes));
        rows.push((number, bytes.transpose()?, link));
    }
    let insert = |values: &str| {
        format!(
            "INSERT INTO changes (seq, document, hash, actor, device, received_at_ms, bytes, chain) VALUES {values}"
        )
    };
    for_rows(tx, &rows, "(?, ?, ?, ?, ?, ?, ?, ?)", insert, |query, (number, bytes, link)| {
        let query = query.bind(link.seq).bind(*number).bind(link.change.hash.0.as_slice());
        let query = query.bind(link.change.actor.as_slice()).bind(link.write.device.map(|id| id.as_bytes().to_vec()));
        query.bind(link.write.received_at_ms).bind(bytes).bind(link.chain)
    })
    .await?;
    steps(tx, &taken, &number_of).await?;
    proposals::write(tx, keys, &taken).await?;
    snapshots(tx, &taken, (&before, &links), &sealing, &number_of).await?;
    let numbered =
        writes.iter().zip(is_taken).map(|(write, taken)| taken.then(|| number_of(&write.document)).transpose());
    Ok((numbered.collect::<Result<_, _>>()?, sealing))
}

async fn before(
    tx: &mut SqliteConnection,
    writes: &[&DocumentWrite],
) -> Result<BTreeMap<DocumentId, Before>, StoreError> {
    let mut before = BTreeMap::new();
    for writes in writes.chunks(ROWS_MAX) {
        let sql =
            format!("SELECT id, number, heads, seq FROM documents WHERE id IN ({})", placeholders(1, writes.len()));
        let query = sqlx::query(AssertSqlSafe(sql));
        let query = writes.iter().fold(query, |query, write| query.bind(write.document.as_bytes().as_slice()));
        for row in query.fetch_all(&mut *tx).await? {
            let (number, seq) = (row.try_get("number")?, row.try_get("seq")?);
            before.insert(codec::document_id(&row, "id")?, Before { number, heads: codec::heads(&row)?, seq });
        }
    }
    Ok(before)
}

/// The changes that are not there yet, in the order of the feed. One that is there already must not undo the group's work.
async fn links<'a>(tx: &mut SqliteConnection, taken: &[&'a DocumentWrite]) -> Result<Vec<Link<'a>>, StoreError> {
    let hashes: Vec<ChangeHash> = taken.iter().flat_map(|write| &write.changes).map(|change| change.hash).collect();
    let mut known = read::known_among(tx, &hashes).await?;
    let (mut seq, mut chain): (i64, i64) = sqlx::query_as(
        "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'changes'), 0),
                    coalesce((SELECT max(seq) FROM changes), 0)),
                coalesce((SELECT chain FROM changes ORDER BY seq DESC LIMIT 1), 0)",
    )
    .fetch_one(&mut *tx)
    .await?;
    let mut links = Vec::with_capacity(hashes.len());
    for (at, write) in taken.iter().enumerate() {
        for change in write.changes.iter().filter(|change| known.insert(change.hash)) {
            (seq, chain) = (seq + 1, chained(chain, change.hash));
            links.push(Link { at, write, change, seq, chain });
        }
    }
    Ok(links)
}

/// The mark of a feed that goes on with this change.
pub(super) fn chained(chain: i64, hash: ChangeHash) -> i64 {
    let digest = Sha256::new_with_prefix(chain.to_be_bytes()).chain_update(hash.0).finalize();
    i64::from_be_bytes(digest[..8].try_into().expect("a digest is longer than 8 bytes"))
}

/// Documents that nobody has written to yet.
async fn insert_documents(
    tx: &mut SqliteConnection,
    new: &[(&DocumentWrite, Vec<u8>, i64)],
) -> Result<Vec<(DocumentId, i64)>, StoreError> {
    let mut numbers = Vec::with_capacity(new.len());
    for new in new.chunks(ROWS_MAX) {
        let values = vec!["(?, ?, ?, ?, ?, ?)"; new.len()].join(", ");
        let sql =
            format!("INSERT INTO documents (id, unit, book, period, heads, seq) VALUES {values} RETURNING id, number");
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (write, heads, seq) in new {
            query = query
                .bind(write.document.as_bytes().as_slice())
                .bind(write.identity.unit.as_bytes().as_slice())
                .bind(write.identity.book.as_str())
                .bind(&write.identity.period)
                .bind(heads)
                .bind(*seq);
        }
        for row in query.fetch_all(&mut *tx).await? {
            numbers.push((codec::document_id(&row, "id")?, row.try_get("number")?));
        }
    }
    Ok(numbers)
}

/// Actors that nobody has used yet are the device's from now on.
async fn bind_actors(tx: &mut SqliteConnection, taken: &[&DocumentWrite]) -> Result<(), StoreError> {
    let binding = taken.iter().filter(|write| write.binds);
    let actors: BTreeMap<&[u8], Vec<u8>> = binding
        .rev()
        .flat_map(|write| {
            let device = write.device.map(|device| device.as_bytes().to_vec()).unwrap_or_default();
            write.changes.iter().map(move |change| (change.actor.as_slice(), device.clone()))
        })
        .collect();
    let actors: Vec<_> = actors.into_iter().collect();
    let insert =
        |values: &str| format!("INSERT INTO actors (actor, device) VALUES {values} ON CONFLICT (actor) DO NOTHING");
    for_rows(tx, &actors, "(?, ?)", insert, |query, (actor, device)| query.bind(*actor).bind(device)).await
}

async fn steps(
    tx: &mut SqliteConnection,
    taken: &[&DocumentWrite],
    number_of: &impl Fn(&DocumentId) -> Result<i64, StoreError>,
) -> Result<(), StoreError> {
    let mut steps = Vec::new();
    for write in taken {
        let number = number_of(&write.document)?;
        steps.extend(write.wrong_steps.iter().map(|step| (number, *write, step)));
    }
    let insert = |values: &str| {
        format!(
            "INSERT INTO wrong_steps (document, ledger, row, \"column\", before, after, fault, device, received_at_ms, who)
             VALUES {values}"
        )
    };
    for_rows(tx, &steps, "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", insert, |query, (number, write, step)| {
        let query = query.bind(*number).bind(&step.row.ledger).bind(step.row.row.as_bytes().as_slice());
        let query = query.bind(&step.column).bind(&step.before).bind(&step.after).bind(&step.fault);
        query
            .bind(write.device.map(|id| id.as_bytes().to_vec()).unwrap_or_default())
            .bind(write.received_at_ms)
            .bind(&step.who)
    })
    .await
}

async fn snapshots(
    tx: &mut SqliteConnection,
    taken: &[&DocumentWrite],
    (before, links): (&BTreeMap<DocumentId, Before>, &[Link<'_>]),
    sealing: &Sealing,
    number_of: &impl Fn(&DocumentId) -> Result<i64, StoreError>,
) -> Result<(), StoreError> {
    let mut upto = vec![None; taken.len()];
    for link in links {
        upto[link.at] = Some(link.seq);
    }
    let mut snapshots = Vec::new();
    for (at, write) in taken.iter().enumerate() {
        let Some(snapshot) = &write.snapshot else { continue };
        let number = number_of(&write.document)?;
        if before.contains_key(&write.document) {
            // Devices that are only a little behind still find the changes since the snapshot before this one.
            sqlx::query(
                "UPDATE changes SET bytes = NULL
                 WHERE document = $1 AND seq <= (SELECT upto_seq FROM snapshots WHERE document = $1) AND bytes IS NOT NULL",
            )
            .bind(number)
            .execute(&mut *tx)
            .await?;
        }
        // What stands in the feed behind this write is not in its snapshot.
        let upto = upto[at].or(before.get(&write.document).map(|before| before.seq)).unwrap_or(0);
        snapshots.push((number, upto, sealing.blob(number, Place::Snapshot, snapshot)?));
    }
    let insert = |values: &str| {
        format!(
            "INSERT INTO snapshots (document, upto_seq, bytes) VALUES {values}
             ON CONFLICT (document) DO UPDATE SET upto_seq = excluded.upto_seq, bytes = excluded.bytes"
        )
    };
    for_rows(tx, &snapshots, "(?, ?, ?)", insert, |query, (number, seq, bytes)| {
        query.bind(*number).bind(*seq).bind(bytes)
    })
    .await
}

/// Brings the projection up to date.
pub(super) async fn project(
    tx: &mut SqliteConnection,
    sealing: &Sealing,
    rows: &[(i64, &ProjectedRow)],
) -> Result<(), StoreError> {
    let mut stored = Vec::with_capacity(rows.len());
    for (number, row) in rows {
        let cells = sealing.text(*number, Place::Cells(&row.ledger, row.row), &row.cells)?;
        let conflicts = row.conflicts.as_ref();
        let conflicts = conflicts.map(|text| sealing.text(*number, Place::Conflicts(&row.ledger, row.row), text));
        stored.push((*number, *row, cells, conflicts.transpose()?));
    }
    let insert = |values: &str| {
        format!(
            "INSERT INTO rows (ledger, document, row, cells, conflicts, removed) VALUES {values}
             ON CONFLICT (ledger, document, row)
             DO UPDATE SET cells = excluded.cells, conflicts = excluded.conflicts, removed = excluded.removed"
        )
    };
    for_rows(tx, &stored, "(?, ?, ?, ?, ?, ?)", insert, |query, (number, row, cells, conflicts)| {
        let query = query.bind(&row.ledger).bind(*number).bind(row.row.as_bytes().as_slice());
        query.bind(cells).bind(conflicts).bind(row.removed)
    })
    .await?;
    for (number, row) in rows.iter().filter(|(_, row)| row.is_gone()) {
        let delete = sqlx::query("DELETE FROM rows WHERE ledger = $1 AND document = $2 AND row = $3");
        delete.bind(&row.ledger).bind(*number).bind(row.row.as_bytes().as_slice()).execute(&mut *tx).await?;
    }
    Ok(())
}

/// Units and periods of these writes that have no document yet.
pub(super) async fn new_units<'a>(
    tx: &mut SqliteConnection,
    writes: &[&'a DocumentWrite],
) -> Result<BTreeSet<(UnitId, &'a str)>, StoreError> {
    let units: BTreeSet<UnitId> = writes.iter().map(|write| write.identity.unit).collect();
    let units: Vec<UnitId> = units.into_iter().collect();
    let mut known: BTreeSet<(UnitId, String)> = BTreeSet::new();
    for units in units.chunks(ROWS_MAX) {
        let marks = placeholders(1, units.len());
        let sql = format!("SELECT DISTINCT unit, period FROM documents WHERE unit IN ({marks})");
        let query = sqlx::query(AssertSqlSafe(sql));
        let query = units.iter().fold(query, |query, unit| query.bind(unit.as_bytes().as_slice()));
        for row in query.fetch_all(&mut *tx).await? {
            known.insert((codec::unit_id(&row, "unit")?, row.try_get("period")?));
        }
    }
    let is_new = |write: &&DocumentWrite| !known.contains(&(write.identity.unit, write.identity.period.clone()));
    let new = writes.iter().copied().filter(is_new);
    Ok(new.map(|write| (write.identity.unit, write.identity.period.as_str())).collect())
}
