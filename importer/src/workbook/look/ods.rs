//! Looking at an OpenDocument spreadsheet.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    CellLook, Look, Room, SheetLook, formula,
    node::{Node, Token, Xml},
    number,
    ods_styles::OdsStyles,
    parts::Parts,
    text,
    xlsx_sheet::{HEIGHT_MIN, hidden_column, hidden_row, merged},
};
use crate::workbook::{
    grid::address,
    read::{ROW_MAX, ReadError, ReadLimits, damaged},
};

/// Points below which a column is not seen.
const WIDTH_MIN: f64 = 3.0;
/// The last column of a sheet, counted from 0.
const COLUMN_MAX: u32 = 16_383;
/// What prefixes stand for: attributes are known by them.
const PREFIXES: [(&str, &str); 8] = [
    ("office", "urn:oasis:names:tc:opendocument:xmlns:office:"),
    ("table", "urn:oasis:names:tc:opendocument:xmlns:table:"),
    ("text", "urn:oasis:names:tc:opendocument:xmlns:text:"),
    ("style", "urn:oasis:names:tc:opendocument:xmlns:style:"),
    ("number", "urn:oasis:names:tc:opendocument:xmlns:datastyle:"),
    ("fo", "urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:"),
    ("draw", "urn:oasis:names:tc:opendocument:xmlns:drawing:"),
    ("calcext", "urn:org:documentfoundation:names:experimental:calc:"),
];

struct Column {
    to: u32,
    style: String,
    is_hidden: bool,
}

/// The sheet that is being looked at.
#[derive(Default)]
struct Table {
    sheet: SheetLook,
    columns: Vec<Column>,
    row: u32,
    hidden_rows: BTreeSet<u32>,
}

struct Reader<'r, 'b> {
    parts: &'r mut Parts<'b>,
    styles: OdsStyles,
    made: BTreeMap<(String, bool), Arc<str>>,
    room: Room,
    look: Look,
    table: Option<Table>,
}

/// None, if it is no such file.
pub(super) fn look(bytes: &[u8], limits: &ReadLimits) -> Result<Option<Look>, ReadError> {
    let mut parts = Parts::open(bytes, limits)?;
    let Some(content) = parts.text("content.xml")? else { return Ok(None) };
    if parts.names().any(|name| name == "[content_types].xml") {
        return Err(damaged("two formats in one file"));
    }
    let mut styles = OdsStyles::default();
    if let Some(root) = parts.root("styles.xml")? {
        check(&root)?;
        for group in root.children.iter().filter(|group| group.name != "automatic-styles") {
            styles.take(group);
        }
    }
    let nodes_max = parts.nodes_max;
    let (made, room, look) = (BTreeMap::new(), Room::new(limits), Look::default());
    let mut reader = Reader { parts: &mut parts, styles, made, room, look, table: None };
    reader.read(Xml::new(&content, nodes_max), limits)?;
    Ok(Some(reader.look))
}

/// Refuses prefixes that stand for something else than they do everywhere.
fn check(root: &Node) -> Result<(), ReadError> {
    for (prefix, address) in &root.vocabularies {
        let prefix = prefix.strip_prefix("xmlns:").unwrap_or_default();
        let expected = PREFIXES.iter().find(|(known, _)| *known == prefix);
        if expected.is_some_and(|(_, expected)| !address.starts_with(expected)) {
            return Err(damaged("a prefix of another meaning"));
        }
    }
    Ok(())
}

impl Reader<'_, '_> {
    fn read(&mut self, mut xml: Xml<'_>, limits: &ReadLimits) -> Result<(), ReadError> {
        let mut open: Vec<String> = Vec::new();
        loop {
            match xml.next(None)? {
                Token::Start(node) => {
                    if open.is_empty() {
                        check(&node)?;
                    } else if !node.vocabularies.is_empty() {
                        return Err(damaged("a vocabulary in the middle"));
                    }
                    if self.begins(&mut xml, &node, &open, limits)? {
                        open.push(node.name);
                    }
                }
                Token::End => {
                    if open.pop().as_deref() == Some("table") {
                        self.end();
                    }
                }
                Token::Text => {}
                Token::Over => return Ok(()),
            }
        }
    }

