//! What people write on their devices.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use sync_protocol::{Book, Identity, RowId};

use super::World;

const COLUMNS: [&str; 4] = ["name", "work_post", "phone", "address"];

impl World {
    pub(super) async fn edit(&mut self, device: usize, unit: usize, row: u8, cells: &[(u8, u32)]) -> Result<()> {
        let identity = self.members(device, unit);
        let now_ms = self.now_ms + self.phones[device].clock_ms;
        let cells: Vec<(&str, sync_protocol::Value)> = cells
            .iter()
            .map(|(column, value)| (COLUMNS[usize::from(*column)], format!("v{value}").as_str().into()))
            .collect();
        self.noting(device, async |device| {
            // Records of this scenario's own, and whatever came out of ledgers.
            let mut rows: BTreeSet<RowId> = (0..3).map(|row| RowId::random([row; 10])).collect();
            rows.extend(device.rows(&identity, "members").await?.into_iter().map(|row| row.id));
            let row = rows.iter().nth(usize::from(row) * 7 % rows.len()).copied().context("a record")?;
            device.save(&identity, "members", row, &cells, now_ms).await?;
            Ok(())
        })
        .await
    }

    pub(super) async fn settle(&mut self, device: usize, pick: u8, value: u32) -> Result<()> {
        let now_ms = self.now_ms + self.phones[device].clock_ms;
        let unit = self.phones[device].unit;
        let township = self.township;
        self.noting(device, async |device| {
            let mut conflicts = device.conflicts().await?;
            conflicts.retain(|(identity, _)| unit == township || identity.unit == unit);
            if let Some((identity, conflict)) = conflicts.get(usize::from(pick) % conflicts.len().max(1)) {
                device.settle(identity, &conflict.address, &format!("v{value}").as_str().into(), now_ms).await?;
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn trespass(&mut self, device: usize, unit: usize, value: u32) -> Result<()> {
        let now_ms = self.now_ms + self.phones[device].clock_ms;
        let (own, unit, period) = (self.phones[device].unit, self.unit_of(Some(unit)), self.period());
        let row = RowId::random([1; 10]);
        let text: sync_protocol::Value = format!("v{value}").as_str().into();
        let (ledger, column) = self.foreign.clone();
        let is_village = own != self.township;
        self.noting(device, async |device| {
            if is_village && own != unit {
                let neighbour = Identity { unit, book: Book::Unit, period };
                device.save(&neighbour, "members", row, &[("work_post", text)], now_ms).await?;
            } else {
                let township = Identity { unit, book: Book::Township, period };
                device.save(&township, &ledger, row, &[(column.as_str(), text)], now_ms).await?;
            }
            Ok(())
        })
        .await
    }
}
