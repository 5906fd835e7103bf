//! Use cases of several writes: all of it is done and noted, or nothing is; what is done at once never undoes anything else; what
//! a wrong clock has made does not hold.

mod at_once;
mod clocks;
#[path = "../../../src/store/sqlite/hand.rs"]
pub mod hand;
mod recovery;
mod restored;
mod whole;

use anyhow::{Context, Result};
use server::{
    Server,
    auth::Role,
    clock, erasure,
    import::import_file,
    people::{self, Profile},
    store::{DeviceRecord, Person},
    submissions::Wanted,
};
use sync_protocol::{Book, ChangeHash, Identity, RowId, document::RowKey, unit::Unit};
use tests::{county, sheet, worked::synthetic};

use self::hand::Hand;

const PASSWORD: &str = "correct horse battery";
const ANOTHER: &str = "another horse battery";

fn token() -> String {
    let half = || u128::from_be_bytes(clock::random());
    format!("{:032x}{:032x}", half(), half())
}

/// A county, and a second way to its database.
struct Desk {
    folder: tempfile::TempDir,
    server: Server,
    hand: Hand,
}

impl Desk {
    async fn open() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = synthetic(folder.path(), None).await?;
        let path = folder.path().join("data/taizhang.sqlite");
        let hand = Hand::on(&path).await?;
        Ok(Self { folder, server, hand })
    }

    async fn unit(&self, code: &str) -> Result<Unit> {
        let units = self.server.store.units().await?;
        units.into_iter().find(|unit| unit.code.as_deref() == Some(code)).context("a unit")
    }

    async fn profile(&self, role: Role) -> Result<Profile> {
        let unit = self.server.store.unit(self.server.county).await?.context("the county")?;
        let unit = if role.is_of_county() { unit } else { self.unit("T1").await? };
        Ok(Profile { full_name: "张三".into(), role, unit, is_handler: false })
    }

    async fn person(&self, name: &str, role: Role) -> Result<Person> {
        Ok(people::add(&self.server, name, &self.profile(role).await?, "test").await?.0)
    }

    async fn named(&self, name: &str) -> Result<Person> {
        Ok(self.server.store.people().person_by_name(name).await?.context("a person")?.0)
    }

    async fn device(&self, name: &str) -> Result<DeviceRecord> {
        let seen = self.server.store.devices().await?.into_iter().find(|seen| seen.device.name == name);
        Ok(seen.context("a device")?.device)
    }

    async fn events(&self) -> Result<Vec<String>> {
        let lines = self.server.store.people().audit(0, 10_000).await?;
        Ok(lines.into_iter().map(|line| line.entry.event).collect())
    }

    async fn wanted(&self) -> Result<Wanted> {
        Ok(Wanted {
            unit: self.unit("T1").await?,
            return_no: "R03".into(),
            period: Some("2012-11".into()),
            choices: vec![("round".into(), "final".into())],
            date: jiff::civil::date(2012, 11, 10),
            due_on: None,
            explanation: Some("正在补填".into()),
        })
    }

    /// What the register of returns says of that return.
    async fn registered(&self) -> Result<Vec<String>> {
        let (unit, period) = (self.unit("T1").await?.id, self.server.period());
        let rows = self.server.store.rows("return-submissions", &period, &[unit]).await?;
        let state = |cells: &str| -> Result<String> {
            let cells: serde_json::Value = serde_json::from_str(cells)?;
            Ok(cells["status"].as_str().context("a state")?.to_owned())
        };
        rows.iter().map(|row| state(&row.cells)).collect()
    }

    /// Changes that wait: so many forms that a phone of A1 has sent for B1.
    async fn held(&self, count: u8) -> Result<Vec<ChangeHash>> {
        let url = county::serve(&self.server).await?;
        let (own, other) = (self.unit("A1").await?.id, self.unit("B1").await?.id);
        let device = county::device(&self.server, self.folder.path(), &url, "held", own, &[Book::Unit]).await?;
        let of = Identity { unit: other, book: Book::Unit, period: self.server.period() };
        for row in 0..count {
            let post = [("work_post", "会计".into())];
            device.save(&of, "members", RowId::random([row; 10]), &post, 0).await?;
        }
        device.exchange(0).await?;
        device.close().await;
        Ok(self.server.store.quarantined().await?.into_iter().map(|held| held.hash).collect())
    }

    /// A record of which something restricted is kept.
    async fn record(&self) -> Result<RowKey> {
        let header = "党组织编码|姓名|身份证号|出生日期|家庭住址|入党时间";
        let members = format!("{header}\nA1|李四|340099198102020013|1981-02-02|白水村9号|2001-06");
        let file = self.folder.path().join("members.xlsx");
        std::fs::write(&file, sheet::workbook(&[("党员", &members)])?)?;
        import_file(&self.server, &file, "县", &|_, _| {}).await?;
        let unit = self.unit("A1").await?.id;
        let record = erasure::records(&self.server, unit, "李四", erasure::Extent::Restricted)
            .await?
            .pop()
            .context("a record")?;
        Ok(RowKey { ledger: record.ledger, row: record.row })
    }
}
