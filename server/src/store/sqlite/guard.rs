//! Whether the file that is open is still the one at its path. Where it was moved away or another put in its place, what is
//! committed would go where nobody looks for it, and a new connection would open the other one.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use sqlx::{SqliteConnection, SqlitePool};

use super::file::{self, FileId, Held, id};
use crate::store::Refused;

/// Watches a database's file and its log.
#[derive(Debug)]
pub(super) struct Guard {
    path: PathBuf,
    log: PathBuf,
    opened: OnceLock<(Option<FileId>, Option<FileId>)>,
    held: OnceLock<Held>,
    is_lost: AtomicBool,
    /// Closed for good when the file is lost.
    writer: Mutex<Option<SqlitePool>>,
}

impl Guard {
    pub(super) fn new(path: &Path) -> Arc<Self> {
        Arc::new(Self {
            path: path.to_owned(),
            log: file::log_of(path),
            opened: OnceLock::new(),
            held: OnceLock::new(),
            is_lost: AtomicBool::new(false),
            writer: Mutex::default(),
        })
    }

    /// The database's file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// From now on what stands at the paths has to be what stands there now: every connection is open.
    pub(super) fn watch(&self, writer: SqlitePool) {
        self.held.get_or_init(|| file::hold(&self.path));
        self.opened.get_or_init(|| (id(&self.path), id(&self.log)));
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer);
    }

    /// Whether the file is the one that was opened. Once it was not, nothing is written any more.
    pub(super) fn is_right(&self) -> bool {
        let Some(&(file, log)) = self.opened.get() else { return true };
        let is_there = id(&self.path) == file && (log.is_none() || id(&self.log) == log);
        if !is_there {
            if !self.is_lost.swap(true, Ordering::Relaxed) {
                tracing::error!(path = %self.path.display(), "{}", Refused::Replaced);
            }
            if let Some(writer) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                // It is closed at once; nobody has to wait for its connection.
                drop(writer.close());
            }
        }
        !self.is_lost.load(Ordering::Relaxed)
    }

    /// Why nothing is written any more, if nothing is.
    pub(super) fn refusal(&self) -> Option<Refused> {
        self.is_lost.load(Ordering::Relaxed).then_some(Refused::Replaced)
    }

    /// Lets go of the writer, which holds this guard.
    pub(super) fn release(&self) {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// A new connection of the pool that reads.
pub(super) fn confirm(guard: &Guard) -> Result<(), sqlx::Error> {
    if guard.is_right() { Ok(()) } else { Err(sqlx::Error::Configuration(Box::new(Refused::Replaced))) }
}

/// A new connection of the one that writes: it asks before each commit.
pub(super) async fn bind(guard: Arc<Guard>, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    confirm(&guard)?;
    connection.lock_handle().await?.set_commit_hook(move || guard.is_right());
    Ok(())
}
