//! Excel's own formats: the only file that names calamine.

use std::{
    collections::{BTreeMap, HashMap},
    io::{Cursor, Read, Seek},
};

use calamine::{Data, DataRef, ExcelDateTime, Reader, SheetVisible, Xls, XlsError, Xlsb, XlsbError, Xlsx, XlsxError};

use super::{
    biff, biff12,
    grid::{Cell, Merge, Sheet, Timestamp, Workbook},
    ole,
    read::{ROW_MAX, ReadError, ReadLimits, Reading, damaged},
};

pub(super) fn xlsx(bytes: &[u8], limits: &ReadLimits) -> Result<Workbook, ReadError> {
    // Merged ranges stand behind all cells of a sheet: finding them means reading it a second time, which another core does.
    std::thread::scope(|scope| {
        let merges = scope.spawn(|| xlsx_merges(bytes, limits));
        let mut workbook = xlsx_cells(bytes, limits)?;
        let mut merges = merges.join().map_err(|_| damaged("reader failed"))??;
        for sheet in &mut workbook.sheets {
            sheet.merges = merges.remove(&sheet.name).unwrap_or_default();
        }
        Ok(workbook)
    })
}

fn xlsx_merges(bytes: &[u8], limits: &ReadLimits) -> Result<HashMap<String, Vec<Merge>>, ReadError> {
    let mut book = Xlsx::new(Cursor::new(bytes)).map_err(xlsx_error)?;
    let reading = Reading::new(limits);
    let mut all = HashMap::new();
    for (name, hidden) in sheet_list(&book, limits)? {
        let mut sheet = Sheet::new(&name, hidden);
        let ranges = book.merge_cells_by_sheet_name(&name).unwrap_or_default();
        put_merges(&reading, &mut sheet, ranges.iter().map(|range| (range.start, range.end)))?;
        all.insert(name, sheet.merges);
    }
    Ok(all)
}

fn xlsx_cells(bytes: &[u8], limits: &ReadLimits) -> Result<Workbook, ReadError> {
    let mut book = Xlsx::new(Cursor::new(bytes)).map_err(xlsx_error)?;
    let mut reading = Reading::new(limits);
    for (name, hidden) in sheet_list(&book, limits)? {
        let mut sheet = Sheet::new(&name, hidden);
        let mut cells = match book.worksheet_cells_reader(&name) {
            Ok(cells) => cells,
            // A chart sheet or a sheet whose part is missing holds no ledger; the others still do.
            Err(XlsxError::WorksheetNotFound(_) | XlsxError::NotAWorksheet(_)) => continue,
            Err(error) => return Err(xlsx_error(error)),
        };
        let styles: Vec<(bool, bool)> = cells.styles().iter().map(|s| (is_percent(s), is_struck(s))).collect();
        let mut has_empty = false;
        while let Some((cell, style)) = cells.next_cell_with_style_id().map_err(xlsx_error)? {
            let (percent, struck) = styles.get(style).copied().unwrap_or_default();
            has_empty |= matches!(cell.get_value(), DataRef::Empty);
            let value = streamed(&mut reading, cell.get_value(), percent);
            let (row, column) = cell.get_position();
            if let (true, Some(_), Ok(column)) = (struck, value, u16::try_from(column)) {
                sheet.struck.push((row, column));
            }
            reading.put(&mut sheet, row, column, value)?;
        }
        // A formula without its result looks like an empty cell: only where there are such is there a second look.
        drop(cells);
        if has_empty {
            let unknown = xlsx_uncomputed(&mut book, &name, limits)?;
            if !unknown.is_empty() {
                sheet.insert(unknown);
            }
        }
        reading.add(sheet)?;
    }
    Ok(reading.finish())
}

/// Formulas whose results a program that cannot compute has left out.
fn xlsx_uncomputed(
    book: &mut Xlsx<Cursor<&[u8]>>,
    name: &str,
    limits: &ReadLimits,
) -> Result<BTreeMap<(u32, u16), Cell>, ReadError> {
    let mut cells = book.worksheet_cells_reader(name).map_err(xlsx_error)?;
    let mut found = BTreeMap::new();
    while let Some(cell) = cells.next_cell_with_formula_metadata().map_err(xlsx_error)? {
        let (row, column) = cell.pos;
        let column = u16::try_from(column).ok().filter(|_| row <= ROW_MAX);
        if let (DataRef::Empty, Some(_), Some(column)) = (cell.value, cell.formula, column) {
            found.insert((row, column), Cell::Uncomputed);
            if found.len() > limits.cells_max {
                return Err(ReadError::TooLarge { what: "单元格 cells", limit: limits.cells_max as u64 });
            }
        }
    }
    Ok(found)
}

