//! Opening: an existing database, a new one, or one that cannot be written to. Nothing is made unasked.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use sqlx::{
    Row,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use sync_protocol::document::RowKey;

use super::{
    Facts, HighWater, LOG_BYTES_MAX, SqliteStore, audit, codec, facts, file, guard, keeper, sealing, tallies, tx, write,
};
use crate::{
    lasting,
    store::{Refused, StoreError, Tally},
};

/// Connections that read at once.
const READERS: u32 = 4;
/// How long a command waits for another process that writes.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// The schema, step by step.
pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

impl SqliteStore {
    /// Looks at a database without changing anything: what it says of itself, and what marks its feed up to `seq`. One that
    /// cannot be the whole database is refused; `without_log` takes one that lacks its log.
    pub async fn look(path: &Path, without_log: bool, seq: i64) -> Result<(Facts, i64), StoreError> {
        facts::look(path, without_log, seq).await
    }

    /// Opens the store and brings its schema up to date; it has to be there.
    ///
    /// `tally` is what each unit counts; when it counts differently from last time, everything is counted anew.
    pub async fn open(path: &Path, tally: Arc<dyn Tally>) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(Refused::Missing.into());
        }
        Self::connect(path, tally, false).await
    }

    /// The same to look it over, though the keys of its restricted documents are not there.
    pub async fn open_without_keys(path: &Path, tally: Arc<dyn Tally>) -> Result<Self, StoreError> {
        Self::connect(path, tally, true).await
    }

    /// Opens the store, and makes it if it is not there.
    pub async fn create(path: &Path, tally: Arc<dyn Tally>) -> Result<Self, StoreError> {
        Self::connect(path, tally, false).await
    }

    async fn connect(path: &Path, tally: Arc<dyn Tally>, without_keys: bool) -> Result<Self, StoreError> {
        let guard = guard::Guard::new(path);
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A receipt is a promise: every commit is on the disk before it is given.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .pragma("wal_autocheckpoint", "4000")
            // After somebody has read for long, the log that had to be kept meanwhile gives its room back.
            .pragma("journal_size_limit", LOG_BYTES_MAX.to_string())
            .pragma("temp_store", "MEMORY");
        let writer = pool(1, &guard, true).connect_with(options.clone()).await?;
        MIGRATIONS.run(&writer).await.map_err(|e| StoreError::Database(e.to_string()))?;
        let readers = pool(READERS, &guard, false).connect_with(options.read_only(true)).await?;
        let keys = if without_keys {
            sealing::open_to_read(path, &writer).await?
        } else {
            sealing::open(path, &writer).await?
        };
        guard.watch(writer.clone());
        let writer = tx::Writer::new(writer);
        audit::grow(&writer).await?;
        if keys.fault().is_none() {
            // What was interrupted is finished.
            sealing::destroy_replaced(writer.outside(), &keys).await?;
            sealing::seal_all(&writer, &keys).await?;
        }
        tallies::rebuild_if_changed(&writer, tally.as_ref(), &keys).await?;
        let commits = write::Commits::start(writer.clone(), tally.clone(), keys.clone());
        let (keeper, lasting) = (OnceLock::new(), OnceLock::new());
        Ok(Self { writer, readers, commits, tally, guard, keeper, lasting, keys, is_sealed: true })
    }

    /// Opens the store of a full disk, or of one that cannot be written to, only to read it: nobody else may use it, and nothing
    /// may be left in its log.
    pub async fn open_unchanged(path: &Path, tally: Arc<dyn Tally>) -> Result<Self, StoreError> {
        let is_whole = || Ok::<_, std::io::Error>(file::length(&file::log_of(path))?.unwrap_or(0) == 0);
        if !is_whole().map_err(|error| StoreError::Database(error.to_string()))? {
            let sentence = "日志文件（-wal）中还有内容，需要磁盘空间才能打开，请先清理磁盘 | its log (-wal) holds something: to open it takes some space on the disk, free some";
            return Err(StoreError::Database(sentence.into()));
        }
        let guard = guard::Guard::new(path);
        let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(true);
        let options = options.pragma("temp_store", "MEMORY");
        let writer = pool(1, &guard, false).connect_with(options.clone()).await?;
        let version: i64 = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&writer).await?;
        if MIGRATIONS.iter().any(|migration| migration.version > version) {
            return Err(StoreError::Database("its schema has to be brought up to date first".into()));
        }
        let readers = pool(READERS, &guard, false).connect_with(options).await?;
        let (keys, is_sealed) = (sealing::open_to_read(path, &writer).await?, sealing::mark(&writer).await?.is_some());
        let writer = tx::Writer::new(writer);
        let commits = write::Commits::start(writer.clone(), tally.clone(), keys.clone());
        let (keeper, lasting) = (OnceLock::new(), OnceLock::new());
        Ok(Self { writer, readers, commits, tally, guard, keeper, lasting, keys, is_sealed })
    }

    /// What the database says of itself now.
    pub async fn facts(&self) -> Result<Facts, StoreError> {
        facts::now(&self.readers).await
    }

    /// What of it must not come back with a backup: the devices that are revoked, the people who are disabled, what was erased.
    pub async fn lasting(&self) -> Result<Vec<lasting::Fact>, StoreError> {
        let devices =
            sqlx::query("SELECT id FROM devices WHERE is_revoked = 1 ORDER BY id").fetch_all(&self.readers).await?;
        let devices =
            devices.iter().map(|row| Ok(lasting::Fact::DeviceRevoked { device: codec::device_id(row, "id")? }));
        let people =
            sqlx::query("SELECT id FROM people WHERE is_disabled = 1 ORDER BY id").fetch_all(&self.readers).await?;
        let people = people.iter().filter_map(|row| codec::person_id(row, "id").transpose());
        let people = people.map(|person| Ok(lasting::Fact::PersonDisabled { person: person? }));
        let erased = "SELECT DISTINCT d.unit, d.book, e.ledger, e.row FROM erased_rows e JOIN documents d ON d.number = e.document";
        let erased = sqlx::query(erased).fetch_all(&self.readers).await?;
        let erased = erased.iter().map(|row| {
            let (unit, ledger) = (codec::unit_id(row, "unit")?, row.try_get("ledger")?);
            let record = RowKey { ledger, row: codec::row_id(row, "row")? }.to_string();
            let is_whole = !codec::book(row)?.is_restricted();
            Ok(lasting::Fact::Erased { unit, record, is_whole })
        });
        devices.chain(people).chain(erased).collect()
    }

    /// Keeps in a file, from now on, how far the database has come: `known` is what the file says.
    pub fn keep(&self, file: PathBuf, known: Option<HighWater>) {
        let pools = (self.readers.clone(), self.writer.outside().clone());
        let lasting = file.with_file_name(lasting::FILE);
        self.lasting.get_or_init(|| lasting);
        self.keeper.get_or_init(|| keeper::Keeper::start(file, known, self.guard.clone(), pools));
    }
}

/// So many connections, all of them opened at once and kept: a later one might open another file.
fn pool(connections: u32, guard: &Arc<guard::Guard>, writes: bool) -> SqlitePoolOptions {
    let guard = guard.clone();
    SqlitePoolOptions::new()
        .max_connections(connections)
        .min_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |connection, _| {
            let guard = guard.clone();
            Box::pin(async move { if writes { guard::bind(guard, connection).await } else { guard::confirm(&guard) } })
        })
}
