//! SpreadsheetML 2003: the XML that Excel 2003, WPS and many web systems write.

use std::collections::HashSet;

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::{
    grid::{Cell, Merge, Sheet, Workbook},
    read::{ReadError, ReadLimits, Reading, damaged, iso_date},
    xml::{attribute, push_text},
};

/// What has been read of the sheet so far; places count from 1.
#[derive(Default)]
struct State {
    sheet: Option<Sheet>,
    /// Styles that show percentages, and the one that is being read.
    percent: HashSet<String>,
    /// Styles that strike text through.
    struck: HashSet<String>,
    style: String,
    row: u32,
    column: u32,
    cell_style: String,
    kind: String,
    formula: bool,
    words: String,
    across: u32,
    down: u32,
    in_data: bool,
    in_visible: bool,
}

pub(super) fn read(text: &str, limits: &ReadLimits) -> Result<Workbook, ReadError> {
    let mut xml = Reader::from_str(text);
    // Templates close what they never opened.
    xml.config_mut().check_end_names = false;
    xml.config_mut().allow_unmatched_ends = true;
    let mut reading = Reading::new(limits);
    let mut state = State::default();
    loop {
        match xml.read_event().map_err(damaged)? {
            Event::Empty(tag) => {
                state.begin(&tag);
                state.end(tag.local_name().as_ref(), &mut reading)?;
            }
            Event::Start(tag) => state.begin(&tag),
            Event::End(tag) => state.end(tag.local_name().as_ref(), &mut reading)?,
            Event::Eof => break,
            event if state.in_data || state.in_visible => push_text(&event, &mut state.words)?,
            _ => {}
        }
    }
    if let Some(sheet) = state.sheet {
        return Err(damaged(format!("sheet `{}` does not end", sheet.name)));
    }
    Ok(reading.finish())
}

impl State {
    fn begin(&mut self, tag: &BytesStart<'_>) {
        let text = |name: &str| attribute(tag, name).unwrap_or_default();
        let number = |name: &str| text(name).trim().parse::<u32>().ok();
        match tag.local_name().as_ref() {
            "Style" => self.style = text("ID"),
            "NumberFormat" => {
                let format = text("Format");
                if format == "Percent" || format.contains('%') {
                    self.percent.insert(self.style.clone());
                }
            }
            "Font" if text("StrikeThrough") == "1" => {
                self.struck.insert(self.style.clone());
            }
            "Worksheet" => {
                self.sheet = Some(Sheet::new(text("Name"), false));
                self.row = 0;
            }
            "Row" => {
                self.row = number("Index").unwrap_or(self.row.saturating_add(1));
                self.column = 0;
            }
            "Cell" => {
                self.column = number("Index").unwrap_or(self.column.saturating_add(1));
                self.cell_style = text("StyleID");
                self.across = number("MergeAcross").unwrap_or(0);
                self.down = number("MergeDown").unwrap_or(0);
                self.formula = attribute(tag, "Formula").is_some();
                self.kind.clear();
                self.words.clear();
            }
            "Data" => {
                self.in_data = true;
                self.kind = text("Type");
            }
            "Visible" => {
                self.in_visible = true;
                self.words.clear();
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: &str, reading: &mut Reading<'_>) -> Result<(), ReadError> {
        match tag {
            "Data" => self.in_data = false,
            "Visible" => {
                self.in_visible = false;
                if let Some(sheet) = &mut self.sheet {
                    sheet.hidden = self.words.contains("Hidden");
                }
            }
            "Cell" => self.cell(reading)?,
            "Worksheet" => {
                if let Some(sheet) = self.sheet.take() {
                    reading.add(sheet)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The cell is complete: puts it where it belongs.
    fn cell(&mut self, reading: &mut Reading<'_>) -> Result<(), ReadError> {
        let (Some(sheet), Some(row), Some(column)) =
            (&mut self.sheet, self.row.checked_sub(1), self.column.checked_sub(1))
        else {
            return Ok(());
        };
        let words = self.words.trim();
        let value = match self.kind.as_str() {
            "Number" => {
                let percent = self.percent.contains(&self.cell_style);
                words.parse().ok().map(|value| Cell::Number { value, percent })
            }
            "DateTime" => iso_date(words),
            "Boolean" => Some(Cell::Bool(words == "1")),
            "Error" => Some(Cell::Error),
            _ => None,
        };
        let value = if value.is_some() { value } else { reading.text(&self.words) };
        // Without data there is no type either.
        let value = value.or((self.formula && self.kind.is_empty()).then_some(Cell::Uncomputed));
        if let (true, Some(_), Ok(at)) = (self.struck.contains(&self.cell_style), value, u16::try_from(column)) {
            sheet.struck.push((row, at));
        }
        reading.put(sheet, row, column, value)?;
        let (bottom, right) = (row.saturating_add(self.down), column.saturating_add(self.across));
        reading.merge(sheet, Merge { top: row, left: column, bottom, right })?;
        self.column = self.column.saturating_add(self.across);
        Ok(())
    }
}
