//! A county in motion: its server, its devices, and what is known of what they promised.

mod devices;
mod offices;
mod writing;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use anyhow::{Context, Result};
use rand::{SeedableRng, rngs::StdRng};
use server::{
    Server,
    config::Config,
    erasure::{ErasureError, Extent, Order, erase},
    keyring,
    store::{
        DeviceRecord, QuarantineState,
        sqlite::{DOCUMENT_KEYS, SqliteStore},
    },
    tallies::Tallies,
};
use sync_protocol::{
    ActorId, Book, ChangeHash, DeviceId, Document, Identity, UnitId,
    catalogue::ColumnType,
    client::{Device, DeviceConfig, DeviceError},
    document::RowKey,
};

use super::{
    line::{Line, Wire, lock},
    phone::{Held, Phone, copy, hashes},
    plan::{Fate, Scenario, Step, bytes},
    store::{Faulty, Mutant},
};
use crate::roster;

const SERVER: &str = "taizhang.sqlite";
/// The first moment: 2012-04-01.
const BEGINNING_MS: i64 = 1_333_238_400_000;

/// What all scenarios begin with: an empty county.
pub(super) async fn prepare(config: &Config) -> Result<()> {
    let server = Server::create_embedded(config).await?;
    server.store.put_units(&roster::units(&server.tenant, server.county, 3)).await?;
    server.store.close().await;
    Ok(())
}

/// Everything.
pub(super) struct World {
    folder: tempfile::TempDir,
    config: Config,
    tally: Arc<Tallies>,
    mutant: Option<Mutant>,
    store: Option<Arc<Faulty>>,
    pub(super) server: Option<Server>,
    pub(super) phones: Vec<Phone>,
    units: Vec<UnitId>,
    township: UnitId,
    rng: StdRng,
    now_ms: i64,
    /// A text column of a ledger that no device may write to.
    foreign: (String, String),
    kept: Option<PathBuf>,
    offices: offices::Offices,
    /// Changes that devices have receipts for.
    pub(super) promised: BTreeSet<ChangeHash>,
    /// Changes that people made.
    pub(super) written: BTreeMap<ChangeHash, String>,
    /// Documents of which rows were erased, and the changes that may be nowhere any more.
    pub(super) erased: BTreeMap<Identity, BTreeSet<ChangeHash>>,
    /// The same for all time: a server that was set back has them again.
    ever_erased: BTreeMap<Identity, BTreeSet<ChangeHash>>,
    /// Rows that were erased from them.
    erased_rows: BTreeSet<(Identity, RowKey)>,
    /// The first promise that was seen broken.
    pub(super) broken: Option<String>,
}

impl World {
    pub(super) async fn open(
        template: &Path,
        config: &Config,
        tally: Arc<Tallies>,
        scenario: &Scenario,
        mutant: Option<Mutant>,
    ) -> Result<Self> {
        let folder = super::folder()?;
        for file in [SERVER, keyring::FILE, DOCUMENT_KEYS] {
            std::fs::copy(template.join(file), folder.path().join(file))?;
        }
        let mut config = config.clone();
        folder.path().clone_into(&mut config.data_dir);
        let foreign = config.catalogue.ledgers().iter().filter(|ledger| ledger.book == Book::Township).find_map(|l| {
            let column = l.columns.iter().find(|c| c.column_type == ColumnType::Text && l.book_of(c) == l.book)?;
            Some((l.id.clone(), column.key.clone()))
        });
        let mut world = Self {
            folder,
            config,
            tally,
            mutant,
            store: None,
            server: None,
            phones: Vec::new(),
            units: Vec::new(),
            township: UnitId::from_bytes([0; 16]),
            rng: StdRng::seed_from_u64(7),
            now_ms: BEGINNING_MS,
            foreign: foreign.context("a ledger of the township")?,
            kept: None,
            offices: offices::Offices::default(),
            promised: BTreeSet::new(),
            written: BTreeMap::new(),
            erased: BTreeMap::new(),
            ever_erased: BTreeMap::new(),
            erased_rows: BTreeSet::new(),
            broken: None,
        };
        world.start_server().await?;
        let tenant = world.server()?.tenant.clone();
        let unit = |index| UnitId::derive(&tenant, None, &roster::branch_code(index));
        world.units = (0..scenario.units).map(unit).collect();
        world.township = UnitId::derive(&tenant, None, "340099100");
        for (index, village) in scenario.devices.iter().enumerate() {
            let (name, unit) = (format!("phone-{index}"), world.unit_of(*village));
            let record = DeviceRecord::new(
                DeviceId::from_bytes(bytes(&mut world.rng)),
                (&name, &name),
                &name,
                unit,
                &[Book::Unit, Book::UnitRestricted],
            );
            world.server()?.store.put_device(&record, world.now_ms).await?;
            let line = Line {
                server: Mutex::new(world.server.clone()),
                record: Mutex::new(record),
                fate: Mutex::new(Fate::Arrives),
                late: Mutex::default(),
                now_ms: Mutex::new(world.now_ms),
                died: Mutex::default(),
            };
            let path = world.folder.path().join(format!("{name}.sqlite"));
            world.phones.push(Phone {
                name,
                unit,
                device: None,
                own: BTreeSet::new(),
                line: Arc::new(line),
                exchange: None,
                clock_ms: 0,
                path,
                kept: None,
                is_revoked: false,
            });
            world.start(index).await?;
        }
        Ok(world)
    }

