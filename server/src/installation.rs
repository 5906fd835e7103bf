//! Which database this is: whose county it holds, which of all databases it is, and how far it has come. All of that is asked
//! before anything is written, and a new one is made only where somebody has asked for it.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
};

use data_encoding::HEXLOWER;
use sync_protocol::{
    Tenant, UnitId,
    unit::{Unit, UnitLevel},
};

use crate::{
    Server, clock,
    config::Config,
    keyring, lasting,
    store::{
        Refused, Store, StoreError,
        sqlite::{DOCUMENT_KEYS, HighWater, SqliteStore},
    },
    tallies::Tallies,
    whole::sync_folder,
};

/// The database in its folder.
pub const DATABASE: &str = "taizhang.sqlite";
/// How far it has come, beside it.
const HIGH_WATER: &str = "high-water.json";
/// Held by the one server of a folder.
const LOCK: &str = "serve.lock";

/// The code of the county, in the database.
const COUNTY: &str = "county";
/// Which of all databases it is.
pub(crate) const INSTALLATION: &str = "installation";

/// The file of a configuration's database.
pub fn database(config: &Config) -> PathBuf {
    config.data_dir.join(DATABASE)
}

/// What must not come back with a backup, as it stands beside the database.
pub fn lasting(config: &Config) -> lasting::Known {
    let expected = HighWater::read(&outside(config)).map_or(0, |known| known.lasting);
    lasting::read(&config.data_dir.join(lasting::FILE), expected)
}

fn outside(config: &Config) -> PathBuf {
    config.data_dir.join(HIGH_WATER)
}

/// Whether a database that is not there has been: its log would be taken for that of a new one.
fn has_left_something(config: &Config) -> bool {
    outside(config).exists() || config.data_dir.join(format!("{DATABASE}-wal")).exists()
}

fn tally(config: &Config) -> Arc<Tallies> {
    Tallies::new(&config.catalogue)
}

fn io(error: &std::io::Error) -> StoreError {
    StoreError::Database(error.to_string())
}

/// A database that was looked at.
struct Looked {
    known: Option<HighWater>,
    /// What would keep it from being opened, but for being examined.
    wrong: Vec<Refused>,
}

/// Looks at a database before anything is written to it.
async fn look(config: &Config, examined: bool) -> Result<Looked, StoreError> {
    let path = database(config);
    let known = HighWater::read(&outside(config));
    if !path.exists() {
        return Err(if has_left_something(config) { Refused::Gone } else { Refused::Missing }.into());
    }
    let mut wrong = Vec::new();
    let seq = known.as_ref().map_or(0, |known| known.seq);
    let (facts, mark) = match SqliteStore::look(&path, false, seq).await {
        Err(StoreError::Refused(refused @ Refused::WithoutLog)) if examined => {
            wrong.push(refused);
            SqliteStore::look(&path, true, seq).await?
        }
        looked => looked?,
    };
    if let Some(stored) = facts.county.filter(|stored| *stored != config.county_code) {
        return Err(Refused::OtherCounty { stored, configured: config.county_code.clone() }.into());
    }
    if let Some(known) = &known {
        if facts.installation.as_ref().is_some_and(|installation| *installation != known.installation) {
            return Err(Refused::OtherInstallation.into());
        }
        if facts.installation.is_none() || facts.seq < known.seq || facts.audit < known.audit {
            wrong.push(Refused::Older {
                acknowledged: known.seq,
                acknowledged_audit: known.audit,
                found: facts.seq,
                found_audit: facts.audit,
            });
        } else if mark != known.mark {
            wrong.push(Refused::Diverged(known.seq));
        }
    }
    if !examined && !wrong.is_empty() {
        return Err(wrong.remove(0).into());
    }
    Ok(Looked { known, wrong })
}

/// Opens the database of a configuration. It has to be there, whole, of this county, and no older than what was acknowledged.
pub async fn open(config: &Config) -> Result<Arc<SqliteStore>, StoreError> {
    let looked = look(config, false).await?;
    keep_private(config);
    let store = SqliteStore::open(&database(config), tally(config)).await?;
    begin_lasting(config, &store).await?;
    store.keep(outside(config), looked.known);
    Ok(Arc::new(store))
}

