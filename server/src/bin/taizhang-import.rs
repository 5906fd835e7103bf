//! `taizhang-import`: the import for an office without a server: look, plan, write into a store of its own, take back.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use clap::{Parser, Subcommand};
use importer::{
    Finding, Importer, ReadLimits, Register, Severity, Table, Target, UnitDocuments, Workbook, isolate,
    workbook::grid::address,
};
use serde::Serialize;
use server::{
    Server,
    config::Config,
    console::{
        self, EXIT_CODES,
        import::{self, Afterwards, WHO},
        watch,
    },
    office,
};
use sync_protocol::{Tenant, UnitId, bundle::PublicKeys};

/// 台账导入：识别、预览、写入本机数据目录、撤销；不需要网络。
///
/// Imports ledger workbooks without a network: look, plan, write into a local store, take back.
#[derive(Parser)]
#[command(name = "taizhang-import", version, after_help = EXIT_CODES)]
struct Arguments {
    /// 配置文件，默认 ./taizhang.toml · Configuration file
    #[arg(long, global = true, env = "TAIZHANG_CONFIG")]
    config: Option<PathBuf>,
    /// 本机数据目录 · Folder of the local store (overrides the configuration)
    #[arg(long, global = true)]
    data: Option<PathBuf>,
    /// 年度，如 2012，默认为配置的年度 · The year, e.g. 2012; the configured one if absent
    #[arg(long, global = true)]
    period: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// 查看工作簿：识别出哪些台账、表头如何对应、有哪些问题 · Look at workbooks; needs no store
    Inspect {
        /// 工作簿文件 · Workbook files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// 以 JSON 输出 · Print JSON
        #[arg(long)]
        json: bool,
    },
    /// 预览：逐格列出会改动什么，不写入 · Every cell that would change, nothing written
    Plan(Chosen),
    /// 导入到本机数据目录 · Import into the local store
    Apply(Chosen),
    /// 守候一个目录，文件放进来就导入 · Import whatever is put into a folder
    Watch {
        /// 目录 · The folder
        folder: PathBuf,
        /// 导入人或单位 · Who imports
        #[arg(long, default_value = WHO)]
        who: String,
        /// 每隔几秒查看一次 · Seconds between two looks
        #[arg(long, default_value_t = 3)]
        every_seconds: u64,
    },
    /// 新建本机数据目录（join 也会新建）· Make the local store; join does so, too
    Init,
    #[command(flatten)]
    Afterwards(Afterwards),
    /// 加入本县：登记县里给的令牌和公钥（taizhang device --office、taizhang keys）· Join a county with its token and keys
    Join {
        /// 令牌 · The token from `taizhang device --office`
        token: String,
        /// 县公钥 · The county's public keys from `taizhang keys`
        keys: PublicKeys,
    },
    /// 把导入的内容写成数据包（.tzb），用 U 盘或聊天交给县里 · Write what was imported into a bundle for the county
    Bundle {
        /// 数据包 · The file to write
        file: PathBuf,
    },
    /// 收下县里的回复包 · Take the county's answer
    Take {
        /// 回复包 · The file
        file: PathBuf,
    },
    /// Reads a workbook from standard input for another process.
    #[command(hide = true)]
    ReadWorkbook {
        #[arg(long)]
        memory_mib: u64,
    },
}

#[derive(clap::Args)]
struct Chosen {
    /// 工作簿文件 · Workbook files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// 导入人或单位，记入每处修改 · Who imports; every change names them
    #[arg(long, default_value = WHO)]
    who: String,
    /// 把有问题的文件另存到此目录，改正后可再导入 · Folder for copies with bad cells marked
    #[arg(long)]
    findings: Option<PathBuf>,
    /// 以 JSON 输出 · Print JSON
    #[arg(long)]
    json: bool,
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
    let arguments = Arguments::parse();
    // A process that only reads a workbook needs no runtime, which takes memory of its own.
    if let Command::ReadWorkbook { memory_mib } = arguments.command {
        return ExitCode::from(isolate::serve(memory_mib << 20, isolate::Task::Read));
    }
    answer(arguments)
}

#[tokio::main]
async fn answer(arguments: Arguments) -> ExitCode {
    console::begin();
    console::exit_code(run(arguments).await)
}

