//! A folder whose workbooks are imported as they turn up.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::Context;

use super::import;
use crate::Server;

/// Where the copies with marked cells go, inside the folder.
const FINDINGS: &str = "问题";

/// How a file looked: it is read once it has looked the same twice, so that a copy under way is left alone.
type Look = (u64, SystemTime);

/// Imports what stands in the folder and whatever turns up in it, until the program is ended.
pub async fn watch(server: &Server, folder: &Path, who: &str, every: Duration) -> anyhow::Result<bool> {
    let findings = folder.join(FINDINGS);
    println!(
        "正在等待文件 waiting for files in {}（问题清单写入 findings go to {}；Ctrl+C 结束 to stop）",
        folder.display(),
        findings.display()
    );
    let sender = import::Sender::new(who, None);
    let mut seen: BTreeMap<PathBuf, (Look, bool)> = BTreeMap::new();
    loop {
        let files = look(folder).with_context(|| folder.display().to_string())?;
        seen.retain(|path, _| files.contains_key(path));
        let mut ready = Vec::new();
        for (path, look) in files {
            let known = seen.entry(path.clone()).or_insert((look, false));
            if known.0 != look {
                *known = (look, false);
            } else if !known.1 {
                ready.push(path);
            }
        }
        // All at once: one may name the units that another needs.
        if !ready.is_empty() {
            let told = |line: String| eprintln!("{line}");
            import::import_and(server, &ready, &sender, (Some(&findings), false), told).await?;
            seen.iter_mut().filter(|(path, _)| ready.contains(path)).for_each(|(_, known)| known.1 = true);
        }
        tokio::time::sleep(every).await;
    }
}

/// The files of a folder, without what offices leave beside open ones.
fn look(folder: &Path) -> std::io::Result<BTreeMap<PathBuf, Look>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let name = name.to_lowercase();
        let is_leftover = name.starts_with(['.', '~']) || [".part", ".tmp"].iter().any(|end| name.ends_with(end));
        // A file that vanishes between two looks is not there.
        let Ok(about) = entry.metadata() else { continue };
        if about.is_file() && !is_leftover {
            files.insert(entry.path(), (about.len(), about.modified()?));
        }
    }
    Ok(files)
}
