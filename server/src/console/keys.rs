//! `taizhang keys` on the command line.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::{Args, Subcommand};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    Server,
    audit::{self, Event},
    clock,
    config::Config,
    console::import::WHO,
    installation,
    keyring::{self, Keyring, Signing},
    lasting,
    store::{
        examine::KeysSeen,
        sqlite::{DOCUMENT_KEYS, SUCCESSORS},
    },
    whole,
};

/// What is noted of the newest copy of the keys, in the data folder.
const COPIED: &str = "keys-copied.json";
/// What else a copy holds: what was revoked, disabled and erased, so that no older backup brings it back.
const BESIDE: [&str; 1] = [lasting::FILE];

/// `taizhang keys`.
#[derive(Debug, Args)]
pub struct Keys {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// 列出签章密钥：编号、启用和停用时间、是否泄露 · List the signing keys: id, since when, until when, whether leaked
    List,
    /// 另存密钥到安全之处（如 U 盘上的文件夹），替换那里旧的一份 · Copy the keys to a safe place, in the stead of an older copy
    Copy {
        /// 文件夹，不要与备份放在一起 · A folder, apart from backups
        to: PathBuf,
    },
    /// 更换签章密钥，须先停止服务 · A new key to sign with; the server has to be stopped
    Rotate {
        /// 密钥文件可能已被他人得到：以前的签章全部作废，手机重新取得全部数据 · Somebody else may have the file: nothing that was signed before counts
        #[arg(long)]
        leaked: bool,
    },
}

impl Keys {
    /// Whether it only looks.
    pub fn only_reads(&self) -> bool {
        !matches!(self.command, Some(Command::Rotate { .. }))
    }
}

/// Carries out `taizhang keys`.
pub async fn keys(server: &Server, config: &Config, Keys { command }: Keys) -> anyhow::Result<bool> {
    match command {
        None => println!("{}", server.keys.public()),
        Some(Command::List) => list(server),
        Some(Command::Copy { to }) => copy(server, config, &to).await?,
        Some(Command::Rotate { leaked }) => rotate(server, config, leaked).await?,
    }
    Ok(true)
}

/// Writes every key to a folder elsewhere, with what must not come back with a backup, and notes that it did: `doctor` says when
/// the copy is not the newest any more.
async fn copy(server: &Server, config: &Config, to: &Path) -> anyhow::Result<()> {
    may_copy(server, to).await?;
    let into = || format!("另存到 copying to {} 没有完成 is not complete", to.display());
    std::fs::create_dir_all(to.join(SUCCESSORS)).with_context(into)?;
    let is_inside = to.canonicalize()?.starts_with(config.data_dir.canonicalize()?);
    anyhow::ensure!(!is_inside, "请另存到数据文件夹之外 keep the copy outside of the data folder");
    let read = |name: &str| {
        let path = config.data_dir.join(name);
        std::fs::read(&path).with_context(|| path.display().to_string())
    };
    // Read first: what is destroyed meanwhile is in no copy.
    let digest = digest(config);
    let document_keys = read(DOCUMENT_KEYS)?;
    whole::write(&to.join(DOCUMENT_KEYS), &document_keys, true).with_context(into)?;
    for name in BESIDE {
        if config.data_dir.join(name).is_file() {
            whole::write(&to.join(name), &read(name)?, true).with_context(into)?;
        }
    }
    // Last: a folder without it is taken for no copy.
    whole::write(&to.join(keyring::FILE), &read(keyring::FILE)?, true).with_context(into)?;
    let kept = names(&config.data_dir.join(SUCCESSORS))?;
    for name in &kept {
        whole::write(&to.join(SUCCESSORS).join(name), &read(&format!("{SUCCESSORS}/{name}"))?, true)?;
    }
    for name in names(&to.join(SUCCESSORS))?.difference(&kept) {
        std::fs::remove_file(to.join(SUCCESSORS).join(name))?;
    }
    let copied = Copied { at_ms: clock::now_ms(), keys: digest };
    whole::write(&config.data_dir.join(COPIED), &serde_json::to_vec(&copied)?, true)?;
    println!("✓ 密钥已另存 the keys were copied: {}", to.display());
    println!(
        "请与数据库备份分开保管，旧的一份如在别处请删除 | keep it apart from backups; delete older copies elsewhere"
    );
    if is_same_disk(&config.data_dir, to) {
        println!(
            "· 它与数据在同一磁盘：磁盘损坏时一起丢失，请再另存一份到 U 盘 | it is on the disk of the data and is lost with it: keep one elsewhere, too"
        );
    }
    Ok(())
}

/// Whether this folder may be written to: it takes no copy that holds more than is here.
async fn may_copy(server: &Server, to: &Path) -> anyhow::Result<()> {
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    anyhow::ensure!(
        to.is_dir() || parent.is_dir(),
        "没有文件夹 no such folder: {}。U 盘插好了吗？ Is the stick there?",
        parent.display()
    );
    let KeysSeen { fault, keyless } = server.store.examine().document_keys().await?;
    if let Some(fault) = fault {
        anyhow::bail!("{fault}。本机的密钥不全，没有另存 | the keys here are not sound, and were not copied");
    }
    let lost = keyless.len();
    anyhow::ensure!(
        lost == 0,
        "本机缺少 {lost} 份文档的密钥，没有另存：请先放回最新另存的一份（taizhang doctor 说明）| the keys of {lost} documents are missing here, so nothing was copied: put the newest copy back first (`taizhang doctor` says more)"
    );
    let there = to.join(keyring::FILE);
    if there.is_file() {
        let there = Keyring::read(there).ok().flatten();
        anyhow::ensure!(
            there.is_some_and(|there| there.is_of_one_installation(&server.keyring)),
            "{} 里是另一套安装的密钥，或已不能读；没有替换，请另选文件夹 | there are the keys of another installation, or they cannot be read: choose another folder",
            to.display()
        );
    }
    Ok(())
}

