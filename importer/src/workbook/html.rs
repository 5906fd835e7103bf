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
/// Tables in tables: each is gone through for every one that it is in.
const NESTED_MAX: usize = 24;
/// Elements in elements: looking for what an element is in takes a step for each.
const DEPTH_MAX: usize = 400;
/// Steps over places that cells above or beside cover.
const STEPS_MAX: u64 = 20_000_000;

pub(super) fn read(text: &str, limits: &ReadLimits) -> Result<Workbook, ReadError> {
    if text.len() > BYTES_MAX {
        return Err(ReadError::TooLarge { what: "字节（网页）bytes of a page", limit: BYTES_MAX as u64 });
    }
    unclosed(text)?;
    let page = Html::parse_document(text);
    check(&page)?;
    let mut steps = 0u64;
    let mut step = |count: u64| {
        steps += count;
        if steps > STEPS_MAX {
            return Err(ReadError::TooLarge {
                what: "跨行跨列的单元格 places of spanning cells", limit: STEPS_MAX
            });
        }
        Ok(())
    };
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
                let before = column;
                while free.get(column as usize).is_some_and(|first| *first > row) {
                    column += 1;
                }
                step(u64::from(column - before))?;
                let span = |name| cell.attr(name).and_then(|n| n.parse().ok()).unwrap_or(1).clamp(1, SPAN_MAX);
                let (wide, high): (u32, u32) = (span("colspan"), span("rowspan"));
                let value = reading.text(&words(cell));
                reading.put(&mut sheet, row, column, value)?;
                let merge = Merge { top: row, left: column, bottom: row + high - 1, right: column + wide - 1 };
                reading.merge(&mut sheet, merge)?;
                step(u64::from(wide))?;
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

/// Elements that stay open until another one of their kind, or the cell that they are in, ends them.
const ENDED_BY_OTHERS: [&str; 24] = [
    "td", "th", "tr", "tbody", "thead", "tfoot", "p", "li", "option", "optgroup", "dt", "dd", "br", "img", "hr",
    "input", "meta", "link", "col", "colgroup", "area", "base", "wbr", "embed",
];
/// Elements that are open at once before the page is taken apart: the library looks through them for each that begins.
const OPEN_MAX: usize = 3000;

/// Refuses a page of elements that never end, before it is taken apart.
fn unclosed(text: &str) -> Result<(), ReadError> {
    let (mut open, mut tables) = (0usize, 0usize);
    for tag in text.split('<').skip(1) {
        let (is_end, tag) = tag.strip_prefix('/').map_or((false, tag), |rest| (true, rest));
        let end = tag.bytes().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(tag.len()).min(10);
        let name = tag.get(..end).unwrap_or_default().to_ascii_lowercase();
        match name.as_str() {
            "" => {}
            // A cell ends whatever the one before it has left open.
            "td" | "th" | "tr" if tables > 0 => open = tables,
            name if ENDED_BY_OTHERS.contains(&name) => {}
            name => {
                let is_table = usize::from(name == "table");
                if is_end {
                    (open, tables) = (open.saturating_sub(1), tables.saturating_sub(is_table));
                } else {
                    (open, tables) = (open + 1, tables + is_table);
                }
            }
        }
        if open > OPEN_MAX {
            return Err(ReadError::TooLarge { what: "层嵌套元素 elements in elements", limit: OPEN_MAX as u64 });
        }
    }
    Ok(())
}

/// Refuses pages that would take long to go through: elements far inside each other, tables in tables in tables.
fn check(page: &Html) -> Result<(), ReadError> {
    let (mut depth, mut nested) = (0usize, 0usize);
    let mut node = *page.root_element();
    loop {
        let is_table = node.value().as_element().is_some_and(|element| element.name() == "table");
        if let Some(child) = node.first_child() {
            depth += 1;
            nested += usize::from(is_table);
            if nested > NESTED_MAX {
                return Err(ReadError::TooLarge { what: "层嵌套表格 tables in tables", limit: NESTED_MAX as u64 });
            }
            if depth > DEPTH_MAX {
                return Err(ReadError::TooLarge {
                    what: "层嵌套元素 elements in elements", limit: DEPTH_MAX as u64
                });
            }
            node = child;
            continue;
        }
        while node.next_sibling().is_none() {
            let Some(parent) = node.parent().filter(|_| depth > 0) else { return Ok(()) };
            depth -= 1;
            nested -= usize::from(parent.value().as_element().is_some_and(|element| element.name() == "table"));
            node = parent;
        }
        let Some(next) = node.next_sibling() else { return Ok(()) };
        if depth == 0 {
            return Ok(());
        }
        node = next;
    }
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
