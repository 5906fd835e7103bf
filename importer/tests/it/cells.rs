//! Cells that do not say what they show: formulas without results, struck text, dates; and files that are no tables.

use crate::{
    raw::{RawSheet, xlsx},
    structure::{HEADER, ROWS, THREE, TITLE, roster, sheet},
    taken::take,
};

#[test]
fn a_formula_without_its_result_is_unknown_and_never_empty() {
    // The organisation, a value, and what no column claims.
    let header = HEADER.replacen("备注", "特长", 1);
    let rows = [
        ROWS[0].replacen("青石村党支部", "=\"青石村\"&\"党支部\"", 1),
        ROWS[1].replacen("男", "=IF(MOD(MID(F5,17,1),2)=1,\"男\",\"女\")", 1).replacen("1970.01", "=MID(F5,7,4)", 1),
        format!("{}=VLOOKUP(C6,名册,2)", ROWS[2]),
    ];
    let taken = sheet(&roster(&header, &rows.each_ref().map(String::as_str)));
    assert_eq!(taken.names(), &THREE[1..], "{:?}", taken.findings);
    let mut cells: Vec<&str> =
        taken.findings.iter().filter(|f| f.code == "no-result").map(|f| f.cell.as_str()).collect();
    cells.sort_unstable();
    assert_eq!(cells, ["B4", "D5", "G5", "M6"], "{:?}", taken.findings);
    assert_eq!(taken.codes().iter().filter(|code| **code == "no-unit").count(), 0, "the branch is there");
    assert_eq!((taken.value("司马试二", "sex"), taken.value("司马试二", "birth_date")), (None, None));
    assert!(taken.said("no-result")[0].contains("公式没有结果"));
    // The other formats say it in their own ways.
    let ods = "<office:document-content xmlns:office='o' xmlns:table='t' xmlns:text='x'><office:body><office:spreadsheet><table:table table:name='s'>\
        <table:table-row><table:table-cell office:value-type='string'><text:p>姓名</text:p></table:table-cell><table:table-cell table:formula='of:=[.A1]'/></table:table-row>\
        </table:table></office:spreadsheet></office:body></office:document-content>";
    let xml = "<?xml version='1.0'?><Workbook xmlns='urn:schemas-microsoft-com:office:spreadsheet' xmlns:ss='urn:schemas-microsoft-com:office:spreadsheet'>\
        <Worksheet ss:Name='s'><Table><Row><Cell><Data ss:Type='String'>姓名</Data></Cell><Cell ss:Formula='=RC[-1]'/></Row></Table></Worksheet></Workbook>";
    for bytes in [crate::hostile::ods(ods.as_bytes()), xml.as_bytes().to_vec()] {
        let book = importer::read(&bytes, &importer::ReadLimits::default()).expect("readable");
        assert_eq!(book.sheets[0].cell(0, 1), Some(importer::workbook::grid::Cell::Uncomputed));
    }
}

#[test]
fn what_is_struck_through_is_taken_and_told() {
    let struck: String = ROWS[0]
        .split('|')
        .map(|cell| if cell.starts_with('#') || cell.is_empty() { cell.to_owned() } else { format!("~{cell}") })
        .collect::<Vec<_>>()
        .join("|");
    let one = ROWS[1].replacen("13900090002", "~13900090002", 1);
    let taken = sheet(&roster(HEADER, &[&struck, &one, ROWS[2]]));
    assert_eq!(taken.names(), THREE);
    let said = taken.said("struck-through");
    assert!(said.len() == 2 && said[0].starts_with("青山镇!B4 ") && said[1].starts_with("青山镇!K5 "), "{said:?}");
}

