//! OpenDocument spreadsheets, read as a stream: empty cells and rows are repeated in one step, however many there are.

use std::{
    collections::HashSet,
    io::{BufReader, Cursor, Read},
};

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::{
    grid::{Cell, Merge, Sheet, Workbook},
    read::{ReadError, ReadLimits, Reading, damaged, iso_date},
    xml::{attribute, push_text},
};

/// Cells that repetition alone may make: one tag can ask for every cell of every sheet.
const REPEATED_MAX: u64 = 1_000_000;

/// What a cell is besides its value.
#[derive(Default)]
struct Marks {
    /// Its text is struck through.
    struck: bool,
    /// It is computed.
    formula: bool,
}

/// What has been read of the sheet so far.
#[derive(Default)]
struct State {
    sheet: Option<Sheet>,
    /// Styles of hidden sheets, and the one that is being read.
    hidden: HashSet<String>,
    style: String,
    row: u32,
    rows: u32,
    column: u32,
    columns: u32,
    wide: u32,
    high: u32,
    kind: String,
    value: String,
    words: String,
    paragraphs: u32,
    in_paragraph: bool,
    /// Inside a note on a cell, which is no part of its text.
    in_note: bool,
    /// Cells that repetition has made, in all sheets.
    copies: u64,
    /// Styles that strike text through.
    struck_styles: HashSet<String>,
    marks: Marks,
    /// Columns of the row that are struck through.
    struck_columns: Vec<u16>,
    /// What the row holds.
    found: Vec<(u32, Cell)>,
    merges: Vec<Merge>,
}

pub(super) fn read(bytes: &[u8], limits: &ReadLimits) -> Result<Workbook, ReadError> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let content = archive.by_name("content.xml").map_err(damaged)?;
    let mut xml = Reader::from_reader(BufReader::new(content.take(limits.inflated_bytes_max)));
    let mut reading = Reading::new(limits);
    let mut state = State::default();
    let mut buffer = Vec::new();
    let mut depth = 0usize;
    loop {
        buffer.clear();
        match xml.read_event_into(&mut buffer).map_err(damaged)? {
            Event::Empty(tag) => {
                state.begin(&tag);
                state.end(tag.local_name().as_ref(), &mut reading)?;
            }
            Event::Start(tag) => {
                depth += 1;
                state.begin(&tag);
            }
            Event::End(tag) => {
                depth = depth.saturating_sub(1);
                state.end(tag.local_name().as_ref(), &mut reading)?;
            }
            Event::Eof if depth > 0 => return Err(damaged("content.xml does not end")),
            Event::Eof => break,
            event if state.in_paragraph && !state.in_note => push_text(&event, &mut state.words)?,
            _ => {}
        }
    }
    Ok(reading.finish())
}

impl State {
    fn begin(&mut self, tag: &BytesStart<'_>) {
        let text = |name: &str| attribute(tag, name).unwrap_or_default();
        let count = |name: &str| text(name).parse::<u32>().unwrap_or(1).max(1);
        match tag.local_name().as_ref() {
            "style" => self.style = text("name"),
            "table-properties" if text("display") == "false" => {
                self.hidden.insert(self.style.clone());
            }
            "text-properties"
                if has_line(&text("text-line-through-style")) || has_line(&text("text-line-through-type")) =>
            {
                self.struck_styles.insert(self.style.clone());
            }
            "table" if self.sheet.is_none() => {
                let hidden = self.hidden.contains(&text("style-name"));
                self.sheet = Some(Sheet::new(text("name"), hidden));
                self.row = 0;
            }
            "table-row" => {
                self.rows = count("number-rows-repeated");
                self.column = 0;
            }
            "table-cell" | "covered-table-cell" => {
                self.columns = count("number-columns-repeated");
                self.wide = count("number-columns-spanned");
                self.high = count("number-rows-spanned");
                self.marks.struck = self.struck_styles.contains(&text("style-name"));
                self.marks.formula = attribute(tag, "formula").is_some();
                self.kind = text("value-type");
                self.value = match self.kind.as_str() {
                    "date" => text("date-value"),
                    "boolean" => text("boolean-value"),
                    _ => text("value"),
                };
                self.words.clear();
                self.paragraphs = 0;
            }
            "annotation" => self.in_note = true,
            "p" if !self.in_note => {
                if self.paragraphs > 0 {
                    self.words.push('\n');
                }
                self.paragraphs += 1;
                self.in_paragraph = true;
            }
            "s" if self.in_paragraph => self.words.push(' '),
            "line-break" if self.in_paragraph => self.words.push('\n'),
            _ => {}
        }
    }

    fn end(&mut self, tag: &str, reading: &mut Reading<'_>) -> Result<(), ReadError> {
        match tag {
            "annotation" => self.in_note = false,
            "p" => self.in_paragraph = false,
            "table-cell" | "covered-table-cell" => self.cell(reading),
            "table-row" => self.end_row(reading)?,
            "table" => {
                if let Some(sheet) = self.sheet.take() {
                    reading.add(sheet)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn cell(&mut self, reading: &mut Reading<'_>) {
        let number = |percent| self.value.parse().ok().map(|value| Cell::Number { value, percent });
        let value = match self.kind.as_str() {
            "float" | "currency" => number(false),
            "percentage" => number(true),
            "date" => iso_date(&self.value),
            "boolean" => Some(Cell::Bool(self.value == "true")),
            _ => None,
        };
        let value = if value.is_some() { value } else { reading.text(&self.words) };
        let value = value.or((self.marks.formula && self.kind.is_empty()).then_some(Cell::Uncomputed));
        let next = self.column.saturating_add(self.columns);
        if let Some(value) = value {
            // Beyond the last column of any spreadsheet there is nothing.
            self.found.extend((self.column..next.min(u32::from(u16::MAX))).map(|column| (column, value)));
            if let (true, Ok(column)) = (self.marks.struck, u16::try_from(self.column)) {
                self.struck_columns.push(column);
            }
        }
        if self.wide > 1 || self.high > 1 {
            let (top, left) = (self.row, self.column);
            let (bottom, right) = (top.saturating_add(self.high - 1), left.saturating_add(self.wide - 1));
            self.merges.push(Merge { top, left, bottom, right });
        }
        self.column = next;
    }

    fn end_row(&mut self, reading: &mut Reading<'_>) -> Result<(), ReadError> {
        let (found, merges) = (std::mem::take(&mut self.found), std::mem::take(&mut self.merges));
        let struck = std::mem::take(&mut self.struck_columns);
        let Some(sheet) = &mut self.sheet else { return Ok(()) };
        sheet.struck.extend(struck.into_iter().map(|column| (self.row, column)));
        for merge in merges {
            reading.merge(sheet, merge)?;
        }
        let rows = if found.is_empty() { 0 } else { self.rows };
        self.copies = self.copies.saturating_add((u64::from(rows).max(1) - 1) * found.len() as u64);
        if self.copies > REPEATED_MAX {
            return Err(ReadError::TooLarge { what: "重复单元格 repeated cells", limit: REPEATED_MAX });
        }
        for row in 0..rows {
            for (column, value) in &found {
                reading.put(sheet, self.row.saturating_add(row), *column, Some(*value))?;
            }
        }
        self.row = self.row.saturating_add(self.rows);
        Ok(())
    }
}

/// Whether the value of a style's line says that there is one.
fn has_line(value: &str) -> bool {
    !value.is_empty() && value != "none"
}