    pub(super) fn server(&self) -> Result<&Server> {
        self.server.as_ref().context("the server runs")
    }

    fn unit_of(&self, village: Option<usize>) -> UnitId {
        village.map_or(self.township, |index| self.units[index % self.units.len()])
    }

    fn period(&self) -> String {
        self.config.campaign_year.to_string()
    }

    async fn start_server(&mut self) -> Result<()> {
        let inner = SqliteStore::open(&self.config.data_dir.join(SERVER), self.tally.clone()).await?;
        let store = Arc::new(Faulty::new(Arc::new(inner), self.mutant));
        self.server = Some(Server::open(store.clone(), &self.config).await?);
        self.store = Some(store);
        for phone in &self.phones {
            lock(&phone.line.server).clone_from(&self.server);
            *lock(&phone.line.died) = false;
        }
        Ok(())
    }

    async fn stop_server(&mut self) {
        for phone in &self.phones {
            lock(&phone.line.server).take();
        }
        self.store = None;
        if let Some(server) = self.server.take() {
            server.store.close().await;
        }
    }

    async fn start(&mut self, index: usize) -> Result<()> {
        let actor = ActorId(bytes(&mut self.rng));
        let server = self.server()?;
        let (catalogue, server_key) = (server.catalogue.clone(), Some(server.keys.public().signing));
        let phone = &mut self.phones[index];
        let config = DeviceConfig {
            path: phone.path.clone(),
            server: String::new(),
            token: String::new(),
            who: phone.name.clone(),
            server_key,
            certificate: None,
            secret: None,
            actor,
        };
        phone.device = Some(Device::open_with(config, catalogue, Box::new(Wire(phone.line.clone()))).await?);
        Ok(())
    }

    async fn stop(&mut self, index: usize) {
        let phone = &mut self.phones[index];
        phone.exchange = None;
        if let Some(device) = phone.device.take() {
            device.close().await;
        }
    }

    pub(super) async fn close(mut self) {
        for index in 0..self.phones.len() {
            self.stop(index).await;
        }
        self.stop_server().await;
    }

    pub(super) async fn step(&mut self, step: &Step) -> Result<()> {
        self.now_ms += 60_000;
        for phone in &self.phones {
            *lock(&phone.line.now_ms) = self.now_ms;
        }
        match step {
            Step::Edit { device, unit, row, cells } => self.edit(*device, *unit, *row, cells).await?,
            Step::Settle { device, pick, value } => self.settle(*device, *pick, *value).await?,
            Step::Trespass { device, unit, value } => self.trespass(*device, *unit, *value).await?,
            Step::Exchange { device, fates } => self.exchange(*device, fates).await?,
            Step::Late { device } => {
                let late = std::mem::take(&mut *lock(&self.phones[*device].line.late));
                for request in late {
                    self.phones[*device].line.serve(&request).await?;
                }
            }
            Step::Crash { device } => {
                self.stop(*device).await;
                self.start(*device).await?;
            }
            Step::Keep { device } => self.keep(*device).await?,
            Step::SetBack { device } => self.set_back(*device).await?,
            Step::Clock { device, days } => self.phones[*device].clock_ms = i64::from(*days) * 86_400_000,
            Step::Reassign { device, unit } => self.reassign(*device, *unit).await?,
            Step::Revoke { device } => self.revoke(*device).await?,
            Step::Rotate { device } => self.rotate(*device).await?,
            Step::ServerDies(death) => {
                if let Some(store) = &self.store {
                    store.die(*death);
                }
            }
            Step::ServerKeeps => {
                self.stop_server().await;
                let kept = self.folder.path().join("server.kept");
                copy(&self.config.data_dir.join(SERVER), &kept)?;
                self.kept = Some(kept);
                self.start_server().await?;
            }
            Step::ServerSetBack => {
                if let Some(kept) = self.kept.clone() {
                    self.stop_server().await;
                    copy(&kept, &self.config.data_dir.join(SERVER))?;
                    self.start_server().await?;
                    self.erased.clear();
                    self.register_again().await?;
                    self.forget_what_is_gone().await?;
                }
            }
            Step::Erase { unit, row } => Box::pin(self.erase(*unit, *row)).await?,
            Step::Import { unit, rows, habit } => Box::pin(self.import(*unit, rows, *habit)).await?,
            Step::Draw { unit } => Box::pin(self.draw(*unit)).await?,
            Step::SendBack { pick, edits } => Box::pin(self.send_back(*pick, edits)).await?,
            Step::Decide { unit } => Box::pin(self.decide(*unit)).await?,
            Step::Undo { pick } => Box::pin(self.undo(*pick)).await?,
            Step::DiskFull { device } => self.disk_full(*device).await?,
            Step::Admit => {
                let server = self.server()?;
                for held in server.store.quarantined().await? {
                    if held.state == QuarantineState::Waiting {
                        // What does not fit its document goes on waiting; a death of the server is seen below.
                        drop(server.sync.admit_quarantined(held.hash, "县", self.now_ms).await);
                    }
                }
                // Whoever admitted looks at the result: a server that died at it is started again.
                self.restart_server().await?;
            }
        }
        if self.phones.iter().any(|phone| *lock(&phone.line.died)) {
            self.restart_server().await?;
        }
        Ok(())
    }

