//! Keeps, outside of the database, how far it has come; and in its main file, that it lacks something without its log.
//!
//! A log that is lost leaves a database that is whole and sound, only older: nothing in it can tell. So the newest number of the
//! feed stands in a small file beside it, written before a change is acknowledged. A copy of the main file alone, elsewhere, has
//! no such file beside it; therefore the main file says 1 in its user version while the log says 0: whoever opens both reads 0.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sqlx::SqlitePool;
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior},
};

use super::{
    facts::{self, Facts},
    file,
    guard::Guard,
};
use crate::{lasting, store::StoreError, whole};

/// How often it is looked whether the file is still the one, and what stands outside is made durable.
const TICK: Duration = Duration::from_millis(500);
/// How long it is waited before the main file is marked again, where a reader kept that from being done.
const AGAIN: Duration = Duration::from_secs(10);

/// How far a database has come, as it stands outside of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HighWater {
    /// Which of all databases.
    pub installation: String,
    /// The division code of its county.
    pub county: String,
    /// The newest change that was acknowledged.
    pub seq: i64,
    /// What marks the feed up to it.
    pub mark: i64,
    /// The newest line of the audit log.
    pub audit: i64,
    /// Bytes of the file of what must not come back with a backup.
    #[serde(default)]
    pub lasting: u64,
}

impl HighWater {
    /// Reads it; none, if there is none or it cannot be read: the database is what counts.
    pub fn read(path: &Path) -> Option<Self> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) => {
                if error.kind() != std::io::ErrorKind::NotFound {
                    tracing::warn!(path = %path.display(), %error, "how far the database had come cannot be read");
                }
                return None;
            }
        };
        let read = serde_json::from_slice(&text);
        read.inspect_err(|error| {
            tracing::warn!(path = %path.display(), %error, "how far the database had come cannot be read");
        })
        .ok()
    }

    /// How far a database has come; nothing can be said of one that is nobody's yet.
    pub fn of(facts: Facts) -> Option<Self> {
        let Facts { county, installation, seq, mark, audit } = facts;
        Some(Self { installation: installation?, county: county?, seq, mark, audit, lasting: 0 })
    }

    /// Writes it whole or not at all; `durable` waits for the disk.
    pub fn write(&self, path: &Path, durable: bool) -> std::io::Result<()> {
        whole::write(path, &serde_json::to_vec(self).map_err(std::io::Error::other)?, durable)
    }
}

#[derive(Debug)]
struct Kept {
    /// What was last written, and whether it is durable.
    written: Option<(HighWater, bool)>,
    /// Everything that was committed before this request is in it.
    upto: u64,
}

#[derive(Debug)]
struct Keeping {
    path: PathBuf,
    guard: Arc<Guard>,
    readers: SqlitePool,
    writer: SqlitePool,
    requests: AtomicU64,
    kept: tokio::sync::Mutex<Kept>,
    /// Whether the last attempt failed: it is said once.
    has_failed: AtomicBool,
}

/// Does so until it is ended or dropped.
#[derive(Debug)]
pub(super) struct Keeper {
    keeping: Arc<Keeping>,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Keeper {
    pub(super) fn start(
        path: PathBuf,
        known: Option<HighWater>,
        guard: Arc<Guard>,
        (readers, writer): (SqlitePool, SqlitePool),
    ) -> Self {
        let kept = tokio::sync::Mutex::new(Kept { written: known.map(|known| (known, true)), upto: 0 });
        let (requests, has_failed) = (AtomicU64::new(0), AtomicBool::new(false));
        let keeping = Arc::new(Keeping { path, guard, readers, writer, requests, kept, has_failed });
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(run(keeping.clone(), stopped));
        Self { keeping, stop: Mutex::new(Some(stop)), task: Mutex::new(Some(task)) }
    }

    /// Something was committed and is about to be acknowledged. It is never refused: the database is what counts.
    pub(super) async fn committed(&self) {
        let keeping = &self.keeping;
        let own = keeping.requests.fetch_add(1, Ordering::AcqRel) + 1;
        let mut kept = keeping.kept.lock().await;
        // Whoever had the turn before may have written this, too.
        if kept.upto < own {
            keeping.write(&mut kept, false).await;
        }
    }

    pub(super) async fn close(&self) {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // One that panicked has nothing left to end.
            let _ = task.await;
        }
    }
}

