//! Configuration: defaults, then `taizhang.toml`, then `TAIZHANG_*` variables, then the command line.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context;
use figment::{
    Figment,
    providers::{Env, Format, Toml},
};
use serde::{Deserialize, Serialize};
use sync_protocol::{
    catalogue::{Catalogue, Source},
    document::GateLimits,
};

use crate::{http::ConnectionLimits, retention::Retention, tls::Tls};

/// The keys of `taizhang.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// Where the database lives.
    pub data_dir: PathBuf,
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Division code of the county; takes part in every id and must never change.
    #[serde(deserialize_with = "code")]
    pub county_code: String,
    /// Name of the county, printed on returns.
    pub county_name: String,
    /// Year of the campaign.
    pub campaign_year: i16,
    /// A folder of TOML files that are laid over the built-in catalogue.
    pub catalogue_dir: Option<PathBuf>,
    /// Memory in MiB for the process that reads a workbook.
    pub read_memory_mib: u64,
    /// Seconds that it may take.
    pub read_seconds: u64,
    /// How the server is reached.
    pub tls: Tls,
    /// Limits on what devices and other peers send.
    pub gate: GateLimits,
    /// Documents of one delivery that are worked on at once.
    pub pushes_at_once: usize,
    /// Connections that are open at once: each costs memory and an open file.
    pub connections_max: usize,
    /// Those of one address (of IPv6: one /64) on which nobody has signed in yet. Behind a proxy only the total counts.
    pub strangers_max: usize,
    /// How long restricted columns are kept.
    pub retention: Vec<Retention>,
}

/// A code of digits: an environment variable that has only digits is read as a number.
fn code<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Code {
        Text(String),
        Number(u64),
    }
    Ok(match Code::deserialize(deserializer)? {
        Code::Text(text) => text,
        Code::Number(number) => number.to_string(),
    })
}

impl Default for File {
    fn default() -> Self {
        Self {
            data_dir: "data".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            county_code: "340099".into(),
            county_name: "示范县".into(),
            campaign_year: 2012,
            catalogue_dir: None,
            read_memory_mib: 1024,
            read_seconds: 120,
            tls: Tls::default(),
            gate: GateLimits::default(),
            pushes_at_once: 16,
            connections_max: 2048,
            strangers_max: 128,
            retention: Vec::new(),
        }
    }
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the database lives.
    pub data_dir: PathBuf,
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Division code of the county.
    pub county_code: String,
    /// Name of the county.
    pub county_name: String,
    /// Year of the campaign.
    pub campaign_year: i16,
    /// The catalogue with the county's own files laid over.
    pub catalogue: Catalogue,
    /// Memory in MiB for the process that reads a workbook.
    pub read_memory_mib: u64,
    /// Seconds that it may take.
    pub read_seconds: u64,
    /// How the server is reached.
    pub tls: Tls,
    /// Limits on what devices and other peers send.
    pub gate: GateLimits,
    /// Documents of one delivery that are worked on at once.
    pub pushes_at_once: usize,
    /// Connections that are open at once.
    pub connections: ConnectionLimits,
    /// How long restricted columns are kept.
    pub retention: Vec<Retention>,
}

impl Config {
    /// Reads the configuration; `path` must exist if it is given.
    pub fn read(path: Option<PathBuf>) -> anyhow::Result<Self> {
        let mut figment = Figment::from(figment::providers::Serialized::defaults(File::default()));
        if let Some(path) = &path {
            anyhow::ensure!(path.is_file(), "配置文件不存在 no such configuration file: {}", path.display());
        }
        figment = figment.merge(Toml::file(path.unwrap_or_else(|| "taizhang.toml".into())));
        let file: File = figment.merge(Env::prefixed("TAIZHANG_")).extract().context("配置有误 wrong configuration")?;
        Self::check(file)
    }

    /// Checks a configuration file's content and loads the catalogue.
    pub fn check(file: File) -> anyhow::Result<Self> {
        anyhow::ensure!(
            file.county_code.len() == 6 && file.county_code.bytes().all(|b| b.is_ascii_digit()),
            "county_code 应为6位行政区划代码 must be a 6-digit division code, not `{}`",
            file.county_code
        );
        let mut sources = Catalogue::builtin_sources();
        if let Some(folder) = &file.catalogue_dir {
            let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
                .with_context(|| format!("catalogue_dir {}", folder.display()))?
                .map(|entry| entry.map(|e| e.path()))
                .collect::<Result<_, _>>()?;
            paths.retain(|path| path.extension().is_some_and(|e| e == "toml"));
            paths.sort();
            for path in paths {
                let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
                sources.push(Source { name: path.display().to_string(), text });
            }
        }
        let catalogue = Catalogue::load(&sources).context("目录文件有误 mistakes in the catalogue")?;
        for rule in &file.retention {
            rule.check(&catalogue).context("配置 [[retention]] 有误 wrong schedule")?;
        }
        Ok(Self {
            data_dir: file.data_dir,
            listen: file.listen,
            county_code: file.county_code,
            county_name: file.county_name,
            campaign_year: file.campaign_year,
            catalogue,
            read_memory_mib: file.read_memory_mib,
            read_seconds: file.read_seconds,
            tls: file.tls,
            gate: file.gate,
            pushes_at_once: file.pushes_at_once.max(1),
            connections: ConnectionLimits { all: file.connections_max.max(1), strangers: file.strangers_max.max(1) },
            retention: file.retention,
        })
    }
}
