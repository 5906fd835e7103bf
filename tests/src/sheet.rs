//! Workbooks from tables in tests.

use importer::workbook::write::{Book, Created, Out, Style};

/// A sheet: its name, then rows by line and cells by `|`.
pub type Sheet<'a> = (&'a str, &'a str);

/// The bytes of an .xlsx with these sheets.
pub fn workbook(sheets: &[Sheet<'_>]) -> anyhow::Result<Vec<u8>> {
    let mut book = Book::new("t", Created { unix_s: 0 })?;
    for (name, text) in sheets {
        let mut page = book.sheet(name)?;
        for (row, line) in (0u32..).zip(text.trim().lines()) {
            for (column, cell) in (0u16..).zip(line.trim().split('|')) {
                if !cell.is_empty() {
                    page.put(row, column, &Out::Text(cell.to_owned()), Style::Plain)?;
                }
            }
        }
    }
    Ok(book.bytes()?)
}