async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let mut config = console::configuration(arguments.config, arguments.data)?;
    if let Command::Inspect { files, json } = &arguments.command {
        if let Some(period) = &arguments.period {
            config.campaign_year = server::periods::year(period)?;
        }
        return inspect(&config, files, *json);
    }
    let server = match &arguments.command {
        Command::Init => return console::init(&config).await,
        Command::Join { .. } => console::create(&config).await?,
        Command::Plan(_) => console::open_to_read(&config).await?,
        Command::Afterwards(command) if command.only_reads() => console::open_to_read(&config).await?,
        _ => console::open(&config).await?,
    };
    let server = console::in_period(server, arguments.period.as_deref()).await?;
    let result = match arguments.command {
        Command::Plan(Chosen { files, who, findings, json }) => {
            import::preview(&server, &files, &import::Sender::new(&who, None), findings.as_deref(), json).await
        }
        Command::Apply(Chosen { files, who, findings, json }) => {
            import::import(&server, &files, &import::Sender::new(&who, None), findings.as_deref(), json).await
        }
        Command::Watch { folder, who, every_seconds } => {
            watch::watch(&server, &folder, &who, Duration::from_secs(every_seconds.max(1))).await
        }
        Command::Join { token, keys } => {
            office::join(&server, &token, &keys).await?;
            println!("已登记；先用 bundle 写出数据包，交县里处理后用 take 收下回复 joined: exchange a first bundle");
            Ok(true)
        }
        Command::Bundle { file } => {
            let (bytes, changes) = office::write(&server).await?;
            console::write_whole(&file, &bytes)?;
            println!("{}：{changes} 处导入 changes", file.display());
            Ok(true)
        }
        Command::Take { file } => take(&server, &file).await,
        Command::Afterwards(command) => import::afterwards(&server, command).await,
        Command::Init | Command::Inspect { .. } | Command::ReadWorkbook { .. } => unreachable!("handled above"),
    };
    server.store.close().await;
    result
}

/// Takes the county's answer; `false` when it did not take something.
async fn take(server: &Server, file: &Path) -> anyhow::Result<bool> {
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    let taken = office::take(server, &bytes).await?;
    println!(
        "收下 documents {}，单位 units {}；县里已收 received {}，未接收 refused {}",
        taken.documents,
        taken.units,
        taken.receipts,
        taken.refusals.len()
    );
    for refusal in &taken.refusals {
        println!("  {} {}", refusal.hash, refusal.sentence);
    }
    console::print_refused_units(&taken.refused_units);
    Ok(taken.refusals.is_empty() && taken.refused_units.is_empty())
}

/// Looks at files; `false` when one has errors.
fn inspect(config: &Config, files: &[PathBuf], json: bool) -> anyhow::Result<bool> {
    let catalogue = &config.catalogue;
    let tenant = Tenant::new(config.county_code.clone());
    let county = UnitId::derive(&tenant, None, &config.county_code);
    let importer = Importer::new(catalogue, tenant, county, config.campaign_year, None);
    let isolation = console::isolation(config)?;
    let mut reports = Vec::new();
    for file in files {
        let bytes = std::fs::read(file).with_context(|| format!("{}", file.display()))?;
        let workbook = isolation.read(&bytes, &ReadLimits::default()).with_context(|| format!("{}", file.display()))?;
        let (mut tables, mut findings) = importer.detect(&workbook);
        importer::unread::look(&workbook, catalogue, &mut tables, &mut findings);
        // Values are checked as an import would, against an empty county.
        let mut register = Register::default();
        importer.define_units(&workbook, &tables, &mut register);
        let rows = importer::rows::all_rows(&tables);
        findings.extend(importer.plan(&workbook, &tables, &rows, &UnitDocuments::none(county)).findings);
        findings.retain(|finding| finding.code != "duplicate-row");
        let tables = tables.iter().map(|table| table_report(&workbook, table, catalogue)).collect();
        reports.push(Report { file: file.display().to_string(), tables, findings });
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
    } else {
        reports.iter().for_each(print);
    }
    Ok(reports.iter().all(|report| importer::left_out::is_complete(&report.findings)))
}

fn table_report(workbook: &Workbook, table: &Table, catalogue: &sync_protocol::catalogue::Catalogue) -> TableReport {
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
        println!("  {mark} {finding}");
    }
    let errors = report.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    println!(
        "  {} 张台账 ledgers,{} 条问题 findings（其中错误 errors {errors} 条）",
        report.tables.len(),
        report.findings.len()
    );
}