    async fn restart_server(&mut self) -> Result<()> {
        self.stop_server().await;
        self.start_server().await
    }

    /// The document of members that a device writes to.
    fn members(&self, device: usize, unit: usize) -> Identity {
        let own = self.phones[device].unit;
        let unit = if own == self.township { self.unit_of(Some(unit)) } else { own };
        Identity { unit, book: Book::Unit, period: self.period() }
    }

    /// Does something that may write changes, and notes them.
    async fn noting<T>(&mut self, device: usize, doing: impl AsyncFnOnce(&Device) -> Result<T>) -> Result<T> {
        let before = self.phones[device].device()?.outbox().await?;
        let done = doing(self.phones[device].device()?).await?;
        let after = self.phones[device].device()?.outbox().await?;
        for hash in after.into_iter().filter(|hash| !before.contains(hash)) {
            self.phones[device].own.insert(hash);
            self.written.insert(hash, self.phones[device].name.clone());
        }
        Ok(done)
    }

    /// What a restricted book holds of one of its records is erased, if nothing waits that has to be decided before.
    async fn erase(&mut self, unit: usize, row: u8) -> Result<()> {
        let identity = Identity { unit: self.unit_of(Some(unit)), book: Book::UnitRestricted, period: self.period() };
        let server = self.server()?;
        let Some(stored) = server.store.document(identity.document(&server.tenant)).await? else { return Ok(()) };
        let document = Document::load(stored.snapshot.as_deref(), &stored.changes)?;
        let rows: Vec<_> = document.row_states().into_keys().collect();
        let Some(key) = rows.get(usize::from(row) % rows.len().max(1)) else { return Ok(()) };
        let order = Order { by: "县".into(), reason: "模拟", extent: Extent::Restricted };
        let noted = self.noted().await?;
        match erase(server, identity.unit, key, order).await {
            Ok(_) => {
                for erased in [&mut self.erased, &mut self.ever_erased] {
                    erased.entry(identity.clone()).or_default().extend(hashes(&document));
                }
                self.erased_rows.insert((identity, key.clone()));
                if self.noted().await? == noted {
                    self.broken = Some("an erasure is not in the audit log".into());
                }
            }
            Err(ErasureError::Quarantine(_)) => {}
            Err(error) => self.broken = Some(format!("an erasure failed: {error}")),
        }
        Ok(())
    }

    async fn exchange(&mut self, index: usize, fates: &[Fate]) -> Result<()> {
        let before = Held::of(self.phones[index].device()?).await?;
        self.exchange_some(index, fates).await?;
        self.account(index, &before).await
    }

    /// One whole exchange without any trouble.
    pub(super) async fn exchange_in_peace(&mut self, index: usize) -> Result<()> {
        let before = Held::of(self.phones[index].device()?).await?;
        let done = self.phones[index].device()?.exchange(0).await;
        match done {
            Ok(done) => self.promised.extend(done.receipts),
            Err(error) => self.broken = Some(format!("{} cannot exchange in peace: {error}", self.phones[index].name)),
        }
        self.account(index, &before).await
    }

