//! Ledgers as text: every separator, every encoding, every kind of line end.

use importer::ReadLimits;

use crate::taken::take;

const HEADER: [&str; 8] = ["序号", "所属党支部", "姓名", "性别", "身份证号码", "入党时间", "手机号码", "家庭住址"];

/// Rows of a roster; the third has a separator, a quotation mark and a line break in one cell.
fn rows() -> Vec<Vec<String>> {
    let mut rows = vec![vec!["青山镇党员花名册".to_owned()], Vec::new(), HEADER.map(str::to_owned).to_vec()];
    let people =
        [("欧阳试一", "340099197001010115"), ("司马试二", "340099197001010211"), ("上官试三", "340099197001010318")];
    for (number, (name, card)) in (1..).zip(people) {
        let address = if number == 3 { "青石村,\"老街\";\t1组\n后院" } else { "青石村1组" };
        let phone = format!("1390009000{number}");
        let cells = [&number.to_string(), "青石村党支部", name, "男", card, "1995-07-01", &phone, address];
        rows.push(cells.map(str::to_owned).to_vec());
        if number == 1 {
            // A line that somebody left empty.
            rows.push(Vec::new());
        }
    }
    rows
}

fn text(separator: char, line_end: impl Fn(usize) -> &'static str, inner: &str) -> String {
    let mut text = String::new();
    for (number, row) in rows().into_iter().enumerate() {
        let cell = |cell: String| {
            let odd = cell.contains([separator, '"', '\n']);
            if odd { format!("\"{}\"", cell.replace('"', "\"\"").replace('\n', inner)) } else { cell }
        };
        text.push_str(&row.into_iter().map(cell).collect::<Vec<_>>().join(&separator.to_string()));
        text.push_str(line_end(number));
    }
    text
}

/// The bytes of a text in an encoding, by the name that offices know it by.
fn encoded(text: &str, encoding: &str) -> Vec<u8> {
    let units = || text.encode_utf16();
    match encoding {
        "UTF-8" => text.as_bytes().to_vec(),
        "UTF-8 with mark" => ["\u{feff}", text].concat().into_bytes(),
        "UTF-16 LE" => [0xfeff].into_iter().chain(units()).flat_map(u16::to_le_bytes).collect(),
        "UTF-16 BE" => [0xfeff].into_iter().chain(units()).flat_map(u16::to_be_bytes).collect(),
        "UTF-16 LE without mark" => units().flat_map(u16::to_le_bytes).collect(),
        "GBK" => encoding_rs::GBK.encode(text).0.into_owned(),
        "GB18030" => encoding_rs::GB18030.encode(&text.replace("司马试二", "司马䶮𬎆")).0.into_owned(),
        other => panic!("{other}"),
    }
}

type LineEnd = fn(usize) -> &'static str;

const LINE_ENDS: [(&str, LineEnd); 5] = [
    ("LF", |_| "\n"),
    ("CRLF", |_| "\r\n"),
    ("CR", |_| "\r"),
    ("mixed", |number| ["\r\n", "\n", "\r"][number % 3]),
    ("LF, none at the end", |number| if number == 6 { "" } else { "\n" }),
];

#[test]
fn every_text_format_is_read_with_every_line_end() {
    let encodings = ["UTF-8", "UTF-8 with mark", "UTF-16 LE", "UTF-16 BE", "UTF-16 LE without mark", "GBK", "GB18030"];
    for (separator, declared) in [(',', ""), ('\t', ""), (';', ""), (',', "sep=,"), (';', "sep=;"), (';', "\"sep=;\"")]
    {
        for (kind, line_end) in LINE_ENDS {
            for encoding in encodings {
                let what = format!("{encoding}, {separator:?}, {declared}, {kind}");
                let inner = if kind == "CR" { "\r" } else { line_end(0) };
                let declaration =
                    if declared.is_empty() { String::new() } else { format!("{declared}{}", line_end(0)) };
                let text = format!("{declaration}{}", text(separator, line_end, inner));
                let bytes = encoded(&text, encoding);
                let taken = take(&bytes);
                let second = if encoding == "GB18030" { "司马䶮𬎆" } else { "司马试二" };
                let names = ["欧阳试一", second, "上官试三"].map(|name| format!("青石村党支部:{name}"));
                assert_eq!(taken.names(), names, "{what}: {:?}", taken.findings);
                assert_eq!(taken.value("上官试三", "address"), Some("青石村,\"老街\";\t1组\n后院"), "{what}");
                assert_eq!(taken.value(second, "phone"), Some("13900090002"), "{what}");
                assert!(taken.findings.is_empty(), "{what}: {:?}", taken.findings);
                // A finding names the row that a spreadsheet shows: blank lines count, the declaration does not.
                let book = importer::read(&bytes, &ReadLimits::default()).expect("readable");
                let sheet = &book.sheets[0];
                let numbers: Vec<u32> = (0..sheet.row_count()).map(|row| sheet.row_number(row) + 1).collect();
                assert_eq!(numbers, [1, 3, 4, 6, 7], "{what}");
            }
        }
    }
}

#[test]
fn what_keeps_a_number_a_text_is_no_part_of_it() {
    let header = HEADER.join(",");
    for (card, phone) in [
        ("=\"340099197001010115\"", "=\"13900090001\""),
        ("\"=\"\"340099197001010115\"\"\"", "\"=\"\"13900090001\"\"\""),
        ("'340099197001010115", "'13900090001"),
        ("’340099197001010115", "‘13900090001"),
        ("'34009919700101081X", "'139 0009 0001"),
    ] {
        let text = format!("{header}\r\n1,'青石村党支部,'欧阳试一,男,{card},'1995-07-01,{phone},'青石村1组\r\n");
        let taken = take(&encoding_rs::GBK.encode(&text).0);
        let card = if card.contains('X') { "34009919700101081X" } else { "340099197001010115" };
        for (column, expected) in
            [("id_card", card), ("phone", "13900090001"), ("joined_on", "1995-07-01"), ("address", "青石村1组")]
        {
            assert_eq!(taken.value("欧阳试一", column), Some(expected), "{text} {:?}", taken.findings);
        }
        assert!(taken.findings.is_empty(), "{:?}", taken.findings);
    }
    // A pair of marks quotes a word.
    let text = format!("{header}\n1,青石村党支部,欧阳试一,男,340099197001010115,1995-07-01,13900090001,'老街'1组\n");
    assert_eq!(take(text.as_bytes()).value("欧阳试一", "address"), Some("'老街'1组"));
}

#[test]
fn a_quotation_mark_that_nothing_closes_swallows_no_row() {
    let header = HEADER.join(",");
    let person = |name: &str, card: &str, address: &str| {
        format!("1,青石村党支部,{name},男,{card},1995-07-01,13900090001,{address}\r\n")
    };
    let text = [
        format!("{header}\r\n"),
        person("欧阳试一", "340099197001010115", "\"青石村"),
        person("司马试二", "340099197001010211", "青石村1组"),
    ]
    .concat();
    let taken = take(text.as_bytes());
    assert_eq!(taken.names(), ["青石村党支部:欧阳试一", "青石村党支部:司马试二"]);
    assert_eq!(taken.value("欧阳试一", "address"), Some("\"青石村"));
}
