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

/// What makes LibreOffice compute every formula anew instead of showing the values in the file.
const ALWAYS_RECALCULATES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>0</value></prop></item>
</oor:items>"#;

/// Saves workbooks again with every formula computed anew.
pub fn recalculated(soffice: &Path, files: &[PathBuf], into: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let user = into.join("profile/user");
    std::fs::create_dir_all(&user)?;
    std::fs::write(user.join("registrymodifications.xcu"), ALWAYS_RECALCULATES)?;
    let profile = format!("-env:UserInstallation=file://{}", into.join("profile").display());
    let output = Command::new(soffice)
        .args([&profile, "--headless", "--convert-to", "xlsx", "--outdir"])
        .arg(into)
        .args(files)
        .output()
        .context("soffice")?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let saved = files.iter().map(|file| Ok(into.join(file.file_name().context("a name")?)));
    saved.collect()
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
