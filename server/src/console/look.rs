//! What the command line shows of a county: returns, indicators, rows that break a rule, steps, conflicts.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde_json::json;
use sync_protocol::{
    UnitId,
    catalogue::{Catalogue, Sensitivity, StepFault, Weight},
    unit::Unit,
};

use crate::{
    Server,
    audit::{self, Event},
    changes::{self, CellChange},
    clock, indicators, quality,
    returns::{
        self, AsOf, ReturnRequest,
        behind::{self, CellName, Part, RowBehind},
        conflicts,
    },
};

/// What to draw.
#[derive(Debug, Args)]
pub struct ReturnArguments {
    /// 报表编号或台账名；verify 为核对一份报表 · Number of a return (R03) or id of a ledger (members); verify to check a file
    name: String,
    /// 要核对的报表 · The return to check
    #[arg(required_if_eq("name", "verify"))]
    file: Option<PathBuf>,
    /// 选项，如 round=final · Choices, e.g. round=final
    #[arg(long = "set", value_parser = choice)]
    variables: Vec<(String, String)>,
    /// 单位编码，默认全县 · Code of the unit at the top; the county if absent
    #[arg(long)]
    unit: Option<String>,
    /// 统计截止日期 · Statistics date, e.g. 2012-04-30; today if absent
    #[arg(long)]
    date: Option<jiff::civil::Date>,
    /// 按某一时刻收到的内容，如 2012-11-10T18:00 · As of what had come in by then
    #[arg(long, conflicts_with = "as_of_seq")]
    as_of: Option<jiff::civil::DateTime>,
    /// 按回执号，见报表注脚 · As of this number of the feed, which a return prints
    #[arg(long)]
    as_of_seq: Option<i64>,
    /// 按各填报单位已审核的报送件汇总：报送期，如 2012-04 · Merged from the copies that units have submitted for this period
    #[arg(long, conflicts_with_all = ["as_of", "as_of_seq"])]
    copies: Option<String>,
    /// 列出一格背后的记录，如 F17 或 按领域!F17 · The rows behind one cell
    #[arg(long, conflicts_with = "copies")]
    cell: Option<CellName>,
    /// 输出目录 · Folder to write into
    #[arg(long, default_value = "returns")]
    out: PathBuf,
    /// 限制级信息不脱敏 · Write restricted columns in clear
    #[arg(long)]
    unmasked: bool,
    /// 以 JSON 输出 · Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn choice(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("应为 名称=值 must be name=value")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Draws a return or a merged ledger.
pub async fn draw(server: &Server, arguments: ReturnArguments) -> anyhow::Result<bool> {
    if let ("verify", Some(file)) = (arguments.name.as_str(), &arguments.file) {
        return verify(server, file, arguments.json).await;
    }
    let top = match &arguments.unit {
        Some(code) => unit_with_code(server, code).await?,
        None => returns::county(server).await?,
    };
    let clearance = if arguments.unmasked { Sensitivity::S3 } else { Sensitivity::S2 };
    let (unit, name) = (top.id, arguments.name.clone());
    let time = arguments.as_of.map(|time| AsOf::Time(clock::of_local(time)));
    let date = arguments.date.unwrap_or_else(|| server.statistics_date());
    if let Some(cell) = &arguments.cell {
        let request = ReturnRequest {
            variables: arguments.variables,
            clearance,
            as_of: time.or(arguments.as_of_seq.map(AsOf::Seq)),
            ..ReturnRequest::new(arguments.name, top, date, "")
        };
        return print_rows(server, &request, cell, arguments.json).await;
    }
    // It is handed out once that is noted.
    let out = arguments.out;
    std::fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
    let folder = tempfile::tempdir_in(&out)?;
    let request = ReturnRequest {
        variables: arguments.variables,
        clearance,
        as_of: time.or(arguments.as_of_seq.map(AsOf::Seq)).or(arguments.copies.map(AsOf::Copies)),
        ..ReturnRequest::new(arguments.name, top, date, folder.path())
    };
    let mut drawn = Box::pin(returns::draw(server, &request)).await?;
    let detail = json!({ "return": name, "rows": drawn.rows, "class": format!("{clearance:?}") });
    audit::note_console(server, "taizhang", Event::ReturnDrawn, Some(unit), detail).await?;
    let path = out.join(drawn.path.file_name().unwrap_or_default());
    tokio::fs::rename(&drawn.path, &path).await.with_context(|| path.display().to_string())?;
    drawn.path = path;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&drawn)?);
    } else {
        println!("{} ({} 行 rows)", drawn.path.display(), drawn.rows);
        for check in &drawn.failed_checks {
            println!("  审核关系 check relation: {check}");
        }
    }
    Ok(drawn.failed_checks.is_empty())
}

