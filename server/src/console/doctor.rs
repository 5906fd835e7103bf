//! `taizhang doctor` on the command line.

use anyhow::Context;
use serde_json::json;

use crate::{
    audit::{self, By, Event},
    config::Config,
    console::import::WHO,
    doctor::{self, Diagnosis, Finding, Mend, Weight},
    installation::{self, Examined},
    lasting::{self, Fault, Known, Lost},
    people,
    store::Refused,
};

/// What is asked of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Orders {
    /// Print JSON.
    pub json: bool,
    /// Put right what can be.
    pub repair: bool,
    /// Whether to go on with a database that is older than what was acknowledged.
    pub older: Older,
}

/// What is done with a database that is older than what was acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Older {
    /// Nothing: it is only looked at.
    #[default]
    Refused,
    /// It is gone on with, and what must not come back with it is done again.
    Accepted,
    /// The same, though it is not known what that is.
    Forgotten,
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
    let _lock = if orders.repair || orders.older != Older::Refused {
        let lock = installation::lock(&config.data_dir);
        Some(lock.context("请先停止服务，再修复 stop the server first")?)
    } else {
        None
    };
    let fault = installation::lasting(config).fault;
    let mut is_again = true;
    if orders.older != Older::Refused && !examined.wrong.is_empty() {
        is_again = accept(config, orders, examined).await?;
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
    // A database that is the newest knows all of it: the file is made anew where it is missing.
    if let Some(fault) = fault {
        diagnosis.add(lasting_finding(&fault));
    }
    // What everything else follows from comes first, then what only a person can put right.
    diagnosis.findings.sort_by_key(|Finding { kind, weight, mend, .. }| {
        (*weight == Weight::Notice, !["older", "lasting"].contains(kind), *mend == Mend::Possible)
    });
    print(&diagnosis, orders)?;
    if let Some(advice) = super::keys::to_copy(config).filter(|_| !orders.json) {
        println!("· {advice}");
    }
    Ok(diagnosis.wrong.is_empty() && is_again)
}

/// Goes on with an older database; what was done since and must not come back with it is done again; `false` if
/// something of it is not.
async fn accept(config: &Config, orders: Orders, examined: &mut Examined) -> anyhow::Result<bool> {
    let Known { facts, fault } = installation::lasting(config);
    if let Some(fault) = &fault
        && orders.older != Older::Forgotten
    {
        anyhow::bail!(
            "{fault}。备份之后停用的设备和人员、收窄的权限、清除的记录因此不能全部重新执行，尚未接受。请放回该文件；若没有，加 --accept-forgotten 继续，然后逐一核对 | what was revoked, disabled or erased since the backup cannot all be done again, so nothing was accepted: put the file back; if it is lost, go on with --accept-forgotten, and then look at each device and person"
        );
    }
    let (server, by) = (&examined.server, By::from(WHO));
    let taken = lasting::take_successors(server).await?;
    let lost = Lost::of(server, &facts).await?;
    let why: Vec<String> = examined.wrong.iter().map(ToString::to_string).collect();
    let detail = json!({ "why": why, "forgotten": fault.as_ref().map(ToString::to_string), "successors": taken.len() });
    let note = by.notes(Event::OlderAccepted, Some(server.county), &detail);
    lost.do_again(server, note, &by).await?;
    examined.accept();
    eprintln!("已接受现有数据库，并记入审计 | the database counts as it is from now on; noted in the audit log");
    for sentence in taken {
        eprintln!("✓ {sentence}");
    }
    for sentence in lost.in_words() {
        eprintln!("{sentence}");
    }
    let mut is_again = true;
    for (is_done, sentence) in lost.erase_again(&examined.server, &by).await {
        is_again &= is_done;
        eprintln!("{sentence}");
    }
    if facts.is_empty() && fault.is_none() {
        eprintln!(
            "· 旁边没有停用、清除的记载（lasting.jsonl）：这份数据若是从别处拷来的，请逐一核对设备和人员 | nothing beside the database says what was revoked or erased since: if it was copied from elsewhere, look at each device and person"
        );
    }
    if let Some(fault) = fault {
        eprintln!(
            "✗ {fault}。请逐一核对设备、人员和应清除的记录 | look at each device and person, and at what was to be erased"
        );
    }
    eprintln!(
        "· 所有人须重新登录，未用的登记码作废；备份之后改过的密码、换过的令牌、新增的人员和设备不在其中 | everybody signs in anew and unused codes are void; passwords and tokens are those of the backup, and who or what was added since is not in it"
    );
    if people::is_first_run(&examined.server).await? {
        eprintln!("· 现在没有系统管理员，请运行 no administrator is left, run: {}", super::people::FIRST);
    }
    Ok(is_again)
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

fn lasting_finding(fault: &Fault) -> Finding {
    let advice = match fault {
        Fault::Gone => {
            "下次启动时按数据库重建；恢复旧备份前请先放回该文件 | it is made anew from the database when that is opened next; put it back before an older backup is"
        }
        Fault::Cut { .. } | Fault::Damaged(_) | Fault::Unreadable(_) => {
            "请放回该文件的好的副本；若没有，移走它，下次启动时按数据库重建 | put a sound copy back; if there is none, move it away: it is made anew from the database"
        }
    };
    Finding {
        kind: "lasting",
        place: "lasting.jsonl".into(),
        what: fault.to_string(),
        advice: advice.into(),
        weight: Weight::Wrong,
        mend: Mend::Impossible,
    }
}