    /// Whether the element stays open.
    fn begins(
        &mut self,
        xml: &mut Xml<'_>,
        node: &Node,
        open: &[String],
        limits: &ReadLimits,
    ) -> Result<bool, ReadError> {
        match node.name.as_str() {
            "document-content"
            | "body"
            | "spreadsheet"
            | "table-header-rows"
            | "table-rows"
            | "table-columns"
            | "table-header-columns" => return Ok(true),
            "table-row-group" | "table-column-group" => {
                if node.text_of("table:display") == "false" {
                    self.fact("分组被折叠 a folded group".to_owned());
                }
                return Ok(true);
            }
            "table" if self.table.is_none() && open.last().is_some_and(|above| above == "spreadsheet") => {
                self.begin(node, limits)?;
                return Ok(true);
            }
            _ => {}
        }
        let node = xml.rest(node.clone())?;
        match node.name.as_str() {
            "automatic-styles" | "font-face-decls" => self.styles.take(&node),
            "table-column" => self.column(&node),
            "table-row" => self.row(&node)?,
            "shapes" => {
                for shape in &node.children {
                    self.shape("", shape)?;
                }
            }
            "forms" | "scripts" if node.children.is_empty() => {}
            "event-listeners" | "scripts" | "named-expressions" | "database-ranges" | "title" | "desc" | "settings"
            | "protection" | "table-protection" | "consolidation" | "dde-links" => {}
            "calculation-settings" => {
                if node.is("table:precision-as-shown") {
                    self.fact("按显示精度计算 computed as displayed".to_owned());
                }
                if node.child("null-date").is_some_and(|date| !date.text_of("table:date-value").is_empty()) {
                    self.fact("日期起点 dates from another day".to_owned());
                }
            }
            "content-validations" => {
                let mut prompts = Vec::new();
                node.walk(&mut |rule| {
                    if rule.name == "help-message" && !rule.words().trim().is_empty() {
                        prompts.push(format!("输入提示 prompt: {}", rule.words().trim()));
                    }
                });
                self.look.facts.extend(prompts);
            }
            _ => self.fact(format!("附加内容 element: {}", node.canonical())),
        }
        Ok(false)
    }

    fn fact(&mut self, fact: String) {
        let facts = self.table.as_mut().map_or(&mut self.look.facts, |table| &mut table.sheet.facts);
        facts.insert(fact);
    }

    fn begin(&mut self, node: &Node, limits: &ReadLimits) -> Result<(), ReadError> {
        if self.look.sheets.len() >= limits.sheets_max {
            return Err(ReadError::TooLarge { what: "工作表 sheets", limit: limits.sheets_max as u64 });
        }
        let name = node.text_of("table:name").to_owned();
        if self.look.sheets.iter().any(|sheet| sheet.name == name) {
            return Err(damaged("two sheets of one name"));
        }
        let (is_visible, mut facts, said) = self.styles.table(node.text_of("table:style-name"));
        if let Some(ranges) = node.attribute("table:print-ranges") {
            self.look.facts.insert(format!("打印区域 print area: {name} {ranges}"));
        }
        if !said.is_empty() {
            facts.insert(format!("视图 view:{said}"));
        }
        let sheet = SheetLook { name, is_visible, facts, ..SheetLook::default() };
        self.table = Some(Table { sheet, ..Table::default() });
        Ok(())
    }

    fn end(&mut self) {
        let Some(mut table) = self.table.take() else { return };
        let rows: BTreeSet<u32> = table.sheet.cells.keys().map(|(row, _)| *row).collect();
        let columns: BTreeSet<u16> = table.sheet.cells.keys().map(|(_, column)| *column).collect();
        table.sheet.facts.extend(rows.intersection(&table.hidden_rows).map(|row| hidden_row(*row)));
        for column in columns {
            if table.columns.iter().find(|own| u32::from(column) < own.to).is_some_and(|own| own.is_hidden) {
                table.sheet.facts.insert(hidden_column(column));
            }
        }
        self.look.sheets.push(table.sheet);
    }

