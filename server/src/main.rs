//! The command line of the server.

mod catalogue;

use std::{io::Write, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context;
use clap::{Parser, Subcommand};
use importer::isolate::{self, Task};
use server::{
    Server, auth,
    config::Config,
    console::{
        self, EXIT_CODES,
        audit::Audit,
        doctor::Older,
        erase::Erase,
        import::{self, Afterwards},
        look::{self, ReturnArguments},
        people::Person,
        periods::Periods,
        proposals::Proposals,
        quarantine::Quarantine,
        submissions::Submissions,
    },
    demo, http, installation, lasting, people, retention,
};

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
    /// 年度，如 2012；报送报表时为报送期，如 2012-04；默认为配置的年度 · The year, e.g. 2012; for submissions the period, e.g. 2012-04; the configured year if absent
    #[arg(long, global = true)]
    period: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// 新建一个县的数据目录，只需一次 · Make the data folder of a county, once
    Init,
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
        /// 送来文件的单位编码：简称按该单位理解，其他单位的行不导入，应由上级决定的列为建议 · Code of the unit that sends the files
        #[arg(long)]
        unit: Option<String>,
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
        #[arg(long)]
        examine: bool,
        #[arg(long)]
        examine_for_stranger: bool,
    },
    /// 生成报表或合并台账 · Draw a return (R03) or a merged ledger (members)
    Return(ReturnArguments),
    /// 报送报表：报送、列出、审核、退回、查看差异 · The life of submitted returns
    #[command(subcommand)]
    Submission(Submissions),
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
        /// 列出每一条记录 · Every row below its cause
        #[arg(long)]
        all: bool,
        /// 以 JSON 输出 · Print JSON
        #[arg(long)]
        json: bool,
    },
    /// 流程核查：未按规定程序办理的环节（内容已写入）· Steps of workflows out of their order (written)
    Steps,
    /// 建议：下级填写的、应由本级办理的内容，采纳或退回 · What others have written who may not decide it: accept or reject
    #[command(subcommand)]
    Proposals(Proposals),
    /// 查看或检查目录（台账、代码、指标）· The catalogue of ledgers, codes and indicators
    #[command(subcommand)]
    Catalogue(CatalogueCommand),
    /// 未接收的手机修改：查看、接收、退回 · Changes of devices that were not taken
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// 清除一条记录的敏感信息或整条记录，不可恢复 · Erase what restricted books hold of a record, or the whole record, for good
    Erase(Erase),
    /// 保存期满仍未清除的敏感信息：列出，或立即清除 · What is kept for longer than the county has said: listed, or erased now
    Retention(console::retention::Arguments),
    /// 一个人在台账中的全部内容：列出，或写成工作簿交给本人 · Everything that is kept about one person: listed, or as a workbook for them
    About(console::about::About),
    /// 修改记录：某一时刻或回执号以来改了哪些格，谁改的 · What has changed since, by whom
    Changes {
        /// 单位编码，默认全县 · Code of the unit; the county if absent
        #[arg(long)]
        unit: Option<String>,
        /// 此时刻以来，如 2012-11-10T18:00 · Since this time
        #[arg(long, conflicts_with = "since_seq")]
        since: Option<jiff::civil::DateTime>,
        /// 此回执号以来，见报表注脚 · Since this number of the feed, which a return prints
        #[arg(long, default_value_t = 0)]
        since_seq: i64,
        /// 以 JSON 输出 · Print JSON
        #[arg(long)]
        json: bool,
    },
    /// 列出冲突 · List conflicts
    Conflicts {
        /// 以 JSON 输出 · Print JSON
        #[arg(long)]
        json: bool,
    },
    /// 登记一台手机，打印其令牌；device list 列出全部设备 · Enrol a device and print its token; `device list` lists all
    Device(console::device::Device),
    /// 停用一台手机：它清除自己的数据，之后送来的修改待上级处理 · Revoke a device: it erases itself, what it still sends waits
    Revoke(console::device::Which),
    /// 处理一个数据包（U 盘或聊天带来的 .tzb），写出回复包 · Take a bundle from a device or office, write its answer
    Bundle {
        /// 收到的数据包 · The bundle
        file: PathBuf,
        /// 回复包 · Its answer
        answer: PathBuf,
    },
    /// 打印本县公钥，供手机和办公室制作数据包；列出、更换签章密钥；另存全部密钥 · This installation's public keys, which bundles are made for; list, rotate, copy
    Keys(console::keys::Keys),
    /// 人员：添加、列出、修改、停用、恢复、重设密码、邀请手机 · People: add, list, change, disable, enable, reset a password, invite a device
    #[command(subcommand)]
    Person(Person),
    /// 审计日志：列出、核对 · The audit log: list it, verify it
    #[command(subcommand)]
    Audit(Audit),
    /// 年度：开启、列出、封存、启封 · Years: open, list, seal, unseal
    #[command(subcommand)]
    Period(Periods),
    /// 打印权限表 · Print what each role may do
    Permissions,
    /// 打印接口说明 · Print the OpenAPI document
    Openapi,
    /// 检查数据是否完好 · Check that everything stored is sound
    Doctor {
        /// 修复可由其他内容推算的部分 · Repair what follows from the rest
        #[arg(long)]
        repair: bool,
        /// 数据库比已确认的旧，仍以它为准；记入审计 · Go on with a database that is older than what was acknowledged; noted in the audit log
        #[arg(long)]
        accept_older: bool,
        /// 不知道备份之后停用、清除过什么，仍继续；用于 lasting.jsonl 丢失或损坏时 · With --accept-older: go on, though lasting.jsonl is lost or damaged and nobody knows what was revoked or erased since
        #[arg(long, requires = "accept_older")]
        accept_forgotten: bool,
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

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A process that only reads a workbook needs no runtime, which takes memory of its own.
    if let Command::ReadWorkbook { memory_mib, examine, examine_for_stranger } = arguments.command {
        return ExitCode::from(isolate::serve(memory_mib << 20, Task::of(examine, examine_for_stranger)));
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
    match &arguments.command {
        Command::Permissions => return Ok(print_document(&auth::table())),
        Command::Openapi => return Ok(print_document(&http::document())),
        _ => {}
    }
    let server = match &arguments.command {
        Command::Init => return console::init(&config).await,
        Command::Doctor { json, repair, accept_older, accept_forgotten } => {
            let orders = console::doctor::Orders {
                json: *json,
                repair: *repair,
                older: match (accept_older, accept_forgotten) {
                    (false, _) => Older::Refused,
                    (true, false) => Older::Accepted,
                    (true, true) => Older::Forgotten,
                },
            };
            return console::doctor::doctor(&config, orders).await;
        }
        command if only_reads(command) => console::open_to_read(&config).await?,
        _ => console::open(&config).await?,
    };
    let period = arguments.period;
    let server = console::in_period(server, period.as_deref()).await?;
    let result = match arguments.command {
        Command::Serve { listen } => return serve(server, &config, listen.unwrap_or(config.listen)).await,
        Command::Import { files, who, unit, findings, preview, json } => {
            let unit = match unit {
                Some(code) => Some(look::unit_with_code(&server, &code).await?.id),
                None => None,
            };
            let sender = import::Sender::new(&who, unit);
            if preview {
                import::preview(&server, &files, &sender, findings.as_deref(), json).await
            } else {
                import::import(&server, &files, &sender, findings.as_deref(), json).await
            }
        }
        Command::Afterwards(command) => import::afterwards(&server, command).await,
        Command::Return(arguments) => look::draw(&server, arguments).await,
        Command::Submission(command) => Box::pin(console::submissions::submissions(&server, command, period)).await,
        Command::Indicators { names, unit, date, json } => {
            look::print_indicators(
                &server,
                &names,
                unit.as_deref(),
                date.unwrap_or_else(|| server.statistics_date()),
                json,
            )
            .await
        }
        Command::Quality { unit, all, json } => look::print_quality(&server, unit.as_deref(), all, json).await,
        Command::Steps => look::print_steps(&server).await,
        Command::Proposals(command) => Box::pin(console::proposals::proposals(&server, command, period)).await,
        Command::Quarantine(command) => console::quarantine::quarantine(&server, command, period.as_deref()).await,
        Command::Erase(arguments) => console::erase::erase(&server, arguments).await,
        Command::Retention(arguments) => console::retention::retention(&server, &config.retention, arguments).await,
        Command::About(arguments) => console::about::about(&server, arguments).await,
        Command::Changes { unit, since, since_seq, json } => {
            look::print_changes(&server, unit.as_deref(), (since, since_seq), json).await
        }
        Command::Conflicts { json } => look::print_conflicts(&server, json).await,
        Command::Device(command) => console::device::device(&server, command).await,
        Command::Revoke(which) => console::device::revoke(&server, &which).await,
        Command::Bundle { file, answer } => console::bundle::answer(&server, &file, &answer).await,
        Command::Keys(command) => console::keys::keys(&server, &config, command).await,
        Command::Period(command) => console::periods::periods(&server, command).await,
        Command::Person(command) => console::people::person(&server, command).await,
        Command::Audit(command) => console::audit::audit(&server, command).await,
        Command::Catalogue(_)
        | Command::Demo { .. }
        | Command::Doctor { .. }
        | Command::Init
        | Command::Openapi
        | Command::Permissions
        | Command::ReadWorkbook { .. } => unreachable!("handled above"),
    };
    server.store.close().await;
    result
}

/// Whether a command only looks at what is stored.
fn only_reads(command: &Command) -> bool {
    match command {
        Command::Afterwards(command) => command.only_reads(),
        Command::Import { preview, .. } => *preview,
        Command::Indicators { .. }
        | Command::Quality { .. }
        | Command::Steps
        | Command::Changes { .. }
        | Command::Conflicts { .. } => true,
        Command::Keys(command) => command.only_reads(),
        Command::Period(command) => command.only_reads(),
        _ => false,
    }
}

fn print_document(text: &str) -> bool {
    print!("{text}");
    true
}

async fn serve(mut server: Server, config: &Config, listen: std::net::SocketAddr) -> anyhow::Result<bool> {
    let _lock = installation::lock(&config.data_dir).with_context(|| config.data_dir.display().to_string())?;
    installation::rename_county(&server).await?;
    let ready = config.tls.ready(&config.data_dir)?;
    server.tls = ready.as_ref().map(|ready| ready.shown.clone());
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .with_context(|| format!("端口被占用或无权监听 cannot listen on {listen}; choose another with --listen"))?;
    let address = listener.local_addr()?;
    let scheme = if server.tls.is_some() { "https" } else { "http" };
    let mut said = vec![format!("台账通已启动 serving on {scheme}://{address}/ (Ctrl+C 结束 to stop)")];
    if let Some(ready) = &ready {
        said.push(format!("证书指纹 certificate SHA-256: {}", ready.fingerprint));
    }
    if !server.is_secure && !address.ip().is_loopback() {
        eprintln!(
            "注意：连接未加密，请在配置中设置 [tls] · connections are not encrypted: set [tls] in the configuration"
        );
    }
    if people::is_first_run(&server).await? {
        said.push(format!("尚无系统管理员，请另开窗口运行 no administrator yet, run: {}", console::people::FIRST));
    }
    // Whoever starts the server may have read enough after the first line.
    let _ = writeln!(std::io::stdout(), "{}", said.join("\n"));
    let (unfinished, known) = (server.clone(), installation::lasting(config));
    tokio::spawn(async move { lasting::finish(&unfinished, &known.facts).await });
    tokio::spawn(retention::keep(server.clone(), config.retention.clone()));
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
