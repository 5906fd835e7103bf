//! Looking at an .xlsx, as it says itself which part is what.

use std::{collections::BTreeSet, sync::Arc};

use sha2::{Digest, Sha256};

use super::{
    Look, Room, SheetLook, drawing, formula,
    node::{Node, Token, Xml},
    parts::{Parts, Relation, digest},
    styles::{Styles, WHITE},
    text,
    xlsx_sheet::SheetReader,
};
use crate::workbook::read::{ReadError, ReadLimits, damaged};

/// Relations of a workbook and of a sheet to what shows nothing by itself.
const QUIET: [&str; 12] = [
    "worksheet",
    "styles",
    "theme",
    "sharedStrings",
    "calcChain",
    "customXml",
    "printerSettings",
    "sheetMetadata",
    "drawing",
    "comments",
    "vmlDrawing",
    "hyperlink",
];
/// A workbook of which each part has been found.
struct Package<'b> {
    parts: Parts<'b>,
    book: Node,
    relations: Vec<Relation>,
}

impl<'b> Package<'b> {
    fn open(bytes: &'b [u8], limits: &ReadLimits) -> Result<Self, ReadError> {
        let mut parts = Parts::open(bytes, limits)?;
        let name = one(&parts.relations("")?, "officeDocument")?.ok_or_else(|| damaged("no workbook in it"))?;
        let book = parts.root(&name)?.ok_or_else(|| damaged("no workbook in it"))?;
        let relations = parts.relations(&name)?;
        Ok(Self { parts, book, relations })
    }

    /// The sheets in order: name, whether it is seen, part.
    fn sheets(&self, limits: &ReadLimits) -> Result<Vec<(String, bool, Relation)>, ReadError> {
        let group = self.book.child("sheets").ok_or_else(|| damaged("no sheets"))?;
        if group.children.len() > limits.sheets_max {
            return Err(ReadError::TooLarge { what: "工作表 sheets", limit: limits.sheets_max as u64 });
        }
        let (mut sheets, mut names) = (Vec::new(), BTreeSet::new());
        for node in &group.children {
            let name = node.text_of("name").to_owned();
            let id = node.attribute(":id").unwrap_or_default();
            let relation = self.relations.iter().find(|relation| relation.id == id && !relation.is_external);
            let relation = relation.ok_or_else(|| damaged("a sheet without part"))?.clone();
            if !names.insert(name.to_lowercase()) {
                return Err(damaged("two sheets of one name"));
            }
            sheets.push((name, matches!(node.attribute("state"), None | Some("visible")), relation));
        }
        Ok(sheets)
    }
}

/// The part of the sheet of this name.
pub fn part_of_sheet(bytes: &[u8], name: &str) -> Result<Option<String>, ReadError> {
    let limits = ReadLimits::default();
    let sheets = Package::open(bytes, &limits)?.sheets(&limits)?;
    Ok(sheets.into_iter().find(|(sheet, ..)| sheet == name).map(|(_, _, relation)| relation.target))
}

/// A digest of all parts but one: equal ones were written by one program at one time.
pub fn parts_digest(bytes: &[u8], without: &str, limits: &ReadLimits) -> Result<String, ReadError> {
    let mut parts = Parts::open(bytes, limits)?;
    let names: Vec<String> = parts.names().map(str::to_owned).collect();
    let mut all = Sha256::new();
    for name in names.iter().filter(|name| !name.eq_ignore_ascii_case(without)) {
        all.update(format!("{name}\0{}\n", parts.digest(name)?));
    }
    Ok(data_encoding::HEXLOWER.encode(&all.finalize()))
}

pub(super) fn look(bytes: &[u8], limits: &ReadLimits) -> Result<Look, ReadError> {
    let mut package = Package::open(bytes, limits)?;
    let sheets = package.sheets(limits)?;
    let part = |kind: &str| one(&package.relations, kind);
    let (styles, theme, strings) = (part("styles")?, part("theme")?, part("sharedStrings")?);
    let mut look = Look { facts: book_facts(&package, &sheets), ..Look::default() };
    let parts = &mut package.parts;
    let mut room = Room::new(limits);
    let styles = Styles::read(parts, styles.as_deref(), theme.as_deref())?;
    let strings = match strings {
        Some(strings) => shared(parts, &strings, &styles)?,
        None => Vec::new(),
    };
    for (name, is_visible, relation) in sheets {
        let mut sheet = SheetLook { name, is_visible, ..SheetLook::default() };
        if relation.kind != "worksheet" {
            sheet.facts.insert(format!("不是普通工作表 no sheet of cells: {}", relation.kind));
            look.sheets.push(sheet);
            continue;
        }
        let content = parts.text(&relation.target)?.ok_or_else(|| damaged("a sheet that is not there"))?;
        let relations = parts.relations(&relation.target)?;
        let xml = Xml::new(&content, parts.nodes_max);
        let drawings = SheetReader::new(xml, (&styles, &strings), &mut room, &mut sheet).read()?;
        for relation in &relations {
            match relation.kind.as_str() {
                "comments" | "threadedComment" => {
                    let notes = parts.root(&relation.target)?.map(|root| root.words()).unwrap_or_default();
                    sheet.facts.insert(format!("批注 note: {}", notes.trim()));
                }
                kind if QUIET.contains(&kind) => {}
                kind => drop(sheet.facts.insert(format!("附加内容 part: {kind}"))),
            }
        }
        for id in drawings {
            let is_it = |relation: &&Relation| relation.id == id && relation.kind == "drawing" && !relation.is_external;
            let relation = relations.iter().find(is_it).ok_or_else(|| damaged("a drawing without part"))?;
            let drawn = drawing::facts(parts, &relation.target, &mut sheet.facts)?;
            sheet.dress = sheet.dress.map(|dress| digest(format!("{dress}{}", drawn.canonical()).as_bytes()));
        }
        look.sheets.push(sheet);
    }
    Ok(look)
}

