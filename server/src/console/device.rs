//! `taizhang device` and `taizhang revoke`.

use anyhow::Context;
use serde_json::json;
use sync_protocol::{DeviceId, unit::Unit};

use crate::{
    Server,
    audit::{self, Event},
    auth::Role,
    clock, devices,
    store::DeviceRecord,
};

/// What a device is for.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// It is an office's, which keeps ledgers in Excel: every book of its level, restricted ones too.
    pub office: bool,
    /// It may only read.
    pub read_only: bool,
}

/// Enrols a device and prints its token.
pub async fn enrol(server: &Server, name: &str, owner: &str, unit: &Unit, kind: Kind) -> anyhow::Result<bool> {
    let token = data_encoding::HEXLOWER.encode(&clock::random::<32>());
    let role = if kind.office { Role::OfficeClerk } else { Role::FieldCadre };
    let books = role.books(unit.level, kind.office);
    let writes = if kind.read_only { Vec::new() } else { books.writes };
    let id = DeviceId::from_bytes(clock::random());
    let device = DeviceRecord::new(id, (name, owner), &token, unit.id, &books.reads);
    let device = DeviceRecord { role, writes, ..device };
    server.store.put_device(&device, clock::now_ms()).await?;
    let detail = json!({ "device": name, "owner": owner, "role": role });
    audit::note_console(server, "taizhang", Event::DeviceEnrolled, Some(unit.id), detail).await?;
    println!("{token}");
    eprintln!("{name} 的令牌如上，只显示这一次 the token above is shown only once ({})", unit.name);
    Ok(true)
}

/// Revokes a device.
pub async fn revoke(server: &Server, name: &str) -> anyhow::Result<bool> {
    let seen = server.store.devices().await?;
    let mut named: Vec<DeviceRecord> =
        seen.into_iter().map(|seen| seen.device).filter(|device| device.name == name && !device.is_revoked).collect();
    anyhow::ensure!(named.len() < 2, "有 {} 台设备叫 {name}，无法确定 more than one device has this name", named.len());
    let device = named.pop().with_context(|| format!("没有名为 {name} 的在用设备 no such device in use"))?;
    let (unit, owner) = (device.unit, device.owner.clone());
    devices::revoke(server, device).await?;
    let detail = json!({ "device": name });
    audit::note_console(server, "taizhang", Event::DeviceRevoked, Some(unit), detail).await?;
    println!(
        "已停用 revoked: {name}（{owner}）。它下次联网时清除自己的数据 it erases itself the next time it connects"
    );
    Ok(true)
}