async fn run(keeping: Arc<Keeping>, mut stopped: oneshot::Receiver<()>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut wait_until = Instant::now();
    loop {
        let is_over = tokio::select! {
            _ = &mut stopped => true,
            _ = ticks.tick() => false,
        };
        if !keeping.guard.is_right() {
            return;
        }
        {
            let mut kept = keeping.kept.lock().await;
            keeping.write(&mut kept, true).await;
        }
        if is_over {
            // What closes the log moves it into the main file, which is whole then.
            if let Err(error) = keeping.unmark().await {
                tracing::warn!(%error, "the database file stays marked as in use");
            }
            return;
        }
        if Instant::now() >= wait_until && !keeping.mark().await {
            wait_until = Instant::now() + AGAIN;
        }
    }
}

impl Keeping {
    async fn write(&self, kept: &mut Kept, durable: bool) {
        let upto = self.requests.load(Ordering::Acquire);
        match self.try_write(kept, durable).await {
            Ok(()) => {
                kept.upto = upto;
                self.has_failed.store(false, Ordering::Relaxed);
            }
            Err(error) => {
                if !self.has_failed.swap(true, Ordering::Relaxed) {
                    tracing::warn!(path = %self.path.display(), %error, "how far the database has come is not noted");
                }
            }
        }
    }

    async fn try_write(&self, kept: &mut Kept, durable: bool) -> Result<(), StoreError> {
        let Some(now) = HighWater::of(facts::now(&self.readers).await?) else { return Ok(()) };
        let now = HighWater { lasting: lasting::bytes(&self.path.with_file_name(lasting::FILE)), ..now };
        let is_written =
            kept.written.as_ref().is_some_and(|(written, is_durable)| *written == now && (*is_durable || !durable));
        if is_written {
            return Ok(());
        }
        let (path, written) = (self.path.clone(), now.clone());
        let write = tokio::task::spawn_blocking(move || written.write(&path, durable)).await;
        let write = write.map_err(|error| StoreError::Database(error.to_string()))?;
        write.map_err(|error| StoreError::Database(error.to_string()))?;
        kept.written = Some((now, durable));
        Ok(())
    }

    /// Marks the main file, where it is not, and the log holds something; `false` if that could not be done now.
    async fn mark(&self) -> bool {
        let path = self.guard.path().to_owned();
        let is_needed = tokio::task::spawn_blocking(move || {
            let logged = file::length(&file::log_of(&path))?.is_some_and(|bytes| bytes > 0);
            Ok::<_, std::io::Error>(logged && !file::needs_its_log(&path)?)
        });
        if !matches!(is_needed.await, Ok(Ok(true))) {
            return true;
        }
        let marked = async {
            let mut connection = self.writer.acquire().await?;
            let sql = "PRAGMA user_version = 1; PRAGMA wal_checkpoint(PASSIVE); PRAGMA user_version = 0;";
            sqlx::raw_sql(sql).execute(&mut *connection).await
        };
        if let Err(error) = marked.await {
            tracing::debug!(%error, "the database file is not marked as in use");
            return false;
        }
        let path = self.guard.path().to_owned();
        let is_marked = tokio::task::spawn_blocking(move || file::needs_its_log(&path)).await;
        matches!(is_marked, Ok(Ok(true)))
    }

    /// Makes sure that whoever opens the log, too, reads that nothing is missing.
    async fn unmark(&self) -> Result<(), StoreError> {
        let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&self.readers).await?;
        if version != 0 {
            let mut connection = self.writer.acquire().await?;
            sqlx::raw_sql("PRAGMA user_version = 0").execute(&mut *connection).await?;
        }
        Ok(())
    }
}