pub(super) fn xlsb(bytes: &[u8], limits: &ReadLimits) -> Result<Workbook, ReadError> {
    let error = |error: XlsbError| match error {
        XlsbError::Password => ReadError::Encrypted,
        error => damaged(error),
    };
    biff12::check(bytes, limits)?;
    let mut book = Xlsb::new(Cursor::new(bytes)).map_err(error)?;
    let mut reading = Reading::new(limits);
    for (name, hidden) in sheet_list(&book, limits)? {
        let mut sheet = Sheet::new(&name, hidden);
        let mut cells = match book.worksheet_cells_reader(&name) {
            Ok(cells) => cells,
            Err(XlsbError::WorksheetNotFound(_)) => continue,
            Err(other) => return Err(error(other)),
        };
        while let Some(cell) = cells.next_cell().map_err(error)? {
            // Styles are not told: percentages come as plain numbers.
            let value = streamed(&mut reading, cell.get_value(), false);
            let (row, column) = cell.get_position();
            reading.put(&mut sheet, row, column, value)?;
        }
        reading.add(sheet)?;
    }
    Ok(reading.finish())
}

pub(super) fn xls(bytes: &[u8], limits: &ReadLimits) -> Result<Workbook, ReadError> {
    ole::check(bytes)?;
    biff::check(bytes, limits)?;
    let mut book = Xls::new(Cursor::new(bytes)).map_err(|error| match error {
        XlsError::Password => ReadError::Encrypted,
        error => damaged(error),
    })?;
    let mut reading = Reading::new(limits);
    for (name, hidden) in sheet_list(&book, limits)? {
        let mut sheet = Sheet::new(&name, hidden);
        let ranges = book.merge_cells_by_sheet_name(&name).unwrap_or_default();
        put_merges(&reading, &mut sheet, ranges.iter().map(|range| (range.start, range.end)))?;
        let Ok(range) = book.worksheet_range(&name) else { continue };
        let (top, left) = range.start().unwrap_or_default();
        let place = |start: u32, offset: usize| start.saturating_add(u32::try_from(offset).unwrap_or(u32::MAX));
        for (row, column, value) in range.used_cells() {
            let value = match value {
                Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => reading.text(text),
                Data::Int(number) => Some(Cell::Number { value: *number as f64, percent: false }),
                Data::Float(number) => Some(Cell::Number { value: *number, percent: false }),
                Data::Bool(flag) => Some(Cell::Bool(*flag)),
                Data::DateTime(serial) => Some(date_cell(serial)),
                Data::Error(_) => Some(Cell::Error),
                Data::Empty => None,
            };
            reading.put(&mut sheet, place(top, row), place(left, column), value)?;
        }
        reading.add(sheet)?;
    }
    Ok(reading.finish())
}

/// The cell of a value that a stream gave.
fn streamed(reading: &mut Reading<'_>, value: &DataRef<'_>, percent: bool) -> Option<Cell> {
    match value {
        DataRef::SharedString(text) => reading.text(text),
        DataRef::Int(number) => Some(Cell::Number { value: *number as f64, percent }),
        DataRef::Float(number) => Some(Cell::Number { value: *number, percent }),
        DataRef::Bool(flag) => Some(Cell::Bool(*flag)),
        DataRef::DateTime(serial) => Some(date_cell(serial)),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => reading.text(text),
        DataRef::Error(_) => Some(Cell::Error),
        DataRef::Empty => None,
    }
}

/// Names of the sheets, and whether they are hidden. Too many are refused before any is read.
fn sheet_list<R: Read + Seek, B: Reader<R>>(book: &B, limits: &ReadLimits) -> Result<Vec<(String, bool)>, ReadError> {
    let sheets = book.sheets_metadata();
    if sheets.len() > limits.sheets_max {
        return Err(ReadError::TooLarge { what: "工作表 sheets", limit: limits.sheets_max as u64 });
    }
    Ok(sheets.iter().map(|sheet| (sheet.name.clone(), sheet.visible != SheetVisible::Visible)).collect())
}

type Corner = (u32, u32);

fn put_merges(
    reading: &Reading<'_>,
    sheet: &mut Sheet,
    ranges: impl Iterator<Item = (Corner, Corner)>,
) -> Result<(), ReadError> {
    for ((top, left), (bottom, right)) in ranges {
        reading.merge(sheet, Merge { top, left, bottom, right })?;
    }
    Ok(())
}

fn date_cell(serial: &ExcelDateTime) -> Cell {
    // Serials below 61 fall on the 1900 leap-year error, and durations are no dates: both stay numbers.
    if serial.is_duration() || serial.as_f64() < 61.0 {
        return Cell::Number { value: serial.as_f64(), percent: false };
    }
    let (year, month, day, hours, minutes, _, _) = serial.to_ymd_hms_milli();
    Cell::Date(Timestamp { year, month, day, minutes: u16::from(hours) * 60 + u16::from(minutes) })
}

fn is_percent(style: &calamine::Style) -> bool {
    style.number_format.as_ref().is_some_and(|format| format.format_code.contains('%'))
}

fn is_struck(style: &calamine::Style) -> bool {
    style.font.as_ref().is_some_and(|font| font.strikethrough)
}

fn xlsx_error(error: XlsxError) -> ReadError {
    match error {
        XlsxError::Password => ReadError::Encrypted,
        error => damaged(error),
    }
}
