//! The one writer. Writes of many callers are committed in groups: one fsync for many devices.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Row, SqliteConnection, SqlitePool};
use sync_protocol::{ChangeHash, DeviceId, UnitId};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{
    codec::{join_heads, split_heads},
    registry, tallies,
};
use crate::store::{Committed, DocumentWrite, ProjectedRow, StoreError, Tally, TallyRow, Visit, blob};

/// Writes that wait for the writer before callers have to wait for room.
const QUEUE_MAX: usize = 256;
/// How long it may take until it is stored that a device was here: with the next group, or alone after this time.
const SEEN_INTERVAL: Duration = Duration::from_secs(5);
/// A group is closed when it holds this much.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// Rows in one INSERT.
const ROWS_PER_INSERT: usize = 100;

type Command = (Vec<DocumentWrite>, Reply);
/// Devices that were here, each with its last visit.
type Seen = BTreeMap<DeviceId, Visit>;
type Reply = oneshot::Sender<Result<Vec<Committed>, StoreError>>;

/// The queue in front of the writer.
#[derive(Debug)]
pub(super) struct Commits {
    queue: Mutex<Option<mpsc::Sender<Command>>>,
    task: Mutex<Option<JoinHandle<()>>>,
    seen: Arc<Mutex<Seen>>,
}

impl Commits {
    pub(super) fn start(pool: SqlitePool, tally: Arc<dyn Tally>) -> Self {
        let (queue, commands) = mpsc::channel(QUEUE_MAX);
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let task = tokio::spawn(run(pool, tally, commands, seen.clone()));
        Self { queue: Mutex::new(Some(queue)), task: Mutex::new(Some(task)), seen }
    }

    /// Notes that a device was here, without waiting for the disk: nobody was promised that.
    pub(super) fn seen(&self, visit: Visit) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(visit.device, visit);
    }

    pub(super) async fn commit(&self, writes: Vec<DocumentWrite>) -> Result<Vec<Committed>, StoreError> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        let queue = self.queue.lock().map_err(|_| StoreError::Closed)?.clone().ok_or(StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        queue.send((writes, reply)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    pub(super) async fn close(&self) {
        if let Ok(mut queue) = self.queue.lock() {
            queue.take();
        }
        let task = self.task.lock().ok().and_then(|mut task| task.take());
        if let Some(task) = task {
            // A writer that panicked has nothing left to end.
            let _ = task.await;
        }
    }
}

async fn run(
    pool: SqlitePool,
    tally: Arc<dyn Tally>,
    mut commands: mpsc::Receiver<Command>,
    waiting: Arc<Mutex<Seen>>,
) {
    let mut is_open = true;
    while is_open {
        let mut group = Vec::new();
        match tokio::time::timeout(SEEN_INTERVAL, commands.recv()).await {
            Ok(Some(command)) => group.push(command),
            Ok(None) => is_open = false,
            Err(_) => {}
        }
        let seen = std::mem::take(&mut *waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if group.is_empty() && seen.is_empty() {
            continue;
        }
        let mut bytes: usize = group.iter().flat_map(|(writes, _)| writes).map(DocumentWrite::bytes).sum();
        while bytes < GROUP_BYTES_MAX
            && let Ok((writes, reply)) = commands.try_recv()
        {
            bytes += writes.iter().map(DocumentWrite::bytes).sum::<usize>();
            group.push((writes, reply));
        }
        let (writes, replies): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        match commit_group(&pool, tally.as_ref(), &writes, &seen).await {
            Ok(outcomes) => {
                for (reply, outcome) in replies.into_iter().zip(outcomes) {
                    // The caller may have given up; what is committed stays committed.
                    let _ = reply.send(Ok(outcome));
                }
            }
            Err(error) => {
                tracing::error!(%error, "a group of writes was rolled back");
                for reply in replies {
                    let _ = reply.send(Err(StoreError::Database(error.to_string())));
                }
            }
        }
    }
}

async fn commit_group(
    pool: &SqlitePool,
    tally: &dyn Tally,
    group: &[Vec<DocumentWrite>],
    seen: &Seen,
) -> Result<Vec<Vec<Committed>>, StoreError> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    let mut outcomes = Vec::with_capacity(group.len());
    let mut rows: Vec<(i64, &ProjectedRow)> = Vec::new();
    let mut touched: BTreeMap<(UnitId, &str), Touched<'_>> = BTreeMap::new();
    for writes in group {
        let mut outcome = Vec::with_capacity(writes.len());
        for write in writes {
            let unit = (write.identity.unit, write.identity.period.as_str());
            if let Entry::Vacant(vacant) = touched.entry(unit) {
                vacant.insert(Touched { is_new: is_new(&mut tx, unit.0, unit.1).await?, rows: Vec::new() });
            }
            match document(&mut tx, write).await? {
                Some(number) => {
                    rows.extend(write.rows.iter().map(|row| (number, row)));
                    let unit = touched.get_mut(&(write.identity.unit, write.identity.period.as_str()));
                    unit.expect("noted before the write").rows.extend(&write.rows);
                    outcome.push(Committed::Durable);
                }
                None => outcome.push(Committed::Stale),
            }
        }
        outcomes.push(outcome);
    }
    for visit in seen.values() {
        registry::visited(&mut *tx, visit).await?;
    }
    project(&mut tx, &rows).await?;
    for ((unit, period), touched) in touched {
        let ledgers = touched.rows.iter().map(|row| row.ledger.as_str()).collect();
        let concerned = tally.concerned(Some(&ledgers));
        if touched.is_new {
            let rows: Vec<TallyRow<'_>> = touched.rows.iter().map(|row| tally_row(row)).collect();
            let tallies = tally.tally(&rows, &concerned)?;
            tallies::replace(&mut tx, (unit, period), &concerned, &tallies).await?;
        } else {
            tallies::count(&mut tx, tally, (unit, period), &concerned).await?;
        }
    }
    tx.commit().await?;
    Ok(outcomes)
}

/// A unit whose documents are written to in this group.
struct Touched<'a> {
    /// It had no document before: its rows are all at hand and need not be read back.
    is_new: bool,
    rows: Vec<&'a ProjectedRow>,
}