    /// Notes what an exchange has made of what was unsent before it.
    async fn account(&mut self, index: usize, before: &Held) -> Result<()> {
        // What was written onto a document that has a successor by now is written anew.
        let phone = &mut self.phones[index];
        for (hash, of) in before.gone(phone.device()?).await? {
            if self.ever_erased.contains_key(&of) {
                self.written.remove(&hash);
                self.promised.remove(&hash);
            }
        }
        for hash in phone.device()?.outbox().await? {
            if phone.own.insert(hash) {
                self.written.insert(hash, phone.name.clone());
            }
        }
        if let Some(what) = before.lost(phone.device()?, &self.ever_erased, &self.erased_rows).await? {
            self.broken = Some(format!("{}: {what}", phone.name));
        }
        Ok(())
    }

    async fn exchange_some(&mut self, index: usize, fates: &[Fate]) -> Result<()> {
        let (before, _) = self.phones[index].held().await?;
        let now_ms = self.now_ms;
        let phone = &mut self.phones[index];
        let device = phone.device.as_ref().context("the device is switched on")?;
        let mut under_way = match phone.exchange.take() {
            Some(under_way) => Some(under_way),
            None => Some((device.begin().await?, 0)),
        };
        for fate in fates {
            let Some((exchange, counted)) = &mut under_way else { break };
            *lock(&phone.line.fate) = *fate;
            let more = device.step(exchange, now_ms + phone.clock_ms).await;
            self.promised.extend(exchange.done.receipts.iter().skip(*counted));
            *counted = exchange.done.receipts.len();
            match more {
                Ok(true) => {}
                Ok(false) | Err(DeviceError::Offline(_)) => under_way = None,
                Err(error) => {
                    under_way = None;
                    self.broken = Some(format!("{} cannot exchange: {error}", phone.name));
                }
            }
        }
        phone.exchange = under_way;
        self.monotonic(index, before).await
    }

    /// What a device has shown once it goes on showing, unless the server refused it or the device lost its right to it.
    async fn monotonic(&mut self, index: usize, before: BTreeMap<Identity, BTreeSet<ChangeHash>>) -> Result<()> {
        let (after, refused) = self.phones[index].held().await?;
        for (identity, seen) in before {
            let Some(now) = after.get(&identity).filter(|_| !self.ever_erased.contains_key(&identity)) else {
                continue;
            };
            let gone = seen.iter().filter(|hash| !now.contains(hash)).count();
            // Whatever builds upon a refused change goes with it.
            if gone > 0 && refused.is_empty() {
                self.broken = Some(format!("{} has lost {gone} changes of {identity:?}", self.phones[index].name));
            }
        }
        Ok(())
    }

    async fn keep(&mut self, index: usize) -> Result<()> {
        self.stop(index).await;
        let phone = &mut self.phones[index];
        let kept = phone.path.with_extension("kept");
        copy(&phone.path, &kept)?;
        phone.kept = Some(kept);
        self.start(index).await
    }

    async fn set_back(&mut self, index: usize) -> Result<()> {
        let Some(kept) = self.phones[index].kept.clone() else { return Ok(()) };
        self.stop(index).await;
        copy(&kept, &self.phones[index].path)?;
        self.start(index).await?;
        self.forget_what_is_gone().await
    }

    /// Every change that the server has, or keeps for its supervisors.
    pub(super) async fn at_server(&self) -> Result<BTreeSet<ChangeHash>> {
        let server = self.server()?;
        let mut held: BTreeSet<ChangeHash> =
            server.store.quarantined().await?.into_iter().map(|quarantined| quarantined.hash).collect();
        for (identity, _) in server.store.all_identities().await? {
            let stored = server.store.document(identity.document(&server.tenant)).await?.context("a document")?;
            held.extend(hashes(&Document::load(stored.snapshot.as_deref(), &stored.changes)?));
        }
        // Known by their hashes alone, and acknowledged whoever brings them.
        held.extend(self.ever_erased.values().flatten());
        Ok(held)
    }

    /// After something was set back: what nobody has any more, nobody can be asked for.
    async fn forget_what_is_gone(&mut self) -> Result<()> {
        let mut left = self.at_server().await?;
        for phone in &self.phones {
            let (held, refused) = phone.held().await?;
            left.extend(held.into_values().flatten());
            left.extend(refused);
        }
        self.promised.retain(|hash| left.contains(hash));
        self.written.retain(|hash, _| left.contains(hash));
        Ok(())
    }

    /// Trouble ends: everything that was armed or late is forgotten.
    pub(super) async fn heal(&mut self) -> Result<()> {
        self.restart_server().await?;
        for phone in &mut self.phones {
            phone.exchange = None;
            *lock(&phone.line.fate) = Fate::Arrives;
            lock(&phone.line.late).clear();
        }
        Ok(())
    }
}