/// The part of this kind. Where there are several, each program may take another.
fn one(relations: &[Relation], kind: &str) -> Result<Option<String>, ReadError> {
    let mut found = relations.iter().filter(|relation| relation.kind == kind);
    let first = found.next().map(|relation| relation.target.clone());
    if found.next().is_some() { Err(ReadError::Damaged(format!("two parts: {kind}"))) } else { Ok(first) }
}

fn book_facts(package: &Package<'_>, sheets: &[(String, bool, Relation)]) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    for relation in package.relations.iter().filter(|relation| !QUIET.contains(&relation.kind.as_str())) {
        facts.insert(format!("附加内容 part: {}", relation.kind));
    }
    let book = &package.book;
    book.walk(&mut |node| match node.name.as_str() {
        "workbookPr" if node.is("date1904") => drop(facts.insert("1904 日期 dates from 1904".to_owned())),
        "calcPr" if matches!(node.attribute("fullPrecision"), Some("0" | "false")) => {
            facts.insert("按显示精度计算 computed as displayed".to_owned());
        }
        "workbookView" => {
            if matches!(node.attribute("visibility"), Some(seen) if seen != "visible") {
                facts.insert("窗口被隐藏 a hidden window".to_owned());
            }
            if matches!(node.attribute("showSheetTabs"), Some("0" | "false")) {
                facts.insert("工作表标签被隐藏 hidden tabs".to_owned());
            }
        }
        "definedName" if node.text_of("name") == "_xlnm.Print_Area" => {
            let sheet = node.number_of::<usize>("localSheetId").and_then(|at| sheets.get(at));
            let sheet = sheet.map_or("", |(name, ..)| name);
            facts.insert(format!("打印区域 print area: {sheet} {}", formula::normalised(&node.text)));
        }
        _ => {}
    });
    for name in ["sheets", "definedNames", "workbookPr", "calcPr"] {
        if book.all(name).count() > 1 {
            facts.insert(format!("重复 twice: {name}"));
        }
    }
    facts
}

/// The texts that cells name by number, and what is to be said of how they look.
fn shared(parts: &mut Parts<'_>, name: &str, styles: &Styles) -> Result<Vec<(Arc<str>, String)>, ReadError> {
    let Some(content) = parts.text(name)? else { return Ok(Vec::new()) };
    let mut xml = Xml::new(&content, parts.nodes_max);
    let mut strings = Vec::new();
    let mut is_inside = false;
    loop {
        match xml.next(None)? {
            Token::Start(node) if node.name == "sst" && !is_inside => is_inside = true,
            Token::Start(node) => {
                let node = xml.rest(node)?;
                if node.name == "si" {
                    strings.push(rich(&node, styles));
                }
            }
            Token::Over => return Ok(strings),
            Token::End | Token::Text => {}
        }
    }
}

/// A text of pieces, and how they look.
pub(super) fn rich(node: &Node, styles: &Styles) -> (Arc<str>, String) {
    let (mut words, mut said) = (String::new(), String::new());
    for child in &node.children {
        match child.name.as_str() {
            "t" => words.push_str(&child.words()),
            "r" => {
                words.extend(child.all("t").map(Node::words));
                if let Some(letters) = child.child("rPr") {
                    said.push_str(&styles.letters(letters, false).said(Some(WHITE)));
                }
                if child.children.iter().any(|part| !matches!(part.name.as_str(), "t" | "rPr")) {
                    said.push_str(" more");
                }
            }
            "phoneticPr" => {}
            other => {
                said.push(' ');
                said.push_str(other);
            }
        }
    }
    (text(&unescaped(&words)).into(), said)
}

/// `_x000D_` is how a character is written that XML does not hold.
pub(super) fn unescaped(words: &str) -> String {
    let mut out = String::new();
    let mut rest = words;
    while let Some(at) = rest.find("_x") {
        let (head, tail) = rest.split_at(at);
        out.push_str(head);
        let hex = tail.get(2..6).filter(|_| tail.get(6..7) == Some("_"));
        let said = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
        let length = if let Some(c) = said {
            out.push(c);
            7
        } else {
            out.push_str("_x");
            2
        };
        rest = tail.get(length..).unwrap_or_default();
    }
    out + rest
}
