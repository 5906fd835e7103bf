//! One ledger in every format, written by SheetJS and by LibreOffice: all of them import the same.

use std::path::Path;

use anyhow::{Context, Result};
use importer::{Finding, Importer, ReadLimits, Register, UnitDocuments};
use sync_protocol::{
    Tenant, UnitId,
    catalogue::Catalogue,
    unit::{Unit, UnitLevel},
};
use tests::{node, office};

/// What an import into an empty county would write, and what it would find fault with.
fn imported(path: &Path) -> Result<Vec<String>> {
    let bytes = std::fs::read(path)?;
    let workbook = importer::read(&bytes, &ReadLimits::default())?;
    let catalogue = Catalogue::builtin();
    let tenant = Tenant::new("340099");
    let county = UnitId::derive(&tenant, None, "340099");
    let importer = Importer::new(&catalogue, tenant, county, 2012, Some(vec![1; 32]));
    let (tables, findings) = importer.detect(&workbook);
    let town = Unit {
        id: UnitId::derive(&Tenant::new("340099"), None, "青山镇"),
        parent: Some(county),
        level: UnitLevel::ReportingUnit,
        code: None,
        name: "青山镇".into(),
        short_name: None,
        sort_order: 0,
    };
    let mut register = Register::new(vec![town]);
    importer.define_units(&workbook, &tables, &mut register);
    let grouped = importer.group(&workbook, &tables, &register);
    // Only some formats name the sheet.
    let line = |finding: &Finding| format!("{} at {}: {}", finding.code, finding.cell, finding.read);
    let mut lines: Vec<String> = findings.iter().chain(&grouped.findings).map(line).collect();
    for rows in grouped.units.values() {
        let plan = importer.plan(&workbook, &tables, rows, &UnitDocuments::none(county));
        lines.extend(plan.edits.values().flatten().map(|edit| format!("{} = {:?}", edit.address, edit.value)));
        lines.extend(plan.findings.iter().map(line));
    }
    lines.sort();
    Ok(lines)
}

#[test]
fn every_format_imports_the_same() -> Result<()> {
    let folder = tempfile::tempdir()?;
    node::json("write-formats.mjs", &[folder.path()])?;
    if let Some(soffice) = office::soffice()? {
        let from = folder.path().join("a.xlsx");
        let into = folder.path().join("office");
        std::fs::create_dir(&into)?;
        for filter in ["ods", "xls", "html", "xlsx"] {
            office::convert(&soffice, &from, filter, &into)?;
        }
        std::fs::remove_dir_all(into.join("profile"))?;
        for file in std::fs::read_dir(&into)? {
            let file = file?;
            std::fs::rename(file.path(), folder.path().join(format!("office-{}", file.file_name().display())))?;
        }
        std::fs::remove_dir(into)?;
    }
    let expected = imported(&folder.path().join("a.xlsx"))?;
    assert!(expected.iter().any(|line| line.ends_with("established_on = Text(\"2002-09-07\")")), "{expected:#?}");
    assert!(expected.iter().any(|line| line.ends_with("org_code = Text(\"0001\")")), "{expected:#?}");
    let mut seen = 0;
    for file in std::fs::read_dir(folder.path())? {
        let path = file?.path();
        let found = imported(&path).with_context(|| path.display().to_string());
        if path.ends_with("c-short.xlsb") {
            assert!(format!("{:#}", found.expect_err("cells would be lost")).contains("另存为 .xlsx"));
            continue;
        }
        // SheetJS writes the dates of its older formats as plain numbers: read, with a question.
        let questions = |line: &String| path.ends_with("d.xls") && line.starts_with("doubtful-date");
        // With an empty column after each, findings stand elsewhere.
        let elsewhere = |line: &String| path.ends_with("c-sparse.xlsb") && line.contains(" at ");
        let same = |lines: Vec<String>| -> Vec<String> {
            lines.into_iter().filter(|line| !questions(line) && !elsewhere(line)).collect()
        };
        assert_eq!(same(found?), same(expected.clone()), "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 12, "{seen}");
    Ok(())
}