/// Where the file of what must not come back is not there yet, or is there no more, it begins with what the database knows, which
/// is all there is to know: it is the newest.
async fn begin_lasting(config: &Config, store: &SqliteStore) -> Result<(), StoreError> {
    let path = config.data_dir.join(lasting::FILE);
    if path.exists() {
        return Ok(());
    }
    if let Some(fault) = lasting(config).fault {
        tracing::warn!("{fault}: 已按数据库重建 made anew from the database");
    }
    lasting::append(&path, &store.lasting().await?).map_err(|error| io(&error))
}

/// Opens one only to read it, on a disk that is full or cannot be written to.
pub async fn open_unchanged(config: &Config) -> Result<Arc<SqliteStore>, StoreError> {
    if is_served(&config.data_dir) {
        // It would be read while it changes.
        return Err(StoreError::Database("a server runs on it".into()));
    }
    look(config, false).await?;
    Ok(Arc::new(SqliteStore::open_unchanged(&database(config), tally(config)).await?))
}

/// What is stored is its owner's alone, be it that an earlier version or a copy has left it open to others.
fn keep_private(config: &Config) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        let shut = |path: &Path, mode: u32| -> std::io::Result<()> {
            let is_open = std::fs::metadata(path)?.permissions().mode() & 0o077 != 0;
            if is_open { std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)) } else { Ok(()) }
        };
        let path = database(config);
        let mut files = vec![(config.data_dir.clone(), 0o700)];
        for ending in ["", "-wal", "-shm"] {
            let mut file = path.as_os_str().to_owned();
            file.push(ending);
            files.push((file.into(), 0o600));
        }
        files.extend([(outside(config), 0o600), (keyring::path(config), 0o600)]);
        files.push((config.data_dir.join(lasting::FILE), 0o600));
        files.push((config.data_dir.join(DOCUMENT_KEYS), 0o600));
        for (file, mode) in files {
            match shut(&file, mode) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(%error, "others may read {}", file.display());
                }
                _ => {}
            }
        }
    }
    #[cfg(not(unix))]
    let _ = config;
}

/// A database that is opened whatever it lacks, to be looked over.
#[derive(Debug)]
pub struct Examined {
    /// A server on it.
    pub server: Server,
    /// Why nobody else would open it.
    pub wrong: Vec<Refused>,
    store: Arc<SqliteStore>,
    outside: PathBuf,
}

/// Opens a database to look it over, though it may be older than what was acknowledged.
pub async fn examine(config: &Config) -> Result<Examined, StoreError> {
    let Looked { known, wrong } = look(config, true).await?;
    let path = database(config);
    let opened = match SqliteStore::open(&path, tally(config)).await {
        // That is told, too, and everything else is looked at.
        Err(StoreError::Refused(
            Refused::NoDocumentKeys | Refused::OtherDocumentKeys | Refused::DocumentKeysUnreadable,
        )) => SqliteStore::open_without_keys(&path, tally(config)).await,
        opened => opened,
    };
    let store = match opened {
        Ok(store) => {
            if wrong.is_empty() {
                store.keep(outside(config), known);
            }
            store
        }
        // A full disk is no reason not to look.
        Err(error) if is_served(&config.data_dir) => return Err(error),
        Err(error) => SqliteStore::open_unchanged(&path, tally(config)).await.map_err(|_| error)?,
    };
    let store = Arc::new(store);
    let server = Server::examine(store.clone(), config).await?;
    Ok(Examined { server, wrong, store, outside: outside(config) })
}

impl Examined {
    /// Asks again why nobody else would open it: after a repair.
    pub async fn ask_again(&mut self, config: &Config) -> Result<(), StoreError> {
        self.wrong = look(config, true).await?.wrong;
        Ok(())
    }

    /// From now on the database counts as it is, though it is older than what was acknowledged.
    pub fn accept(&mut self) {
        self.wrong.clear();
        self.store.keep(self.outside.clone(), None);
    }
}

/// Makes a new database for the county of a configuration.
pub async fn make(config: &Config) -> Result<(), StoreError> {
    let path = database(config);
    std::fs::create_dir_all(&config.data_dir).map_err(|error| io(&error))?;
    keep_private(config);
    if path.exists() {
        return Err(Refused::Exists.into());
    }
    if has_left_something(config) {
        return Err(Refused::Gone.into());
    }
    // Made under another name: one that is interrupted here leaves nothing that looks like a database.
    let part = config.data_dir.join(format!("{DATABASE}.{}.part", std::process::id()));
    let made = async {
        let store = SqliteStore::create(&part, tally(config)).await?;
        establish(&store, config).await?;
        let begun = HighWater::of(store.facts().await?);
        store.close().await;
        std::fs::File::open(&part).and_then(|file| file.sync_all()).map_err(|error| io(&error))?;
        place(&part, &path)?;
        // From now on it is noticed if the file is not there any more.
        begun.map_or(Ok(()), |begun| begun.write(&outside(config), true)).map_err(|error| io(&error))
    };
    let made = made.await;
    for ending in ["", "-wal", "-shm"] {
        let mut left = part.as_os_str().to_owned();
        left.push(ending);
        // It may not be there.
        drop(std::fs::remove_file(left));
    }
    made
}

