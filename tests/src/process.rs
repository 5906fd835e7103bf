//! Programs that are installed, and what the operating system says about a process.

use std::path::PathBuf;

/// The most memory this process has held, in MiB; `None` where /proc is not there.
pub fn peak_memory_mib() -> Option<f64> {
    peak_memory_mib_of("self")
}

/// The same of another process, by its number.
pub fn peak_memory_mib_of(process: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib / 1024.0)
}

/// The processor time that a process has taken so far, in seconds.
pub fn cpu_seconds_of(process: &str) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in brackets may hold spaces.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    // The unit that Linux counts in, on every machine that this runs on.
    Some((user + system) / 100.0)
}

/// A program of this machine, or `None` with a word about it. With `CI` set its absence is an error.
pub fn program(name: &str) -> anyhow::Result<Option<PathBuf>> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file());
    if found.is_none() {
        anyhow::ensure!(std::env::var_os("CI").is_none(), "{name} must be installed in CI");
        eprintln!("{name} is not installed: its tests are left out");
    }
    Ok(found)
}
