//! Looking at a sheet of an .xlsx.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::{
    CellLook, Room, SheetLook, formula,
    node::{Node, Token, Xml},
    number, page,
    styles::Styles,
    text,
    xlsx::{rich, unescaped},
};
use crate::workbook::{
    grid::{address, position},
    read::{ROW_MAX, ReadError, damaged},
};

/// The last column of a sheet, counted from 0.
const COLUMN_MAX: u16 = 16_383;
/// Columns that are narrower, in characters, and rows that are lower, in points, are not seen.
pub(super) const WIDTH_MIN: f64 = 0.5;
pub(super) const HEIGHT_MIN: f64 = 3.0;
/// Elements of a sheet that neither show nor hide anything that is not told otherwise.
const PLAIN: [&str; 13] = [
    "sheetPr",
    "dimension",
    "printOptions",
    "pageMargins",
    "pageSetup",
    "rowBreaks",
    "colBreaks",
    "phoneticPr",
    "ignoredErrors",
    "sheetCalcPr",
    "sheetProtection",
    "protectedRanges",
    "autoFilter",
];

/// A sheet that is being looked at.
pub(super) struct SheetReader<'r, 't> {
    xml: Xml<'t>,
    styles: &'r Styles,
    strings: &'r [(Arc<str>, String)],
    room: &'r mut Room,
    sheet: &'r mut SheetLook,
    /// Formulas that are written once for several cells: the first cell, and what stands there.
    shared: BTreeMap<String, ((u32, u16), String)>,
    hidden_rows: BTreeSet<u32>,
    /// From, to, both inclusive.
    hidden_columns: Vec<(u32, u32)>,
    drawings: Vec<String>,
    has_cells: bool,
    next: (u32, u32),
    dress: Sha256,
}

impl<'r, 't> SheetReader<'r, 't> {
    pub(super) fn new(
        xml: Xml<'t>,
        (styles, strings): (&'r Styles, &'r [(Arc<str>, String)]),
        room: &'r mut Room,
        sheet: &'r mut SheetLook,
    ) -> Self {
        Self {
            xml,
            styles,
            strings,
            room,
            sheet,
            shared: BTreeMap::new(),
            hidden_rows: BTreeSet::new(),
            hidden_columns: Vec::new(),
            drawings: Vec::new(),
            has_cells: false,
            next: (0, 0),
            dress: Sha256::new(),
        }
    }

    /// Returns the relations of its drawings.
    pub(super) fn read(mut self) -> Result<Vec<String>, ReadError> {
        let mut is_inside = false;
        loop {
            match self.xml.next(None)? {
                Token::Start(node) if !is_inside => {
                    if node.name != "worksheet" {
                        return Err(damaged("a sheet that is none"));
                    }
                    is_inside = true;
                }
                Token::Start(node) if node.name == "sheetData" => {
                    if std::mem::replace(&mut self.has_cells, true) {
                        return Err(damaged("cells twice"));
                    }
                    self.rows()?;
                }
                Token::Start(node) => {
                    let node = self.xml.rest(node)?;
                    self.element(&node);
                }
                Token::Over => break,
                Token::End | Token::Text => {}
            }
        }
        self.hidden();
        self.sheet.dress = Some(HEXLOWER.encode(&self.dress.finalize()[..16]));
        Ok(self.drawings)
    }

    fn fact(&mut self, fact: String) {
        self.sheet.facts.insert(fact);
    }

    /// Rows and columns that hold something and are not seen.
    fn hidden(&mut self) {
        let rows: BTreeSet<u32> = self.sheet.cells.keys().map(|(row, _)| *row).collect();
        let columns: BTreeSet<u16> = self.sheet.cells.keys().map(|(_, column)| *column).collect();
        for row in rows.intersection(&self.hidden_rows) {
            self.sheet.facts.insert(hidden_row(*row));
        }
        for column in columns {
            let at = u32::from(column);
            if self.hidden_columns.iter().any(|(from, to)| (*from..=*to).contains(&at)) {
                self.sheet.facts.insert(hidden_column(column));
            }
        }
    }