async fn is_new(tx: &mut SqliteConnection, unit: UnitId, period: &str) -> Result<bool, StoreError> {
    let known: Option<i64> = sqlx::query_scalar("SELECT 1 FROM documents WHERE unit = $1 AND period = $2 LIMIT 1")
        .bind(unit.as_bytes().as_slice())
        .bind(period)
        .fetch_optional(tx)
        .await?;
    Ok(known.is_none())
}

fn tally_row(row: &ProjectedRow) -> TallyRow<'_> {
    TallyRow { ledger: &row.ledger, row: row.row, cells: &row.cells, removed: row.removed }
}

/// Writes one document's heads, changes and snapshot; `None` when its heads are not the expected ones.
pub(super) async fn document(tx: &mut SqliteConnection, write: &DocumentWrite) -> Result<Option<i64>, StoreError> {
    let known = sqlx::query("SELECT number, heads FROM documents WHERE id = $1")
        .bind(write.document.as_bytes().as_slice())
        .fetch_optional(&mut *tx)
        .await?;
    let number: i64 = match known {
        Some(row) if split_heads(row.try_get("heads")?)? != write.expected_heads => return Ok(None),
        Some(row) => row.try_get("number")?,
        None if !write.expected_heads.is_empty() => return Ok(None),
        None => {
            sqlx::query_scalar(
                "INSERT INTO documents (id, unit, book, period, heads, seq)
                 VALUES ($1, $2, $3, $4, x'', 0) RETURNING number",
            )
            .bind(write.document.as_bytes().as_slice())
            .bind(write.identity.unit.as_bytes().as_slice())
            .bind(write.identity.book.as_str())
            .bind(&write.identity.period)
            .fetch_one(&mut *tx)
            .await?
        }
    };
    let mut seq = 0;
    let mut chain: i64 = sqlx::query_scalar("SELECT chain FROM changes ORDER BY seq DESC LIMIT 1")
        .fetch_optional(&mut *tx)
        .await?
        .unwrap_or(0);
    if write.binds {
        let actors: BTreeSet<&[u8]> = write.changes.iter().map(|change| change.actor.as_slice()).collect();
        for actor in actors {
            sqlx::query("INSERT INTO actors (actor, device) VALUES ($1, $2) ON CONFLICT (actor) DO NOTHING")
                .bind(actor)
                .bind(write.device.map(|device| device.as_bytes().to_vec()).unwrap_or_default())
                .execute(&mut *tx)
                .await?;
        }
    }
    for change in &write.changes {
        let link = chained(chain, change.hash);
        // A change that is there already must not undo the group's work.
        let given: Option<i64> = sqlx::query_scalar(
            "INSERT INTO changes (document, hash, actor, device, received_at_ms, bytes, chain)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (hash) DO NOTHING RETURNING seq",
        )
        .bind(number)
        .bind(change.hash.0.as_slice())
        .bind(change.actor.as_slice())
        .bind(write.device.map(|device| device.as_bytes().to_vec()))
        .bind(write.received_at_ms)
        .bind(change.bytes.as_deref().map(blob::pack))
        .bind(link)
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(given) = given {
            (seq, chain) = (given, link);
        }
    }
    sqlx::query("UPDATE documents SET heads = $1, seq = max(seq, $2) WHERE number = $3")
        .bind(join_heads(&write.heads))
        .bind(seq)
        .bind(number)
        .execute(&mut *tx)
        .await?;
    for step in &write.wrong_steps {
        sqlx::query(
            "INSERT INTO wrong_steps (document, ledger, row, \"column\", before, after, fault, device, received_at_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(number)
        .bind(&step.row.ledger)
        .bind(step.row.row.as_bytes().as_slice())
        .bind(&step.column)
        .bind(&step.before)
        .bind(&step.after)
        .bind(&step.fault)
        .bind(write.device.map(|device| device.as_bytes().to_vec()).unwrap_or_default())
        .bind(write.received_at_ms)
        .execute(&mut *tx)
        .await?;
    }
    if let Some(snapshot) = &write.snapshot {
        // Devices that are only a little behind still find the changes since the snapshot before this one.
        sqlx::query(
            "UPDATE changes SET bytes = NULL
             WHERE document = $1 AND seq <= (SELECT upto_seq FROM snapshots WHERE document = $1) AND bytes IS NOT NULL",
        )
        .bind(number)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO snapshots (document, upto_seq, bytes) SELECT number, seq, $2 FROM documents WHERE number = $1
             ON CONFLICT (document) DO UPDATE SET upto_seq = excluded.upto_seq, bytes = excluded.bytes",
        )
        .bind(number)
        .bind(blob::pack(snapshot))
        .execute(&mut *tx)
        .await?;
    }
    Ok(Some(number))
}

