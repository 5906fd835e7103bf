//! Bytes that somebody broke on purpose: readers answer with a workbook or a sentence, and never with a panic.

use std::{
    io::{Read, Write},
    path::Path,
};

use importer::{Importer, ReadLimits, Register};
use proptest::prelude::*;
use sync_protocol::{Tenant, UnitId, catalogue::Catalogue};

const SPREADSHEETML: &str = r#"<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?>
<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet" xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet">
<Styles><Style ss:ID="p"><NumberFormat ss:Format="0%"/></Style></Styles><Worksheet ss:Name="台账"><Table>
<Row><Cell ss:MergeAcross="3"><Data ss:Type="String">党员花名册</Data></Cell></Row>
<Row ss:Index="3"><Cell><Data ss:Type="String">姓名</Data></Cell><Cell ss:Index="3"><Data ss:Type="String">身份证号</Data></Cell></Row>
<Row><Cell><Data ss:Type="String">张&#x4e09;&amp;</Data></Cell><Cell ss:StyleID="p"><Data ss:Type="Number">0.85</Data></Cell>
<Cell><Data ss:Type="DateTime">2012-05-01T00:00:00.000</Data></Cell><Cell><Data ss:Type="Boolean">1</Data></Cell></Row>
</Table></Worksheet></Workbook>"#;
const HTML: &str = r"<html><meta charset=utf-8><table><tr><td colspan=3>党员花名册</td></tr><tr><th>姓名</th><th rowspan=2>党组织名称</th>
<th>身份证号</th></tr><tr><td>张<br>三</td><td><table><tr><td>1</td></tr></table></td></tr></table></html>";
const CSV: &str = "党员花名册\n姓名,党组织名称,身份证号\n\"张\n三\",东村党支部,=\"0012\"\n李四;王五\t赵六,\"\"\"\",\n";
const CONTENT: &str = r#"<?xml version="1.0"?><office:document-content xmlns:office="o" xmlns:table="t" xmlns:text="x"><office:automatic-styles>
<style:style style:name="ta1"><style:table-properties table:display="false"/></style:style></office:automatic-styles><office:body>
<office:spreadsheet><table:table table:name="台账" table:style-name="ta1"><table:table-row><table:table-cell
table:number-columns-spanned="3" office:value-type="string"><text:p>党员花名册</text:p></table:table-cell><table:covered-table-cell
table:number-columns-repeated="2"/></table:table-row><table:table-row table:number-rows-repeated="2"><table:table-cell
office:value-type="float" office:value="12"><office:annotation><text:p>注</text:p></office:annotation><text:p>12</text:p></table:table-cell>
<table:table-cell office:value-type="date" office:date-value="2012-05-01"/><table:table-cell office:value-type="percentage"
office:value="0.5"/></table:table-row><table:table-row table:number-rows-repeated="1048573"><table:table-cell
table:number-columns-repeated="16384"/></table:table-row></table:table></office:spreadsheet></office:body></office:document-content>"#;

/// What a change does to bytes, at a place.
#[derive(Debug, Clone)]
enum Change {
    Set(u8),
    Flip(u8),
    Cut(usize),
    Repeat(usize),
    Digits,
}

fn change() -> impl Strategy<Value = (prop::sample::Index, Change)> {
    let kind = prop_oneof![
        any::<u8>().prop_map(Change::Set),
        (0u8..8).prop_map(Change::Flip),
        (1usize..200).prop_map(Change::Cut),
        (1usize..200).prop_map(Change::Repeat),
        Just(Change::Digits),
    ];
    (any::<prop::sample::Index>(), kind)
}

fn changed(bytes: &[u8], changes: &[(prop::sample::Index, Change)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, change) in changes {
        if bytes.is_empty() {
            break;
        }
        let size = bytes.len();
        let at = at.index(size);
        let end = |length: usize| (at + length).min(size);
        match change {
            Change::Set(byte) => bytes[at] = *byte,
            Change::Flip(bit) => bytes[at] ^= 1 << bit,
            Change::Cut(length) => drop(bytes.drain(at..end(*length))),
            Change::Repeat(length) => {
                let copy = bytes[at..end(*length)].to_vec();
                bytes.splice(at..at, copy);
            }
            // Numbers are what readers trust.
            Change::Digits => {
                if let Some(digit) = bytes[at..].iter().position(u8::is_ascii_digit) {
                    bytes.splice(at + digit..=at + digit, *b"4294967295");
                }
            }
        }
    }
    bytes
}

/// An .ods around its content.
pub fn ods(content: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("content.xml", zip::write::SimpleFileOptions::default()).expect("part");
    archive.write_all(content).expect("written");
    archive.finish().expect("finished").into_inner()
}

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/workbooks").join(name);
    let mut bytes = Vec::new();
    std::fs::File::open(path).expect(name).read_to_end(&mut bytes).expect(name);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn broken_files_are_read_or_refused(base in 0usize..6, changes in prop::collection::vec(change(), 1..12)) {
        let bytes = match base {
            0 => changed(SPREADSHEETML.as_bytes(), &changes),
            1 => changed(HTML.as_bytes(), &changes),
            2 => changed(CSV.as_bytes(), &changes),
            3 => ods(&changed(CONTENT.as_bytes(), &changes)),
            4 => changed(&fixture("synth_gbk_biff5.xls"), &changes),
            _ => changed(&fixture("synth_dates.xlsx"), &changes),
        };
        let limits = ReadLimits { cells_max: 1_000_000, ..ReadLimits::default() };
        match importer::read(&bytes, &limits) {
            // calamine may panic on what it does not expect, which is caught; our own readers may not.
            Err(error) => prop_assert!(base >= 4 || !error.to_string().contains("reader failed"), "{error}"),
            Ok(workbook) => {
                let catalogue = Catalogue::builtin();
                let tenant = Tenant::new("340099");
                let county = UnitId::derive(&tenant, None, "340099");
                let importer = Importer::new(&catalogue, tenant, county, 2012, None);
                let (tables, _) = importer.detect(&workbook);
                importer.define_units(&workbook, &tables, &mut Register::default());
                let rows = importer::rows::all_rows(&tables);
                importer.plan(&workbook, &tables, &rows, &importer::UnitDocuments::none(county));
            }
        }
    }
}
