//! A device, and the files that it and the server can be set back to.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use sync_protocol::{
    ChangeHash, Document, Identity, UnitId,
    client::{Device, Exchange},
};

use super::line::Line;

/// A device and who carries it.
pub(super) struct Phone {
    pub(super) name: String,
    pub(super) unit: UnitId,
    pub(super) device: Option<Device>,
    /// Changes that were made on it.
    pub(super) own: BTreeSet<ChangeHash>,
    pub(super) line: Arc<Line>,
    pub(super) exchange: Option<(Exchange, usize)>,
    pub(super) clock_ms: i64,
    pub(super) path: PathBuf,
    pub(super) kept: Option<PathBuf>,
    pub(super) is_revoked: bool,
}

impl Phone {
    pub(super) fn device(&self) -> Result<&Device> {
        self.device.as_ref().context("the device is switched on")
    }

    /// The changes of each of its documents, and those that were refused.
    pub(super) async fn held(&self) -> Result<(BTreeMap<Identity, BTreeSet<ChangeHash>>, BTreeSet<ChangeHash>)> {
        let device = self.device()?;
        let mut held = BTreeMap::new();
        for identity in device.documents().await? {
            held.insert(identity.clone(), hashes(&device.document(&identity).await?));
        }
        Ok((held, device.refused().await?.into_iter().map(|(hash, _)| hash).collect()))
    }
}

pub(super) fn hashes(document: &Document) -> BTreeSet<ChangeHash> {
    document.changes_since(&[]).into_iter().map(|(hash, _)| hash).collect()
}

/// Copies a database that nobody has open.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    for (from, to) in [(from.to_owned(), to.to_owned()), (beside(from), beside(to))] {
        drop(std::fs::remove_file(&to));
        if from.exists() {
            std::fs::copy(&from, &to)?;
        }
    }
    ensure!(to.exists(), "{} was not kept", from.display());
    Ok(())
}

/// What SQLite has written ahead.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}
