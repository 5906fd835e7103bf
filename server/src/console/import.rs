//! Imports on the command line: what they would do, what they did, what waits, and taking them back.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use importer::{
    Finding, Severity,
    left_out::{self, LeftOut, Reason},
    memory::Doubt,
};
use serde_json::json;
use sync_protocol::{Book, RowId, UnitId, session::Scope, unit::Unit};

use crate::{
    Server,
    audit::{self, By, Event},
    clock,
    doubts::{self, Choice, Decided},
    import::{ImportError, ImportReport, Source, findings_workbook, import as import_source, preview_beside, units_of},
    store::{StoredBatch, StoredDoubt},
    undo::{Action, GoneRow, KeptCell, Undone, UndoneCell, Why},
    units::{self, Right},
};

/// Who imports, unless somebody is named.
pub const WHO: &str = "县委组织部";

/// What is done with imports afterwards.
#[derive(Debug, Subcommand)]
pub enum Afterwards {
    /// 列出历次导入 · The imports, newest first
    Imports,
    /// 撤销一次导入；导入后又改过的内容保留并列出 · Take an import back; what was edited since stays and is listed
    Undo {
        /// 导入编号，见 imports · Its id, from `imports`
        id: String,
        /// 撤销人 · Who takes it back
        #[arg(long, default_value = WHO)]
        who: String,
        /// 以 JSON 输出 · Print JSON
        #[arg(long)]
        json: bool,
    },
    /// 列出等待确认的疑似重复记录 · Rows that wait for somebody to say whether they are records that exist
    Doubts {
        /// 以 JSON 输出 · Print JSON
        #[arg(long)]
        json: bool,
    },
    /// 确认一条疑似重复记录 · Decide on such a row
    Decide {
        /// 编号，见 doubts · Its id, from `doubts`
        id: RowId,
        /// 是什么 · What it is
        choice: Word,
        /// 有多条已有记录时，指明哪一条 · Which record, where there are several
        #[arg(long)]
        row: Option<RowId>,
        /// 确认人 · Who decides
        #[arg(long, default_value = WHO)]
        who: String,
    },
}

/// What a waiting row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Word {
    /// 与已有记录是同一条 · The record that exists
    Same,
    /// 新记录 · A record of its own
    New,
    /// 不导入 · Not wanted
    Drop,
}

impl Afterwards {
    /// Whether nothing is written.
    pub fn only_reads(&self) -> bool {
        matches!(self, Self::Imports | Self::Doubts { .. })
    }
}

/// Carries out one of them; `false` when something is left to look at.
pub async fn afterwards(server: &Server, command: Afterwards) -> anyhow::Result<bool> {
    match command {
        Afterwards::Imports => list(server).await,
        Afterwards::Undo { id, who, json } => undo(server, &id, &who, json).await,
        Afterwards::Doubts { json } => waiting(server, json).await,
        Afterwards::Decide { id, choice, row, who } => {
            let choice = match choice {
                Word::Same => Choice::Same(row),
                Word::New => Choice::New,
                Word::Drop => Choice::Drop,
            };
            decide(server, id, choice, &who).await
        }
    }
}

/// Lines that are printed for one file; everything is in the JSON.
const LINES_PRINTED_MAX: usize = 1000;

/// Whose the files are.
#[derive(Debug, Clone)]
pub struct Sender {
    /// Who or which office; every change names them.
    pub who: String,
    /// The unit that sends them: its short names mean its own organisations, rows of others are left out, and what is decided above
    /// it waits. Absent where they are the county's.
    pub scope: Option<Scope>,
}

impl Sender {
    /// The county, or whoever comes from this unit.
    pub fn new(who: &str, unit: Option<UnitId>) -> Self {
        let scope = unit.map(|unit| Scope { unit, books: Book::ALL.to_vec(), version: 0 });
        Self { who: who.to_owned(), scope }
    }

    async fn open(&self, file: &Path) -> Result<Source, ImportError> {
        Ok(Source { scope: self.scope.clone(), ..Source::open(file).await? })
    }