/// The mark of a feed that goes on with this change.
fn chained(chain: i64, hash: ChangeHash) -> i64 {
    let digest = Sha256::new_with_prefix(chain.to_be_bytes()).chain_update(hash.0).finalize();
    i64::from_be_bytes(digest[..8].try_into().expect("a digest is longer than 8 bytes"))
}

/// Brings the projection up to date, many rows in one statement.
pub(super) async fn project(tx: &mut SqliteConnection, rows: &[(i64, &ProjectedRow)]) -> Result<(), StoreError> {
    for rows in rows.chunks(ROWS_PER_INSERT) {
        // Bare marks: named ones are looked up one by one, which is quadratic in a statement of this size.
        let values = vec!["(?, ?, ?, ?, ?, ?)"; rows.len()].join(", ");
        let sql = format!(
            "INSERT INTO rows (ledger, document, row, cells, conflicts, removed) VALUES {values}
             ON CONFLICT (ledger, document, row)
             DO UPDATE SET cells = excluded.cells, conflicts = excluded.conflicts, removed = excluded.removed"
        );
        let mut insert = sqlx::query(AssertSqlSafe(sql));
        for (number, row) in rows {
            insert = insert
                .bind(&row.ledger)
                .bind(*number)
                .bind(row.row.as_bytes().as_slice())
                .bind(&row.cells)
                .bind(&row.conflicts)
                .bind(row.removed);
        }
        insert.execute(&mut *tx).await?;
    }
    Ok(())
}
