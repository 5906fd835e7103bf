//! `taizhang-import`: look at a workbook before anything is imported.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Parser, Subcommand};
use importer::{
    Finding, Importer, ReadLimits, Register, Severity, Table, Workbook, table::Target, workbook::grid::address,
};
use serde::Serialize;
use sync_protocol::{Tenant, UnitId, catalogue::Catalogue};

/// 查看台账工作簿：识别出哪些台账、表头如何对应、有哪些问题。不写入任何内容。
///
/// Looks at ledger workbooks: which ledgers are recognised, how headers map, what is wrong. Writes nothing.
#[derive(Parser)]
#[command(
    name = "taizhang-import",
    version,
    after_help = "退出码 Exit codes:\n  0  没有错误 no errors\n  1  文件中有错误（见清单） the file has errors (listed)\n  2  文件无法读取或参数有误 the file cannot be read, or wrong usage"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// 查看一个或多个工作簿 · Inspect workbooks
    Inspect {
        /// 工作簿文件 · Workbook files (.xlsx, .xls)
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// 以 JSON 输出 · Print JSON
        #[arg(long)]
        json: bool,
        /// 活动年度，用于补全不带年份的日期 · Campaign year, completes dates without a year
        #[arg(long, default_value_t = 2012)]
        year: i16,
    },
}

#[derive(Serialize)]
struct Report {
    file: String,
    tables: Vec<TableReport>,
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct TableReport {
    sheet: String,
    ledger: String,
    title: String,
    header_row: u32,
    rows: usize,
    columns: Vec<ColumnReport>,
}

#[derive(Serialize)]
struct ColumnReport {
    cell: String,
    header: String,
    /// Catalogue key; none when the values are only kept beside the row.
    column: Option<String>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("错误 error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let Command::Inspect { files, json, year } = &arguments.command;
    let catalogue = Catalogue::builtin();
    let tenant = Tenant::new("inspect");
    let county = UnitId::derive(&tenant, None, "county");
    let importer = Importer::new(&catalogue, tenant, county, *year, None);
    let mut reports = Vec::new();
    for file in files {
        let bytes = std::fs::read(file).with_context(|| format!("{}", file.display()))?;
        let workbook = importer::read(&bytes, &ReadLimits::default()).with_context(|| format!("{}", file.display()))?;
        let (tables, mut findings) = importer.detect(&workbook);
        // Values are checked as an import would, against an empty county.
        let mut register = Register::default();
        importer.define_units(&workbook, &tables, &mut register);
        let rows = importer::rows::all_rows(&tables);
        findings.extend(importer.plan(&workbook, &tables, &rows, &importer::UnitDocuments::default()).findings);
        findings.retain(|finding| finding.code != "duplicate-row");
        let tables = tables.iter().map(|table| table_report(&workbook, table, &catalogue)).collect();
        reports.push(Report { file: file.display().to_string(), tables, findings });
    }
    if *json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
    } else {
        reports.iter().for_each(print);
    }
    Ok(reports.iter().flat_map(|report| &report.findings).all(|finding| finding.severity < Severity::Error))
}

fn table_report(workbook: &Workbook, table: &Table, catalogue: &Catalogue) -> TableReport {
    let ledger = &catalogue.ledgers()[table.ledger];
    let columns = table.columns.iter().map(|mapped| ColumnReport {
        cell: address(table.header.1, mapped.column),
        header: mapped.header.replace('\n', ""),
        column: match &mapped.target {
            Target::Column { index, .. } => Some(ledger.columns[*index].key.clone()),
            Target::Extra(_) => None,
        },
    });
    TableReport {
        sheet: workbook.sheets[table.sheet].name.clone(),
        ledger: ledger.id.clone(),
        title: ledger.title.clone(),
        header_row: table.header.1 + 1,
        rows: table.body.len(),
        columns: columns.collect(),
    }
}

fn print(report: &Report) {
    println!("{}", report.file);
    for table in &report.tables {
        println!(
            "  [{}] {}({})，{} 行 rows,表头在第 {} 行 header row",
            table.sheet, table.title, table.ledger, table.rows, table.header_row
        );
        for column in &table.columns {
            let target = column.column.as_deref().unwrap_or("— 附加信息 kept beside the row");
            println!("      {:<5} {} → {target}", column.cell, column.header);
        }
    }
    for finding in &report.findings {
        let mark = match finding.severity {
            Severity::Error => "✗",
            Severity::Warning => "!",
            Severity::Info => "·",
        };
        println!(
            "  {mark} {}!{} {}「{}」{}",
            finding.sheet, finding.cell, finding.column, finding.read, finding.message
        );
    }
    let errors = report.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    println!(
        "  {} 张台账 ledgers,{} 条问题 findings（其中错误 errors {errors} 条）",
        report.tables.len(),
        report.findings.len()
    );
}