    /// The units that files define together, whatever their order; whoever comes from a unit adds none for others.
    async fn units(&self, server: &Server, files: &[PathBuf]) -> anyhow::Result<(Vec<Unit>, Vec<usize>)> {
        if files.len() > 1 && self.scope.is_none() {
            return Ok(units_of(server, files).await?);
        }
        Ok((Vec::new(), vec![0; files.len()]))
    }
}

/// Imports files and says what became of them; `false` when something was not imported.
pub async fn import(
    server: &Server,
    files: &[PathBuf],
    sender: &Sender,
    findings: Option<&Path>,
    json: bool,
) -> anyhow::Result<bool> {
    import_and(server, files, sender, (findings, json), |line| println!("{line}")).await
}

/// The same; `last` takes the last words on each file.
pub(super) async fn import_and(
    server: &Server,
    files: &[PathBuf],
    sender: &Sender,
    (findings, json): (Option<&Path>, bool),
    last: impl Fn(String),
) -> anyhow::Result<bool> {
    findings.map_or(Ok(()), super::may_write_into)?;
    let (units, counts) = sender.units(server, files).await?;
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let by = By::from(sender.who.as_str());
    units::keep(server, &units, Right::All, &by, &json!({ "files": names })).await?;
    let mut reports = Vec::new();
    for (file, units) in files.iter().zip(counts) {
        let mut report = import_with_bar(server, file, sender).await;
        if let Ok(report) = &mut report {
            report.units += units;
        }
        reports.push(report);
    }
    let mut failed = false;
    for (file, report) in files.iter().zip(&reports) {
        match report {
            Ok(report) => draw_findings(server, file, (&report.findings, &report.doubts), findings).await,
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                failed = true;
            }
        }
    }
    let reports: Vec<ImportReport> = reports.into_iter().flatten().collect();
    for report in reports.iter().filter(|report| !report.already_imported) {
        let detail = json!({ "file": report.file, "documents": report.documents, "counts": report.counts });
        audit::note_console(server, &sender.who, Event::Imported, None, detail).await?;
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
    }
    for report in reports.iter().filter(|_| !json) {
        if report.already_imported {
            println!("{}: 以前导入过，未改动 imported before, left alone", report.file);
            continue;
        }
        let counts = report.counts;
        println!(
            "{}: 新增 added {}，修改 changed {}，未变 unchanged {}，未导入 refused {}，待确认 waiting {}",
            report.file, counts.added, counts.changed, counts.unchanged, counts.refused, counts.doubtful
        );
        print_proposed(counts.proposed);
        print_settled(report.settled);
        print_findings(&report.findings);
        left_out_lines(&report.left_out, &report.beside).into_iter().for_each(&last);
    }
    Ok(!failed && reports.iter().all(|report| left_out::is_complete(&report.findings)))
}

async fn import_with_bar(server: &Server, file: &Path, sender: &Sender) -> Result<ImportReport, ImportError> {
    let bar = indicatif::ProgressBar::new(0);
    let progress = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let report = async { import_source(server, sender.open(file).await?, sender.who.as_str(), &progress).await }.await;
    bar.finish_and_clear();
    report
}

/// Says cell by cell what an import would change; `false` when something would not be imported.
pub async fn preview(
    server: &Server,
    files: &[PathBuf],
    sender: &Sender,
    findings: Option<&Path>,
    json: bool,
) -> anyhow::Result<bool> {
    findings.map_or(Ok(()), super::may_write_into)?;
    let mut previews = Vec::new();
    let mut failed = false;
    let (units, _) = sender.units(server, files).await?;
    for file in files {
        let planned = async { preview_beside(server, sender.open(file).await?, &units).await };
        match planned.await {
            Ok(preview) => {
                draw_findings(server, file, (&preview.findings, &preview.doubts), findings).await;
                previews.push(preview);
            }
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                failed = true;
            }
        }
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&previews)?);
    }
    for preview in previews.iter().filter(|_| !json) {
        let counts = preview.counts;
        println!(
            "{}: 将新增 would add {}，修改 change {}，未变 leave {}，不导入 refuse {}，待确认 ask about {}",
            preview.file, counts.added, counts.changed, counts.unchanged, counts.refused, counts.doubtful
        );
        for change in preview.changes.iter().take(LINES_PRINTED_MAX) {
            println!(
                "  {}!{} {}：「{}」→「{}」",
                change.sheet, change.cell, change.column, change.before, change.after
            );
        }
        if let Some(more) = preview.changes.len().checked_sub(LINES_PRINTED_MAX).filter(|more| *more > 0) {
            println!("  还有 {more} 处（--json 列出全部）{more} more (--json lists all)");
        }
        print_proposed(counts.proposed);
        print_settled(preview.settled);
        print_findings(&preview.findings);
        for line in left_out_lines(&preview.left_out, &preview.beside) {
            println!("{line}");
        }
    }
    Ok(!failed && previews.iter().all(|preview| left_out::is_complete(&preview.findings)))
}

