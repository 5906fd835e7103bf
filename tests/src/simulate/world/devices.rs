//! What becomes of devices: they are given to another unit, get another token, are revoked.

use anyhow::{Context, Result};
use server::{devices, store::DeviceRecord};

use super::World;
use crate::simulate::{line::lock, plan::bytes};

impl World {
    /// The device is given to another unit.
    pub(super) async fn reassign(&mut self, device: usize, unit: usize) -> Result<()> {
        let unit = self.unit_of(Some(unit));
        self.phones[device].unit = unit;
        lock(&self.phones[device].line.record).unit = unit;
        self.register(device).await
    }

    /// The device is lost.
    pub(super) async fn revoke(&mut self, device: usize) -> Result<()> {
        let noted = self.noted().await?;
        let server = self.server()?;
        let record = lock(&self.phones[device].line.record).clone();
        let is_done = devices::revoke(server, &record, "县").await?;
        if is_done && self.noted().await? == noted {
            self.broken = Some(format!("the revocation of {} is not in the audit log", record.name));
        }
        let phone = &mut self.phones[device];
        phone.is_revoked = true;
        lock(&phone.line.record).is_revoked = true;
        Ok(())
    }

    /// The device asks for another token. What the server had read of it before is as old as can be: it was not revoked then.
    pub(super) async fn rotate(&mut self, device: usize) -> Result<()> {
        let mut half = || u128::from_be_bytes(bytes(&mut self.rng));
        let token = format!("{:032x}{:032x}", half(), half());
        let record = lock(&self.phones[device].line.record).clone();
        let read = DeviceRecord { is_revoked: false, ..record };
        let done = devices::rotate(self.server()?, &read, &token).await;
        let now = self.server()?.store.device(read.id).await?.context("a device")?;
        let phone = &self.phones[device];
        lock(&phone.line.record).token_hash = now.token_hash;
        if phone.is_revoked && (done.is_ok() || !now.is_revoked) {
            self.broken = Some(format!("{} was revoked, and another token brought it back", phone.name));
        }
        Ok(())
    }

    /// A server that was set back does not know what was done with devices since. The administrator does it again.
    pub(super) async fn register_again(&mut self) -> Result<()> {
        for device in 0..self.phones.len() {
            self.register(device).await?;
        }
        Ok(())
    }

    async fn register(&self, device: usize) -> Result<()> {
        let record = lock(&self.phones[device].line.record).clone();
        Ok(self.server()?.store.put_device(&record, self.now_ms).await?)
    }

    /// How many lines the audit log has.
    pub(super) async fn noted(&self) -> Result<usize> {
        Ok(self.server()?.store.people().audit(0, i64::MAX).await?.len())
    }
}
