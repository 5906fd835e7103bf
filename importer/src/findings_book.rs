//! The file itself, with its bad cells coloured and a note on each: to be corrected and sent in again.

use std::collections::BTreeMap;

use sync_protocol::catalogue::Catalogue;

use crate::{
    finding::{Finding, Severity},
    memory::Doubt,
    review, stamp,
    table::Table,
    unread::KEYS,
    workbook::{
        grid::{Cell, Sheet, Workbook, position},
        read::ReadError,
        write::{Book, Created, Out, Page, Style, WriteError},
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
    // Every other sheet of this program is carried on: without its stamp a merged ledger would be an ordinary one.
    let carried = workbook.sheets.iter().filter(|sheet| !review::is_review(workbook, sheet));
    let seen = carried.clone().position(|sheet| !sheet.hidden);
    for (at, sheet) in carried.enumerate() {
        let mut marks = Marks::new();
        for finding in serious.iter().filter(|finding| finding.sheet == sheet.name) {
            if let Some(place) = position(&finding.cell) {
                marks.entry(place).or_default().push(finding);
            }
        }
        draw(&mut book, workbook, sheet, &marks)?;
        let mut page = book.reopened(&sheet.name)?;
        if sheet.hidden && seen.is_some() {
            page.hide();
        } else if seen == Some(at) {
            page.show_first();
        }
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
                Cell::Text(id) => {
                    (Out::Text(workbook.texts.get(*id).to_owned()), Style::marked(mark, Style::PlainText))
                }
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
    hide(&mut page, workbook, sheet)?;
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

/// Hides what a merged ledger and its list of conflicts hide, and offers what they offer.
fn hide(page: &mut Page<'_>, workbook: &Workbook, sheet: &Sheet) -> Result<(), WriteError> {
    for row in 0..sheet.row_count() {
        let is_keys = |cell: &Cell| matches!(cell, Cell::Text(id) if workbook.texts.get(*id).trim() == KEYS);
        if let Some((column, _)) = sheet.row(row).iter().find(|(_, cell)| is_keys(cell)) {
            page.hide_row(sheet.row_number(row))?;
            page.hide_column(*column)?;
            break;
        }
    }
    if let Some((first, last, column)) = stamp::conflict_choices(workbook, sheet) {
        page.hide_column(0)?;
        page.choice((first, column), (last, column), &format!("\"{},{}\"", stamp::KEEP, stamp::OTHER))?;
    }
    Ok(())
}

/// Whether one of the findings is an error.
fn worst(findings: &[&Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}