/// A digest of all that a copy holds.
fn digest(config: &Config) -> String {
    let mut all = Sha256::new();
    for name in [DOCUMENT_KEYS, keyring::FILE].into_iter().chain(BESIDE) {
        let bytes = std::fs::read(config.data_dir.join(name)).unwrap_or_default();
        all.update(format!("{name}\0{}\0", bytes.len()));
        all.update(bytes);
    }
    HEXLOWER.encode(&all.finalize())
}

#[cfg(unix)]
fn is_same_disk(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let disk = |path: &Path| path.metadata().ok().map(|metadata| metadata.dev());
    disk(a) == disk(b)
}

#[cfg(not(unix))]
fn is_same_disk(a: &Path, b: &Path) -> bool {
    let disk = |path: &Path| path.canonicalize().ok()?.components().next().map(|part| part.as_os_str().to_owned());
    disk(a) == disk(b)
}

fn names(folder: &Path) -> anyhow::Result<BTreeSet<String>> {
    if !folder.is_dir() {
        return Ok(BTreeSet::new());
    }
    let files = std::fs::read_dir(folder)?;
    files.map(|file| Ok(file?.file_name().to_string_lossy().into_owned())).collect()
}

/// What is noted of the copy.
#[derive(Debug, Serialize, Deserialize)]
struct Copied {
    at_ms: i64,
    /// SHA-256 of all of it as it was.
    keys: String,
}

/// What an administrator should know of the copy of the keys; nothing, where it is the newest.
pub(super) fn to_copy(config: &Config) -> Option<String> {
    const WHAT: &str = "taizhang keys copy 文件夹 FOLDER";
    if !config.data_dir.join(DOCUMENT_KEYS).is_file() {
        return None;
    }
    let copied = std::fs::read(config.data_dir.join(COPIED)).ok();
    let Some(copied) = copied.and_then(|bytes| serde_json::from_slice::<Copied>(&bytes).ok()) else {
        return Some(format!(
            "密钥还没有另存过，磁盘损坏时敏感信息将无法恢复 the keys were never copied: without a copy what is restricted is lost with the disk: {WHAT}"
        ));
    };
    let at = clock::local(copied.at_ms).strftime("%Y-%m-%d %H:%M");
    (copied.keys != digest(config)).then(|| {
        format!(
            "密钥（或停用、清除的记载）在 {at} 另存以后又有变化，请再另存一次 the keys, or what was revoked and erased, have changed since they were copied at {at}: {WHAT}"
        )
    })
}

fn list(server: &Server) {
    println!("密钥文件 file: {}", server.keyring.file().display());
    for signing in server.keyring.signing() {
        println!("{}", line(signing));
    }
}

fn line(signing: &Signing) -> String {
    let at = |ms: i64| clock::local(ms).strftime("%Y-%m-%d %H:%M").to_string();
    let since = if signing.since_ms == 0 { "建库时 the beginning".into() } else { at(signing.since_ms) };
    let state = match (signing.is_leaked, signing.until_ms) {
        (true, _) => "已作废（泄露）does not count any more: leaked",
        (false, Some(_)) => "已更换，以前的签章仍有效 replaced; what it has signed still counts",
        (false, None) => "使用中 in use",
    };
    let until = signing.until_ms.map(at).unwrap_or_default();
    format!("{}  {since} — {until}  {state}", signing.id())
}

async fn rotate(server: &Server, config: &Config, is_leaked: bool) -> anyhow::Result<()> {
    // What a running server holds in memory would go on signing.
    let _lock =
        installation::lock(&config.data_dir).context("请先停止服务，再更换密钥 stop the server first, then rotate")?;
    let next = server.keyring.rotated(is_leaked);
    let (before, now) = (server.keyring.current().id(), next.current().id());
    let detail = json!({ "before": before, "now": now, "leaked": is_leaked });
    audit::note_console(server, WHO, Event::KeysRotated, Some(server.county), detail).await?;
    next.keep(server.store.as_ref()).await?;
    println!("✓ 已更换签章密钥 a new key signs from now on: {before} → {now}");
    println!(
        "请立即另存一份 keep a copy now: {}；旧的备份文件请销毁 destroy the copies of before",
        server.keyring.file().display()
    );
    println!(
        "手机下次联网自动取得新公钥；不联网的办公室请用新公钥重新 join（taizhang keys 打印公钥）| phones fetch the new public key when they are online; offices without a network `join` again with it (`taizhang keys` prints it)"
    );
    if is_leaked {
        println!(
            "以前签章的报表核对时显示为作废，需要的请按回执号重新生成。若数据库也可能泄露：请所有人更换密码、重新设置动态口令，更换各手机的令牌（停用后重新邀请）。记录编号所用的县密钥不能更换：它泄露后，得到数据库的人可以猜测身份证号 | returns that were sealed before count as void: draw those that are needed again. If the database may have leaked, too: everybody needs a new password and new one-time codes, every phone a new invitation. The county's key, from which ids of records follow, cannot be changed: with it and the database, identity numbers can be guessed"
        );
    }
    Ok(())
}
