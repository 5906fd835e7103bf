//! Tables of HTML pages: what web systems call .xls.

use scraper::{ElementRef, Html, Selector};

use super::{
    grid::{Merge, Sheet, Workbook},
    read::{ReadError, ReadLimits, Reading},
};

/// A page takes about twenty times its size in memory.
const BYTES_MAX: usize = 8 << 20;
/// No cell spans more.
const SPAN_MAX: u32 = 1000;

pub(super) fn read(text: &str, limits: &ReadLimits) -> Result<Workbook, ReadError> {
    if text.len() > BYTES_MAX {
        return Err(ReadError::TooLarge { what: "字节（网页）bytes of a page", limit: BYTES_MAX as u64 });
    }
    let page = Html::parse_document(text);
    let selector = |css| Selector::parse(css).map_err(|_| ReadError::Damaged("selector".into()));
    let (tables, rows, cells) = (selector("table")?, selector("tr")?, selector("td, th")?);
    let mut reading = Reading::new(limits);
    for (number, table) in (1..).zip(page.select(&tables)) {
        let mut sheet = Sheet::new(format!("表{number}"), false);
        // For each column, the first row that no cell above covers.
        let mut free: Vec<u32> = Vec::new();
        for (row, line) in (0u32..).zip(table.select(&rows).filter(|row| is_of(table, *row))) {
            let mut column = 0u32;
            for cell in line.select(&cells).filter(|cell| is_of(table, *cell)) {
                while free.get(column as usize).is_some_and(|first| *first > row) {
                    column += 1;
                }
                let span = |name| cell.attr(name).and_then(|n| n.parse().ok()).unwrap_or(1).clamp(1, SPAN_MAX);
                let (wide, high): (u32, u32) = (span("colspan"), span("rowspan"));
                let value = reading.text(&words(cell));
                reading.put(&mut sheet, row, column, value)?;
                let merge = Merge { top: row, left: column, bottom: row + high - 1, right: column + wide - 1 };
                reading.merge(&mut sheet, merge)?;
                let end = (column + wide).min(u32::from(u16::MAX)) as usize;
                if free.len() < end {
                    free.resize(end, 0);
                }
                free[(column as usize).min(end)..end].fill(row + high);
                column += wide;
            }
        }
        if sheet.cell_count() > 0 {
            reading.add(sheet)?;
        }
    }
    Ok(reading.finish())
}

/// Whether the nearest table above is this one: tables inside cells are tables of their own.
fn is_of(table: ElementRef<'_>, inside: ElementRef<'_>) -> bool {
    let mut above = inside.ancestors().filter_map(ElementRef::wrap);
    above.find(|element| element.value().name() == "table").is_some_and(|nearest| nearest == table)
}

/// What a cell shows: line breaks of the source are blanks, those of the page are line breaks.
fn words(cell: ElementRef<'_>) -> String {
    let mut shown = String::new();
    for node in cell.descendants() {
        if let Some(text) = node.value().as_text() {
            shown.push_str(&text.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
        } else if node.value().as_element().is_some_and(|element| matches!(element.name(), "br" | "p" | "div"))
            && !shown.is_empty()
        {
            shown.push('\n');
        }
    }
    shown
}
