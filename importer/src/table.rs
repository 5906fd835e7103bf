//! Finding ledgers on a sheet: title lines, header rows, body, totals, and the next table.

use std::collections::{BTreeMap, HashMap};

use sync_protocol::catalogue::Catalogue;

use crate::{
    header::{HeaderIndex, Rank, normalise},
    mapping::{MappedColumn, Mapper, Target},
    memory::Memory,
    review::is_own,
    text::compact,
    workbook::grid::{Cell, Merge, Sheet, Texts, Workbook},
};

/// Distinct columns of one ledger that make a row its header.
const HEADER_MATCHES_MIN: usize = 3;
/// Rows above a header that are read for title, unit and date.
const TITLE_ROWS_MAX: usize = 8;
/// Levels of a header.
const HEADER_DEPTH_MAX: u32 = 4;

/// One ledger found on a sheet.
#[derive(Debug, Clone)]
pub struct Table {
    /// Index of the sheet.
    pub sheet: usize,
    /// Index of the ledger in the catalogue.
    pub ledger: usize,
    /// The title line, if any.
    pub title: String,
    /// Row numbers of the header, inclusive.
    pub header: (u32, u32),
    /// Every column that has a header, with its levels.
    pub headers: BTreeMap<u16, Vec<String>>,
    /// The columns that are read.
    pub columns: Vec<MappedColumn>,
    /// Set when a person has said before what they mean.
    pub remembered: bool,
    /// Indexes of the rows that hold records.
    pub body: Vec<usize>,
    /// Indexes of total rows.
    pub totals: Vec<usize>,
    /// The unit from a 填报单位 line.
    pub unit_hint: Option<String>,
    /// Merges down the body, by column and top row: the last row of each.
    pub filled: HashMap<u16, BTreeMap<u32, u32>>,
}

impl Table {
    /// The sheet column that became this column of the ledger.
    pub fn column_of(&self, ledger_column: usize) -> Option<&MappedColumn> {
        self.columns.iter().find(|c| matches!(c.target, Target::Column { index, .. } if index == ledger_column))
    }

    /// The cell of a body row; merged cells take the value of their top.
    pub fn cell(&self, sheet: &Sheet, row: usize, column: u16) -> Option<Cell> {
        sheet.cell(row, column).or_else(|| {
            let number = sheet.row_number(row);
            let (top, _) =
                self.filled.get(&column)?.range(..number).next_back().filter(|(_, last)| **last >= number)?;
            sheet.cell(sheet.row_index(*top)?, column)
        })
    }
}

/// Finds every table of a workbook.
pub fn detect(workbook: &Workbook, catalogue: &Catalogue, index: &HeaderIndex, memory: &Memory) -> Vec<Table> {
    let mut memo = Memo { known: vec![None; workbook.texts.len()] };
    let mapper = Mapper { catalogue, index, memory };
    let mut tables = Vec::new();
    for (sheet_index, sheet) in workbook.sheets.iter().enumerate() {
        if is_own(workbook, sheet) {
            continue;
        }
        let mut detector = Detector { sheet_index, sheet, texts: &workbook.texts, mapper: &mapper, memo: &mut memo };
        detector.run(&mut tables);
    }
    tables
}

/// What looks most like the header of an unrecognised sheet: the first row with several texts and nothing else.
pub(crate) fn likely_header(workbook: &Workbook, sheet: &Sheet) -> Option<BTreeMap<u16, Vec<String>>> {
    let is_header = |row: &usize| {
        let cells = sheet.row(*row);
        cells.len() >= HEADER_MATCHES_MIN && cells.iter().all(|(_, cell)| matches!(cell, Cell::Text(_)))
    };
    let row = (0..sheet.row_count().min(2 * TITLE_ROWS_MAX)).find(is_header)?;
    let (top, bottom) = header_block(sheet, row, 0);
    Some(header_paths(sheet, &workbook.texts, top, bottom))
}

/// Whether a text is claimed by any ledger, remembered per text.
struct Memo {
    known: Vec<Option<bool>>,
}

