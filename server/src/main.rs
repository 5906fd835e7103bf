//! The command line of the server.

mod catalogue;

use std::{collections::BTreeSet, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use importer::{ReadLimits, isolate};
use server::{
    Server, clock,
    console::{
        self, EXIT_CODES,
        import::{self, Afterwards},
        quarantine::Quarantine,
    },
    demo, doctor, http, indicators, quality,
    returns::{self, ReturnRequest, conflicts},
};
use sync_protocol::catalogue::{Catalogue, StepFault, Weight};

/// 台账通：Excel 台账 → 离线填写与同步 → 标准报表
///
/// Taizhang: Excel ledgers, offline editing and sync, standardized returns.
#[derive(Parser)]
#[command(name = "taizhang", version, after_help = EXIT_CODES)]
struct Arguments {
    /// 配置文件，默认 ./taizhang.toml · Configuration file
    #[arg(long, global = true, env = "TAIZHANG_CONFIG")]
    config: Option<PathBuf>,
    /// 数据目录 · Data folder (overrides the configuration)
    #[arg(long, global = true)]
    data: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// 启动服务 · Start the server
    Serve {
        /// 监听地址 · Address to listen on, e.g. 0.0.0.0:8080
        #[arg(long)]
        listen: Option<std::net::SocketAddr>,
    },
    /// 导入台账工作簿 · Import ledger workbooks
    Import {
        /// 工作簿 · Workbooks
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// 导入人或单位，记入每处修改 · Who imports; every change names them
        #[arg(long, default_value = import::WHO)]
        who: String,
        /// 把有问题的文件另存到此目录：问题单元格标色并加批注，改正后可再导入 · Folder for copies with bad cells coloured and noted
        #[arg(long)]
        findings: Option<PathBuf>,
        /// 只预览：逐格列出会改动什么，不写入 · Preview: every cell that would change, nothing written
        #[arg(long)]
        preview: bool,
        /// 以 JSON 输出 · Print JSON
        #[arg(long)]
        json: bool,
    },
    #[command(flatten)]
    Afterwards(Afterwards),
    /// Reads a workbook from standard input for another process.
    #[command(hide = true)]
    ReadWorkbook {
        #[arg(long)]
        memory_mib: u64,
    },
    /// 生成报表或合并台账 · Draw a return (R03) or a merged ledger (members)
    Return(ReturnArguments),
    /// 综合指标 · Indicators of the county or of a unit with everything below it
    Indicators {
        /// 指标编号或名称，默认全部 · Ids (I-12) or names; all if absent
        names: Vec<String>,
        /// 单位编码，默认全县 · Code of the unit; the county if absent
        #[arg(long)]
        unit: Option<String>,
        /// 统计截止日期 · Statistics date; today if absent
        #[arg(long)]
        date: Option<jiff::civil::Date>,
        /// 以 JSON 输出 · Print JSON
        #[arg(long)]
        json: bool,
    },
    /// 数据质量：违反规则或缺必填项的记录 · Rows that break a rule or lack what submission needs
    Quality {
        /// 单位编码，默认全县 · Code of the unit; the county if absent
        #[arg(long)]
        unit: Option<String>,
        /// 以 JSON 输出 · Print JSON
        #[arg(long)]
        json: bool,
    },
    /// 流程核查：未按规定办理的环节（内容已保留）· Steps of workflows that were not allowed (kept)
    Steps,
    /// 查看或检查目录（台账、代码、指标）· The catalogue of ledgers, codes and indicators
    #[command(subcommand)]
    Catalogue(CatalogueCommand),
    /// 未接收的手机修改：查看、接收、退回 · Changes of devices that were not taken
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// 列出冲突 · List conflicts
    Conflicts {
        /// 以 JSON 输出 · Print JSON
        #[arg(long)]
        json: bool,
    },
    /// 登记一台手机，打印其令牌 · Enrol a device and print its token
    Device {
        /// 设备名称 · Name of the device
        name: String,
        /// 使用人 · The person who carries it
        #[arg(long)]
        owner: String,
        /// 党组织或填报单位的编码 · Code of its unit
        #[arg(long)]
        unit: String,
        /// 是否可见限制级信息 · Whether it holds restricted columns
        #[arg(long)]
        restricted: bool,
        /// 办公室：可见并可导入本级全部台账 · An office: holds every book of its level, and may send workbooks in
        #[arg(long)]
        office: bool,
        /// 只能查看 · It may only read
        #[arg(long, conflicts_with = "office")]
        read_only: bool,
    },
    /// 停用一台手机：它清除自己的数据，之后送来的修改待上级处理 · Revoke a device: it erases itself, what it still sends waits
    Revoke {
        /// 设备名称 · Name of the device
        name: String,
    },
    /// 处理一个数据包（U 盘或聊天带来的 .tzb），写出回复包 · Take a bundle from a device or office, write its answer
    Bundle {
        /// 收到的数据包 · The bundle
        file: PathBuf,
        /// 回复包 · Its answer
        answer: PathBuf,
    },
    /// 打印本县公钥，供手机和办公室制作数据包 · This installation's public keys, which bundles are made for
    Keys,
    /// 检查数据是否完好 · Check that everything stored is sound
    Doctor {
        /// 以 JSON 输出 · Print JSON
        #[arg(long)]
        json: bool,
    },
    /// 演示：生成示范县，导入、离线、合并、报表 · The whole story on a synthetic county
    Demo {
        /// 目录 · Folder
        #[arg(long, default_value = "demo")]
        folder: PathBuf,
        /// 监听地址 · Address to listen on
        #[arg(long, default_value = "127.0.0.1:8080")]
        listen: std::net::SocketAddr,
        /// 随机种子 · Seed of the county
        #[arg(long, default_value_t = 2012)]
        seed: u64,
        /// 结束后不保持服务 · Do not go on serving at the end
        #[arg(long)]
        no_serve: bool,
    },
}

#[derive(Args)]
struct ReturnArguments {
    /// 报表编号或台账名 · Number of a return (R03) or id of a ledger (members)
    name: String,
    /// 选项，如 round=final · Choices, e.g. round=final
    #[arg(long = "set", value_parser = choice)]
    variables: Vec<(String, String)>,
    /// 统计截止日期 · Statistics date, e.g. 2012-04-30; today if absent
    #[arg(long)]
    date: Option<jiff::civil::Date>,
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

#[derive(Subcommand)]
enum CatalogueCommand {
    /// 检查本县目录文件 · Check a county's own TOML files, laid over the built-in ones
    Check {
        /// 文件或目录 · Files, or folders of files
        paths: Vec<PathBuf>,
    },
    /// 打印方案要求与台账、报表、指标、测试的对照表 · Print the table of what the plan asks for
    Requirements,
    /// 打印一种台账 · Print a ledger for people
    Show {
        /// 台账名，默认列出全部 · Id of the ledger; a list of all if absent
        ledger: Option<String>,
    },
}

fn choice(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("应为 名称=值 must be name=value")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A process that only reads a workbook needs no runtime, which takes memory of its own.
    if let Command::ReadWorkbook { memory_mib } = arguments.command {
        return ExitCode::from(isolate::serve(memory_mib << 20, &ReadLimits::default()));
    }
    answer(arguments)
}

#[tokio::main]
async fn answer(arguments: Arguments) -> ExitCode {
    console::begin();
    console::exit_code(run(arguments).await)
}

/// Runs a command; `false` when it is done but has errors to look at.
async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    if let Command::Demo { folder, listen, seed, no_serve } = arguments.command {
        demo::run(&demo::Options { folder, listen, seed, serve: !no_serve }).await?;
        return Ok(true);
    }
    if let Command::Catalogue(CatalogueCommand::Check { paths }) = &arguments.command {
        return catalogue::check(paths);
    }
    let config = console::configuration(arguments.config, arguments.data)?;
    if let Command::Catalogue(CatalogueCommand::Show { ledger }) = &arguments.command {
        return catalogue::show(&config.catalogue, ledger.as_deref());
    }
    if let Command::Catalogue(CatalogueCommand::Requirements) = &arguments.command {
        catalogue::requirements(&config.catalogue);
        return Ok(true);
    }
    let server = console::open(&config).await?;
    let result = match arguments.command {
        Command::Serve { listen } => return serve(server, listen.unwrap_or(config.listen)).await,
        Command::Import { files, preview: true, json, findings, .. } => {
            import::preview(&server, &files, findings.as_deref(), json).await
        }
        Command::Import { files, who, json, findings, .. } => {
            import::import(&server, &files, &who, findings.as_deref(), json).await
        }
        Command::Afterwards(command) => import::afterwards(&server, command).await,
        Command::Return(arguments) => draw(&server, arguments).await,
        Command::Indicators { names, unit, date, json } => {
            print_indicators(&server, &names, unit.as_deref(), date.unwrap_or_else(returns::today), json).await
        }
        Command::Quality { unit, json } => print_quality(&server, unit.as_deref(), json).await,
        Command::Steps => print_steps(&server).await,
        Command::Quarantine(command) => console::quarantine::quarantine(&server, command).await,
        Command::Conflicts { json } => print_conflicts(&server, json).await,
        Command::Device { name, owner, unit, restricted, office, read_only } => {
            let kind = console::device::Kind { restricted, office, read_only };
            let unit = unit_with_code(&server, &unit).await?;
            console::device::enrol(&server, &name, &owner, &unit, kind).await
        }
        Command::Revoke { name } => console::device::revoke(&server, &name).await,
        Command::Bundle { file, answer } => console::bundle::answer(&server, &file, &answer).await,
        Command::Keys => {
            console::bundle::keys(&server);
            Ok(true)
        }
        Command::Doctor { json } => diagnose(&server, json).await,
        Command::Catalogue(_) | Command::Demo { .. } | Command::ReadWorkbook { .. } => unreachable!("handled above"),
    };
    server.store.close().await;
    result
}

async fn serve(server: Server, listen: std::net::SocketAddr) -> anyhow::Result<bool> {
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .with_context(|| format!("端口被占用或无权监听 cannot listen on {listen}; choose another with --listen"))?;
    println!("台账通已启动 serving on http://{}/ (Ctrl+C 结束 to stop)", listener.local_addr()?);
    http::serve(Arc::new(server), listener, stop_signal()).await?;
    Ok(true)
}

/// Ctrl+C, or the service manager's request to end.
async fn stop_signal() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        let Ok(mut terminated) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
            let _ = interrupted.await;
            return;
        };
        tokio::select! { _ = interrupted => {}, _ = terminated.recv() => {} }
    }
    #[cfg(not(unix))]
    let _ = interrupted.await;
}