    fn column(&mut self, node: &Node) {
        let style = node.text_of("table:style-name");
        let is_narrow = self.styles.size("table-column", style).is_some_and(|width| width < WIDTH_MIN);
        let is_hidden = is_narrow || !matches!(node.text_of("table:visibility"), "" | "visible");
        let Some(table) = &mut self.table else { return };
        let from = table.columns.last().map_or(0, |before| before.to);
        let to = from.saturating_add(node.number_of("table:number-columns-repeated").unwrap_or(1));
        table.columns.push(Column { to, style: node.text_of("table:default-cell-style-name").to_owned(), is_hidden });
    }

    fn row(&mut self, node: &Node) -> Result<(), ReadError> {
        let repeated: u32 = node.number_of("table:number-rows-repeated").unwrap_or(1).max(1);
        let style = node.text_of("table:style-name");
        let is_low = self.styles.size("table-row", style).is_some_and(|height| height < HEIGHT_MIN);
        let is_hidden = is_low || !matches!(node.text_of("table:visibility"), "" | "visible");
        let Some(first) = self.table.as_ref().map(|table| table.row) else { return Err(damaged("a row of no table")) };
        let found = self.cells(first, node)?;
        let Some(table) = &mut self.table else { return Ok(()) };
        table.row = first.saturating_add(repeated);
        if found.is_empty() {
            return Ok(());
        }
        for row in first..table.row {
            if row > ROW_MAX {
                break;
            }
            if is_hidden {
                table.hidden_rows.insert(row);
            }
            for (column, cell) in &found {
                self.room.cell(cell.says.len())?;
                table.sheet.cells.insert((row, *column), cell.clone());
            }
        }
        Ok(())
    }

    fn cells(&mut self, row: u32, node: &Node) -> Result<Vec<(u16, CellLook)>, ReadError> {
        let mut found = Vec::new();
        let mut column = 0u32;
        for cell in &node.children {
            if !matches!(cell.name.as_str(), "table-cell" | "covered-table-cell") {
                self.fact(format!("附加内容 element: {}", cell.canonical()));
                continue;
            }
            let repeated: u32 = cell.number_of("table:number-columns-repeated").unwrap_or(1).max(1);
            let next = column.saturating_add(repeated);
            let place = address(row, u16::try_from(column).unwrap_or(u16::MAX));
            let (wide, high): (u32, u32) = (
                cell.number_of("table:number-columns-spanned").unwrap_or(1),
                cell.number_of("table:number-rows-spanned").unwrap_or(1),
            );
            if wide > 1 || high > 1 {
                let right = u16::try_from(column.saturating_add(wide - 1)).unwrap_or(u16::MAX);
                let end = address(row.saturating_add(high.max(1) - 1), right);
                self.fact(merged(&format!("{place}:{end}")));
            }
            let (words, rough) = self.words(&place, cell)?;
            let formula = cell.attribute("table:formula").map(formula::normalised);
            let formula = match cell.attribute("table:number-matrix-columns-spanned") {
                Some(_) => formula.map(|formula| format!("array {formula}")),
                None => formula,
            };
            let says = says(cell, &words);
            if formula.is_some() || !(says.is_empty() || says == "t") {
                let own = cell.attribute("table:style-name").or(node.attribute("table:default-cell-style-name"));
                let looks = self.looks(own, column, &says, &rough);
                for column in column..next.min(COLUMN_MAX + 1) {
                    self.room.cell(0)?;
                    let column = u16::try_from(column).unwrap_or(u16::MAX);
                    let (formula, looks) = (formula.clone(), looks.clone());
                    found.push((column, CellLook { says: says.as_str().into(), formula, looks }));
                }
            }
            column = next;
        }
        Ok(found)
    }

