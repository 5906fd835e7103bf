//! `taizhang device` and `taizhang revoke`.

use anyhow::Context;
use sync_protocol::{Book, DeviceId, unit::Unit};

use crate::{
    Server, clock,
    store::{Access, DeviceRecord},
};

/// What a device is for.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// It holds restricted columns.
    pub restricted: bool,
    /// It is an office's: every book of its level.
    pub office: bool,
    /// It may only read.
    pub read_only: bool,
}

/// Enrols a device and prints its token.
pub async fn enrol(server: &Server, name: &str, owner: &str, unit: &Unit, kind: Kind) -> anyhow::Result<bool> {
    let token = data_encoding::HEXLOWER.encode(&clock::random::<32>());
    let mut books = vec![Book::Unit, Book::Township];
    if kind.office && unit.id == server.county {
        books = Book::ALL.to_vec();
    } else if kind.office {
        books.extend([Book::UnitRestricted, Book::TownshipRestricted]);
    } else if kind.restricted {
        books.push(Book::UnitRestricted);
    }
    let access = if kind.read_only { Access::Read } else { Access::Write };
    let id = DeviceId::from_bytes(clock::random());
    let record = DeviceRecord { access, ..DeviceRecord::new(id, (name, owner), &token, unit.id, &books) };
    server.store.put_device(&record, clock::now_ms()).await?;
    println!("{token}");
    eprintln!("{name} 的令牌如上，只显示这一次 the token above is shown only once ({})", unit.name);
    Ok(true)
}

/// Revokes a device.
pub async fn revoke(server: &Server, name: &str) -> anyhow::Result<bool> {
    let mut named = server.store.devices().await?;
    named.retain(|device| device.name == name && device.access != Access::Revoked);
    anyhow::ensure!(named.len() < 2, "有 {} 台设备叫 {name}，无法确定 more than one device has this name", named.len());
    let device = named.pop().with_context(|| format!("没有名为 {name} 的在用设备 no such device in use"))?;
    let revoked = DeviceRecord { access: Access::Revoked, ..device };
    server.store.put_device(&revoked, clock::now_ms()).await?;
    println!(
        "已停用 revoked: {name}（{}）。它下次联网时清除自己的数据 it erases itself the next time it connects",
        revoked.owner
    );
    Ok(true)
}