/// Prints the rows behind a cell.
async fn print_rows(server: &Server, request: &ReturnRequest, cell: &CellName, json: bool) -> anyhow::Result<bool> {
    let mut found = Box::pin(behind::behind(server, request, cell)).await?;
    let rows: usize = found.parts().map(|part| part.rows.len()).sum();
    let detail = json!({
        "return": request.name, "sheet": found.sheet, "cell": found.cell, "date": request.date.to_string(), "rows": rows,
    });
    audit::note_console(server, "taizhang", Event::ReturnRowsRead, Some(request.top.id), detail).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&found)?);
        return Ok(true);
    }
    let value = found.value.map_or_else(|| "—".to_owned(), |value| value.to_string());
    println!("{} {} {}，栏次 {} {}：{value}", found.sheet, found.cell, found.line, found.number, found.title);
    for (of, parts) in [("", &found.over), ("分母 ", &found.under)] {
        for Part { title, times, sum, rows, .. } in parts {
            let sign = if *times < 0 { "－" } else { "" };
            println!("{of}{sign}{title}：{sum}");
            for RowBehind { unit_name, ledger_title, row, name, adds, .. } in rows {
                let row = row.map(|row| row.to_string()).unwrap_or_default();
                println!("    {adds}  {unit_name} · {ledger_title} · {name} {row}");
            }
        }
    }
    Ok(true)
}

/// Checks a return that came from somewhere; `false` unless it is as it was drawn.
async fn verify(server: &Server, file: &Path, json: bool) -> anyhow::Result<bool> {
    let bytes = tokio::fs::read(file).await.with_context(|| file.display().to_string())?;
    let verified = returns::verify::verify(server, bytes).await?;
    let is_whole = matches!(verified.verdict, "valid" | "resaved");
    if json {
        println!("{}", serde_json::to_string_pretty(&verified)?);
        return Ok(is_whole);
    }
    println!("{}: {}", verified.verdict, verified.sentence);
    if let (Some(drawn), Some(code)) = (&verified.drawn, &verified.code) {
        println!("  {} {} · {} · {} · {code}", drawn.number, drawn.title, drawn.unit_name, drawn.date);
    }
    if verified.is_stale {
        println!(
            "  生成以后，所统计的台账又有修改，现在的数据与此不同 facts that it counts have changed since: its figures would be others today"
        );
    }
    for change in &verified.changes {
        println!("  {change}");
    }
    Ok(is_whole)
}

/// Prints indicators.
pub async fn print_indicators(
    server: &Server,
    names: &[String],
    unit: Option<&str>,
    date: jiff::civil::Date,
    json: bool,
) -> anyhow::Result<bool> {
    let top = top(server, unit).await?;
    let lines = indicators::indicators(server, top, date, names).await?;
    anyhow::ensure!(!lines.is_empty(), "没有这些指标 no such indicators: {}", names.join(", "));
    if json {
        println!("{}", serde_json::to_string_pretty(&lines)?);
        return Ok(true);
    }
    for line in &lines {
        let of =
            line.figure.denominator.map_or_else(String::new, |under| format!(" {}/{under}", line.figure.numerator));
        let of = if line.has_no_figure() {
            format!("（{}）", Vec::from_iter(line.not_kept.titles()).join("、"))
        } else {
            of
        };
        let target = match (line.target_percent, line.reached) {
            (Some(target), Some(reached)) => format!("  目标 {target}% {}", if reached { "已达标" } else { "未达标" }),
            _ => String::new(),
        };
        println!("{:<6} {}：{}{of}{target}", line.id, line.title, line.printed);
    }
    Ok(true)
}

