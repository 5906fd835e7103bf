//! Files that are written whole or not at all.

use std::{fs::File, io::Write, path::Path};

/// How the name of a file ends that is not whole yet.
pub(crate) const PART: &str = ".part";

/// Writes a file under another name first; `durable` waits for the disk.
pub(crate) fn write(path: &Path, bytes: &[u8], durable: bool) -> std::io::Result<()> {
    // Several programs may write it at once, each under a name of its own.
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".{}{PART}", std::process::id()));
    let write = || {
        let mut file = File::create(&part)?;
        file.write_all(bytes)?;
        if durable {
            file.sync_all()?;
        }
        drop(file);
        std::fs::rename(&part, path)?;
        if durable { sync_folder(path) } else { Ok(()) }
    };
    let written = write();
    if written.is_err() {
        drop(std::fs::remove_file(&part));
    }
    written
}

/// Makes a new name of a file durable.
#[cfg(unix)]
pub(crate) fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be opened as a file.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}
