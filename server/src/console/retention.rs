//! `taizhang retention`: what is kept for longer than the county has said.

use std::collections::BTreeMap;

use clap::Args;
use sync_protocol::UnitId;

use super::import::WHO;
use crate::{
    Server,
    audit::By,
    clock,
    retention::{self, Retention},
};

/// What to do about it.
#[derive(Debug, Args)]
pub struct Arguments {
    /// 立即清除，不再等到每日自动清除 · Erase it now, and not when the server does so each day
    #[arg(long)]
    now: bool,
    /// 决定人 · Who decides
    #[arg(long, default_value = WHO)]
    who: String,
}

/// Lists what is overdue, or erases it.
pub async fn retention(server: &Server, schedule: &[Retention], arguments: Arguments) -> anyhow::Result<bool> {
    if schedule.is_empty() {
        println!(
            "未设保存期限，什么都不会自动清除；请在 taizhang.toml 中按本县规定填写 [[retention]]（ledger、after、days） | no schedule: nothing is erased by itself. Set [[retention]] in taizhang.toml"
        );
        return Ok(true);
    }
    for rule in schedule {
        let Some(ledger) = server.catalogue.ledger(&rule.ledger) else { continue };
        let after = ledger.column(&rule.after).map_or(rule.after.as_str(), |column| column.title.as_str());
        println!(
            "{}：敏感列保存至“{after}”后 {} 天 | kept for {} days after `{}`",
            ledger.title, rule.days, rule.days, rule.after
        );
    }
    let overdue = retention::overdue(server, schedule, clock::today()).await?;
    let names: BTreeMap<UnitId, String> =
        server.store.units().await?.into_iter().map(|unit| (unit.id, unit.label().to_owned())).collect();
    for late in &overdue {
        let unit = names.get(&late.unit).map_or("", String::as_str);
        println!("  {unit}  {}/{}  保存期至 kept until {}", late.record.ledger, late.record.row, late.until);
    }
    if !arguments.now || overdue.is_empty() {
        println!(
            "{} 条期满未清除；服务运行时每日自动清除，--now 立即清除 | {} record(s) are overdue: erased each day while the server runs, or now with --now",
            overdue.len(),
            overdue.len()
        );
        return Ok(true);
    }
    let done = retention::erase(server, &overdue, &By::from(&*arguments.who)).await;
    for (record, why) in &done.left {
        println!("✗ {}/{}：{why}", record.ledger, record.row);
    }
    println!(
        "已清除 {} 条的敏感信息，{} 条未清除 | restricted data of {} record(s) erased, {} left",
        done.erased,
        done.left.len(),
        done.erased,
        done.left.len()
    );
    Ok(done.left.is_empty())
}
