//! Servers in processes of their own, for benchmarks: what memory and processor they take is theirs alone.

use std::{path::Path, process::Stdio};

use anyhow::Context;
use server::Server;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::{county, node, process};

/// The whole of a benchmark that is its own server, too: with `serve FOLDER` it serves what `prepare` opens there until it is
/// killed, and prints its port; else it measures.
pub fn main(
    prepare: impl AsyncFnOnce(&Path) -> anyhow::Result<Server>,
    measure: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some("serve") {
        return runtime.block_on(measure);
    }
    runtime.block_on(async {
        let folder = arguments.next().context("a folder")?;
        let server = prepare(Path::new(&folder)).await?;
        let url = county::serve(&server).await?;
        println!("{}", url.rsplit(':').next().context("a port")?);
        std::future::pending().await
    })
}

/// A server in a process of its own.
#[derive(Debug)]
pub struct Running {
    process: Child,
    port: String,
}

impl Running {
    /// Starts a program that prints its port.
    pub async fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut process = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut lines = BufReader::new(process.stdout.take().context("its output")?).lines();
        let port = lines.next_line().await?.context("a port")?;
        Ok(Self { process, port })
    }

    /// This very program, which knows how to serve a folder.
    pub async fn ours(folder: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve").arg(folder);
        Self::start(command).await
    }

    /// The official Node sync server.
    pub async fn node(folder: &Path) -> anyhow::Result<Self> {
        let mut command = node::command("repo-server.mjs")?;
        command.arg(folder);
        Self::start(command).await
    }

    /// The most memory that it has held.
    pub fn peak_mib(&self) -> f64 {
        self.process.id().and_then(|id| process::peak_memory_mib_of(&id.to_string())).unwrap_or(f64::NAN)
    }

    /// The processor time that it has taken.
    pub fn cpu_seconds(&self) -> f64 {
        self.process.id().and_then(|id| process::cpu_seconds_of(&id.to_string())).unwrap_or(f64::NAN)
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its address for sockets.
    pub fn socket(&self, path: &str) -> String {
        format!("ws://127.0.0.1:{}{path}", self.port)
    }
}
