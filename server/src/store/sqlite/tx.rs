//! Transactions that never outlive a fault.
//!
//! SQLite rolls a transaction back by itself when the disk is full or fails, and then a second rollback is an error: whoever counts
//! transactions on the connection, as sqlx does, counts wrong from then on. So a connection whose transaction was not committed,
//! for whatever reason, is closed, and the next transaction begins on a new one.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use sqlx::{Sqlite, SqliteConnection, SqlitePool, pool::PoolConnection};

use crate::store::StoreError;

/// The one connection that writes: SQLite has one writer, and queueing here is fairer than `SQLITE_BUSY`. Whatever writes does
/// so in a transaction of this writer.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    pool: SqlitePool,
    /// Whether a transaction has ended without being committed since the last one that was.
    is_suspect: Arc<AtomicBool>,
}

impl Writer {
    /// The writer behind this pool of one connection.
    pub(super) fn new(pool: SqlitePool) -> Self {
        Self { pool, is_suspect: Arc::default() }
    }

    /// A transaction that will write. It waits for its turn at once: one that first reads and then writes would be refused
    /// without waiting, if another process wrote in between.
    pub(super) async fn begin(&self) -> Result<Tx, StoreError> {
        let suspect = Some(self.is_suspect.clone());
        let begun = Tx::begin(&self.pool, "BEGIN IMMEDIATE", suspect).await;
        if begun.is_err() {
            self.is_suspect.store(true, Ordering::Relaxed);
        }
        begun
    }

    /// Whether something can be written now: found out by writing, where the last transaction was not committed.
    pub(super) async fn probe(&self) -> Result<(), StoreError> {
        if !self.is_suspect.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        // As much as what people send: where the log has room for a page or two, that proves nothing.
        sqlx::query("INSERT OR REPLACE INTO meta (key, value) VALUES ('probe', randomblob(131072))")
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// A connection for what cannot be done inside a transaction.
    pub(super) fn outside(&self) -> &SqlitePool {
        &self.pool
    }

    /// Ends it.
    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// A transaction: committed, or as if it had never been.
#[derive(Debug)]
pub(super) struct Tx {
    connection: PoolConnection<Sqlite>,
    is_committed: bool,
    suspect: Option<Arc<AtomicBool>>,
}

impl Tx {
    /// One that only reads: everything as of one moment.
    pub(super) async fn read(pool: &SqlitePool) -> Result<Self, StoreError> {
        Self::begin(pool, "BEGIN", None).await
    }

    async fn begin(
        pool: &SqlitePool,
        statement: &'static str,
        suspect: Option<Arc<AtomicBool>>,
    ) -> Result<Self, StoreError> {
        // From here on a caller that gives up, or a statement that fails, closes the connection.
        let mut tx = Self { connection: pool.acquire().await?, is_committed: false, suspect };
        sqlx::query(statement).execute(&mut *tx).await?;
        Ok(tx)
    }

    /// Makes it durable.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        sqlx::query("COMMIT").execute(&mut *self).await?;
        self.is_committed = true;
        Ok(())
    }
}

impl Deref for Tx {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if !self.is_committed {
            self.connection.close_on_drop();
        }
        if let Some(suspect) = &self.suspect {
            suspect.store(!self.is_committed, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::store::{
        Store,
        sqlite::{LOG_BYTES_MAX, SqliteStore},
    };

    async fn store(folder: &Path) -> SqliteStore {
        let catalogue = sync_protocol::catalogue::Catalogue::builtin();
        let tally = crate::tallies::Tallies::new(&catalogue);
        SqliteStore::create(&folder.join("t.sqlite"), tally).await.expect("a store")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_not_committed_leaves_a_writer_that_writes() {
        let folder = tempfile::tempdir().expect("folder");
        let store = store(folder.path()).await;
        for statement in ["INSERT INTO meta (key, value) VALUES ('a', 'b')", "ROLLBACK", "SELECT nothing FROM nowhere"]
        {
            let mut tx = store.writer.begin().await.expect("begun");
            // A rollback that is not the pool's own is what SQLite does when the disk is full.
            drop(sqlx::query(statement).execute(&mut *tx).await);
            drop(tx);
            store.put_secret("after", statement.as_bytes()).await.expect("written");
            assert_eq!(store.get_secret("a").await.expect("read"), None, "{statement}");
            assert_eq!(store.get_secret("after").await.expect("read").as_deref(), Some(statement.as_bytes()));
            store.can_write().await.expect("it can write");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_log_gives_its_room_back_after_a_long_reader() {
        let folder = tempfile::tempdir().expect("folder");
        let store = store(folder.path()).await;
        let log = || std::fs::metadata(folder.path().join("t.sqlite-wal")).expect("a log").len();
        // Somebody reads as of one moment all the while, as a backup tool does.
        let mut reader = Tx::read(&store.readers).await.expect("begun");
        sqlx::query("SELECT count(*) FROM meta").execute(&mut *reader).await.expect("read");
        let value = vec![7; 1 << 20];
        for number in 0..48 {
            store.put_secret(&format!("{number}"), &value).await.expect("written");
        }
        assert!(log() > LOG_BYTES_MAX, "{} bytes prove nothing", log());
        reader.commit().await.expect("ended");
        for number in 0..3_u8 {
            store.put_secret("after", &[number]).await.expect("written");
        }
        assert!(log() <= LOG_BYTES_MAX, "{} bytes are kept for nobody", log());
    }
}
