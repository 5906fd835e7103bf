//! `taizhang catalogue check | show`: part of the command line.

use std::path::{Path, PathBuf};

use anyhow::Context;
use sync_protocol::catalogue::{Catalogue, Column, Ledger, Requirement, Source};

/// Checks a county's own files over the built-in catalogue; `false` when there are mistakes, which are printed.
pub(crate) fn check(paths: &[PathBuf]) -> anyhow::Result<bool> {
    let mut sources = Catalogue::builtin_sources();
    for path in paths {
        for file in files(path)? {
            let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            sources.push(Source { name: file.display().to_string(), text });
        }
    }
    match Catalogue::load(&sources) {
        Ok(catalogue) => {
            println!(
                "✓ 目录正确 the catalogue is sound：{} 种台账 ledgers，{} 项计数 measures，{} 项指标 indicators，{} 张报表 returns",
                catalogue.ledgers().len(),
                catalogue.measures().count(),
                catalogue.indicators().len(),
                catalogue.returns().len()
            );
            Ok(true)
        }
        Err(errors) => {
            for error in &errors.0 {
                println!("✗ {error}");
            }
            Ok(false)
        }
    }
}

fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).with_context(|| path.display().to_string())?;
    let mut files = entries.map(|entry| entry.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    Ok(files)
}

/// Prints one ledger, or the list of all.
pub(crate) fn show(catalogue: &Catalogue, name: Option<&str>) -> anyhow::Result<bool> {
    let Some(name) = name else {
        for ledger in catalogue.ledgers() {
            println!(
                "{:>2} {:<26} T{} {:<9} {}",
                ledger.number,
                ledger.id,
                ledger.tier,
                ledger.book.as_str(),
                ledger.title
            );
        }
        return Ok(true);
    };
    let ledger =
        catalogue.ledgers().iter().find(|ledger| ledger.id == name || ledger.title == name).with_context(|| {
            format!("没有这种台账 no such ledger: {name}。用 taizhang catalogue show 列出全部 lists all")
        })?;
    println!("{} {} · {}", ledger.number, ledger.title, ledger.title_en);
    println!("    编号 id {}，册 book {}，填写 writer {}", ledger.id, ledger.book, ledger.writer);
    let keys: Vec<String> = ledger.keys.iter().map(|key| key.join(" + ")).collect();
    println!("    主键 keys：{}", keys.join("；"));
    for column in &ledger.columns {
        print(catalogue, ledger, column);
    }
    Ok(true)
}

fn print(catalogue: &Catalogue, ledger: &Ledger, column: &Column) {
    let required = match column.required {
        Requirement::Mandatory => "必填",
        Requirement::Conditional => "条件",
        Requirement::Optional => "选填",
    };
    let place = if ledger.unit.names_unit(&column.key) { "（单位）" } else { "" };
    println!("  {} {}{place} [{required}] {:?} {:?}", column.key, column.title, column.column_type, column.sensitivity);
    if !column.allowed.is_empty() {
        println!("      {}", column.allowed);
    }
    if !column.aliases.is_empty() {
        println!("      别名 aliases：{}", column.aliases.join("、"));
    }
    if let Some(list) = column.column_type.list().and_then(|id| catalogue.list(id)) {
        let codes: Vec<String> =
            list.codes.iter().take(24).map(|code| format!("{}={}", code.code, code.label)).collect();
        println!("      {}", codes.join("，"));
    }
}
