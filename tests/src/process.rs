//! What the operating system says about a process.

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
