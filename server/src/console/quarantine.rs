//! `taizhang quarantine`: changes that were not taken, for a supervisor to admit or reject.

use anyhow::Context;
use clap::Subcommand;
use importer::values::masked;
use serde::Serialize;
use sync_protocol::{
    Address, ChangeHash,
    catalogue::Sensitivity,
    document::{GateLimits, peek},
};

use super::import::WHO;
use crate::{
    Server,
    audit::{By, Event},
    clock,
    store::{QuarantineState, Quarantined},
    sync::note,
};

/// What can be done with them.
#[derive(Debug, Subcommand)]
pub enum Quarantine {
    /// 列出 · List them
    List {
        /// 包括已处理的 · Those decided on, too
        #[arg(long)]
        all: bool,
        /// 以 JSON 输出 · Print JSON
        #[arg(long)]
        json: bool,
    },
    /// 查看一项修改写了什么 · What a change writes
    Show {
        /// 编号，见 list · Its hash, from `list`
        hash: ChangeHash,
    },
    /// 接收一项修改及其所依据的修改 · Take a change, and what it builds upon, into its document
    Admit {
        /// 编号 · Its hash
        hash: ChangeHash,
        /// 决定人 · Who decides
        #[arg(long, default_value = WHO)]
        who: String,
    },
    /// 退回一项修改；内容保留，不写入 · Reject a change: it is kept, and written nowhere
    Reject {
        /// 编号 · Its hash
        hash: ChangeHash,
        /// 决定人 · Who decides
        #[arg(long, default_value = WHO)]
        who: String,
    },
}

#[derive(Serialize)]
struct Line {
    hash: String,
    unit: String,
    book: &'static str,
    period: String,
    device: String,
    received: String,
    code: &'static str,
    sentence: String,
    state: QuarantineState,
}

/// Carries out one of them, listing those of a year or of all; `false` when something waits.
pub async fn quarantine(server: &Server, command: Quarantine, period: Option<&str>) -> anyhow::Result<bool> {
    match command {
        Quarantine::List { all, json } => list(server, (all, period), json).await,
        Quarantine::Show { hash } => show(server, hash).await,
        Quarantine::Admit { hash, who } => {
            if one(server, hash).await?.state == QuarantineState::Admitted {
                return Err(server.sync.decided(hash).await?.into());
            }
            for held in server.sync.admit_quarantined(hash, &*who, clock::now_ms()).await? {
                println!("{}：已接收 admitted", held.hash);
            }
            Ok(true)
        }
        Quarantine::Reject { hash, who } => {
            one(server, hash).await?;
            server.sync.reject_quarantined(hash, &*who, clock::now_ms()).await?;
            println!("{hash}：已退回，内容保留 rejected, kept");
            Ok(true)
        }
    }
}

async fn one(server: &Server, hash: ChangeHash) -> anyhow::Result<Quarantined> {
    let held = server.store.quarantined_change(hash).await?;
    held.with_context(|| format!("没有这项修改 no such change: {hash}。用 taizhang quarantine list 查看 lists them"))
}

async fn line(server: &Server, held: Quarantined) -> anyhow::Result<Line> {
    let unit = server.store.unit(held.identity.unit).await?;
    let device = server.store.device(held.device).await?;
    Ok(Line {
        hash: held.hash.to_string(),
        unit: unit.map_or_else(|| held.identity.unit.to_string(), |unit| unit.name),
        book: held.identity.book.as_str(),
        period: held.identity.period,
        device: device.map_or_else(|| held.device.to_string(), |device| format!("{}（{}）", device.name, device.owner)),
        received: clock::local(held.received_at_ms).strftime("%Y-%m-%d %H:%M").to_string(),
        code: held.code.as_str(),
        sentence: held.sentence,
        state: held.state,
    })
}

async fn list(server: &Server, (all, period): (bool, Option<&str>), json: bool) -> anyhow::Result<bool> {
    let mut lines = Vec::new();
    for held in server.store.quarantined().await? {
        let is_of_year = period.is_none_or(|period| held.identity.period == period);
        if is_of_year && (all || held.state == QuarantineState::Waiting) {
            lines.push(line(server, held).await?);
        }
    }
    let waiting = lines.iter().filter(|line| line.state == QuarantineState::Waiting).count();
    if json {
        println!("{}", serde_json::to_string_pretty(&lines)?);
        return Ok(waiting == 0);
    }
    for line in &lines {
        let Line { hash, unit, book, period, device, received, code, sentence, state } = line;
        println!("{hash} {received} {device} · {unit} · {book} {period} [{code}] {sentence} · {}", state.as_str());
    }
    println!("{waiting} 项待处理 waiting");
    Ok(waiting == 0)
}

async fn show(server: &Server, hash: ChangeHash) -> anyhow::Result<bool> {
    let held = one(server, hash).await?;
    let read = note(&held, &By::from("taizhang"), Event::QuarantineRead);
    server.store.people().append_audit(&read).await?;
    let cells = peek(&held.bytes, &GateLimits::default())?;
    let Line { unit, device, received, sentence, state, .. } = line(server, held).await?;
    println!("{received} {device} · {unit} · {}\n{sentence}", state.as_str());
    for (key, value) in cells {
        let address = Address::parse(&key);
        let ledger = address.as_ref().and_then(|address| server.catalogue.ledger(&address.ledger));
        let column = ledger.zip(address.as_ref()).and_then(|(ledger, address)| ledger.column(&address.column));
        match (ledger, column, address) {
            (Some(ledger), Some(column), Some(address)) => {
                let value = masked(&value, column.sensitivity);
                println!("  {} {} · {}：{value}", ledger.title, address.row, column.title);
            }
            // What nobody has classed may be anything.
            _ => println!("  {key}：{}", masked(&value, Sensitivity::S3)),
        }
    }
    Ok(state == QuarantineState::Waiting)
}
