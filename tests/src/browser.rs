//! A real browser, where one is installed. CI installs it; elsewhere its tests say that they were left out.

use std::path::PathBuf;

use crate::process::program;

/// Chromium, if it is installed.
pub fn chromium() -> anyhow::Result<Option<PathBuf>> {
    program("chromium")
}
