//! What forgers do to a sealed return: each edit shows a reader something else than was drawn.

pub(crate) const SHEET: &str = "xl/worksheets/sheet1.xml";
const BOOK: &str = "xl/workbook.xml";
pub(crate) const STYLES: &str = "xl/styles.xml";
const DRAWING: &str = "xl/drawings/drawing1.xml";

/// The element of a cell, as it stands in its sheet.
fn cell<'t>(sheet: &'t str, place: &str) -> &'t str {
    let start = sheet.find(&format!("<c r=\"{place}\"")).expect("the cell");
    let rest = &sheet[start..];
    let end = rest.find("/>").map(|end| end + 2).filter(|end| *end <= rest.find('>').expect("an end") + 1);
    &rest[..end.unwrap_or_else(|| rest.find("</c>").expect("an end") + 4)]
}

/// A sheet with one of its cells written differently.
fn with_cell(sheet: &str, place: &str, edit: impl Fn(&str) -> String) -> String {
    let own = cell(sheet, place);
    let edited = edit(own);
    assert_ne!(own, edited, "nothing was forged");
    sheet.replacen(own, &edited, 1)
}

/// A text in which something is written differently.
pub(crate) fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "`{from}` is not in {text}");
    text.replacen(from, to, 1)
}

/// A cell with a text of its own.
fn says(own: &str, text: &str) -> String {
    let style = own.split(" s=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("0").to_owned();
    let place = own.split('"').nth(1).expect("a place");
    format!("<c r=\"{place}\" s=\"{style}\" t=\"inlineStr\"><is><t>{text}</t></is></c>")
}

pub(crate) type Edit = Box<dyn Fn(&str) -> String>;

/// What was forged, the parts in which, and what is told of it.
pub(crate) type Forgery = (&'static str, Vec<(&'static str, Edit)>, &'static str);

fn one(what: &'static str, part: &'static str, edit: impl Fn(&str) -> String + 'static, told: &'static str) -> Forgery {
    (what, vec![(part, Box::new(edit) as Edit)], told)
}

/// A style that is like another one and has something of its own, under the number behind the last one.
fn another_style(styles: &str, like: &str, own: impl Fn(&str) -> String) -> String {
    let (head, rest) = styles.split_once("<cellXfs").expect("styles");
    let (group, tail) = rest.split_once("</cellXfs>").expect("styles");
    let number: usize = like.parse().expect("a number");
    let each: Vec<&str> = group.split("<xf ").skip(1).collect();
    let copy = own(each[number]);
    format!("{head}<cellXfs{group}<xf {copy}</cellXfs>{tail}")
}

/// How many styles there are.
fn styles_count(styles: &str) -> usize {
    styles
        .split_once("<cellXfs")
        .map_or(0, |(_, rest)| rest.split("</cellXfs>").next().unwrap_or("").matches("<xf ").count())
}

fn style_of(own: &str) -> String {
    own.split(" s=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("0").to_owned()
}

/// Every one of these shows a reader something else than was drawn.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn forgeries(sheet: &str, styles: &str, total: &'static str) -> Vec<Forgery> {
    let style = style_of(cell(sheet, "F8"));
    let next = styles_count(styles);
    let restyled = move |text: &str| {
        with_cell(text, "F8", |own| replaced(own, &format!(" s=\"{}\"", style_of(own)), &format!(" s=\"{next}\"")))
    };
    let in_style = |what, own: fn(&str) -> String, more: fn(&str) -> String, told| -> Forgery {
        let (style, restyled) = (style.clone(), restyled);
        let styles = move |text: &str| more(&another_style(text, &style, own));
        (what, vec![(STYLES, Box::new(styles) as Edit), (SHEET, Box::new(restyled) as Edit)], told)
    };
    vec![
        one(
            "a formula that adds a hundred",
            SHEET,
            move |text| with_cell(text, total, |own| replaced(own, "</f>", "+100</f>")),
            "公式被改",
        ),
        one(
            "a number that became a formula",
            SHEET,
            |text| with_cell(text, "F8", |own| replaced(own, "<v>", "<f>19</f><v>")),
            "F8：公式被改",
        ),
        one(
            "another number",
            SHEET,
            |text| with_cell(text, "F8", |own| replaced(own, "<v>", "<v>1")),
            "F8：数值或文字被改",
        ),
        in_style(
            "a number format that is a number",
            |xf| {
                let rest = xf.split_once("numFmtId=\"").expect("a format").1.split_once('"').expect("an end").1;
                format!("numFmtId=\"200\"{rest}")
            },
            |styles| {
                let format = "<numFmt numFmtId=\"200\" formatCode=\"&quot;19&quot;\"/></numFmts>";
                replaced(styles, "</numFmts>", format)
            },
            "F8：显示格式被改",
        ),
        in_style(
            "a format that shows nothing",
            |xf| {
                let rest = xf.split_once("numFmtId=\"").expect("a format").1.split_once('"').expect("an end").1;
                format!("numFmtId=\"200\"{rest}")
            },
            |styles| replaced(styles, "</numFmts>", "<numFmt numFmtId=\"200\" formatCode=\";;;\"/></numFmts>"),
            "F8：显示格式被改",
        ),
        in_style(
            "white letters",
            |xf| {
                let rest = xf.split_once("fontId=\"").expect("a font");
                format!("{}fontId=\"999\"{}", rest.0, rest.1.split_once('"').expect("an end").1)
            },
            |styles| {
                let count = styles
                    .split_once("<fonts")
                    .map_or(0, |(_, rest)| rest.split("</fonts>").next().unwrap_or("").matches("<font>").count());
                let styles = styles.replace("fontId=\"999\"", &format!("fontId=\"{count}\""));
                replaced(
                    &styles,
                    "</fonts>",
                    "<font><sz val=\"11\"/><color rgb=\"FFFFFFFF\"/><name val=\"宋体\"/></font></fonts>",
                )
            },
            "faint",
        ),
        in_style(
            "letters of symbols",
            |xf| {
                let rest = xf.split_once("fontId=\"").expect("a font");
                format!("{}fontId=\"999\"{}", rest.0, rest.1.split_once('"').expect("an end").1)
            },
            |styles| {
                let count = styles
                    .split_once("<fonts")
                    .map_or(0, |(_, rest)| rest.split("</fonts>").next().unwrap_or("").matches("<font>").count());
                let styles = styles.replace("fontId=\"999\"", &format!("fontId=\"{count}\""));
                replaced(&styles, "</fonts>", "<font><sz val=\"11\"/><name val=\"Wingdings\"/></font></fonts>")
            },
            "Wingdings",
        ),
        in_style(
            "a figure that fills its cell again and again",
            |xf| replaced(xf, "horizontal=\"right\"", "horizontal=\"fill\""),
            plain_owned,
            "repeated",
        ),
        (
            "another sheet in front of the real one",
            vec![
                (
                    BOOK,
                    Box::new(|text: &str| {
                        let text =
                            replaced(text, "<sheet name=\"按填报单位\"", "<sheet name=\"按填报单位\" state=\"hidden\"");
                        replaced(
                            &text,
                            "<sheets>",
                            "<sheets><sheet name=\"按填报单位 \" sheetId=\"99\" r:id=\"rId99\"/>",
                        )
                    }) as Edit,
                ),
                (
                    "xl/_rels/workbook.xml.rels",
                    Box::new(|text: &str| {
                        let relation = "<Relationship Id=\"rId99\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet99.xml\"/></Relationships>";
                        replaced(text, "</Relationships>", relation)
                    }) as Edit,
                ),
                (
                    "xl/worksheets/sheet99.xml",
                    Box::new(|_: &str| {
                        "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData><row r=\"1\"><c r=\"A1\"><v>19</v></c></row></sheetData></worksheet>".to_owned()
                    }) as Edit,
                ),
            ],
            "多出的工作表",
        ),
        one(
            "a hidden sheet",
            BOOK,
            |text| replaced(text, "<sheet name=\"按填报单位\"", "<sheet name=\"按填报单位\" state=\"veryHidden\""),
            "工作表被隐藏",
        ),
        one(
            "a sheet of another name",
            BOOK,
            |text| replaced(text, "name=\"按填报单位\"", "name=\"按填报单位（旧）\""),
            "工作表缺失",
        ),
        one(
            "a text like that of the code",
            SHEET,
            |text| with_cell(text, "B8", |own| says(own, "校验码：AAAA-BBBB-CCCC-DDDD　　回执号：1")),
            "B8：数值或文字被改",
        ),
        one(
            "a text that looks like the number",
            SHEET,
            |text| with_cell(text, "F8", |own| says(own, "19\u{200b}\u{200c}\u{200d}")),
            "F8：数值或文字被改",
        ),
        one("a hidden row", SHEET, |text| replaced(text, "<row r=\"8\"", "<row hidden=\"1\" r=\"8\""), "第 8 行被隐藏"),
        one(
            "a row without height",
            SHEET,
            |text| {
                let (head, tail) = text.split_once("<row r=\"9\"").expect("a ninth row");
                format!("{head}<row r=\"9\"{}", tail.replacen(" ht=", " ht=\"0\" was=", 1))
            },
            "第 9 行被隐藏",
        ),
        one(
            "a column without width",
            SHEET,
            |text| {
                replaced(
                    text,
                    "<col min=\"3\"",
                    "<col min=\"3\" max=\"3\" width=\"0\" customWidth=\"1\"/><col min=\"4\"",
                )
            },
            "C 列被隐藏",
        ),
        one(
            "cells merged over others",
            SHEET,
            |text| replaced(text, "</mergeCells>", "<mergeCell ref=\"E8:F8\"/></mergeCells>"),
            "merged E8:F8",
        ),
        one(
            "a format on a condition",
            SHEET,
            |text| {
                replaced(
                    text,
                    "<pageMargins",
                    "<conditionalFormatting sqref=\"F8\"><cfRule type=\"expression\" priority=\"1\"><formula>TRUE</formula></cfRule></conditionalFormatting><pageMargins",
                )
            },
            "附加内容",
        ),
        one(
            "zeros that are not shown",
            SHEET,
            |text| replaced(text, "<sheetView ", "<sheetView showZeros=\"0\" "),
            "showZeros",
        ),
        one(
            "formulas that are shown",
            SHEET,
            |text| replaced(text, "<sheetView ", "<sheetView showFormulas=\"1\" "),
            "showFormulas",
        ),
        one(
            "rows above that nobody reaches",
            SHEET,
            |text| replaced(text, "<sheetView ", "<sheetView topLeftCell=\"A9\" "),
            "frozen",
        ),
        one("another foot", SHEET, |text| replaced(text, "第 &amp;P 页", "作废 &amp;P 页"), "页脚"),
        one(
            "a head",
            SHEET,
            |text| replaced(text, "<oddFooter>", "<oddHeader>&amp;C作废</oddHeader><oddFooter>"),
            "页眉",
        ),
        one("something in an empty cell", SHEET, |text| with_cell(text, "V1", |own| says(own, "19")), "V1：原为空白"),
        one(
            "a cell emptied",
            SHEET,
            |text| with_cell(text, "F8", |own| own.split("<v>").next().expect("a head").replacen('>', "/>", 1)),
            "F8：内容被删",
        ),
        one(
            "a box over the cells",
            DRAWING,
            |text| {
                replaced(
                    text,
                    "</xdr:wsDr>",
                    "<xdr:twoCellAnchor><xdr:from><xdr:col>5</xdr:col><xdr:colOff>0</xdr:colOff><xdr:row>7</xdr:row><xdr:rowOff>0</xdr:rowOff></xdr:from><xdr:to><xdr:col>6</xdr:col><xdr:colOff>0</xdr:colOff><xdr:row>8</xdr:row><xdr:rowOff>0</xdr:rowOff></xdr:to><xdr:sp><xdr:txBody><a:p><a:r><a:t>19</a:t></a:r></a:p></xdr:txBody></xdr:sp><xdr:clientData/></xdr:twoCellAnchor></xdr:wsDr>",
                )
            },
            "图形 shape",
        ),
        one(
            "the code's picture over the table",
            DRAWING,
            |text| {
                let row = text.split("<xdr:row>").nth(1).and_then(|rest| rest.split('<').next()).expect("a row");
                replaced(text, &format!("<xdr:row>{row}<"), "<xdr:row>7<")
            },
            "图片 picture",
        ),
        one(
            "part of what is printed",
            BOOK,
            |text| {
                replaced(
                    text,
                    "<definedNames>",
                    "<definedNames><definedName name=\"_xlnm.Print_Area\" localSheetId=\"0\">按填报单位!$A$1:$E$9</definedName>",
                )
            },
            "打印区域",
        ),
        one(
            "white letters within a text",
            SHEET,
            |text| {
                with_cell(text, "B8", |own| {
                    let words = says(own, "X");
                    words.replace(
                        "<is><t>X</t></is>",
                        "<is><r><t>黑山</t></r><r><rPr><color rgb=\"FFFFFFFF\"/></rPr><t>镇</t></r></is>",
                    )
                })
            },
            "B8",
        ),
        one(
            "dates from another year",
            BOOK,
            |text| replaced(text, "<workbookPr ", "<workbookPr date1904=\"1\" "),
            "1904",
        ),
    ]
}

fn plain_owned(text: &str) -> String {
    text.to_owned()
}
