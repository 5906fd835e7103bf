//! `taizhang submission`: the life of returns that reporting units submit.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use serde_json::json;
use sync_protocol::unit::UnitLevel;

use super::{
    import::WHO,
    look::{choice, unit_with_code},
};
use crate::{
    Server,
    audit::{self, Event},
    clock,
    store::Submission,
    submissions::{self, Wanted},
};

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Submissions {
    /// 报送一份报表：报送时的数字即固定 · Submit a return: what it says now is frozen
    Submit {
        /// 报表编号 · Number of the return (R03)
        name: String,
        /// 填报单位编码 · Code of the reporting unit
        #[arg(long)]
        unit: String,
        /// 选项，如 round=final · Choices, e.g. round=final
        #[arg(long = "set", value_parser = choice)]
        choices: Vec<(String, String)>,
        /// 统计截止日期 · Statistics date; today if absent
        #[arg(long)]
        date: Option<jiff::civil::Date>,
        /// 应报日期 · When it is due, where the register does not say it yet
        #[arg(long)]
        due: Option<jiff::civil::Date>,
        /// 台账有错误仍要报送的说明 · Why it is submitted although records have errors
        #[arg(long)]
        explain: Option<String>,
        /// 报送人 · Who submits it
        #[arg(long, default_value = WHO)]
        who: String,
    },
    /// 列出报送件 · List submitted returns
    List,
    /// 办理：returned（退回）、approved（审核）、merged（汇总）、published（公布）、archived（归档） · Take a step
    Step {
        /// 报送件编号 · Its number
        number: i64,
        /// 办理为 · The state after
        to: String,
        /// 退回原因 · Why
        #[arg(long)]
        reason: Option<String>,
        /// 办理人 · Who takes it
        #[arg(long, default_value = WHO)]
        who: String,
    },
    /// 报送件与台账现状的差异 · Cells that would say something else today
    Differences {
        /// 报送件编号 · Its number
        number: i64,
    },
    /// 取出报送时的工作簿 · The workbook as it was submitted
    Copy {
        /// 报送件编号 · Its number
        number: i64,
        /// 输出目录 · Folder to write into
        #[arg(long, default_value = "returns")]
        out: PathBuf,
    },
}

/// Does it, for a period such as `2012-04` or the month of the statistics date; lists those of a year or period, or all; `false`
/// where there are differences.
pub async fn submissions(server: &Server, command: Submissions, period: Option<String>) -> anyhow::Result<bool> {
    match command {
        Submissions::Submit { name, unit, choices, date, due, explain, who } => {
            let unit = unit_with_code(server, &unit).await?;
            let date = date.unwrap_or_else(|| server.statistics_date());
            let wanted = Wanted { unit, return_no: name, period, choices, date, due_on: due, explanation: explain };
            let submission = submissions::submit(server, &wanted, &*who).await?;
            print(server, &submission).await?;
        }
        Submissions::List => {
            let of = |submission: &Submission| {
                period.as_ref().is_none_or(|period| submission.period.starts_with(period.as_str()))
            };
            for submission in server.store.submissions().await?.into_iter().filter(of) {
                print(server, &submission).await?;
            }
        }
        Submissions::Step { number, to, reason, who } => {
            let before = submissions::submission(server, number).await?;
            let step = (to.as_str(), reason.as_deref());
            let after = submissions::step(server, &before, step, (&*who, UnitLevel::County)).await?;
            print(server, &after).await?;
        }
        Submissions::Differences { number } => {
            let submission = submissions::submission(server, number).await?;
            let differences = submissions::differences(server, &submission).await?;
            for difference in &differences {
                let submissions::Difference { sheet, cell, submitted, today } = difference;
                println!("{sheet}!{cell}：{submitted} → {today}");
            }
            println!("{} 处差异 cells differ from the ledgers of today", differences.len());
            return Ok(differences.is_empty());
        }
        Submissions::Copy { number, out } => {
            let submission = submissions::submission(server, number).await?;
            let bytes = server.store.submitted_workbook(number).await?.context("no workbook")?;
            tokio::fs::create_dir_all(&out).await?;
            let path = out.join(format!("{number}_{}", submission.file));
            let detail = json!({ "number": number });
            audit::note_console(server, WHO, Event::SubmissionRead, Some(submission.unit), detail).await?;
            tokio::fs::write(&path, bytes).await.with_context(|| path.display().to_string())?;
            println!("{}", path.display());
        }
    }
    Ok(true)
}

async fn print(server: &Server, submission: &Submission) -> anyhow::Result<()> {
    let unit = server.store.unit(submission.unit).await?;
    let unit = unit.map_or_else(String::new, |unit| unit.label().to_owned());
    let list = server.catalogue.list("return_status");
    let state = list.map_or(submission.state.as_str(), |list| list.label(&submission.state));
    let reason = submission.reason.as_ref().map_or_else(String::new, |reason| format!("（退回原因：{reason}）"));
    let time = clock::local(submission.submitted_at_ms).strftime("%Y-%m-%d %H:%M");
    println!(
        "第{}号 {unit} {} {} {state}{reason} · {} {time} · {}",
        submission.number, submission.return_no, submission.period, submission.submitted_by, submission.code
    );
    Ok(())
}
