//! `taizhang doctor` on the command line.

use anyhow::Context;
use serde_json::json;

use crate::{
    audit::{self, Event},
    config::Config,
    console::import::WHO,
    doctor::{self, Diagnosis, Finding, Mend, Weight},
    installation::{self, Examined},
    store::Refused,
};

/// What is asked of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Orders {
    /// Print JSON.
    pub json: bool,
    /// Put right what can be.
    pub repair: bool,
    /// Go on with a database that is older than what was acknowledged.
    pub accept_older: bool,
}

/// Looks over everything that is stored; `false` if something is wrong.
pub async fn doctor(config: &Config, orders: Orders) -> anyhow::Result<bool> {
    let place = || config.data_dir.display().to_string();
    let mut examined = installation::examine(config).await.with_context(place)?;
    examined.server.isolation = super::isolation(config)?;
    let result = look(config, orders, &mut examined).await;
    examined.server.store.close().await;
    result
}

async fn look(config: &Config, orders: Orders, examined: &mut Examined) -> anyhow::Result<bool> {
    // What a running server holds in memory must not go on being written.
    let _lock = if orders.repair || orders.accept_older {
        let lock = installation::lock(&config.data_dir);
        Some(lock.context("请先停止服务，再修复 stop the server first")?)
    } else {
        None
    };
    if orders.accept_older && !examined.wrong.is_empty() {
        let why: Vec<String> = examined.wrong.iter().map(ToString::to_string).collect();
        let detail = json!({ "why": why });
        audit::note_console(&examined.server, WHO, Event::OlderAccepted, Some(examined.server.county), detail).await?;
        examined.accept();
        eprintln!("已接受现有数据库，并记入审计 | the database counts as it is from now on; noted in the audit log");
    }
    let bar = indicatif::ProgressBar::new(0);
    let progress = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let mut diagnosis = if orders.repair {
        doctor::repair(&examined.server, &progress).await?
    } else {
        doctor::diagnose(&examined.server, &progress).await?
    };
    bar.finish_and_clear();
    if !diagnosis.repaired.is_empty() {
        let kinds: Vec<&str> = diagnosis.repaired.iter().map(|finding| finding.kind).collect();
        let detail = json!({ "repaired": kinds });
        audit::note_console(&examined.server, WHO, Event::Repaired, Some(examined.server.county), detail).await?;
        if !examined.wrong.is_empty() {
            examined.ask_again(config).await?;
        }
    }
    for refused in &examined.wrong {
        diagnosis.add(refused_finding(refused));
    }
    print(&diagnosis, orders)?;
    Ok(diagnosis.wrong.is_empty())
}

fn refused_finding(refused: &Refused) -> Finding {
    Finding {
        kind: "older",
        place: "数据库 database".into(),
        what: refused.to_string(),
        advice: "见上 as it says".into(),
        weight: Weight::Wrong,
        mend: Mend::Impossible,
    }
}

fn print(diagnosis: &Diagnosis, orders: Orders) -> anyhow::Result<()> {
    if orders.json {
        println!("{}", serde_json::to_string_pretty(diagnosis)?);
        return Ok(());
    }
    let totals = diagnosis.totals;
    println!(
        "单位 units {}，文档 documents {}，修改 changes {}，记录 rows {}，有冲突的记录 rows in conflict {}",
        totals.units, totals.documents, totals.changes, totals.rows, totals.conflicts
    );
    for Finding { place, what, .. } in &diagnosis.repaired {
        println!("✓ 已修复 repaired {place}: {what}");
    }
    for Finding { place, what, advice, weight, .. } in &diagnosis.findings {
        let mark = if *weight == Weight::Wrong { "✗" } else { "·" };
        println!("{mark} {place}: {what}\n    → {advice}");
    }
    if diagnosis.wrong.is_empty() {
        println!("✓ 数据完好 everything is sound ({} 份文档已核对 documents checked)", diagnosis.documents_checked);
    }
    Ok(())
}