/// Prints rows that break a rule.
pub async fn print_quality(server: &Server, unit: Option<&str>, all: bool, json: bool) -> anyhow::Result<bool> {
    let units = returns::at_and_below(server.store.units().await?, top(server, unit).await?);
    let lines = quality::quality(server, &units, server.statistics_date()).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&lines)?);
    } else {
        for cause in quality::causes(&lines) {
            let (weight, count) = (cause.weight.chinese(), cause.lines.len());
            println!("{weight} {}：{}——{count} 条，{} [{}]", cause.ledger, cause.text, cause.records(), cause.rule);
            for line in cause.lines.iter().filter(|_| all) {
                println!("    {} · {}", line.unit, line.record);
            }
        }
        let errors = lines.iter().filter(|line| line.weight == Weight::E).count();
        println!("{} 条 rows，其中错误 errors {errors} 条", lines.len());
        if !all && !lines.is_empty() {
            println!("用 --all 列出每一条 lists every row");
        }
    }
    Ok(lines.iter().all(|line| line.weight < Weight::E))
}

/// Prints what has changed since some state.
pub async fn print_changes(
    server: &Server,
    unit: Option<&str>,
    (since, since_seq): (Option<jiff::civil::DateTime>, i64),
    json: bool,
) -> anyhow::Result<bool> {
    let units = returns::at_and_below(server.store.units().await?, top(server, unit).await?);
    let since = match since {
        Some(time) => server.store.seq_at(clock::of_local(time)).await?,
        None => since_seq,
    };
    let (latest, _) = changes::changes(server, &units, since, Sensitivity::S2, usize::MAX / 2).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&latest)?);
        return Ok(true);
    }
    for change in &latest {
        let CellChange { ledger, unit, record, column, before, after, who, how, written_at_ms } = change;
        let before = before.as_deref().unwrap_or("（空）");
        let (when, how) = (clock::local(*written_at_ms).strftime("%Y-%m-%d %H:%M"), changes::means(*how));
        println!("{when} {who}（{how}） {unit} · {ledger} · {record} · {column}：{before} → {after}");
    }
    println!("{} 处 changes", latest.len());
    Ok(true)
}

/// Prints steps of workflows that were not allowed.
pub async fn print_steps(server: &Server) -> anyhow::Result<bool> {
    let mut steps = server.store.wrong_steps().await?;
    steps.retain(|step| step.period == server.period());
    for stored in &steps {
        let unit = server.store.unit(stored.unit).await?.map_or_else(String::new, |unit| unit.name);
        let step = &stored.step;
        let column = server.catalogue.ledger(&step.row.ledger).and_then(|l| l.column(&step.column));
        let list = column.and_then(|c| c.column_type.list()).unwrap_or(Catalogue::RECORD_STATES);
        let list = server.catalogue.list(list);
        let label = |code: &str| list.map_or_else(|| code.to_owned(), |list| list.label(code).to_owned());
        let before = step.before.as_deref().map_or_else(|| "（空）".to_owned(), label);
        let fault = StepFault::ALL.into_iter().find(|fault| fault.code() == step.fault);
        println!(
            "{unit} · {} {}：{before} → {}，{}（{} {}）",
            step.row.ledger,
            step.row.row,
            label(&step.after),
            fault.map_or(step.fault.clone(), |fault| fault.chinese().to_owned()),
            stored.who,
            clock::local(stored.received_at_ms).strftime("%Y-%m-%d %H:%M"),
        );
    }
    println!("{} 处 steps", steps.len());
    Ok(steps.is_empty())
}

/// Prints conflicts.
pub async fn print_conflicts(server: &Server, json: bool) -> anyhow::Result<bool> {
    let units = server.store.units().await?;
    let lines = conflicts::lines(server, &conflicts::of_year(server).await?, &units, Sensitivity::S2);
    if json {
        println!("{}", serde_json::to_string_pretty(&lines)?);
        return Ok(lines.is_empty());
    }
    for line in &lines {
        let sides: Vec<String> =
            line.values.iter().map(|side| format!("「{}」({} {})", side.value, side.who, side.when)).collect();
        println!("{} · {} · {} · {}: {}", line.ledger, line.unit, line.record, line.column, sides.join(" / "));
    }
    println!("{} 处冲突 conflicts", lines.len());
    Ok(lines.is_empty())
}

/// The unit with this code, or the county.
async fn top(server: &Server, code: Option<&str>) -> anyhow::Result<UnitId> {
    Ok(match code {
        Some(code) => unit_with_code(server, code).await?.id,
        None => server.county,
    })
}

/// The unit with this code.
pub async fn unit_with_code(server: &Server, code: &str) -> anyhow::Result<Unit> {
    let units = server.store.units().await?;
    units.into_iter().find(|known| known.code.as_deref() == Some(code)).with_context(|| {
        format!("没有编码为 {code} 的单位，请先导入名录和党组织台账 no unit with this code: import the registers first")
    })
}