/// Gives a file its name, unless another has it by now.
fn place(part: &Path, path: &Path) -> Result<(), StoreError> {
    match std::fs::hard_link(part, path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Err(Refused::Exists.into()),
        // A memory stick knows no links.
        Err(_) if !path.exists() => std::fs::rename(part, path).map_err(|error| io(&error))?,
        Err(_) => return Err(Refused::Exists.into()),
    }
    sync_folder(path).map_err(|error| io(&error))
}

/// Makes a store the one of a configuration's county, where it is nobody's yet.
pub(crate) async fn establish(store: &dyn Store, config: &Config) -> Result<(), StoreError> {
    store.put_units(&[county_unit(config)]).await?;
    settle(store, config).await
}

/// The county as a unit.
pub(crate) fn county_unit(config: &Config) -> Unit {
    let tenant = Tenant::new(config.county_code.clone());
    Unit {
        id: UnitId::derive(&tenant, None, &config.county_code),
        parent: None,
        level: UnitLevel::County,
        code: Some(config.county_code.clone()),
        name: config.county_name.clone(),
        short_name: None,
        sort_order: 0,
    }
}

/// The county goes by the name that the configuration gives it.
pub async fn rename_county(server: &Server) -> Result<(), StoreError> {
    let Some(county) = server.store.unit(server.county).await? else { return Ok(()) };
    if county.name == server.county_name {
        return Ok(());
    }
    server.store.put_units(&[Unit { name: server.county_name.clone(), ..county }]).await
}

/// Gives a store its keys and its own name; the county comes last: with it everything is there.
async fn settle(store: &dyn Store, config: &Config) -> Result<(), StoreError> {
    keyring::begin(store, config).await?;
    store.secret(INSTALLATION, HEXLOWER.encode(&clock::random::<16>()).as_bytes()).await?;
    store.put_secret(COUNTY, config.county_code.as_bytes()).await
}

/// Whether a store is of this configuration's county. One of a time when that was not kept is taken as this county's, if the
/// county is in it.
pub(crate) async fn admit(store: &dyn Store, config: &Config) -> Result<(), StoreError> {
    let configured = config.county_code.clone();
    if let Some(stored) = store.get_secret(COUNTY).await? {
        let stored = String::from_utf8_lossy(&stored).into_owned();
        return if stored == configured { Ok(()) } else { Err(Refused::OtherCounty { stored, configured }.into()) };
    }
    let (units, county) = (store.units().await?, county_unit(config).id);
    let below = |id: UnitId| units.iter().filter(|unit| unit.parent == Some(id)).count();
    let is_county = |unit: &&Unit| unit.parent.is_none() && unit.level == UnitLevel::County;
    // A server that was once started with another code has left a county without any units.
    let Some(of) = units.iter().filter(is_county).max_by_key(|unit| (below(unit.id), unit.id == county)) else {
        return Err(Refused::NoCounty.into());
    };
    if of.id != county {
        return Err(Refused::OtherCounty { stored: of.code.clone().unwrap_or_default(), configured }.into());
    }
    store.examine().set_apart(&Tenant::new(configured)).await?;
    settle(store, config).await
}

/// Takes the place of the one server of a folder, for as long as what is returned lives.
pub fn lock(data_dir: &Path) -> Result<File, StoreError> {
    let file = File::options().create(true).truncate(false).write(true).open(data_dir.join(LOCK));
    let file = file.map_err(|error| io(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Refused::Served.into()),
        // A file system that knows no locks: then nothing can be said.
        Err(TryLockError::Error(error)) => {
            tracing::warn!(%error, "it cannot be told whether another server runs on this folder");
            Ok(file)
        }
    }
}

/// Whether a server runs on a folder.
pub(crate) fn is_served(data_dir: &Path) -> bool {
    let Ok(file) = File::open(data_dir.join(LOCK)) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}
