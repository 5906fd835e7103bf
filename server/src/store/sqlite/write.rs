//! The one writer. Writes of many callers are committed in groups: one fsync for many devices.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::FutureExt;
use sqlx::SqliteConnection;
use sync_protocol::{DeviceId, UnitId};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{document_keys::DocumentKeys, group, periods, registry, tallies, tx::Writer};
use crate::store::{Committed, DocumentWrite, ProjectedRow, StoreError, Tally, TallyRow, Visit};

/// Writes that wait for the writer before callers have to wait for room.
const QUEUE_MAX: usize = 256;
/// How long it may take until it is stored that a device was here: with the next group, or alone after this time.
const SEEN_INTERVAL: Duration = Duration::from_secs(5);
/// A group is closed when it holds this much.
const GROUP_BYTES_MAX: usize = 8 << 20;

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
    pub(super) fn start(writer: Writer, tally: Arc<dyn Tally>, keys: Arc<DocumentKeys>) -> Self {
        let (queue, commands) = mpsc::channel(QUEUE_MAX);
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let task = tokio::spawn(run(writer, (tally, keys), commands, seen.clone()));
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
    connection: Writer,
    (tally, keys): (Arc<dyn Tally>, Arc<DocumentKeys>),
    mut commands: mpsc::Receiver<Command>,
    waiting: Arc<Mutex<Seen>>,
) {
    let (mut is_open, mut has_failed) = (true, false);
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
        // A group that makes this panic must not be the last one that is written.
        let committed =
            AssertUnwindSafe(commit_group(&connection, (tally.as_ref(), &keys), &writes, &seen)).catch_unwind().await;
        let interrupted = |_| Err(StoreError::Database("the writer was interrupted".into()));
        match committed.unwrap_or_else(interrupted) {
            Ok(outcomes) => {
                if std::mem::take(&mut has_failed) {
                    tracing::info!("saving works again");
                }
                for (reply, outcome) in replies.into_iter().zip(outcomes) {
                    // The caller may have given up; what is committed stays committed.
                    let _ = reply.send(outcome);
                }
            }
            Err(error) => {
                has_failed = true;
                tracing::error!(?error, "nothing can be saved: a group of writes was rolled back");
                for reply in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }
}

async fn commit_group(
    connection: &Writer,
    (tally, keys): (&dyn Tally, &Arc<DocumentKeys>),
    group: &[Vec<DocumentWrite>],
    seen: &Seen,
) -> Result<Vec<Result<Vec<Committed>, StoreError>>, StoreError> {
    let mut tx = connection.begin().await?;
    let sealed = periods::sealed(&mut tx).await?;
    let refused: Vec<_> = group.iter().map(|writes| none_is_sealed(&sealed, writes)).collect();
    let open = group.iter().zip(&refused).filter(|(_, refused)| refused.is_ok());
    let writes: Vec<&DocumentWrite> = open.flat_map(|(writes, _)| writes).collect();
    let numbers = documents(&mut tx, (tally, keys), &writes).await?;
    for visit in seen.values() {
        registry::visited(&mut *tx, visit).await?;
    }
    tx.commit().await?;
    let outcome = |number: &Option<i64>| if number.is_some() { Committed::Durable } else { Committed::Stale };
    let mut outcomes = numbers.iter().map(outcome);
    let of_caller = |(writes, refused): (&Vec<DocumentWrite>, Result<(), StoreError>)| {
        refused.map(|()| outcomes.by_ref().take(writes.len()).collect())
    };
    Ok(group.iter().zip(refused).map(of_caller).collect())
}

/// Whether none of these writes is to a year that is sealed.
pub(super) fn none_is_sealed(sealed: &BTreeSet<String>, writes: &[DocumentWrite]) -> Result<(), StoreError> {
    match writes.iter().find(|write| sealed.contains(&write.identity.period)) {
        Some(write) => Err(StoreError::Sealed(write.identity.period.clone())),
        None => Ok(()),
    }
}

/// Writes documents with what follows from them, inside a transaction. The number of each; none where it is stale.
pub(super) async fn documents(
    tx: &mut SqliteConnection,
    (tally, keys): (&dyn Tally, &Arc<DocumentKeys>),
    writes: &[&DocumentWrite],
) -> Result<Vec<Option<i64>>, StoreError> {
    if writes.is_empty() {
        return Ok(Vec::new());
    }
    let new = group::new_units(tx, writes).await?;
    let (numbers, sealing) = group::documents(tx, keys, writes).await?;
    let mut rows: Vec<(i64, &ProjectedRow)> = Vec::new();
    let mut touched: BTreeMap<(UnitId, &str), Vec<&ProjectedRow>> = BTreeMap::new();
    for (write, number) in writes.iter().zip(&numbers) {
        let Some(number) = number else { continue };
        rows.extend(write.rows.iter().map(|row| (*number, row)));
        touched.entry((write.identity.unit, &write.identity.period)).or_default().extend(&write.rows);
    }
    group::project(tx, &sealing, &rows).await?;
    let mut first = Vec::new();
    for (unit, touched) in touched {
        let ledgers = touched.iter().map(|row| row.ledger.as_str()).collect();
        let concerned = tally.concerned(Some(&ledgers));
        if new.contains(&unit) {
            // All of its rows are at hand and need not be read back.
            let rows: Vec<TallyRow<'_>> = touched.iter().map(|row| tally_row(row)).collect();
            first.extend(tally.tally(unit.1, &rows, &concerned)?.into_iter().map(|tally| (unit, tally)));
        } else {
            tallies::count(tx, tally, keys, unit, &concerned).await?;
        }
    }
    tallies::insert(tx, &first).await?;
    Ok(numbers)
}

fn tally_row(row: &ProjectedRow) -> TallyRow<'_> {
    TallyRow { ledger: &row.ledger, row: row.row, cells: &row.cells, removed: row.removed }
}
