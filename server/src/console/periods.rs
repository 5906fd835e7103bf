//! `taizhang period`: years, opened and sealed.

use std::fmt::Write as _;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};

use super::import::WHO;
use crate::{
    Server,
    audit::By,
    clock,
    periods::{self, Opened, PeriodLine},
};

/// What can be done with years.
#[derive(Debug, Subcommand)]
pub enum Periods {
    /// 列出各年度：从哪年开启，是否封存 · All years: opened from which, sealed or not
    List {
        /// 以 JSON 输出 · Print JSON
        #[arg(long)]
        json: bool,
    },
    /// 开启新年度：结转党组织、党员、单位、任职和未办结事项；再次运行则补充结转 · Open a year with what stands and what is still open; once more, and what came late follows
    Open {
        /// 新年度，如 2013 · The new year
        year: String,
        /// 从哪一年度结转 · The year that it begins from
        #[arg(long)]
        from: String,
        /// 经办人 · Who opens it
        #[arg(long, default_value = WHO)]
        who: String,
        /// 以 JSON 输出 · Print JSON
        #[arg(long)]
        json: bool,
    },
    /// 封存一个年度：此后不再接收修改，迟到的修改待处理，报表不再变化 · Seal a year: nothing is written to it any more, what comes late waits, its returns stay as they are
    Seal {
        /// 年度 · The year
        year: String,
        /// 经办人 · Who seals it
        #[arg(long, default_value = WHO)]
        who: String,
    },
    /// 启封，以便处理迟到的修改 · Take the seal off, so that what came late can be decided on
    Unseal {
        /// 年度 · The year
        year: String,
        /// 原因，记入审计日志 · Why; it stands in the audit log
        #[arg(long)]
        reason: String,
        /// 经办人 · Who takes it off
        #[arg(long, default_value = WHO)]
        who: String,
    },
}

impl Periods {
    /// Whether nothing is written.
    pub fn only_reads(&self) -> bool {
        matches!(self, Self::List { .. })
    }
}

/// Carries out one of them.
pub async fn periods(server: &Server, command: Periods) -> anyhow::Result<bool> {
    match command {
        Periods::List { json } => {
            let lines = periods::list(server).await?;
            if json {
                println!("{}", serde_json::to_string_pretty(&lines)?);
            } else {
                lines.iter().for_each(print);
            }
            Ok(lines.iter().all(|line| line.is_carried))
        }
        Periods::Open { year, from, who, json } => {
            let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template("{pos}/{len} 单位 units {bar:30}")?);
            let told = |done: usize, total: usize| {
                bar.set_length(total as u64);
                bar.set_position(done as u64);
            };
            let opened = periods::open(server, &year, &from, &By::from(who.as_str()), &told).await;
            bar.finish_and_clear();
            let opened = opened?;
            if json {
                println!("{}", serde_json::to_string_pretty(&opened)?);
            } else {
                print_opened(server, &opened);
            }
            Ok(true)
        }
        Periods::Seal { year, who } => {
            print(&periods::seal(server, &year, &By::from(who.as_str())).await?);
            Ok(true)
        }
        Periods::Unseal { year, reason, who } => {
            print(&periods::unseal(server, &year, &reason, &By::from(who.as_str())).await?);
            Ok(true)
        }
    }
}

fn day(at_ms: Option<i64>) -> String {
    at_ms.map_or_else(String::new, |at_ms| clock::local(at_ms).strftime("%Y-%m-%d").to_string())
}

fn print(line: &PeriodLine) {
    let mut said = vec![line.period.clone()];
    if line.is_default {
        said.push("默认年度 default".into());
    }
    if let (Some(from), Some(by)) = (&line.from, &line.opened_by) {
        said.push(format!("从{from}年度开启 opened from {from}（{by} {}）", day(line.opened_at_ms)));
    }
    if !line.is_carried {
        said.push(
            "结转未完成，请再次运行 period open · not everything is carried over: run `period open` again".into(),
        );
    }
    match (&line.sealed_by, line.sealed_seq) {
        (Some(by), Some(seq)) => {
            said.push(format!("已封存 sealed（{by} {}，回执号 {seq}）", day(line.sealed_at_ms)));
        }
        _ => said.push("可填报 open for writing".into()),
    }
    println!("{}", said.join("  "));
}

fn print_opened(server: &Server, opened: &Opened) {
    let Opened { period, from, units, documents, ledgers } = opened;
    println!("{period}年度已从{from}年度开启：{units} 个单位 units，写入 {documents} 份文档 documents");
    for ledger in server.catalogue.ledgers() {
        let Some(rows) = ledgers.get(&ledger.id) else { continue };
        let mut said =
            format!("  {}（{}）：结转 carried {}", ledger.title, ledger.next_year.carries.chinese(), rows.carried);
        for (count, words) in [
            (rows.left, "留在上年 stay behind"),
            (rows.kept, "新年度已改，保留 cells kept as edited"),
            (rows.withdrawn, "上年已不再成立，撤回 withdrawn"),
            (rows.disputed, "有冲突，按现行值结转 cells in dispute"),
        ] {
            if count > 0 {
                let _ = write!(said, "，{words} {count}");
            }
        }
        println!("{said}");
    }
}
