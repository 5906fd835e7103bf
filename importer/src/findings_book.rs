//! The file itself, with its bad cells coloured and a note on each: to be corrected and sent in again.

use std::collections::BTreeMap;

use sync_protocol::catalogue::Catalogue;

use crate::{
    finding::{Finding, Severity},
    memory::Doubt,
    review,
    table::Table,
    workbook::{
        grid::{Cell, Sheet, Workbook, position},
        read::ReadError,
        write::{Book, Created, Out, Style, WriteError},
    },
};

/// Cells that a findings workbook holds at most: it is built in memory.
const CELLS_MAX: usize = 500_000;

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

/// Draws the workbook: every sheet as it was read, values at their places; behind them the list of the findings, and the
/// sheets on which a person decides what is doubtful.
pub fn findings_workbook(
    workbook: &Workbook,
    tables: &[Table],
    catalogue: &Catalogue,
    findings: &[Finding],
    doubts: &[Doubt],
) -> Result<Vec<u8>, FindingsError> {
    let cells: usize = workbook.sheets.iter().map(Sheet::cell_count).sum();
    if cells > CELLS_MAX {
        return Err(ReadError::TooLarge { what: "单元格 cells", limit: CELLS_MAX as u64 }.into());
    }
    let serious: Vec<&Finding> = findings.iter().filter(|finding| finding.severity > Severity::Info).collect();
    let mut book = Book::new(review::FINDINGS, Created { unix_s: 0 })?;
    for sheet in workbook.sheets.iter().filter(|sheet| !review::is_own(workbook, sheet)) {
        let mut marks = Marks::new();
        for finding in serious.iter().filter(|finding| finding.sheet == sheet.name) {
            if let Some(place) = position(&finding.cell) {
                marks.entry(place).or_default().push(finding);
            }
        }
        draw(&mut book, workbook, sheet, &marks)?;
    }
    review::draw_findings(&mut book, workbook, &serious)?;
    review::draw_doubts(&mut book, workbook, doubts)?;
    review::draw_columns(&mut book, workbook, tables, catalogue)?;
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
                Cell::Error | Cell::Uncomputed => (Out::Text("#N/A".into()), Style::marked(mark, Style::Plain)),
            };
            page.put(row, *column, &value, style)?;
        }
    }
    page.fit();
    // Hidden sheets stay hidden: what was not taken unasked is not taken from the copy either.
    if sheet.hidden {
        page.hide();
    } else if workbook.sheets.iter().find(|sheet| !sheet.hidden).is_some_and(|first| first.name == sheet.name) {
        page.activate();
    }
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
