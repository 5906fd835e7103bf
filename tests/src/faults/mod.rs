//! Faults below a program: its disk fails or is full, or it is killed at a given moment of saving.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

/// A library that is loaded into a program and makes its calls fail, as `shim.c` says.
#[derive(Debug)]
pub struct Faults {
    library: PathBuf,
    control: PathBuf,
    path: String,
}

impl Faults {
    /// Faults of the files below `path`; what they need is kept in `folder`.
    pub fn new(folder: &Path, path: &Path) -> anyhow::Result<Self> {
        let library = folder.join("faults.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/faults/shim.c");
        let built =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).args([source, "-ldl"]).status();
        ensure!(built.context("cc, a C compiler")?.success(), "the faults cannot be built");
        let path = path.to_str().context("a path in UTF-8")?.to_owned();
        Ok(Self { library, control: folder.join("faults"), path })
    }

    /// Lets a program feel them.
    pub fn reach(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("FAULT_FILE", &self.control).env("FAULT_PATH", &self.path);
    }

    /// From now on: `CALL FROM COUNT WHAT`, for example `sync 1 1 EIO`.
    pub fn arm(&self, fault: &str) -> anyhow::Result<()> {
        // Put in place at once: a program must not read half of it.
        let part = self.control.with_extension("part");
        std::fs::write(&part, fault)?;
        Ok(std::fs::rename(part, &self.control)?)
    }

    /// No faults any more.
    pub fn disarm(&self) -> anyhow::Result<()> {
        self.arm("")
    }
}

/// Says what a fault does: for `cargo test -p server --test it -- --nocapture`.
pub fn told(fault: &str, message: &str, state: &str) {
    println!("{fault} → {message} → {state}");
}
