//! `taizhang import`: part of the command line.

use std::path::PathBuf;

use importer::{Finding, Severity};
use server::{
    Server,
    import::{import_file, preview_file},
};

/// Changes that are printed for one file; all of them are in the JSON.
const CHANGES_PRINTED_MAX: usize = 1000;

/// Imports files and says what became of them; `false` when something was not imported.
pub(crate) async fn import(server: &Server, files: &[PathBuf], who: &str, json: bool) -> anyhow::Result<bool> {
    let mut reports = Vec::new();
    let mut failed = false;
    for file in files {
        let bar = indicatif::ProgressBar::new(0);
        let progress = |done: usize, total: usize| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        };
        let report = import_file(server, file, who, &progress).await;
        bar.finish_and_clear();
        match report {
            Ok(report) => reports.push(report),
            Err(error) => {
                // The other files are still imported.
                eprintln!("{}: {error}", file.display());
                failed = true;
            }
        }
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
    }
    for report in reports.iter().filter(|_| !json) {
        if report.already_imported {
            println!("{}: 以前导入过，未改动 imported before, left alone", report.file);
            continue;
        }
        let counts = report.counts;
        println!(
            "{}: 新增 added {}，修改 changed {}，未变 unchanged {}，未导入 refused {}",
            report.file, counts.added, counts.changed, counts.unchanged, counts.refused
        );
        print_findings(&report.findings);
    }
    Ok(!failed && reports.iter().all(|report| !has_errors(&report.findings)))
}

/// Says cell by cell what an import would change; `false` when something would not be imported.
pub(crate) async fn preview(server: &Server, files: &[PathBuf], json: bool) -> anyhow::Result<bool> {
    let mut previews = Vec::new();
    let mut failed = false;
    for file in files {
        match preview_file(server, file).await {
            Ok(preview) => previews.push(preview),
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                failed = true;
            }
        }
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&previews)?);
    }
    for preview in previews.iter().filter(|_| !json) {
        let counts = preview.counts;
        println!(
            "{}: 将新增 would add {}，修改 change {}，未变 leave {}，不导入 refuse {}",
            preview.file, counts.added, counts.changed, counts.unchanged, counts.refused
        );
        for change in preview.changes.iter().take(CHANGES_PRINTED_MAX) {
            println!(
                "  {}!{} {}：「{}」→「{}」",
                change.sheet, change.cell, change.column, change.before, change.after
            );
        }
        if let Some(more) = preview.changes.len().checked_sub(CHANGES_PRINTED_MAX).filter(|more| *more > 0) {
            println!("  还有 {more} 处（--json 列出全部）{more} more (--json lists all)");
        }
        print_findings(&preview.findings);
    }
    Ok(!failed && previews.iter().all(|preview| !has_errors(&preview.findings)))
}

fn print_findings(findings: &[Finding]) {
    for finding in findings.iter().filter(|finding| finding.severity > Severity::Info) {
        println!("  {}!{} {}「{}」{}", finding.sheet, finding.cell, finding.column, finding.read, finding.message);
    }
}

fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}
