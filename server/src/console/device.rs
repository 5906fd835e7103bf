//! `taizhang device` and `taizhang revoke`.

use anyhow::Context;
use serde_json::json;
use sync_protocol::{DeviceId, unit::Unit};

use crate::{
    Server,
    audit::{By, Event},
    auth::Role,
    clock, devices,
    store::{Act, Deed, DeviceRecord, Performed},
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
    let detail = json!({ "device": name, "owner": owner, "role": role });
    let note = By::from("taizhang").notes(Event::DeviceEnrolled, Some(unit.id), &detail);
    let act = Act::Enrol { device: Box::new(device), at_ms: clock::now_ms() };
    let performed = server.store.perform(&Deed::new(act, note)).await?;
    anyhow::ensure!(matches!(performed, Performed::Done(_)), "设备编号已存在，请重试 try again");
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
    devices::revoke(server, &device, "taizhang").await?;
    println!(
        "已停用 revoked: {name}（{}）。它下次联网时清除自己的数据 it erases itself the next time it connects",
        device.owner
    );
    Ok(true)
}