async fn draw(server: &Server, arguments: ReturnArguments) -> anyhow::Result<bool> {
    let request = ReturnRequest {
        name: arguments.name,
        variables: arguments.variables,
        folder: arguments.out,
        date: arguments.date.unwrap_or_else(returns::today),
        unmasked: arguments.unmasked,
    };
    let drawn = returns::draw(server, &request).await?;
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

async fn print_indicators(
    server: &Server,
    names: &[String],
    unit: Option<&str>,
    date: jiff::civil::Date,
    json: bool,
) -> anyhow::Result<bool> {
    let top = match unit {
        Some(code) => unit_with_code(server, code).await?.id,
        None => server.county,
    };
    let lines = indicators::indicators(server, top, date, names).await?;
    anyhow::ensure!(!lines.is_empty(), "没有这些指标 no such indicators: {}", names.join(", "));
    if json {
        println!("{}", serde_json::to_string_pretty(&lines)?);
        return Ok(true);
    }
    for line in &lines {
        let of =
            line.figure.denominator.map_or_else(String::new, |under| format!(" {}/{under}", line.figure.numerator));
        let target = match (line.target_percent, line.reached) {
            (Some(target), Some(reached)) => format!("  目标 {target}% {}", if reached { "已达标" } else { "未达标" }),
            _ => String::new(),
        };
        println!("{:<6} {}：{}{of}{target}", line.id, line.title, line.printed);
    }
    Ok(true)
}

async fn print_quality(server: &Server, unit: Option<&str>, json: bool) -> anyhow::Result<bool> {
    let mut units = server.store.units().await?;
    if let Some(code) = unit {
        let top = unit_with_code(server, code).await?.id;
        // Parents come before what is below them.
        let mut below = BTreeSet::from([top]);
        units.retain(|unit| {
            if unit.parent.is_some_and(|parent| below.contains(&parent)) {
                below.insert(unit.id);
            }
            below.contains(&unit.id)
        });
    }
    let lines = quality::quality(server, &units, returns::today()).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&lines)?);
    } else {
        for line in &lines {
            println!(
                "{:?} {} · {} · {}：{} [{}]",
                line.weight, line.ledger, line.unit, line.record, line.text, line.rule
            );
        }
        let errors = lines.iter().filter(|line| line.weight == Weight::E).count();
        println!("{} 条 lines，其中错误 errors {errors} 条", lines.len());
    }
    Ok(lines.iter().all(|line| line.weight < Weight::E))
}

