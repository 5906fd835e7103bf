//! What the command lines of `taizhang` and `taizhang-import` share.

pub mod bundle;
pub mod device;
pub mod erase;
pub mod import;
pub mod look;
pub mod people;
pub mod quarantine;
pub mod submissions;
pub mod watch;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use importer::isolate::Isolation;

use crate::{Server, config::Config};

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

/// Opens the store of this configuration; workbooks are read by this very program in a process of its own.
pub async fn open(config: &Config) -> anyhow::Result<Server> {
    std::fs::create_dir_all(&config.data_dir).with_context(|| config.data_dir.display().to_string())?;
    let mut server = Server::open_embedded(config).await.with_context(|| config.data_dir.display().to_string())?;
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
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, path)).with_context(|| path.display().to_string())
}

/// Begins a program: logs go to standard error. Output that cannot be written is no crash, be it that its reader has had
/// enough (`| head`), or that the disk is full.
pub fn begin() {
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
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false).init();
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
