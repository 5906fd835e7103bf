//! The Taizhang server: store, sync, projection, imports, returns. `main.rs` is only its command line.

mod aside;
pub mod audit;
pub mod auth;
pub mod bundle;
pub mod changes;
pub mod clock;
pub mod config;
pub mod console;
pub mod demo;
pub mod devices;
pub mod doctor;
pub mod doubts;
pub mod erasure;
pub mod history;
pub mod http;
pub mod import;
pub mod indicators;
pub mod office;
pub mod people;
pub mod projection;
pub mod quality;
pub mod returns;
pub mod store;
pub mod submissions;
pub mod sync;
pub mod tallies;
pub mod tls;
pub mod undo;
pub mod uploads;

use std::sync::Arc;

use sync_protocol::{Tenant, UnitId, bundle::Keys, catalogue::Catalogue};

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
    /// HMAC key for row ids of restricted natural keys; never leaves the server except to replicas with that right.
    pub county_key: Vec<u8>,
    /// The keys of this installation: it signs receipts and bundles, and opens bundles.
    pub keys: Arc<Keys>,
    /// Where workbooks are read.
    pub isolation: importer::isolate::Isolation,
    /// The exchange.
    pub sync: Arc<sync::Sync>,
    /// Workbooks that offices have sent in.
    pub uploads: Arc<uploads::Uploads>,
    /// The sockets that are open.
    pub sockets: Arc<http::Sockets>,
    /// The certificate that it shows.
    pub tls: Option<tls::Shown>,
    /// Whether people reach it by https.
    pub is_secure: bool,
    /// Whether a proxy says whom it asks for.
    pub is_behind_proxy: bool,
}

impl Server {
    /// Opens the embedded store of this configuration, and a server on it.
    pub async fn open_embedded(config: &config::Config) -> Result<Self, store::StoreError> {
        let path = config.data_dir.join("taizhang.sqlite");
        let tally = tallies::Tallies::new(&config.catalogue, config.campaign_year);
        Self::open(Arc::new(store::sqlite::SqliteStore::open(&path, tally).await?), config).await
    }

    /// Opens a server on its store; creates the county and its key on first use.
    pub async fn open(store: Arc<dyn Store>, config: &config::Config) -> Result<Self, store::StoreError> {
        let catalogue = Arc::new(config.catalogue.clone());
        let tenant = Tenant::new(config.county_code.clone());
        let county = UnitId::derive(&tenant, None, &config.county_code);
        let county_key = store.secret("county_key", &clock::random::<32>()).await?;
        let keys = Arc::new(Keys::of(&store.secret("bundle_key", &clock::random::<32>()).await?));
        let cursor_key = store.secret("cursor_key", &clock::random::<32>()).await?;
        let unit = sync_protocol::unit::Unit {
            id: county,
            parent: None,
            level: sync_protocol::unit::UnitLevel::County,
            code: Some(config.county_code.clone()),
            name: config.county_name.clone(),
            short_name: None,
            sort_order: 0,
        };
        store.put_units(&[unit]).await?;
        let (year, limits) = (config.campaign_year, (config.gate, config.pushes_at_once));
        let sync = Arc::new(sync::Sync::new(
            store.clone(),
            catalogue.clone(),
            (tenant.clone(), year),
            (keys.clone(), cursor_key),
            limits,
        ));
        Ok(Self {
            store,
            catalogue,
            tenant,
            county,
            county_name: config.county_name.clone(),
            campaign_year: config.campaign_year,
            county_key,
            keys,
            isolation: importer::isolate::Isolation::None,
            sync,
            uploads: Arc::new(uploads::Uploads::new(config.data_dir.join("uploads"))),
            sockets: Arc::default(),
            tls: None,
            is_secure: config.tls.is_secure(),
            is_behind_proxy: config.tls == tls::Tls::Proxy,
        })
    }

    /// The period of the campaign: its year.
    pub fn period(&self) -> String {
        self.campaign_year.to_string()
    }
}
