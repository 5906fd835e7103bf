//! `taizhang audit`: the log listed, a checkpoint of it for a witness, and the log held against what witnesses have kept.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use data_encoding::HEXLOWER;
use sync_protocol::checkpoint::{Note, parse};

use super::write_whole;
use crate::{
    Server,
    audit::{
        Verified,
        witness::{self, Standing, Witness},
    },
    clock,
};

/// What can be done with the audit log.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// 列出 · List it
    List {
        /// 从此编号之后 · Lines behind this number
        #[arg(long, default_value_t = 0)]
        after: i64,
    },
    /// 核对：逐行重算；有见证文件的，再与之核对 · Verify it, line by line, and against what witnesses have kept
    Verify {
        /// 以前抄下的末行校验值：其后是否被截断 · A hash noted earlier: was anything cut off since?
        #[arg(long)]
        head: Option<String>,
        /// 见证文件，可多次：checkpoint 存出的文本、签章报表（.xlsx）、手机或办公室写出的数据包（.tzb）、taizhang-import 的数据目录 · A witness, several allowed: a saved checkpoint, a sealed return, a bundle that a device has written, the data folder of taizhang-import
        #[arg(long)]
        witness: Vec<PathBuf>,
    },
    /// 打印当前检查点，请另存他处（打印、U 盘、发给他人）· Print the checkpoint of now, to be kept where the owner of this machine cannot change it
    Checkpoint {
        /// 存为文件 · The file to write
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

/// Lists or verifies the audit log, or prints a checkpoint of it; `false` when it is not what was written.
pub async fn audit(server: &Server, command: Audit) -> anyhow::Result<bool> {
    match command {
        Audit::List { mut after } => loop {
            let lines = server.store.people().audit(after, 1000).await?;
            let Some(last) = lines.last() else { return Ok(true) };
            after = last.number;
            for line in &lines {
                let when = clock::local(line.entry.at_ms).strftime("%Y-%m-%d %H:%M:%S");
                let from = line.entry.address.as_deref().map(|address| format!(" {address}")).unwrap_or_default();
                let entry = &line.entry;
                println!("{} {when} {}{from} {} {}", line.number, entry.who, entry.event, entry.detail);
            }
        },
        Audit::Verify { head, witness } => verify(server, head.as_deref(), &witness).await,
        Audit::Checkpoint { out } => {
            let checkpoint = server.checkpoints.now().await?;
            let text =
                checkpoint.context("日志还没有内容，没有检查点可存 the log has no line yet: nothing to be kept")?;
            let Some(out) = out else {
                print!("{text}");
                return Ok(true);
            };
            write_whole(&out, text.as_bytes())?;
            let lines = parse(&text).first().map(|note| note.checkpoint.size).unwrap_or_default();
            println!(
                "{}：{lines} 行的检查点，请存放在本机以外 a checkpoint of {lines} lines: keep it elsewhere than on this machine",
                out.display()
            );
            Ok(true)
        }
    }
}

async fn verify(server: &Server, head: Option<&str>, files: &[PathBuf]) -> anyhow::Result<bool> {
    let expected = head.map(|head| {
        let bytes = HEXLOWER.decode(head.to_lowercase().as_bytes()).ok();
        bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
    });
    anyhow::ensure!(expected != Some(None), "--head 应为64位十六进制 must be 64 hexadecimal digits");
    let mut notes = Vec::new();
    for file in files {
        notes.push(witness::read(server, file).await.with_context(|| file.display().to_string())?);
    }
    let (verified, witnesses) = witness::hear(server, expected.flatten().as_ref(), notes).await?;
    print(&verified);
    for (file, witness) in files.iter().zip(&witnesses) {
        println!("{}", in_words(&file.display().to_string(), witness, &verified));
    }
    let is_consistent = witnesses.iter().all(Witness::is_consistent);
    if !is_consistent {
        print_set_back(server, &verified).await?;
    }
    if files.is_empty() {
        println!(
            "注意：拥有本机的人可以改写整个日志并重新计算校验值；只有存放在别处的检查点能说明是否如此：用 audit checkpoint 存出，核对时加 --witness · note: whoever owns this machine can write the whole log anew and hash it; only a witness can tell: keep what `audit checkpoint` prints elsewhere, and verify with --witness"
        );
    }
    Ok(verified.broken.is_none() && verified.knows && is_consistent)
}

fn print(verified: &Verified) {
    if let Some(number) = verified.broken {
        println!("✗ 第 {number} 行被改动或缺失 line {number} was altered, or is missing");
    } else if !verified.knows {
        println!("✗ 日志中没有这一校验值：曾被截断 the log does not hold this hash: it was cut off");
    } else {
        println!("✓ {} 行完好 lines are sound", verified.lines);
        println!("末行校验值（请抄下存档）last hash, to be noted elsewhere: {}", HEXLOWER.encode(&verified.head));
    }
}

/// What a file says of the log, in one sentence: what speaks against it goes before what speaks for it.
fn in_words(file: &str, witness: &Witness, verified: &Verified) -> String {
    let of = |wanted: Standing| witness.checkpoints.iter().filter(move |(_, standing)| *standing == wanted);
    let when = |note: &Note| clock::local(note.checkpoint.at_ms).strftime("%Y-%m-%d %H:%M").to_string();
    // What is known of where: behind the longest beginning that is right, within the shortest that is not.
    let right = of(Standing::Consistent).map(|(note, _)| note.checkpoint.size).max().unwrap_or_default();
    if let Some((note, _)) = of(Standing::Rewritten).min_by_key(|(note, _)| note.checkpoint.size) {
        let (size, when) = (note.checkpoint.size, when(note));
        return format!(
            "✗ {file}：日志被改写：{when} 的前 {size} 行与现在不同（第 {} 至 {size} 行之间）| the log was rewritten: its first {size} lines are not those of {when}",
            right + 1
        );
    }
    if let Some((note, _)) = of(Standing::Cut).max_by_key(|(note, _)| note.checkpoint.size) {
        let (size, when, lines) = (note.checkpoint.size, when(note), verified.lines);
        return format!(
            "✗ {file}：日志被截断：{when} 已有 {size} 行，现在只有 {lines} 行 | the log was cut: it had {size} lines at {when}, and has {lines} now"
        );
    }
    if of(Standing::Unsigned).next().is_some() {
        return format!(
            "✗ {file}：检查点不是本服务器的密钥签的：或者被改过，或者是别的服务器的，或者本服务器的密钥已被更换 | this server's key has not signed its checkpoint: it was altered, or is another server's, or the key of this server was replaced"
        );
    }
    if let Some((note, _)) = of(Standing::Elsewhere).next() {
        return format!(
            "✗ {file}：检查点是另一个库的（{}），不能说明本日志 | its checkpoint is of another database: it says nothing of this log",
            note.checkpoint.origin
        );
    }
    let newest = of(Standing::Consistent).max_by_key(|(note, _)| note.checkpoint.size);
    let (size, when) = newest.map(|(note, _)| (note.checkpoint.size, when(note))).unwrap_or_default();
    let count = witness.checkpoints.len();
    let of_all = if count > 1 { format!("（共 {count} 个检查点 checkpoints）") } else { String::new() };
    format!(
        "✓ {file}：与 {when} 的检查点（{size} 行）一致{of_all} | consistent with a checkpoint of {size} lines from {when}"
    )
}

/// What would explain it, if it is true: a restored backup lacks lines that others have seen.
async fn print_set_back(server: &Server, verified: &Verified) -> anyhow::Result<()> {
    for number in &verified.set_back {
        let lines = server.store.people().audit(number - 1, 1).await?;
        let Some(line) = lines.first() else { continue };
        let when = clock::local(line.entry.at_ms).strftime("%Y-%m-%d %H:%M");
        println!(
            "· 第 {number} 行记有：{when} {} 接受了较旧的数据库（恢复备份）；若属实，备份之后的行由此丢失，请向其核实 · line {number} says that an older database was gone on with then: if that is true, lines behind the backup were lost by it; ask them",
            line.entry.who
        );
    }
    Ok(())
}