    fn looks(&mut self, own: Option<&str>, column: u32, says: &str, rough: &str) -> Arc<str> {
        let columns = self.table.as_ref().map(|table| table.columns.as_slice()).unwrap_or_default();
        let of_column = columns.iter().find(|known| column < known.to).map(|known| known.style.as_str());
        let style = own.or(of_column).filter(|style| !style.is_empty()).unwrap_or("Default").to_owned();
        let key = (style, says.starts_with('t'));
        let look = if let Some(made) = self.made.get(&key) {
            made.clone()
        } else {
            let look: Arc<str> = self.styles.look(&key.0, says).into();
            self.made.entry(key).or_insert(look).clone()
        };
        if rough.is_empty() { look } else { format!("{look}{rough}").trim().into() }
    }

    /// The text of a cell, and what is to be said of how it looks; what lies over it becomes a fact.
    fn words(&mut self, place: &str, cell: &Node) -> Result<(String, String), ReadError> {
        let (mut words, mut rough) = (String::new(), String::new());
        let mut paragraphs = 0;
        for child in &cell.children {
            match child.name.as_str() {
                "p" => {
                    if paragraphs > 0 {
                        words.push('\n');
                    }
                    paragraphs += 1;
                    self.paragraph(child, &mut words, &mut rough);
                }
                "annotation" => self.fact(format!("批注 note: {}", child.words().trim())),
                _ => self.shape(place, child)?,
            }
        }
        Ok((words, rough))
    }

    fn paragraph(&self, node: &Node, words: &mut String, rough: &mut String) {
        words.push_str(&node.text);
        for child in &node.children {
            match child.name.as_str() {
                "s" => words.push_str(&" ".repeat(child.number_of("text:c").unwrap_or(1usize).min(1000))),
                "tab" => words.push('\t'),
                "line-break" => words.push('\n'),
                "span" => {
                    rough.push_str(&self.styles.piece(child.text_of("text:style-name")));
                    self.paragraph(child, words, rough);
                }
                other => {
                    rough.push(' ');
                    rough.push_str(other);
                }
            }
            words.push_str(&child.tail);
        }
    }

    fn shape(&mut self, place: &str, node: &Node) -> Result<(), ReadError> {
        let image = node.child("image").filter(|_| node.name == "frame");
        if node.child("object").is_some() {
            let sentence = "报表中有图表，只有 .xlsx 文件中的图表可以核对。请交另存为 .xlsx 的文件。 | it holds charts, which can be checked in .xlsx files only: save it as .xlsx";
            return Err(ReadError::Refused(sentence.to_owned()));
        }
        let Some(image) = image else {
            self.fact(format!("图形 shape {place} {} {}", node.name, node.words().trim()));
            return Ok(());
        };
        let mut said = self.parts.digest(image.text_of("xlink:href"))?;
        if node.attribute("draw:transform").is_some() {
            said.push_str(" turned");
        }
        if ["svg:x", "svg:y"].iter().any(|side| node.text_of(side).starts_with('-')) {
            said.push_str(" moved");
        }
        self.fact(format!("图片 picture {place} {said}"));
        Ok(())
    }
}

/// What a cell says.
fn says(cell: &Node, words: &str) -> String {
    let is_error = cell.text_of("calcext:value-type") == "error";
    match cell.text_of("office:value-type") {
        _ if is_error => format!("e{words}"),
        "float" | "percentage" | "currency" => match cell.text_of("office:value").trim().parse::<f64>() {
            Ok(value) if value.is_finite() => number(value),
            _ => format!("?{}", cell.text_of("office:value")),
        },
        "boolean" => format!("b{}", u8::from(cell.is("office:boolean-value"))),
        "date" => format!("?date {}", cell.text_of("office:date-value")),
        "time" => format!("?time {}", cell.text_of("office:time-value")),
        "string" if words.is_empty() => text(cell.text_of("office:string-value")),
        _ if words.is_empty() => String::new(),
        _ => text(words),
    }
}