/// Lists the imports.
async fn list(server: &Server) -> anyhow::Result<bool> {
    for StoredBatch { batch, finished_at_ms, undone_at_ms } in server.store.batches().await? {
        let state = match (finished_at_ms, undone_at_ms) {
            (_, Some(_)) => "已撤销 taken back",
            (Some(_), None) => "已完成 done",
            (None, None) => "未完成 unfinished",
        };
        let time = clock::local(batch.started_at_ms).strftime("%Y-%m-%d %H:%M");
        println!("{} {time} {} {state}", batch.id, batch.file);
    }
    Ok(true)
}

/// Takes an import back and says what stays; `false` when something does.
async fn undo(server: &Server, id: &str, who: &str, json: bool) -> anyhow::Result<bool> {
    let undone = crate::undo::undo(server, id, who).await?;
    let undone =
        undone.with_context(|| format!("没有这次导入 no such import: {id}。用 taizhang imports 查看 lists them"))?;
    let detail = json!({ "file": undone.file, "rows": undone.rows });
    audit::note_console(server, who, Event::ImportUndone, None, detail).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&undone)?);
    } else {
        print_undone(&undone);
    }
    Ok(undone.kept.is_empty())
}

fn print_undone(undone: &Undone) {
    println!("{}：已撤销 taken back，{} 条记录 rows，{} 个文档 documents", undone.file, undone.rows, undone.documents);
    let mut left = LINES_PRINTED_MAX;
    let mut line = |text: String| {
        if left > 0 {
            println!("  {text}");
        }
        left = left.saturating_sub(1);
    };
    for KeptCell { unit, ledger, record, column, who, why } in &undone.kept {
        line(match why {
            Why::Remade => format!(
                "此后清除过记录，历史已不可考，未撤销，请人工处理 something was erased since, and with it the history: not taken back, a person has to：{unit} · {ledger} · {record} · {column}"
            ),
            Why::Edited => {
                format!("导入后又改过，已保留 edited since, kept：{unit} · {ledger} · {record} · {column}（{who}）")
            }
            Why::Affirmed => format!(
                "另一文件也这样填写，已保留 another file says the same, kept：{unit} · {ledger} · {record} · {column}（{who}）"
            ),
        });
    }
    for GoneRow { unit, ledger, record } in &undone.rows_gone {
        line(format!("记录已不存在 record gone：{unit} · {ledger} · {record}"));
    }
    for UndoneCell { unit, ledger, record, column, action, before, after } in &undone.cells {
        let (before, after) = (before.join("」「"), after.join("」「"));
        let what = match action {
            Action::Restored => format!("已恢复 restored：「{before}」→「{after}」"),
            Action::Emptied => format!("已清空 emptied：「{before}」"),
            Action::Reopened => format!("冲突重新列出 conflict open again：「{before}」→「{after}」"),
        };
        line(format!("{what} {unit} · {ledger} · {record} · {column}"));
    }
    let all = undone.kept.len() + undone.rows_gone.len() + undone.cells.len();
    if let Some(more) = all.checked_sub(LINES_PRINTED_MAX).filter(|more| *more > 0) {
        println!("  还有 {more} 处（--json 列出全部）{more} more (--json lists all)");
    }
}

