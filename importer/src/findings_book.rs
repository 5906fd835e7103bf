//! The file itself, with its bad cells coloured and a note on each: to be corrected and sent in again.

use std::collections::BTreeMap;

use crate::{
    finding::{Finding, Severity},
    workbook::{
        grid::{Cell, Sheet, Workbook, position},
        read::ReadError,
        write::{Book, Created, Out, Style, WriteError},
    },
};

/// Cells that a findings workbook holds at most: it is built in memory.
const CELLS_MAX: usize = 500_000;
/// The sheet with the list of all findings.
const LIST: &str = "问题清单";

/// Why there is no findings workbook.
#[derive(Debug, thiserror::Error)]
pub enum FindingsError {
    /// It would be too large.
    #[error(transparent)]
    TooLarge(#[from] ReadError),
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The cells of a sheet with something to say, by row and column.
type Marks<'a> = BTreeMap<(u32, u16), Vec<&'a Finding>>;

/// Draws the workbook: every sheet as it was read, values at their places, and a list of the findings behind them.
pub fn findings_workbook(workbook: &Workbook, findings: &[Finding]) -> Result<Vec<u8>, FindingsError> {
    let cells: usize = workbook.sheets.iter().map(Sheet::cell_count).sum();
    if cells > CELLS_MAX {
        return Err(ReadError::TooLarge { what: "单元格 cells", limit: CELLS_MAX as u64 }.into());
    }
    let serious: Vec<&Finding> = findings.iter().filter(|finding| finding.severity > Severity::Info).collect();
    let mut book = Book::new(LIST, Created { unix_s: 0 })?;
    for sheet in workbook.sheets.iter().filter(|sheet| sheet.name != LIST) {
        let mut marks = Marks::new();
        for finding in serious.iter().filter(|finding| finding.sheet == sheet.name) {
            if let Some(place) = position(&finding.cell) {
                marks.entry(place).or_default().push(finding);
            }
        }
        draw(&mut book, workbook, sheet, &marks)?;
    }
    let mut page = book.sheet(LIST)?;
    let list = std::iter::once(["工作表", "单元格", "列", "读到的内容", "问题和处理办法"]).chain(
        serious.iter().map(|f| [f.sheet.as_str(), f.cell.as_str(), f.column.as_str(), f.read.as_str(), &f.message]),
    );
    for (row, line) in (0..).zip(list) {
        for (column, text) in (0..).zip(line) {
            page.put(row, column, &Out::Text(text.to_owned()), Style::Text)?;
        }
    }
    for (column, width) in [(0, 16.0), (1, 9.0), (2, 18.0), (3, 24.0), (4, 70.0)] {
        page.width(column, width)?;
    }
    Ok(book.bytes()?)
}

fn draw(book: &mut Book, workbook: &Workbook, sheet: &Sheet, marks: &Marks<'_>) -> Result<(), WriteError> {
    let mut page = book.sheet(&sheet.name)?;
    let column = |column: u32| u16::try_from(column).unwrap_or(u16::MAX);
    for merge in &sheet.merges {
        let corners = ((merge.top, column(merge.left)), (merge.bottom, column(merge.right)));
        page.merge(corners.0, corners.1, "", Style::Plain)?;
    }
    for index in 0..sheet.row_count() {
        let row = sheet.row_number(index);
        for (column, cell) in sheet.row(index) {
            let mark = marks.get(&(row, *column)).map(|findings| worst(findings));
            let (value, style) = match cell {
                Cell::Text(id) => (Out::Text(workbook.texts.get(*id).to_owned()), Style::marked(mark, Style::Plain)),
                Cell::Number { value, percent: false } => (Out::Number(*value), Style::marked(mark, Style::Plain)),
                Cell::Number { value, percent: true } => (Out::Number(*value), Style::marked(mark, Style::Percent)),
                Cell::Date(at) => (Out::Serial(at.serial()), Style::marked(mark, Style::Date)),
                Cell::Bool(flag) => {
                    (Out::Text(if *flag { "是" } else { "否" }.into()), Style::marked(mark, Style::Plain))
                }
                Cell::Error => (Out::Text("#N/A".into()), Style::marked(mark, Style::Plain)),
            };
            page.put(row, *column, &value, style)?;
        }
    }
    page.fit();
    for ((row, column), findings) in marks {
        // What is missing has no cell to colour.
        if sheet.row_index(*row).and_then(|index| sheet.cell(index, *column)).is_none() {
            page.put(*row, *column, &Out::Blank, Style::marked(Some(worst(findings)), Style::Plain))?;
        }
        let texts: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
        page.note(*row, *column, &texts.join("\n"))?;
    }
    Ok(())
}

/// Whether one of the findings is an error.
fn worst(findings: &[&Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}
