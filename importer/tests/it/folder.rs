//! Public test files of spreadsheet libraries: every one is read, or refused with a sentence.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use importer::{ReadLimits, workbook::grid::Sheet};
use sync_protocol::{Tenant, UnitId, catalogue::Catalogue};

/// Where other readers see something else than we do, and why.
const DIFFERENT: &[(&str, &str)] = &[
    ("hard_085_minimal_package.xlsx", "1,904 cells of white space alone are empty for us"),
    ("hard_091_gh548_incorrect_sst_unique_count.xls", "a merged range of one cell merges nothing"),
    ("hard_097_too_small.xls", "a text file has no sheet to take a name from"),
    ("hard_140_DataValidations-49244.xlsx", "a cell of white space alone is empty for us"),
    ("hard_161_BadWorkbook.xlsx", "the workbook lists no sheet; other readers go by the parts"),
    ("hard_163_issue_216.xlsx", "cells of white space alone are empty for us"),
    ("xmlss_067_checkCollect.ftl", "the other readers stop at the template's tags"),
];

/// A sheet as other readers see it: hidden or not, cells that are not empty, merged ranges.
type Seen = BTreeMap<String, (bool, usize, usize)>;

/// `Sheet1|visible|27|22 ;; Sheet2|hidden|0|0`; a long list is cut off.
fn seen_by_others(stated: &str) -> Seen {
    let sheet = |text: &str| {
        let mut parts = text.rsplitn(4, '|');
        let (merges, cells) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let (state, name) = (parts.next()?, parts.next()?);
        (state != "chart").then(|| (name.trim().to_owned(), (state != "visible", cells, merges)))
    };
    stated.split(" ;; ").filter_map(sheet).collect()
}

fn seen(sheet: &Sheet) -> (String, (bool, usize, usize)) {
    (sheet.name.trim().to_owned(), (sheet.hidden, sheet.cell_count(), sheet.merges.len()))
}

#[test]
fn every_file_of_the_folder_is_read_or_refused_in_words() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/workbooks");
    let manifest = std::fs::read_to_string(folder.join("MANIFEST.tsv")).expect("the manifest");
    let catalogue = Catalogue::builtin();
    let tenant = Tenant::new("340099");
    let county = UnitId::derive(&tenant, None, "340099");
    let importer = importer::Importer::new(&catalogue, tenant, county, 2012, None);
    let stated: BTreeMap<&str, &str> = manifest
        .lines()
        .skip(1)
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .map(|fields| (fields[0], fields[7]))
        .collect();
    let (mut table, mut wrong) = (String::from("| file | result |\n| --- | --- |\n"), Vec::new());
    let files = std::fs::read_dir(&folder).expect("the folder").map(|file| file.expect("a file").file_name());
    let mut files: Vec<String> = files.map(|name| name.to_string_lossy().into_owned()).collect();
    files.retain(|file| !matches!(file.as_str(), "MANIFEST.tsv" | "README.md"));
    files.sort();
    for file in &files {
        let file = file.as_str();
        let stated = stated.get(file).copied().unwrap_or_default();
        let bytes = std::fs::read(folder.join(file)).expect(file);
        let result = match importer::read(&bytes, &ReadLimits::default()) {
            Err(error) => error.to_string().split(" | ").next().unwrap_or_default().to_owned(),
            Ok(workbook) => {
                let ours: Seen = workbook.sheets.iter().map(seen).collect();
                let differs = |(name, theirs): &(String, (bool, usize, usize))| ours.get(name) != Some(theirs);
                let others = seen_by_others(stated).into_iter().filter(differs);
                let known = DIFFERENT.iter().any(|(known, _)| *known == file);
                wrong.extend(
                    others
                        .filter(|_| !known)
                        .map(|(name, theirs)| format!("{file} {name}: theirs {theirs:?}, ours {:?}", ours.get(&name))),
                );
                let (tables, findings) = importer.detect(&workbook);
                let cells: usize = workbook.sheets.iter().map(Sheet::cell_count).sum();
                let rows: usize = tables.iter().map(|table| table.body.len()).sum();
                format!(
                    "{} sheets, {cells} cells, {} ledgers, {rows} rows, {} findings",
                    workbook.sheets.len(),
                    tables.len(),
                    findings.len()
                )
            }
        };
        writeln!(table, "| {file} | {result} |").expect("written");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    insta::assert_snapshot!(table);
}
