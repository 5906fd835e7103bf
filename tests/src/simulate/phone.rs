//! A device, and the files that it and the server can be set back to.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use sync_protocol::{
    Address, ChangeHash, Document, Identity, UnitId, Value,
    client::{Device, Exchange},
    document::{GateLimits, RowKey, peek},
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

/// What a device holds before an exchange.
pub(super) struct Held {
    /// What each cell says, and by which change; and in which document a change stands.
    cells: BTreeMap<(Identity, Address), (Value, ChangeHash)>,
    of: BTreeMap<ChangeHash, Identity>,
}

impl Held {
    pub(super) async fn of(device: &Device) -> Result<Self> {
        let mut before = Self { cells: BTreeMap::new(), of: BTreeMap::new() };
        for identity in device.documents().await? {
            let document = device.document(&identity).await?;
            for (hash, bytes) in document.changes_since(&[]) {
                before.of.insert(hash, identity.clone());
                for (key, value) in peek(&bytes, &GateLimits::default())? {
                    if let Some(address) = Address::parse(&key) {
                        before.cells.insert((identity.clone(), address), (value.as_str().into(), hash));
                    }
                }
            }
        }
        Ok(before)
    }

    /// The changes that the device does not have any more.
    pub(super) async fn gone(&self, device: &Device) -> Result<Vec<(ChangeHash, Identity)>> {
        let mut of: BTreeMap<&Identity, Vec<ChangeHash>> = BTreeMap::new();
        for (hash, identity) in &self.of {
            of.entry(identity).or_default().push(*hash);
        }
        let refused: BTreeSet<_> = device.refused().await?.into_iter().map(|(hash, _)| hash).collect();
        let mut gone = Vec::new();
        for (identity, hashes) in of {
            let document = device.document(identity).await?;
            let missing = hashes.into_iter().filter(|hash| !document.contains(*hash) && !refused.contains(hash));
            gone.extend(missing.map(|hash| (hash, identity.clone())));
        }
        Ok(gone)
    }

    /// A value that went with a document's predecessor, though its record is still there.
    pub(super) async fn lost(
        &self,
        device: &Device,
        erased: &BTreeMap<Identity, BTreeSet<ChangeHash>>,
        rows: &BTreeSet<(Identity, RowKey)>,
    ) -> Result<Option<String>> {
        let gone: BTreeSet<Identity> = self.gone(device).await?.into_iter().map(|(_, identity)| identity).collect();
        let held = device.documents().await?;
        for ((identity, address), (value, hash)) in &self.cells {
            // What the server had is its own to keep or to erase.
            let is_own = erased.get(identity).is_some_and(|erased| !erased.contains(hash));
            let is_erased = rows.contains(&(identity.clone(), RowKey::from(address)));
            if !is_own || is_erased || !gone.contains(identity) || !held.contains(identity) {
                continue;
            }
            let document = device.document(identity).await?;
            let state = document.row_state(&RowKey::from(address));
            let says = document.get(address).as_ref() == Some(value)
                || state.conflicts.iter().any(|c| c.address == *address && c.values.iter().any(|v| v.value == *value));
            if !says {
                return Ok(Some(format!("{value:?} at {address:?} went with the document's predecessor")));
            }
        }
        Ok(None)
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