async fn print_steps(server: &Server) -> anyhow::Result<bool> {
    let steps = server.store.wrong_steps().await?;
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

async fn unit_with_code(server: &Server, code: &str) -> anyhow::Result<sync_protocol::unit::Unit> {
    let units = server.store.units().await?;
    units.into_iter().find(|known| known.code.as_deref() == Some(code)).with_context(|| {
        format!("没有编码为 {code} 的单位，请先导入名录和党组织台账 no unit with this code: import the registers first")
    })
}

async fn print_conflicts(server: &Server, json: bool) -> anyhow::Result<bool> {
    let units = server.store.units().await?;
    let lines = conflicts::lines(server, &server.store.conflicts().await?, &units, false);
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

async fn diagnose(server: &Server, json: bool) -> anyhow::Result<bool> {
    let bar = indicatif::ProgressBar::new(0);
    let diagnosis = doctor::diagnose(server, &|done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })
    .await?;
    bar.finish_and_clear();
    if json {
        println!("{}", serde_json::to_string_pretty(&diagnosis)?);
        return Ok(diagnosis.wrong.is_empty());
    }
    let totals = diagnosis.totals;
    println!(
        "单位 units {}，文档 documents {}，修改 changes {}，记录 rows {}，有冲突的记录 rows in conflict {}",
        totals.units, totals.documents, totals.changes, totals.rows, totals.conflicts
    );
    for wrong in &diagnosis.wrong {
        println!("✗ {wrong}");
    }
    if diagnosis.wrong.is_empty() {
        println!("✓ 数据完好 everything is sound ({} 份文档已核对 documents checked)", diagnosis.documents_checked);
    }
    Ok(diagnosis.wrong.is_empty())
}
