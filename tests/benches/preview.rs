//! The preview of a re-import: 100,000 rows × 20 columns of which 50 cells differ. It must name exactly these 50.
//!
//! `cargo bench -p tests --bench preview`

use std::time::Instant;

use server::import::{import_file, preview_file};
use tests::{county, process::peak_memory_mib, roster};

const BRANCHES: usize = 1_000;
const MEMBERS_PER_BRANCH: usize = 100;
const EDITS: usize = 50;

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let folder = tempfile::tempdir()?;
        let server = county::open(&folder.path().join("data"), None).await?;
        server.store.put_units(&roster::units(&server.tenant, server.county, BRANCHES)).await?;
        let file = folder.path().join("roster.xlsx");
        std::fs::write(&file, roster::workbook(BRANCHES, MEMBERS_PER_BRANCH)?)?;
        let begun = Instant::now();
        import_file(&server, &file, "bench", &|_, _| {}).await?;
        let import_s = begun.elapsed().as_secs_f64();
        let (bytes, mut changed) = roster::edited(BRANCHES, MEMBERS_PER_BRANCH, EDITS)?;
        std::fs::write(&file, bytes)?;
        let begun = Instant::now();
        let preview = preview_file(&server, &file).await?;
        let preview_s = begun.elapsed().as_secs_f64();
        let mut named: Vec<_> = preview.changes.into_iter().map(|change| (change.cell, change.after)).collect();
        named.sort();
        changed.sort();
        anyhow::ensure!(named == changed, "named {named:?}, changed {changed:?}");
        println!("{} cells changed, {} named, all the same", changed.len(), named.len());
        println!(
            "first import {import_s:.2} s, preview {preview_s:.2} s, peak {:.0} MiB",
            peak_memory_mib().unwrap_or(0.0)
        );
        server.store.close().await;
        Ok(())
    })
}
