//! What a drawn return says of itself: of what it was drawn, and a mark of each of its cells, signed. Whoever has the file
//! can have it checked, and is told which cells are not as they were drawn.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::workbook::{
    grid::{Cell, Sheet, Workbook, address},
    write::{Book, Out, Style, WriteError},
};

/// The hidden sheet.
const SHEET: &str = "台账通签章";
const FIRST_LINE: &str = "taizhang return 1";
/// Characters of one cell: spreadsheets hold 32,767.
const LINE_MAX: usize = 30_000;

/// Of what a return was drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drawn {
    /// `R03`.
    pub number: String,
    /// Its title.
    pub title: String,
    /// Id of the unit at the top.
    pub unit: String,
    /// Its name.
    pub unit_name: String,
    /// Statistics date.
    pub date: String,
    /// What was chosen.
    pub choices: Vec<(String, String)>,
    /// The highest class of data that was written in clear.
    pub class: String,
    /// The last change that it knows, by its number in the feed.
    pub seq: i64,
}

/// A cell that is not as it was drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Altered {
    /// The sheet.
    pub sheet: String,
    /// `F17`; empty where the whole sheet is missing.
    pub cell: String,
}

/// Cells by place.
pub type Cells = BTreeMap<String, BTreeMap<(u32, u16), String>>;

/// A seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Of what it is.
    pub drawn: Drawn,
    /// A mark of each cell.
    marks: BTreeMap<String, BTreeMap<String, String>>,
}

/// A number as cells show it: what is behind the tenth digit is the program's that saved it.
pub(crate) fn number(value: f64) -> String {
    format!("{value:.9e}")
}

fn mark(sheet: &str, cell: &str, text: &str) -> String {
    let digest = Sha256::digest(format!("{sheet}\0{cell}\0{}", text.trim()));
    HEXLOWER.encode(&digest[..4])
}

impl Seal {
    /// A seal of these cells.
    pub fn new(drawn: Drawn, cells: &Cells) -> Self {
        let marks = cells.iter().map(|(sheet, cells)| {
            let marks = cells.iter().map(|((row, column), text)| {
                let cell = address(*row, *column);
                let mark = mark(sheet, &cell, text);
                (cell, mark)
            });
            (sheet.clone(), marks.collect())
        });
        Self { drawn, marks: marks.collect() }
    }

    fn lines(&self) -> Vec<String> {
        let drawn = serde_json::to_string(&self.drawn).expect("texts and a number always serialise");
        let mut lines = vec![FIRST_LINE.to_owned(), drawn];
        for (sheet, marks) in &self.marks {
            lines.push(format!("sheet {sheet}"));
            let mut line = String::from("cells");
            for (cell, mark) in marks {
                if line.len() > LINE_MAX {
                    lines.push(std::mem::replace(&mut line, "cells".into()));
                }
                // Writing to a string does not fail.
                let _ = write!(line, " {cell}={mark}");
            }
            lines.push(line);
        }
        lines
    }

    /// What is signed.
    fn statement(&self) -> String {
        self.lines().join("\n")
    }

    /// The code that is printed: `K3QF-7XWA-…`.
    pub fn code(&self) -> String {
        let text = BASE32_NOPAD.encode(&Sha256::digest(self.statement())[..10]);
        let parts: Vec<&str> = [0, 4, 8, 12].iter().map(|at| &text[*at..at + 4]).collect();
        parts.join("-")
    }

    /// Writes the hidden sheet.
    pub fn write(&self, book: &mut Book, sign: impl Fn(&[u8]) -> [u8; 64]) -> Result<(), WriteError> {
        let signature = HEXLOWER.encode(&sign(self.statement().as_bytes()));
        let mut page = book.long_sheet(SHEET)?;
        for (row, line) in (0u32..).zip(self.lines().iter().chain([&format!("signature {signature}")])) {
            page.put(row, 0, &Out::Text(line.clone()), Style::Plain)?;
        }
        page.hide();
        Ok(())
    }