    fn element(&mut self, node: &Node) {
        // Where somebody has clicked last is no dress.
        if !matches!(node.name.as_str(), "sheetViews" | "dimension") {
            self.dress.update(node.canonical());
        }
        match node.name.as_str() {
            "sheetFormatPr" => {
                let is_low = node.number_of::<f64>("defaultRowHeight").is_some_and(|height| height < HEIGHT_MIN);
                if node.is("zeroHeight") || is_low {
                    self.fact("各行被隐藏 rows are hidden".to_owned());
                }
                if node.number_of::<f64>("defaultColWidth").is_some_and(|width| width < WIDTH_MIN) {
                    self.fact("各列被隐藏 columns are hidden".to_owned());
                }
            }
            "cols" => {
                for column in &node.children {
                    let is_narrow = column.number_of::<f64>("width").is_some_and(|width| width < WIDTH_MIN);
                    let bounds = (column.number_of::<u32>("min"), column.number_of::<u32>("max"));
                    if let (Some(from), Some(to)) = bounds
                        && (column.is("hidden") || is_narrow)
                    {
                        self.hidden_columns.push((from.saturating_sub(1), to.saturating_sub(1)));
                    }
                }
            }
            "mergeCells" => {
                for range in &node.children {
                    self.fact(merged(range.text_of("ref")));
                }
            }
            "sheetViews" => node.children.iter().for_each(|view| self.view(view)),
            "headerFooter" => self.pages(node),
            "drawing" => self.drawings.extend(node.attribute(":id").map(str::to_owned)),
            "dataValidations" => {
                for rule in node.children.iter().filter(|rule| rule.attribute("prompt").is_some()) {
                    self.fact(format!("输入提示 prompt: {}", rule.text_of("prompt")));
                }
            }
            name if PLAIN.contains(&name) => {}
            _ => self.fact(format!("附加内容 element: {}", node.canonical())),
        }
    }

    fn view(&mut self, view: &Node) {
        for (name, is_plain) in
            [("showFormulas", false), ("rightToLeft", false), ("showZeros", true), ("windowProtection", false)]
        {
            if view.attribute(name).is_some_and(|said| matches!(said, "1" | "true" | "on") != is_plain) {
                self.fact(format!("视图 view: {name}"));
            }
        }
        let is_frozen = view.all("pane").any(|pane| pane.text_of("state").starts_with("frozen"));
        let first = view.attribute("topLeftCell").filter(|first| *first != "A1");
        if let (true, Some(first)) = (is_frozen, first) {
            self.fact(format!("冻结窗格遮住前面的行列 frozen from {first}"));
        }
        if view.number_of::<u32>("zoomScale").is_some_and(|zoom| zoom < 10) {
            self.fact("视图 view: zoom".to_owned());
        }
    }

    fn pages(&mut self, node: &Node) {
        for child in &node.children {
            let is_used = match child.name.as_str() {
                "evenHeader" | "evenFooter" => node.is("differentOddEven"),
                "firstHeader" | "firstFooter" => node.is("differentFirst"),
                _ => true,
            };
            let said = page::normalised(&child.text);
            if is_used && said != "||" {
                self.fact(format!("{}: {said}", page_name(&child.name)));
            }
        }
        for name in ["differentOddEven", "differentFirst"] {
            if node.is(name) {
                self.fact(format!("页眉页脚 pages: {name}"));
            }
        }
    }

    fn rows(&mut self) -> Result<(), ReadError> {
        loop {
            match self.xml.next(None)? {
                Token::Start(node) if node.name == "row" => self.row(&node)?,
                Token::Start(_) => return Err(damaged("something between rows")),
                Token::End => return Ok(()),
                Token::Text => {}
                Token::Over => return Err(damaged("a sheet breaks off")),
            }
        }
    }

    fn row(&mut self, node: &Node) -> Result<(), ReadError> {
        let row = match node.attribute("r") {
            Some(number) => number.parse::<u32>().ok().and_then(|number| number.checked_sub(1)),
            None => Some(self.next.0),
        };
        let row =
            row.filter(|row| *row >= self.next.0 && *row <= ROW_MAX).ok_or_else(|| damaged("rows out of order"))?;
        self.next = (row + 1, 0);
        let is_low = node.number_of::<f64>("ht").is_some_and(|height| height < HEIGHT_MIN);
        if node.is("hidden") || is_low {
            self.hidden_rows.insert(row);
        }
        self.dress.update(format!("{row} {} {}\n", node.text_of("ht"), node.text_of("customHeight")));
        loop {
            match self.xml.next(None)? {
                Token::Start(cell) if cell.name == "c" => {
                    let cell = self.xml.rest(cell)?;
                    self.cell(row, &cell)?;
                }
                Token::Start(_) => return Err(damaged("something between cells")),
                Token::End => return Ok(()),
                Token::Text => {}
                Token::Over => return Err(damaged("a sheet breaks off")),
            }
        }
    }