#[test]
fn forms_and_tables_on_their_side_are_called_by_their_names() {
    let form = "党员基本情况登记表\n所属党支部|青石村党支部|姓名|欧阳试一\n性别|男|民族|汉族\n身份证号码|340099197001010115|出生年月|1970.01\n文化程度|高中|人员类别|正式党员\n入党时间|1995-07-01|转正时间|1996-07-01";
    let wide = "党员登记表\n姓名|欧阳试一|性别|男|民族|汉族\n出生年月|1970.01|籍贯|青山镇|学历|高中\n入党时间|1995.7|转正时间|1996.7|手机号码|13900090001\n所属党支部|青石村党支部|身份证号码|340099197001010115";
    let columns: Vec<Vec<&str>> = ROWS.iter().map(|row| row.split('|').collect()).collect();
    let side = HEADER.split('|').enumerate().map(|(at, header)| {
        let cells: Vec<&str> = columns.iter().map(|column| column[at]).collect();
        format!("{header}|{}", cells.join("|"))
    });
    let side = format!("{TITLE}{}", side.collect::<Vec<_>>().join("\n"));
    for (text, word) in [(form, "登记表"), (wide, "登记表"), (side.as_str(), "横排")] {
        let taken = sheet(text);
        assert!(taken.records.is_empty(), "{taken:?}");
        assert_eq!(taken.codes(), ["not-a-table"], "{text}");
        assert!(taken.findings[0].message.contains(word), "{:?}", taken.findings);
    }
}

#[test]
fn what_a_program_sent_ahead_of_a_workbook_does_not_matter() {
    let bytes = xlsx(&[RawSheet::new("青山镇", &roster(HEADER, &ROWS))]);
    for ahead in ["\u{feff}", "\r\n", "\n\n", "<br />\n<b>Warning</b>: session_start() in index.php on line 3<br />\n"]
    {
        let sent = [ahead.as_bytes(), &bytes].concat();
        assert_eq!(take(&sent).names(), THREE, "{ahead:?}");
    }
}

#[test]
fn dates_as_offices_type_and_format_them() {
    for (cell, expected, code) in [
        ("@2005", "2005", Some("doubtful-date")),
        ("@32994", "1990-05-01", None),
        ("#1990.5", "1990-05", None),
        ("#1990.1", "1990-01", Some("doubtful-date")),
        ("32994", "1990-05-01", Some("doubtful-date")),
        ("#32994", "1990-05-01", Some("doubtful-date")),
        ("1990。5", "1990-05", None),
        ("公元1990年5月", "1990-05", None),
        ("1990.5.1日", "1990-05-01", None),
        ("1990.13", "", Some("bad-date")),
        ("@60", "", Some("bad-date")),
    ] {
        let taken = sheet(&roster(HEADER, &[&ROWS[0].replacen("1995-07-01", cell, 1)]));
        assert_eq!(taken.value("欧阳试一", "joined_on").unwrap_or_default(), expected, "{cell}");
        assert_eq!(taken.codes(), Vec::from_iter(code), "{cell}");
    }
}

#[test]
fn the_copy_with_the_findings_takes_no_more_than_the_file() {
    use importer::{Importer, findings_book::findings_workbook};
    use sync_protocol::{Tenant, UnitId, catalogue::Catalogue};
    let this_year = roster(HEADER, &ROWS);
    let last_year = this_year.replace("13900090001", "13900099999");
    let bytes = xlsx(&[RawSheet::new("去年", &last_year).state("hidden"), RawSheet::new("青山镇", &this_year)]);
    let book = importer::read(&bytes, &importer::ReadLimits::default()).expect("readable");
    let catalogue = Catalogue::builtin();
    let tenant = Tenant::new("340099");
    let importer = Importer::new(&catalogue, tenant.clone(), UnitId::derive(&tenant, None, "340099"), 2012, None);
    let (tables, findings) = importer.detect(&book);
    let copy = findings_workbook(&book, &tables, &catalogue, &findings, &[]).expect("drawn");
    let taken = take(&copy);
    assert_eq!(taken.names(), THREE, "{:?}", taken.findings);
    assert_eq!(taken.value("欧阳试一", "phone"), Some("13900090001"));
    let again = importer::read(&copy, &importer::ReadLimits::default()).expect("readable");
    assert_eq!(again.sheets.iter().map(|sheet| sheet.hidden).take(2).collect::<Vec<_>>(), [true, false]);
}