struct Detector<'a> {
    sheet_index: usize,
    sheet: &'a Sheet,
    texts: &'a Texts,
    mapper: &'a Mapper<'a>,
    memo: &'a mut Memo,
}

impl Detector<'_> {
    fn run(&mut self, tables: &mut Vec<Table>) {
        let mut row = 0;
        let mut after = 0;
        while row < self.sheet.row_count() {
            let Some((ledger, _)) = self.header_score(row, after) else {
                row += 1;
                continue;
            };
            let table = self.table(row, ledger, after);
            let end = table.end;
            tables.push(table.table);
            after = end;
            row = end;
        }
    }

    /// The ledger whose columns this row names, with its score.
    fn header_score(&mut self, row: usize, after: usize) -> Option<(usize, usize)> {
        if let Some(ledger) = self.remembered_header(row, after) {
            return Some((ledger, usize::MAX));
        }
        let cells = self.sheet.row(row);
        let hits = cells.iter().filter(|(_, cell)| self.is_claimed(*cell)).count();
        if hits < HEADER_MATCHES_MIN {
            return None;
        }
        let mut matched: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (_, cell) in cells {
            let Cell::Text(id) = cell else { continue };
            for claim in self
                .mapper
                .index
                .claims(&normalise(self.texts.get(*id)))
                .iter()
                .filter(|claim| claim.rank != Rank::Weak)
            {
                let columns = matched.entry(claim.ledger).or_default();
                if !columns.contains(&claim.column) {
                    columns.push(claim.column);
                }
            }
        }
        let titles = self.title_lines(row, after);
        matched
            .into_iter()
            .filter(|(_, columns)| columns.len() >= HEADER_MATCHES_MIN)
            .map(|(ledger, columns)| {
                let named =
                    titles.iter().chain([&self.sheet.name]).any(|title| self.mapper.index.is_title(ledger, title));
                (ledger, 2 * columns.len() + usize::from(named) * 5)
            })
            // The first of equals: catalogue order.
            .reduce(|best, next| if next.1 > best.1 { next } else { best })
    }

    /// The ledger of a header that a person has mapped before.
    fn remembered_header(&self, row: usize, after: usize) -> Option<usize> {
        let named = |(_, cell): &(u16, Cell)| match cell {
            Cell::Text(id) => self.mapper.memory.names(&normalise(self.texts.get(*id))),
            _ => false,
        };
        // Most rows are no header: two looks are enough to see it.
        if self.mapper.memory.is_empty() || !self.sheet.row(row).iter().take(2).any(named) {
            return None;
        }
        let (top, bottom) = header_block(self.sheet, row, after);
        self.mapper.remembered(&header_paths(self.sheet, self.texts, top, bottom)).map(|(ledger, _)| ledger)
    }

    fn is_claimed(&mut self, cell: Cell) -> bool {
        let Cell::Text(id) = cell else { return false };
        let index = Texts::index(id);
        if let Some(known) = self.memo.known[index] {
            return known;
        }
        let text = self.texts.get(id);
        let claimed = text.len() <= 120
            && !text.starts_with(|c: char| c.is_ascii_digit())
            && self.mapper.index.claims(&normalise(text)).iter().any(|claim| claim.rank != Rank::Weak);
        self.memo.known[index] = Some(claimed);
        claimed
    }

    /// Texts of the rows above a header that belong to no earlier table.
    fn title_lines(&self, header: usize, after: usize) -> Vec<String> {
        (after.max(header.saturating_sub(TITLE_ROWS_MAX))..header)
            .flat_map(|row| self.sheet.row(row))
            .filter_map(|(_, cell)| match cell {
                Cell::Text(id) => Some(self.texts.get(*id).to_owned()),
                _ => None,
            })
            .collect()
    }

    fn table(&mut self, header_row: usize, ledger: usize, after: usize) -> Found {
        let titles = self.title_lines(header_row, after);
        let (top, bottom) = header_block(self.sheet, header_row, after);
        let paths = header_paths(self.sheet, self.texts, top, bottom);
        let (body_start, end, body, totals) = self.body(header_row, bottom, paths.len());
        let filled = self.filled(bottom, end);
        let remembered = self.mapper.remembered(&paths);
        let columns = match remembered {
            Some((ledger, mapping)) => self.mapper.confirmed(ledger, mapping, &paths),
            None => self.mapper.columns(ledger, &paths),
        };
        let mut table = Table {
            sheet: self.sheet_index,
            ledger,
            title: titles.iter().find(|t| self.mapper.index.is_title(ledger, t)).cloned().unwrap_or_default(),
            header: (top, bottom),
            columns,
            remembered: remembered.is_some(),
            headers: paths,
            body,
            totals,
            unit_hint: titles.iter().find_map(|line| unit_hint(line)),
            filled,
        };
        if !table.remembered {
            self.mapper.decide_by_values(&mut table, self.sheet, self.texts);
        }
        Found { table, end: end.max(body_start) }
    }

    /// The rows that hold records, up to the next header or a gap that ends the table.
    fn body(&mut self, header_row: usize, bottom: u32, width: usize) -> (usize, usize, Vec<usize>, Vec<usize>) {
        let mut start = header_row + 1;
        while start < self.sheet.row_count() && self.sheet.row_number(start) <= bottom {
            start += 1;
        }
        let (mut body, mut totals) = (Vec::new(), Vec::new());
        let mut row = start;
        while row < self.sheet.row_count() {
            if self.header_score(row, row).is_some() {
                // The same header again (a page break) starts a table of its own with the same columns.
                break;
            }
            match self.kind(row, width) {
                RowKind::Record => body.push(row),
                RowKind::Total => totals.push(row),
                RowKind::Skip => {}
            }
            row += 1;
        }
        // Title lines of the next table were read as rows of this one: they stand right above its header,
        // hold one cell each, and a record holds more.
        if row < self.sheet.row_count() {
            while body.last().is_some_and(|last| *last + TITLE_ROWS_MAX >= row && self.sheet.row(*last).len() == 1) {
                body.pop();
            }
            let records_end = body.last().map_or(start, |last| last + 1);
            return (start, records_end.max(start).min(row), body, totals);
        }
        (start, row, body, totals)
    }

    fn kind(&self, row: usize, width: usize) -> RowKind {
        let cells = self.sheet.row(row);
        let texts: Vec<String> = cells
            .iter()
            .take(6)
            .filter_map(|(_, cell)| match cell {
                Cell::Text(id) if self.texts.get(*id).len() <= 200 => Some(compact(self.texts.get(*id)).into_owned()),
                _ => None,
            })
            .collect();
        let first = texts.first().map_or("", String::as_str);
        let words = self.mapper.catalogue.words();
        // 小计 may stand behind a group cell.
        if texts.iter().take(2).any(|t| words.totals.iter().any(|w| t == w || t.strip_suffix(':') == Some(w))) {
            return RowKind::Total;
        }
        let notes = [
            "注:",
            "注1",
            "备注:",
            "说明:",
            "填表说明",
            "填表人",
            "审核人",
            "单位负责人",
            "负责人:",
            "制表",
            "联系电话:",
            "(盖章)",
        ];
        if cells.len() * 3 <= width.max(6) && notes.iter().any(|note| first.starts_with(note)) {
            return RowKind::Skip;
        }
        let numbering = |(_, cell): &(u16, Cell)| match cell {
            Cell::Number { value, .. } => value.fract() == 0.0 && (0.0..=100.0).contains(value),
            Cell::Text(id) => {
                let text = self.texts.get(*id).trim();
                matches!(text, "甲" | "乙" | "丙" | "丁" | "戊" | "栏次")
            }
            _ => false,
        };
        let has_column_letter = cells
            .iter()
            .any(|(_, c)| matches!(c, Cell::Text(id) if matches!(self.texts.get(*id).trim(), "甲" | "乙" | "栏次")));
        if has_column_letter && cells.iter().all(numbering) {
            return RowKind::Skip;
        }
        if cells.len() == 1 && matches!(cells[0].1, Cell::Number { .. }) {
            return RowKind::Skip;
        }
        let hints = ["必填", "选填", "示例", "例:", "例如"];
        if !texts.is_empty() && texts.iter().all(|t| hints.iter().any(|hint| t.starts_with(hint))) || first == "示例"
        {
            return RowKind::Skip;
        }
        RowKind::Record
    }

    /// Merges down the body.
    fn filled(&self, bottom: u32, end: usize) -> HashMap<u16, BTreeMap<u32, u32>> {
        let last =
            end.checked_sub(1).filter(|last| *last < self.sheet.row_count()).map(|last| self.sheet.row_number(last));
        let mut filled: HashMap<u16, BTreeMap<u32, u32>> = HashMap::new();
        let Some(last) = last else { return filled };
        for merge in self.sheet.merges.iter().filter(|m| m.top > bottom && m.top <= last && m.bottom > m.top) {
            if let Ok(column) = u16::try_from(merge.left) {
                filled.entry(column).or_default().insert(merge.top, merge.bottom.min(last));
            }
        }
        filled
    }
}

