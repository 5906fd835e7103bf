//! What the command lines of `taizhang` and `taizhang-import` share.

pub mod about;
pub mod audit;
pub mod bundle;
pub mod device;
pub mod doctor;
pub mod erase;
pub mod import;
pub mod keys;
pub mod look;
pub mod people;
pub mod periods;
pub mod proposals;
pub mod quarantine;
pub mod retention;
pub mod submissions;
pub mod watch;

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use importer::isolate::Isolation;

use crate::{
    Server,
    config::{Config, File},
    installation, keyring,
    store::{StoreError, sqlite::DOCUMENT_KEYS},
    whole,
};

/// What a command's exit code says.
pub const EXIT_CODES: &str = "退出码 Exit codes:
  0  成功 success
  1  已完成，但有错误需要处理（见输出）done, but with errors to look at (listed)
  2  未完成，或参数有误 not done, or wrong usage";

/// The command by which a program reads a workbook for another process of its own.
pub const READ_WORKBOOK: &str = "read-workbook";

/// Reads the configuration; `data` goes before what it says.
pub fn configuration(path: Option<PathBuf>, data: Option<PathBuf>) -> anyhow::Result<Config> {
    let mut config = Config::read(path)?;
    if let Some(data) = data {
        config.data_dir = data;
    }
    Ok(config)
}

/// Opens the store of this configuration, which has to be there; workbooks are read by this very program in a process of its
/// own.
pub async fn open(config: &Config) -> anyhow::Result<Server> {
    let server = Server::open_embedded(config).await;
    ready(server.with_context(|| config.data_dir.display().to_string())?, config)
}

/// The same for what only reads: a disk that is full or cannot be written to is no reason not to.
pub async fn open_to_read(config: &Config) -> anyhow::Result<Server> {
    let error = match Server::open_embedded(config).await {
        Ok(server) => return ready(server, config),
        Err(error) => error,
    };
    let is_refused = matches!(error, StoreError::Refused(_));
    let error = anyhow::Error::from(error).context(config.data_dir.display().to_string());
    if is_refused {
        return Err(error);
    }
    let Ok(store) = installation::open_unchanged(config).await else { return Err(error) };
    ready(Server::open(store, config).await?, config)
}

/// The server, asked about this year; of a period such as `2012-04`, about the year that it is in.
pub async fn in_period(server: Server, period: Option<&str>) -> anyhow::Result<Server> {
    match period {
        Some(period) => {
            let year = period.split_once('-').map_or(period, |(year, _)| year);
            Ok(crate::periods::at(&server, year).await?)
        }
        None => Ok(server),
    }
}

/// Makes the store of this configuration, and opens it.
pub async fn create(config: &Config) -> anyhow::Result<Server> {
    let server = Server::create_embedded(config).await;
    ready(server.with_context(|| config.data_dir.display().to_string())?, config)
}

/// Makes the store of this configuration where there is none, and says whose it is: the code can never be changed.
pub async fn init(config: &Config) -> anyhow::Result<bool> {
    installation::make(config).await.with_context(|| config.data_dir.display().to_string())?;
    println!(
        "已新建 made：{}（区划代码 county_code {}，今后不能更改 it can never be changed）→ {}",
        config.county_name,
        config.county_code,
        installation::database(config).display()
    );
    println!(
        "密钥文件请另存一份（如 U 盘，锁入柜中），不要与数据库备份放在一起：没有它，数据库无法使用 · keep a copy of its keys in a safe place, apart from backups; the database is of no use without them: {}",
        keyring::path(config).display()
    );
    println!(
        "{DOCUMENT_KEYS} 是身份证号等敏感信息的密钥：首次导入后、每次清除后运行 taizhang keys copy 文件夹，一并另存 · {DOCUMENT_KEYS} holds the keys of identity numbers and the like: run `taizhang keys copy FOLDER` after the first import and after each erasure, which copies all of them"
    );
    if config.county_code == File::default().county_code {
        println!(
            "注意：{} 是示例代码，正式使用请先在 taizhang.toml 中写明本县代码，再换一个空目录新建 · this is the code of examples: for a real county write its code into taizhang.toml first, and make a new one in an empty folder",
            config.county_code
        );
    }
    Ok(true)
}

fn ready(mut server: Server, config: &Config) -> anyhow::Result<Server> {
    server.isolation = isolation(config)?;
    Ok(server)
}

/// A process of its own for reading workbooks.
pub fn isolation(config: &Config) -> anyhow::Result<Isolation> {
    Ok(Isolation::Process {
        program: std::env::current_exe()?,
        arguments: vec![READ_WORKBOOK.into(), "--memory-mib".into(), config.read_memory_mib.to_string()],
        time_max: Duration::from_secs(config.read_seconds),
    })
}

/// Writes a file whole or not at all.
pub fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    whole::write(path, bytes, false).with_context(|| path.display().to_string())
}

/// Whether files can be written into a folder, which is made: asked before anything is done whose words would be lost.
pub(super) fn may_write_into(folder: &Path) -> anyhow::Result<()> {
    let told = || format!("不能写入文件夹 cannot write into {}", folder.display());
    std::fs::create_dir_all(folder).with_context(told)?;
    tempfile::tempfile_in(folder).with_context(told)?;
    Ok(())
}

/// Whatever a program writes is its owner's alone, and nothing of its memory goes to the disk when it ends badly: both hold personal
/// data.
fn keep_private() {
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    // Where the system has no such limit, it writes nothing either.
    drop(rlimit::setrlimit(rlimit::Resource::CORE, 0, 0));
}

/// Begins a program: logs go to standard error. Output that cannot be written is no crash, be it that its reader has had
/// enough (`| head`), or that the disk is full.
pub fn begin() {
    keep_private();
    let otherwise = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload_as_str().unwrap_or_default();
        if text.starts_with("failed printing to std") {
            if !text.contains("os error 32") {
                // Standard error may be what cannot be written to.
                drop(writeln!(std::io::stderr(), "错误 error: 输出无法写出 {text}"));
            }
            std::process::exit(2);
        }
        otherwise(panic);
    }));
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn,server=info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .log_internal_errors(false)
        .init();
}

/// Ends a program: success, done with something to look at, or not done.
pub fn exit_code(result: anyhow::Result<bool>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("错误 error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Says which units were not taken, and why.
pub fn print_refused_units(refused: &[sync_protocol::bundle::RefusedUnit]) {
    for unit in refused {
        println!("  单位 unit {}：{}", unit.name, unit.sentence);
    }
}
