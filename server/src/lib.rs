//! The Taizhang server: store, sync, projection, imports, returns. `main.rs` is only its command line.

pub mod about;
mod aside;
pub mod audit;
pub mod auth;
pub mod bundle;
pub mod changes;
pub mod clock;
pub mod config;
pub mod console;
mod counting;
pub mod demo;
pub mod devices;
pub mod doctor;
pub mod doubts;
pub mod erasure;
pub mod heavy;
pub mod history;
pub mod http;
pub mod import;
pub mod indicators;
pub mod installation;
pub mod keyring;
pub mod lasting;
pub mod office;
pub mod origin;
pub mod people;
pub mod periods;
pub mod photos;
pub mod projection;
pub mod proposals;
pub mod quality;
pub mod retention;
pub mod returns;
pub mod store;
pub mod submissions;
pub mod sync;
pub mod tallies;
pub mod tls;
mod twins;
pub mod undo;
pub mod units;
pub mod uploads;
mod whole;

use std::sync::Arc;

use sync_protocol::{Tenant, UnitId, bundle::Keys, catalogue::Catalogue};

pub use keyring::Keyring;
use store::Store;

/// What every part of a running server shares.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where everything durable is.
    pub store: Arc<dyn Store>,
    /// The declared ledgers and returns.
    pub catalogue: Arc<Catalogue>,
    /// The county.
    pub tenant: Tenant,
    /// The county as a unit: root of the tree.
    pub county: UnitId,
    /// The county's name.
    pub county_name: String,
    /// The campaign year: completes dates and names the period.
    pub campaign_year: i16,
    /// The keys of this installation.
    pub keyring: Arc<Keyring>,
    /// Those of them that it signs receipts, bundles and returns with.
    pub keys: Arc<Keys>,
    /// Where workbooks are read.
    pub isolation: importer::isolate::Isolation,
    /// Returns that were drawn again to be checked.
    pub verified: Arc<returns::verify::Remembered>,
    /// The exchange.
    pub sync: Arc<sync::Sync>,
    /// Workbooks that offices have sent in.
    pub uploads: Arc<uploads::Uploads>,
    /// The sockets that are open.
    pub sockets: Arc<http::Sockets>,
    /// The connections that are open.
    pub connections: Arc<http::Connections>,
    /// Work that takes a core for seconds.
    pub heavy: Arc<heavy::Heavy>,
    /// The certificate that it shows.
    pub tls: Option<tls::Shown>,
    /// Whether people reach it by https.
    pub is_secure: bool,
    /// The proxies that say whom they ask for.
    pub proxies: Vec<tls::Proxies>,
    /// What is noted of what happens again and again.
    pub repeats: Arc<audit::Repeats>,
    /// Checkpoints of the audit log.
    pub checkpoints: Arc<audit::Checkpoints>,
}

impl Server {
    /// Opens the embedded store of this configuration, and a server on it. The database has to be there.
    pub async fn open_embedded(config: &config::Config) -> Result<Self, store::StoreError> {
        Self::open(installation::open(config).await?, config).await
    }

    /// The same, and makes a new database where there is none.
    pub async fn create_embedded(config: &config::Config) -> Result<Self, store::StoreError> {
        match installation::make(config).await {
            Err(store::StoreError::Refused(store::Refused::Exists)) | Ok(()) => Self::open_embedded(config).await,
            Err(error) => Err(error),
        }
    }

    /// Opens a server on its store, which has to be of this county.
    pub async fn open(store: Arc<dyn Store>, config: &config::Config) -> Result<Self, store::StoreError> {
        installation::admit(store.as_ref(), config).await?;
        let keyring = keyring::open(store.as_ref(), config).await?;
        // Earlier versions have kept them in clear.
        let shut = store.people().shut_totps(auth::TOTP_BYTES, &|secret| keyring.shut(secret)).await;
        if let Err(error) = shut {
            tracing::warn!(%error, "secrets of one-time codes stay in clear for now");
        }
        let server = Self::with_keys(store, config, keyring);
        match lasting::take_successors(&server).await {
            Ok(taken) => taken.iter().for_each(|sentence| tracing::warn!("{sentence}")),
            Err(error) => tracing::error!(%error, "documents whose keys are destroyed cannot be read for now"),
        }
        Ok(server)
    }

    /// Opens a server to look its store over: keys that are missing are no reason not to.
    async fn examine(store: Arc<dyn Store>, config: &config::Config) -> Result<Self, store::StoreError> {
        installation::admit(store.as_ref(), config).await?;
        let keyring = match keyring::open(store.as_ref(), config).await {
            Err(store::StoreError::Refused(fault)) => Keyring::lost(config, fault),
            opened => opened?,
        };
        Ok(Self::with_keys(store, config, keyring))
    }

    fn with_keys(store: Arc<dyn Store>, config: &config::Config, keyring: Keyring) -> Self {
        let catalogue = Arc::new(config.catalogue.clone());
        let tenant = Tenant::new(config.county_code.clone());
        let county = UnitId::derive(&tenant, None, &config.county_code);
        let keys = keyring.current().keys.clone();
        let checkpoints = audit::Checkpoints::new(store.clone(), keys.clone(), config.county_code.clone());
        let checkpoints = Arc::new(checkpoints);
        let limits = (config.gate, config.pushes_at_once);
        let sync = Arc::new(sync::Sync::new(
            store.clone(),
            catalogue.clone(),
            tenant.clone(),
            (keys.clone(), keyring.cursor().to_vec(), checkpoints.clone()),
            limits,
        ));
        Self {
            store,
            catalogue,
            tenant,
            county,
            county_name: config.county_name.clone(),
            campaign_year: config.campaign_year,
            keyring: Arc::new(keyring),
            keys,
            isolation: importer::isolate::Isolation::None,
            verified: Arc::default(),
            sync,
            uploads: Arc::new(uploads::Uploads::new(config.data_dir.join("uploads"))),
            sockets: Arc::default(),
            connections: Arc::new(http::Connections::new(config.connections, config.tls.proxies())),
            heavy: Arc::default(),
            tls: None,
            is_secure: config.tls.is_secure(),
            proxies: config.tls.proxies(),
            repeats: Arc::default(),
            checkpoints,
        }
    }

    /// The period of the campaign: its year.
    pub fn period(&self) -> String {
        self.campaign_year.to_string()
    }

    /// The same server, asked about another year.
    #[must_use]
    pub fn at(&self, year: i16) -> Self {
        Self { campaign_year: year, ..self.clone() }
    }

    /// The statistics date where nobody gives one: today, or the last day of a year that is over.
    pub fn statistics_date(&self) -> jiff::civil::Date {
        clock::today().min(jiff::civil::Date::new(self.campaign_year, 12, 31).unwrap_or(jiff::civil::Date::MAX))
    }
}