/// Lists the rows that wait; `false` when there are any.
async fn waiting(server: &Server, json: bool) -> anyhow::Result<bool> {
    let doubts = doubts::waiting(server).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&doubts)?);
        return Ok(doubts.is_empty());
    }
    for stored in &doubts {
        let unit = server.store.unit(stored.doubt.unit).await?.map_or_else(String::new, |unit| unit.name);
        print_doubt(stored, &unit);
    }
    println!("{} 条待确认 waiting；用 decide 编号 same|new|drop 处理", doubts.len());
    Ok(doubts.is_empty())
}

fn print_doubt(stored: &StoredDoubt, unit: &str) {
    let Doubt { id, sheet, cell, ledger, record, candidates, .. } = &stored.doubt;
    // Stored records stand in no file.
    let place =
        if sheet.is_empty() { "已有记录 stored".to_owned() } else { format!("{} {sheet}!{cell}", stored.file) };
    println!("{id} {place} · {ledger} · {unit} · {record}");
    for candidate in candidates {
        println!("    可能是 perhaps {} {}", candidate.row, candidate.record);
    }
}

async fn decide(server: &Server, id: RowId, choice: Choice, who: &str) -> anyhow::Result<bool> {
    match doubts::decide(server, id, choice, who).await? {
        Decided::Unknown => anyhow::bail!("没有这条待确认记录 no such row waits: {id}。用 doubts 查看 lists them"),
        Decided::Several(stored) => {
            print_doubt(&stored, "");
            anyhow::bail!("请用 --row 指明是哪一条 several records: name one with --row");
        }
        Decided::Dropped => println!("{id}: 不导入 dropped"),
        Decided::Written(report) => {
            let counts = report.counts;
            println!(
                "{id}: 新增 added {}，修改 changed {}，未变 unchanged {}",
                counts.added, counts.changed, counts.unchanged
            );
        }
    }
    Ok(true)
}

/// Writes a copy of the file in which every bad cell is coloured and has a note, unless there is none.
async fn draw_findings(
    server: &Server,
    file: &Path,
    (findings, doubts): (&[Finding], &[Doubt]),
    folder: Option<&Path>,
) {
    let Some(folder) = folder.filter(|_| findings.iter().any(|finding| finding.severity > Severity::Info)) else {
        return;
    };
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let path = folder.join(format!("{stem}_问题.xlsx"));
    let drawn = async {
        let source = Source::open(file).await?;
        findings_workbook(server, source, findings.to_vec(), doubts.to_vec()).await
    };
    match drawn.await {
        // What was imported is imported, whatever becomes of the copy.
        Ok(bytes) => match super::write_whole(&path, &bytes) {
            Ok(()) => eprintln!("{}：问题已标注在 marked in {}", file.display(), path.display()),
            Err(error) => eprintln!("{}：问题副本没有写出 the marked copy was not written: {error:#}", file.display()),
        },
        Err(error) => eprintln!("{}: {error}", file.display()),
    }
}

/// Says how many cells somebody else decides on.
fn print_proposed(count: usize) {
    if count > 0 {
        println!("  {count} 格应由上级办理，作为建议保留 proposed, not written（taizhang proposals list）");
    }
}

fn print_findings(findings: &[Finding]) {
    let is_told = |finding: &&Finding| finding.severity > Severity::Info || Reason::of(finding).is_some();
    for finding in findings.iter().filter(is_told) {
        println!("  {finding}");
    }
}

fn print_settled(settled: usize) {
    if settled > 0 {
        println!("  已处理冲突 conflicts settled：{settled}");
    }
}

/// The last word on a file: what was not taken, and what is kept without a column of its own.
fn left_out_lines(left_out: &[LeftOut], beside: &[String]) -> Vec<String> {
    let beside = (!beside.is_empty())
        .then(|| format!("  作为附加信息保留的列 columns kept beside the rows：{}", beside.join("、")));
    let words = |left: &LeftOut| format!("{} {} {}", left.message, left.message_en, left.count);
    let left_out = (!left_out.is_empty())
        .then(|| format!("  未采用 not taken：{}", left_out.iter().map(words).collect::<Vec<_>>().join("；")));
    beside.into_iter().chain(left_out).collect()
}
