//! `taizhang device` and `taizhang revoke`.

use std::collections::BTreeMap;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;
use sync_protocol::{DeviceId, UnitId, unit::Unit};

use super::look::unit_with_code;

use crate::{
    Server,
    audit::{By, Event},
    auth::Role,
    clock, devices,
    store::{Act, Deed, DeviceRecord, Performed, SeenDevice},
};

/// `taizhang device`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Device {
    #[command(subcommand)]
    look: Option<Look>,
    #[command(flatten)]
    new: Option<New>,
}

#[derive(Debug, Subcommand)]
enum Look {
    /// 列出全部设备：编号、名称、使用人、单位、最近联网、是否停用 · List all devices: id, name, owner, unit, last seen, whether revoked
    List {
        /// 以 JSON 输出 · Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct New {
    /// 设备名称 · Name of the device
    name: String,
    /// 使用人 · The person who carries it
    #[arg(long)]
    owner: String,
    /// 党组织或填报单位的编码 · Code of its unit
    #[arg(long)]
    unit: String,
    /// 办公室：可见并可导入本级全部台账 · An office: holds every book of its level, and may send workbooks in
    #[arg(long)]
    office: bool,
    /// 只能查看 · It may only read
    #[arg(long, conflicts_with = "office")]
    read_only: bool,
}

/// `taizhang revoke`: which device.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("which").required(true).multiple(true)))]
pub struct Which {
    /// 设备名称 · Name of the device
    #[arg(group = "which")]
    name: Option<String>,
    /// 编号，见 device list · Its id, as `device list` prints it
    #[arg(long, group = "which", conflicts_with_all = ["name", "owner"])]
    id: Option<DeviceId>,
    /// 使用人 · Whoever carries it
    #[arg(long, group = "which")]
    owner: Option<String>,
}

impl Which {
    /// Whichever has this name.
    pub fn named(name: &str) -> Self {
        Self { name: Some(name.to_owned()), id: None, owner: None }
    }
}

/// Carries out `taizhang device`.
pub async fn device(server: &Server, command: Device) -> anyhow::Result<bool> {
    match (command.look, command.new) {
        (Some(Look::List { json }), _) => list(server, json).await,
        (None, Some(new)) => {
            let unit = unit_with_code(server, &new.unit).await?;
            enrol(server, &new, &unit).await
        }
        (None, None) => anyhow::bail!("请给出设备名称，或用 device list · give the device's name, or `device list`"),
    }
}

/// Enrols a device and prints its token.
async fn enrol(server: &Server, new: &New, unit: &Unit) -> anyhow::Result<bool> {
    let (name, owner) = (new.name.as_str(), new.owner.as_str());
    let token = data_encoding::HEXLOWER.encode(&clock::random::<32>());
    let role = if new.office { Role::OfficeClerk } else { Role::FieldCadre };
    let books = role.books(unit.level, new.office);
    let writes = if new.read_only { Vec::new() } else { books.writes };
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

/// Lists all devices.
async fn list(server: &Server, json: bool) -> anyhow::Result<bool> {
    let units = units(server).await?;
    let seen = server.store.devices().await?;
    if json {
        let lines: Vec<_> = seen.iter().map(|seen| as_json(seen, &units)).collect();
        println!("{}", serde_json::to_string_pretty(&lines)?);
        return Ok(true);
    }
    for seen in &seen {
        println!("{}", in_words(seen, &units));
    }
    Ok(true)
}

/// The names of units by their ids.
async fn units(server: &Server) -> anyhow::Result<BTreeMap<UnitId, String>> {
    Ok(server.store.units().await?.into_iter().map(|unit| (unit.id, unit.name)).collect())
}

fn as_json(seen: &SeenDevice, units: &BTreeMap<UnitId, String>) -> serde_json::Value {
    let SeenDevice { device, last_seen_ms, invited_by, is_unconfirmed, .. } = seen;
    json!({
        "id": device.id.to_string(), "name": device.name, "owner": device.owner, "unit": units.get(&device.unit),
        "role": device.role, "last_seen_ms": last_seen_ms, "revoked": device.is_revoked, "invited_by": invited_by,
        "unconfirmed": is_unconfirmed,
    })
}

fn in_words(seen: &SeenDevice, units: &BTreeMap<UnitId, String>) -> String {
    let SeenDevice { device, last_seen_ms, invited_by, is_unconfirmed, .. } = seen;
    let unit = units.get(&device.unit).map_or("（未知单位）", String::as_str);
    let when = |at_ms| clock::local(at_ms).strftime("%Y-%m-%d %H:%M").to_string();
    let last = last_seen_ms.map_or_else(|| "从未联网 never seen".to_owned(), when);
    let mut words = format!("{} {} · {} · {unit} · {last}", device.id, device.name, device.owner);
    if let Some(by) = invited_by {
        words.push_str(" · 邀请人 invited by ");
        words.push_str(by);
    }
    if *is_unconfirmed {
        words.push_str(" · 本人未确认 unconfirmed");
    }
    if device.is_revoked {
        words.push_str(" · 已停用 revoked");
    }
    words
}

/// Revokes a device; where several are meant, it says which there are.
pub async fn revoke(server: &Server, which: &Which) -> anyhow::Result<bool> {
    let is_meant = |device: &DeviceRecord| {
        which.id.is_none_or(|id| device.id == id)
            && which.name.as_ref().is_none_or(|name| device.name == *name)
            && which.owner.as_ref().is_none_or(|owner| device.owner == *owner)
    };
    let mut meant = server.store.devices().await?;
    meant.retain(|seen| is_meant(&seen.device) && !seen.device.is_revoked);
    let units = units(server).await?;
    let candidates: Vec<String> = meant.iter().map(|seen| in_words(seen, &units)).collect();
    anyhow::ensure!(
        meant.len() < 2,
        "有 {} 台设备符合，请用 --id 指明 several devices are meant, say which by --id:\n{}",
        meant.len(),
        candidates.join("\n")
    );
    let device =
        meant.pop().context("没有这样的在用设备，见 device list · no such device in use, see `device list`")?.device;
    devices::revoke(server, &device, "taizhang").await?;
    println!(
        "已停用 revoked: {}（{}）。它下次联网时清除自己的数据 it erases itself the next time it connects",
        device.name, device.owner
    );
    Ok(true)
}