    fn cell(&mut self, row: u32, node: &Node) -> Result<(), ReadError> {
        let column = match node.attribute("r") {
            Some(place) => position(place).filter(|(own, _)| *own == row).map(|(_, column)| u32::from(column)),
            None => Some(self.next.1),
        };
        let column = column.filter(|column| *column >= self.next.1).and_then(|column| u16::try_from(column).ok());
        let column = column.filter(|column| *column <= COLUMN_MAX).ok_or_else(|| damaged("cells out of order"))?;
        self.next.1 = u32::from(column) + 1;
        let style = node.attribute("s").map_or(Ok(0), |style| style.trim().parse());
        let style = style.map_err(|_| damaged("a style without number"))?;
        self.dress.update(format!("{row},{column} {}\n", self.styles.dress(style)));
        let only = |name: &str| {
            if node.all(name).count() > 1 { Err(damaged("two values in a cell")) } else { Ok(node.child(name)) }
        };
        let (value, formula, inline) = (only("v")?, only("f")?, only("is")?);
        if [value, formula].into_iter().flatten().any(|own| !own.children.is_empty()) {
            return Err(damaged("something in a value"));
        }
        if let Some(other) = node.children.iter().find(|child| !matches!(child.name.as_str(), "v" | "f" | "is")) {
            self.fact(format!("附加内容 in {}: {}", address(row, column), other.name));
        }
        let kind = node.text_of("t");
        if inline.is_some() && kind != "inlineStr" {
            return Err(damaged("a text in a cell that is none"));
        }
        let formula = formula.map(|formula| self.formula((row, column), formula)).transpose()?;
        let raw = value.map(|value| value.text.as_str()).unwrap_or_default();
        let mut rough = String::new();
        let says: Arc<str> = match kind {
            "inlineStr" => {
                let (words, said) = inline.map(|inline| rich(inline, self.styles)).unwrap_or_default();
                rough = said;
                words
            }
            _ if raw.is_empty() => "".into(),
            "s" => {
                let index: usize = raw.trim().parse().map_err(|_| damaged("a text without number"))?;
                let (words, said) = self.strings.get(index).ok_or_else(|| damaged("a text that is not there"))?;
                rough.clone_from(said);
                words.clone()
            }
            "str" => text(&unescaped(raw)).into(),
            "b" => format!("b{}", raw.trim()).into(),
            "e" => format!("e{}", raw.trim()).into(),
            "" | "n" => match raw.trim().parse::<f64>() {
                Ok(value) if value.is_finite() => number(value).into(),
                _ => format!("?{raw}").into(),
            },
            other => format!("?{other} {raw}").into(),
        };
        // An empty text is nothing to be seen.
        if formula.is_none() && (says.is_empty() || &*says == "t") {
            return Ok(());
        }
        self.room.cell(says.len())?;
        let mut looks = self.styles.look(style, &says)?;
        if !rough.is_empty() {
            looks = format!("{looks}{rough}").into();
        }
        self.sheet.cells.insert((row, column), CellLook { says, formula, looks });
        Ok(())
    }

    fn formula(&mut self, place: (u32, u16), node: &Node) -> Result<String, ReadError> {
        let own = || unescaped(&node.text);
        match node.text_of("t") {
            "" | "normal" => Ok(formula::normalised(&own())),
            "shared" => {
                let index = node.text_of("si").to_owned();
                if node.text.trim().is_empty() {
                    let first = self.shared.get(&index).ok_or_else(|| damaged("a formula that is not there"))?;
                    let rows = i64::from(place.0) - i64::from(first.0.0);
                    let columns = i64::from(place.1) - i64::from(first.0.1);
                    let moved = formula::shifted(&first.1, rows, columns);
                    self.room.cell(moved.len())?;
                    return Ok(formula::normalised(&moved));
                }
                self.shared.insert(index, (place, own()));
                // Readers do not agree on one that is shared by no cells.
                if node.text_of("ref").trim().is_empty() {
                    return Ok(format!("shared {}", formula::normalised(&own())));
                }
                Ok(formula::normalised(&own()))
            }
            other => Ok(format!("{other} {} {}", node.text_of("ref"), formula::normalised(&own()))),
        }
    }
}

/// Head or foot.
pub(super) fn page_name(name: &str) -> &'static str {
    match name {
        "oddHeader" => "页眉 head",
        "oddFooter" => "页脚 foot",
        "evenHeader" => "偶数页页眉 head of even pages",
        "evenFooter" => "偶数页页脚 foot of even pages",
        "firstHeader" => "首页页眉 head of the first page",
        "firstFooter" => "首页页脚 foot of the first page",
        _ => "页眉页脚 pages",
    }
}

pub(super) fn hidden_row(row: u32) -> String {
    format!("第 {} 行被隐藏 hidden row", row + 1)
}

pub(super) fn hidden_column(column: u16) -> String {
    let address = address(0, column);
    format!("{} 列被隐藏 hidden column", address.trim_end_matches('1'))
}

pub(super) fn merged(range: &str) -> String {
    format!("合并单元格 merged {range}")
}
