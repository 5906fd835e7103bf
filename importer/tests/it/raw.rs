//! Workbooks with what our own writer never makes: hidden sheets and rows, formulas without results, text struck through.

use std::{fmt::Write as _, io::Write as _};

use importer::workbook::grid::address;

/// A sheet as text: rows by line, cells by `|`; `#12.5` is a number, `@40969` a number formatted as a date, `=A1` a
/// formula without its result, `~text` is struck through.
pub struct RawSheet<'a> {
    pub name: &'a str,
    /// `visible`, `hidden` or `veryHidden`.
    pub state: &'a str,
    pub text: &'a str,
    /// Rows that are hidden, as by a filter.
    pub hidden_rows: &'a [usize],
}

impl<'a> RawSheet<'a> {
    pub fn new(name: &'a str, text: &'a str) -> Self {
        Self { name, state: "visible", text, hidden_rows: &[] }
    }

    pub fn state(self, state: &'a str) -> Self {
        Self { state, ..self }
    }
}

const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const RELATIONS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

fn part(sheet: &RawSheet<'_>) -> String {
    let mut xml = format!("<worksheet xmlns=\"{MAIN}\"><sheetData>");
    for (row, line) in (0u32..).zip(sheet.text.lines()) {
        let hidden = if sheet.hidden_rows.contains(&(row as usize)) { " hidden=\"1\"" } else { "" };
        write!(xml, "<row r=\"{}\"{hidden}>", row + 1).expect("written");
        for (column, cell) in (0u16..).zip(line.split('|')) {
            let at = address(row, column);
            let rest = cell.get(1..).map(escaped).unwrap_or_default();
            let written = match cell.chars().next() {
                None => Ok(()),
                Some('#') => write!(xml, "<c r=\"{at}\"><v>{rest}</v></c>"),
                Some('@') => write!(xml, "<c r=\"{at}\" s=\"2\"><v>{rest}</v></c>"),
                // As openpyxl writes it; EasyExcel leaves the element out.
                Some('=') if column % 2 == 0 => write!(xml, "<c r=\"{at}\"><f>{rest}</f><v></v></c>"),
                Some('=') => write!(xml, "<c r=\"{at}\"><f>{rest}</f></c>"),
                Some('~') => write!(xml, "<c r=\"{at}\" s=\"1\" t=\"inlineStr\"><is><t>{rest}</t></is></c>"),
                Some(_) => write!(xml, "<c r=\"{at}\" t=\"inlineStr\"><is><t>{}</t></is></c>", escaped(cell)),
            };
            written.expect("written");
        }
        xml.push_str("</row>");
    }
    xml.push_str("</sheetData></worksheet>");
    xml
}

pub fn xlsx(sheets: &[RawSheet<'_>]) -> Vec<u8> {
    let styles = format!(
        "<styleSheet xmlns=\"{MAIN}\"><fonts count=\"2\"><font/><font><strike/></font></fonts><fills count=\"1\"><fill/></fills>\
         <borders count=\"1\"><border/></borders><cellStyleXfs count=\"1\"><xf/></cellStyleXfs>\
         <cellXfs count=\"3\"><xf numFmtId=\"0\" fontId=\"0\"/><xf numFmtId=\"0\" fontId=\"1\" applyFont=\"1\"/>\
         <xf numFmtId=\"14\" fontId=\"0\" applyNumberFormat=\"1\"/></cellXfs></styleSheet>"
    );
    let (mut list, mut relations, mut types) = (String::new(), String::new(), String::new());
    let mut parts = Vec::new();
    for (number, sheet) in (1..).zip(sheets) {
        let name = escaped(sheet.name);
        write!(list, "<sheet name=\"{name}\" sheetId=\"{number}\" state=\"{}\" r:id=\"r{number}\"/>", sheet.state)
            .expect("written");
        write!(
            relations,
            "<Relationship Id=\"r{number}\" Type=\"{RELATIONS}/worksheet\" Target=\"worksheets/sheet{number}.xml\"/>"
        )
        .expect("written");
        write!(types, "<Override PartName=\"/xl/worksheets/sheet{number}.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml\"/>").expect("written");
        parts.push((format!("xl/worksheets/sheet{number}.xml"), part(sheet)));
    }
    write!(relations, "<Relationship Id=\"styles\" Type=\"{RELATIONS}/styles\" Target=\"styles.xml\"/>")
        .expect("written");
    parts.extend([
        ("[Content_Types].xml".into(), format!("<Types xmlns=\"{PACKAGE}/content-types\"><Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/><Default Extension=\"xml\" ContentType=\"application/xml\"/><Override PartName=\"/xl/workbook.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/>{types}</Types>")),
        ("_rels/.rels".into(), format!("<Relationships xmlns=\"{PACKAGE}/relationships\"><Relationship Id=\"r1\" Type=\"{RELATIONS}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>")),
        ("xl/workbook.xml".into(), format!("<workbook xmlns=\"{MAIN}\" xmlns:r=\"{RELATIONS}\"><sheets>{list}</sheets></workbook>")),
        ("xl/_rels/workbook.xml.rels".into(), format!("<Relationships xmlns=\"{PACKAGE}/relationships\">{relations}</Relationships>")),
        ("xl/styles.xml".into(), styles),
    ]);
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in parts {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).expect("part");
        archive.write_all(text.as_bytes()).expect("written");
    }
    archive.finish().expect("finished").into_inner()
}
