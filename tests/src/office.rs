//! LibreOffice, where it is installed. CI installs it; elsewhere its tests say that they were left out.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

use crate::process::program;

/// LibreOffice, if it is installed.
pub fn soffice() -> anyhow::Result<Option<PathBuf>> {
    program("soffice")
}

/// Converts a file; the filter is LibreOffice's, for example `pdf` or `csv`.
pub fn convert(soffice: &Path, file: &Path, filter: &str, into: &Path) -> anyhow::Result<PathBuf> {
    let profile = format!("-env:UserInstallation=file://{}", into.join("profile").display());
    let output = Command::new(soffice)
        .args([&profile, "--headless", "--convert-to", filter, "--outdir"])
        .args([into, file])
        .output()
        .context("soffice")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    anyhow::ensure!(output.status.success() && !said.contains("Error"), "{said}");
    let extension = filter.split(':').next().unwrap_or(filter);
    let converted = into.join(file.file_stem().context("a name")?).with_extension(extension);
    anyhow::ensure!(converted.is_file(), "{said}");
    Ok(converted)
}
