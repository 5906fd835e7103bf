//! The findings workbook: the file itself, with what is wrong coloured and noted.

use std::io::Read;

use importer::{
    Finding, Importer, Register, UnitDocuments, findings_book::findings_workbook, workbook::grid::Cell,
    workbook::grid::Workbook,
};
use sync_protocol::{Tenant, UnitId, catalogue::Catalogue};

use crate::support::{read, workbook};

const ROSTER: &str = "\
青山镇党员花名册
序号|党组织名称|姓名|身份证号|出生日期|人员类别|入党时间|手机号码
#1|青石村党支部|张三|34009919801231002x|@29586|正式党员|1998.07|138 0000 0001
#2||李四|340099198001010014|1980.1.1|预备党员|2012.2.30|12345";

/// The cells of the first sheet, in words.
fn cells(workbook: &Workbook) -> Vec<String> {
    let sheet = &workbook.sheets[0];
    let mut cells = vec![format!("{} {:?}", sheet.name, sheet.merges)];
    for index in 0..sheet.row_count() {
        for (column, cell) in sheet.row(index) {
            let shown = match cell {
                Cell::Text(id) => workbook.texts.get(*id).to_owned(),
                other => format!("{other:?}"),
            };
            cells.push(format!("{} {column} {shown}", sheet.row_number(index)));
        }
    }
    cells
}

#[test]
fn bad_cells_are_coloured_and_noted_and_everything_else_is_as_it_was() {
    let original = read(&workbook(&[("花名册", ROSTER, &[(0, 0, 0, 7), (2, 1, 3, 1)])]));
    let catalogue = Catalogue::builtin();
    let tenant = Tenant::new("340099");
    let county = UnitId::derive(&tenant, None, "340099");
    let importer = Importer::new(&catalogue, tenant, county, 2012, None);
    let draw = |book: &Workbook, findings: &[Finding]| {
        let (tables, _) = importer.detect(book);
        findings_workbook(book, &tables, &catalogue, findings, &[]).expect("drawn")
    };
    let findings = |book: &Workbook| {
        let (tables, mut findings) = importer.detect(book);
        let mut register = Register::default();
        importer.define_units(book, &tables, &mut register);
        let rows = importer::rows::all_rows(&tables);
        findings.extend(importer.plan(book, &tables, &rows, &UnitDocuments::none(county)).findings);
        findings
    };
    let found = findings(&original);
    let codes: Vec<&str> = found.iter().map(|finding| finding.code).collect();
    for code in ["bad-id-card", "bad-date", "bad-phone"] {
        assert!(codes.contains(&code), "{codes:?}");
    }
    let bytes = draw(&original, &found);
    let drawn = read(&bytes);
    assert_eq!(cells(&drawn), cells(&original));
    assert_eq!(drawn.sheets[1].name, "问题清单");

    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&bytes)).expect("a zip");
    let mut part = |name: &str| {
        let mut text = String::new();
        archive.by_name(name).expect(name).read_to_string(&mut text).expect(name);
        text
    };
    let notes = part("xl/comments1.xml");
    for (cell, message) in [("D4", "身份证号有误"), ("G4", "不是有效日期"), ("H4", "电话号码格式不符")]
    {
        assert!(notes.contains(&format!("ref=\"{cell}\"")) && notes.contains(message), "{notes}");
    }
    assert!(part("xl/styles.xml").contains("FFFFC7CE"), "errors are red");

    // Sent in again it says the same, until somebody corrects it; its own list is no ledger.
    let again: Vec<&str> = findings(&drawn).iter().filter(|f| f.sheet == "花名册").map(|f| f.code).collect();
    assert_eq!(again, codes);
    let redrawn = read(&draw(&drawn, &findings(&drawn)));
    let sheets: Vec<&str> = redrawn.sheets.iter().map(|sheet| sheet.name.as_str()).collect();
    assert_eq!(sheets, ["花名册", "问题清单", "列对应", "选项"], "the old lists are not kept beside the new ones");
}

#[test]
fn sheets_of_the_office_that_are_called_like_ours_stay_beside_them() {
    let original = read(&workbook(&[("选项", ROSTER, &[]), ("问题清单", "甲|乙|丙\n1|2|3", &[])]));
    let catalogue = Catalogue::builtin();
    let tenant = Tenant::new("340099");
    let county = UnitId::derive(&tenant, None, "340099");
    let importer = Importer::new(&catalogue, tenant, county, 2012, None);
    let (tables, findings) = importer.detect(&original);
    let drawn = read(&findings_workbook(&original, &tables, &catalogue, &findings, &[]).expect("drawn"));
    let sheets: Vec<&str> = drawn.sheets.iter().map(|sheet| sheet.name.as_str()).collect();
    assert_eq!(sheets, ["选项", "问题清单", "问题清单（台账通）", "列对应", "选项（台账通）"]);
    assert_eq!(importer.detect(&drawn).0.len(), 1, "the office's own sheet is still a ledger");
}