    /// Reads it, and its signature; none, if the workbook has none.
    pub fn read(workbook: &Workbook) -> Option<(Self, Vec<u8>)> {
        let text = |sheet: &Sheet, row: usize| match sheet.cell(row, 0) {
            Some(Cell::Text(id)) => workbook.texts.get(id).trim().to_owned(),
            _ => String::new(),
        };
        let sheet = workbook.sheets.iter().find(|sheet| sheet.row_count() > 2 && text(sheet, 0) == FIRST_LINE)?;
        let drawn = serde_json::from_str(&text(sheet, 1)).ok()?;
        let mut seal = Self { drawn, marks: BTreeMap::new() };
        let (mut name, mut signature) = (String::new(), None);
        for row in 2..sheet.row_count() {
            let line = text(sheet, row);
            if let Some(sheet) = line.strip_prefix("sheet ") {
                sheet.clone_into(&mut name);
                seal.marks.entry(name.clone()).or_default();
            } else if let Some(cells) = line.strip_prefix("cells") {
                let marks = cells.split_whitespace().filter_map(|cell| cell.split_once('='));
                let marks = marks.map(|(cell, mark)| (cell.to_owned(), mark.to_owned()));
                seal.marks.entry(name.clone()).or_default().extend(marks);
            } else if let Some(hex) = line.strip_prefix("signature ") {
                signature = HEXLOWER.decode(hex.as_bytes()).ok();
            }
        }
        Some((seal, signature?))
    }

    /// Whether a signature is of this seal.
    pub fn is_signed(&self, signature: &[u8], verify: impl Fn(&[u8], &[u8]) -> bool) -> bool {
        verify(self.statement().as_bytes(), signature)
    }

    /// The cells that are not as they were drawn.
    pub fn altered(&self, workbook: &Workbook) -> Vec<Altered> {
        let mut altered = Vec::new();
        for (name, marks) in &self.marks {
            let Some(sheet) = workbook.sheets.iter().find(|sheet| sheet.name == *name) else {
                altered.push(Altered { sheet: name.clone(), cell: String::new() });
                continue;
            };
            let mut seen = BTreeSet::new();
            for ((row, column), text) in texts(workbook, sheet, number) {
                let place = address(row, column);
                if !text.starts_with(CODE) && marks.get(&place) != Some(&mark(name, &place, &text)) {
                    altered.push(Altered { sheet: name.clone(), cell: place.clone() });
                }
                seen.insert(place);
            }
            let gone = marks.keys().filter(|cell| !seen.contains(*cell));
            altered.extend(gone.map(|cell| Altered { sheet: name.clone(), cell: cell.clone() }));
        }
        altered
    }
}

/// Every cell of the returns in a workbook as a person reads it: sheet, row and column from 0, text.
pub fn printed(workbook: &Workbook) -> BTreeMap<(String, u32, u16), String> {
    // Shares have four digits that anybody looks at.
    let rounded = |value: f64| format!("{}", (value * 1e4).round() / 1e4);
    let mut printed = BTreeMap::new();
    for sheet in workbook.sheets.iter().filter(|sheet| !is_seal(workbook, sheet)) {
        for ((row, column), text) in texts(workbook, sheet, rounded) {
            if !text.starts_with(CODE) {
                printed.insert((sheet.name.clone(), row, column), text);
            }
        }
    }
    printed
}

/// The filled cells of a sheet, by row and column from 0, as texts; numbers as `say` says them.
fn texts<'w>(
    workbook: &'w Workbook,
    sheet: &'w Sheet,
    say: impl Fn(f64) -> String + 'w,
) -> impl Iterator<Item = ((u32, u16), String)> + 'w {
    let cells = (0..sheet.row_count())
        .flat_map(move |row| sheet.row(row).iter().map(move |(column, cell)| ((sheet.row_number(row), *column), cell)));
    let text = move |cell: &Cell| match cell {
        Cell::Text(id) => workbook.texts.get(*id).trim().to_owned(),
        Cell::Number { value, .. } => say(*value),
        Cell::Date(stamp) => number(stamp.serial()),
        Cell::Bool(flag) => flag.to_string(),
        Cell::Error | Cell::Uncomputed => "#".to_owned(),
    };
    cells.map(move |(place, cell)| (place, text(cell))).filter(|(_, text)| !text.is_empty())
}

/// What the line of the code begins with.
pub const CODE: &str = "校验码：";

pub(crate) fn is_seal(workbook: &Workbook, sheet: &Sheet) -> bool {
    matches!(sheet.row_count().checked_sub(1).and_then(|_| sheet.cell(0, 0)),
        Some(Cell::Text(id)) if workbook.texts.get(id).trim() == FIRST_LINE)
}
