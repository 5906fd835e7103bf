//! An attack by a cell: what looks like a formula comes out of this program as a text that stays one.

use std::io::Read;

use importer::{
    Importer,
    findings_book::findings_workbook,
    workbook::write::{Book, Created, Out, Style},
};
use sync_protocol::{Tenant, UnitId, catalogue::Catalogue};

use crate::support::{read, workbook};

const LIVE: [&str; 6] = ["=cmd|' /C calc'!A0", "+SUM(1)", "-1+1", "@SUM(1)", "\t=1+1", "＝HYPERLINK(\"http://x\")"];

fn part(xlsx: &[u8], name: &str) -> String {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(xlsx)).expect("an archive");
    let mut text = String::new();
    archive.by_name(name).expect("the part").read_to_string(&mut text).expect("text");
    text
}

/// The formats of all cells of the first sheet that hold a text, as they stand in the file.
fn formats(xlsx: &[u8]) -> Vec<String> {
    let styles = part(xlsx, "xl/styles.xml");
    let (_, of_cells) = styles.split_once("<cellXfs").expect("formats");
    let of_cells = of_cells.split("</cellXfs>").next().expect("formats");
    let known: Vec<&str> = of_cells.split("<xf ").skip(1).collect();
    let sheet = part(xlsx, "xl/worksheets/sheet1.xml");
    let texts = sheet.split("<c ").skip(1).map(|cell| cell.split('>').next().unwrap_or_default());
    let attribute = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!("{name}=\""))?;
        Some(rest.split('"').next().unwrap_or_default().to_owned())
    };
    let texts = texts.filter(|tag| ["s", "inlineStr"].contains(&attribute(tag, " t").unwrap_or_default().as_str()));
    let index = |tag: &str| attribute(tag, " s").map_or(0, |index| index.parse::<usize>().expect("a number"));
    let text = |format: &str| {
        let is_text = |id: &str| id == "49" || styles.contains(&format!("numFmtId=\"{id}\" formatCode=\"@\""));
        let kind = if attribute(format, "numFmtId").is_some_and(|id| is_text(&id)) { "text" } else { "no text" };
        format!("{kind} {format}")
    };
    texts.map(|tag| text(known[index(tag)])).collect()
}

fn stays_a_text(format: &str) -> bool {
    format.starts_with("text") && format.contains("quotePrefix=\"1\"")
}

#[test]
fn a_text_that_looks_like_a_formula_stays_a_text_in_every_style() {
    for style in [
        Style::Title,
        Style::FormNumber,
        Style::MetaLeft,
        Style::Header,
        Style::Text,
        Style::Wrapped,
        Style::TextCentre,
        Style::Decimal,
        Style::Count,
        Style::TotalText,
        Style::Note,
        Style::Plain,
        Style::PlainText,
        Style::Date,
        Style::marked(Some(true), Style::Percent),
    ] {
        let mut book = Book::new("t", Created { unix_s: 0 }).expect("a book");
        let mut page = book.sheet("表").expect("a sheet");
        for (row, text) in (0u32..).zip(LIVE) {
            page.put(row, 0, &Out::Text(text.into()), style).expect("put");
            page.merge((row, 2), (row, 3), text, style).expect("merged");
        }
        let formats = formats(&book.bytes().expect("bytes"));
        assert_eq!(formats.len(), 2 * LIVE.len(), "{style:?}");
        assert!(formats.iter().all(|format| stays_a_text(format)), "{style:?}: {formats:?}");
    }
}

#[test]
fn the_copy_with_findings_hands_no_formula_on_and_no_number_that_would_be_cut() {
    let catalogue = Catalogue::builtin();
    let unit = UnitId::from_bytes([1; 16]);
    let importer = Importer::new(&catalogue, Tenant::new("340099"), unit, 2012, None);
    // The helper takes an `@` in front for a date.
    let live: Vec<String> =
        LIVE.iter().filter(|live| !live.starts_with('@')).map(|live| format!("{live}|1|x")).collect();
    let text = format!("姓名|身份证号|备注\n{}\n张三|340099198001010013|007", live.join("\n"));
    let book = read(&workbook(&[("党员", &text, &[])]));
    let (tables, _) = importer.detect(&book);
    let copy = findings_workbook(&book, &tables, &catalogue, &[], &[]).expect("drawn");
    let formats = formats(&copy);
    assert!(formats.iter().all(|format| format.starts_with("text")), "{formats:?}");
    assert!(formats.iter().filter(|format| stays_a_text(format)).count() >= 5, "{formats:?}");
}