struct Found {
    table: Table,
    end: usize,
}

enum RowKind {
    Record,
    Total,
    Skip,
}

/// Extends the header over rows that share merged ranges with it.
fn header_block(sheet: &Sheet, header_row: usize, after: usize) -> (u32, u32) {
    let row = sheet.row_number(header_row);
    let (mut top, mut bottom) = (row, row);
    let floor = if after == 0 { 0 } else { sheet.row_number(after - 1) + 1 };
    // A full-width title above is merged too, but only sideways over everything.
    let tall = |merge: &&Merge| merge.bottom > merge.top && merge.bottom - merge.top < HEADER_DEPTH_MAX;
    for merge in sheet.merges.iter().filter(tall) {
        if merge.top <= row && row <= merge.bottom && merge.top >= floor {
            top = top.min(merge.top);
            bottom = bottom.max(merge.bottom);
        }
    }
    if bottom - top >= HEADER_DEPTH_MAX { (row, row) } else { (top, bottom) }
}

/// For each column the texts of its header levels.
fn header_paths(sheet: &Sheet, texts: &Texts, top: u32, bottom: u32) -> BTreeMap<u16, Vec<String>> {
    let mut paths: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    let merges: Vec<_> = sheet.merges.iter().filter(|m| m.top <= bottom && m.bottom >= top).collect();
    let mut levels: Vec<BTreeMap<u16, String>> = Vec::new();
    for number in top..=bottom {
        let mut level: BTreeMap<u16, String> = BTreeMap::new();
        if let Some(index) = sheet.row_index(number) {
            for (column, cell) in sheet.row(index) {
                if let Cell::Text(id) = cell {
                    level.insert(*column, texts.get(*id).to_owned());
                }
            }
        }
        levels.push(level);
    }
    for merge in merges {
        let Some(text) = merge
            .top
            .checked_sub(top)
            .and_then(|l| levels.get(l as usize))
            .and_then(|level| level.get(&u16::try_from(merge.left).ok()?))
            .cloned()
        else {
            continue;
        };
        for number in merge.top..=merge.bottom.min(bottom) {
            let level = &mut levels[(number - top) as usize];
            for column in merge.left..=merge.right.min(merge.left + 256) {
                if let Ok(column) = u16::try_from(column) {
                    level.entry(column).or_insert_with(|| text.clone());
                }
            }
        }
    }
    for level in levels {
        for (column, text) in level {
            let path = paths.entry(column).or_default();
            if path.last() != Some(&text) {
                path.push(text);
            }
        }
    }
    paths
}

/// 青山镇党委 out of `填报单位(盖章):青山镇党委   填报时间:2012.4.25`.
fn unit_hint(line: &str) -> Option<String> {
    let line = line.replace('\u{ff1a}', ":");
    let start = line.find("填报单位").or_else(|| line.find("填表单位"))?;
    let rest = &line[start..];
    let value = rest[rest.find(':')? + 1..].trim_start();
    let end = value.find(|c: char| c.is_whitespace()).unwrap_or(value.len());
    let value = value[..end].split("填报").next().unwrap_or_default().trim();
    (!value.is_empty()).then(|| value.to_owned())
}
