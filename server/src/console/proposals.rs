//! `taizhang proposals`: what somebody has written who was not to decide it, to be accepted or rejected.

use clap::Subcommand;
use sync_protocol::{
    Book,
    catalogue::{Actor, Sensitivity},
};

use super::{import::WHO, look::unit_with_code};
use crate::{
    Server, clock,
    proposals::{self, Decider, ProposalLine},
    store::{ProposalQuery, ProposalState},
};

/// What can be done with them.
#[derive(Debug, Subcommand)]
pub enum Proposals {
    /// 列出待处理的建议 · List those that wait
    List {
        /// 包括已处理的 · Those decided on, too
        #[arg(long)]
        all: bool,
        /// 单位编码，默认全县 · Code of the unit; the county if absent
        #[arg(long)]
        unit: Option<String>,
        /// 从此编号之后列起 · Begin behind this number
        #[arg(long, default_value_t = 0)]
        after: i64,
        /// 最多列出几项 · So many at most
        #[arg(long, default_value_t = 500)]
        limit: u32,
        /// 以 JSON 输出 · Print JSON
        #[arg(long)]
        json: bool,
    },
    /// 采纳：写入建议的值 · Accept: the value is written
    Accept {
        /// 编号，见 list · Their numbers, from `list`
        #[arg(required = true)]
        numbers: Vec<i64>,
        /// 此格后来又改过，仍要采纳 · Even if the cell has changed since
        #[arg(long)]
        anyway: bool,
        /// 决定人 · Who decides
        #[arg(long, default_value = WHO)]
        who: String,
    },
    /// 退回：不写入，并写明原因 · Reject: nothing is written, and a reason is given
    Reject {
        /// 编号 · Their numbers
        #[arg(required = true)]
        numbers: Vec<i64>,
        /// 原因 · Why
        #[arg(long)]
        reason: String,
        /// 决定人 · Who decides
        #[arg(long, default_value = WHO)]
        who: String,
    },
}

/// Carries out one of them, listing those of a year or of all; `false` when something waits, or could not be decided.
pub async fn proposals(server: &Server, command: Proposals, period: Option<String>) -> anyhow::Result<bool> {
    match command {
        Proposals::List { all, unit, after, limit, json } => {
            let top = match unit {
                Some(code) => unit_with_code(server, &code).await?.id,
                None => server.county,
            };
            let state = (!all).then_some(ProposalState::Waiting);
            let books = Book::ALL.to_vec();
            list(server, ProposalQuery { top, books, state, period, after, limit: limit.into() }, json).await
        }
        Proposals::Accept { numbers, anyway, who } => {
            let mut is_done = true;
            for number in numbers {
                match proposals::accept(server, number, &decider(&who), anyway).await {
                    Ok(proposal) => println!("{}：已采纳 accepted", proposal.number),
                    Err(error) => is_done = failed(number, &error),
                }
            }
            Ok(is_done)
        }
        Proposals::Reject { numbers, reason, who } => {
            let mut is_done = true;
            for number in numbers {
                match proposals::reject(server, number, &decider(&who), &reason).await {
                    Ok(proposal) => println!("{}：已退回 rejected", proposal.number),
                    Err(error) => is_done = failed(number, &error),
                }
            }
            Ok(is_done)
        }
    }
}

/// Whoever is at the server's own command line is the county's administrator.
fn decider(who: &str) -> Decider {
    Decider { by: who.into(), actor: Actor::County, clearance: Sensitivity::S2 }
}

fn failed(number: i64, error: &proposals::ProposalError) -> bool {
    eprintln!("{number}: {error}");
    false
}

async fn list(server: &Server, query: ProposalQuery, json: bool) -> anyhow::Result<bool> {
    let found = server.store.proposals().list(&query).await?;
    let lines = proposals::lines(server, &found, Sensitivity::S2).await?;
    let waiting = ProposalQuery { state: Some(ProposalState::Waiting), after: 0, ..query };
    let waiting = server.store.proposals().count(&waiting).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&lines)?);
        return Ok(waiting == 0);
    }
    for line in &lines {
        let ProposalLine { number, unit_name, period, ledger_title, record, column_title, value, who, .. } = line;
        let said = |value: &Option<String>| value.clone().unwrap_or_else(|| "（空）".to_owned());
        let time = clock::local(line.received_at_ms).strftime("%Y-%m-%d %H:%M");
        let from = line.file.as_deref().or(line.device.as_deref()).map_or_else(String::new, |from| format!("，{from}"));
        let now = match (line.state, line.now != line.before) {
            (ProposalState::Waiting, true) => format!("，现为 by now {}", said(&line.now)),
            (ProposalState::Waiting, false) => String::new(),
            (state, _) => {
                let reason = line.reason.as_ref().map_or_else(String::new, |reason| format!("：{reason}"));
                format!("，{} {}{reason}", state.chinese(), line.decided_by.as_deref().unwrap_or_default())
            }
        };
        println!(
            "{number} {time} {unit_name} {period} · {ledger_title} · {record} · {column_title}：{} → {value}（{who}{from}）{now}",
            said(&line.before)
        );
    }
    println!("{waiting} 项待处理 waiting；用 proposals accept|reject 编号 处理");
    Ok(waiting == 0)
}
