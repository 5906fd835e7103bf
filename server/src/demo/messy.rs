//! Sheets as offices really make them, before they are written as .xlsx or .xls.

use importer::workbook::write::{Book, Created, Out, Style, WriteError};

/// A cell of a messy sheet.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum MessyCell {
    Blank,
    Text(String),
    Number(f64),
    /// Days since 1899-12-30.
    Date(f64),
}

impl MessyCell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        MessyCell::Text(text.into())
    }
}

impl From<&str> for MessyCell {
    fn from(text: &str) -> Self {
        if text.is_empty() { MessyCell::Blank } else { MessyCell::text(text) }
    }
}

impl From<String> for MessyCell {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

/// A sheet: rows of cells and merged ranges.
#[derive(Debug, Clone, Default)]
pub(super) struct MessySheet {
    pub(super) name: String,
    pub(super) rows: Vec<Vec<MessyCell>>,
    pub(super) merges: Vec<((u32, u16), (u32, u16))>,
}

/// The bytes of an .xlsx.
pub(super) fn write_xlsx(sheets: &[MessySheet]) -> Result<Vec<u8>, WriteError> {
    let mut book = Book::new("台账", Created { unix_s: 1_335_744_000 })?;
    for sheet in sheets {
        let mut page = book.sheet(&sheet.name)?;
        for (row, cells) in (0u32..).zip(&sheet.rows) {
            for (column, cell) in (0u16..).zip(cells) {
                let (value, style) = match cell {
                    MessyCell::Blank => continue,
                    MessyCell::Text(text) => (Out::Text(text.clone()), Style::Plain),
                    MessyCell::Number(number) => (Out::Number(*number), Style::Plain),
                    MessyCell::Date(serial) => (Out::Serial(*serial), Style::Date),
                };
                page.put(row, column, &value, style)?;
            }
        }
        for (from, to) in &sheet.merges {
            let text = match sheet.rows.get(from.0 as usize).and_then(|row| row.get(usize::from(from.1))) {
                Some(MessyCell::Text(text)) => text.clone(),
                _ => String::new(),
            };
            page.merge(*from, *to, &text, Style::Plain)?;
        }
    }
    book.bytes()
}
