//! Independent readers and peers written for Node, from `tests/interop`.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::Context;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop")
}

/// Installs the packages of the lock file, once per test run.
fn installed() -> Result<(), String> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    let install = || {
        // npm writes its own copy of the lock file when it is done: newer than ours, it is of ours.
        let modified = |file: &str| folder().join(file).metadata().and_then(|metadata| metadata.modified()).ok();
        let done = modified("node_modules/.package-lock.json");
        if done.is_some() && done >= modified("package-lock.json") {
            return Ok(());
        }
        let output = Command::new("npm")
            // Not `npm ci`: it refuses its own lock file where a platform of an optional package is not to be had.
            .args(["install", "--no-audit", "--no-fund"])
            .current_dir(folder())
            .output()
            .map_err(|e| format!("npm is needed for the interop tests (Node >= 20): {e}"))?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    };
    DONE.get_or_init(install).clone()
}

/// A script that talks, ready to be started.
pub fn command(script: &str) -> anyhow::Result<tokio::process::Command> {
    installed().map_err(anyhow::Error::msg)?;
    let mut command = tokio::process::Command::new("node");
    command.arg(script).current_dir(folder());
    Ok(command)
}

/// Runs a script with arguments and reads the JSON that it prints.
pub fn json(script: &str, arguments: &[&Path]) -> anyhow::Result<serde_json::Value> {
    installed().map_err(anyhow::Error::msg)?;
    let output = Command::new("node").arg(script).args(arguments).current_dir(folder()).output().context("node")?;
    anyhow::ensure!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).with_context(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs the field app's own tests; the app's packages are there, since the server was built.
pub fn web_tests() -> anyhow::Result<()> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/web");
    let output = Command::new("npm").args(["--silent", "test"]).current_dir(web).output().context("npm")?;
    let said = String::from_utf8_lossy(&output.stdout);
    anyhow::ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    anyhow::ensure!(said.contains("# pass ") && !said.contains("# pass 0"), "no test was run: {said}");
    Ok(())
}

/// Builds a script of the field app's own, and runs it; the app's packages are there, since the server was built.
pub fn web(script: &str, arguments: &[&Path]) -> anyhow::Result<serde_json::Value> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/web");
    let out = tempfile::tempdir()?;
    let config = script.replace(".ts", ".config.ts");
    let built = Command::new("npx")
        .args(["vite", "build", "--logLevel", "error", "--config", &config, "--outDir"])
        .arg(out.path())
        .current_dir(&web)
        .output()
        .context("npx")?;
    anyhow::ensure!(built.status.success(), "{script}: {}", String::from_utf8_lossy(&built.stderr));
    let built = out.path().join(script.replace(".ts", ".js"));
    let output = Command::new("node").arg(built).args(arguments).current_dir(&web).output().context("node")?;
    anyhow::ensure!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).with_context(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
