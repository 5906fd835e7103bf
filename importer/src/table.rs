//! Finding ledgers on a sheet: title lines, header rows, body, totals, and the next table.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use sync_protocol::catalogue::Catalogue;

use crate::{
    block::{Paths, beginnings, header_block, header_paths},
    footer::{Judge, RowKind, is_signature},
    header::{HeaderIndex, Rank, Scale, normalise},
    mapping::{MappedColumn, Mapper, Target},
    memory::Memory,
    odd::{self, Odd},
    review::is_own,
    workbook::grid::{Cell, Sheet, Texts, Workbook},
};

/// Distinct columns of one ledger that make a row its header.
const HEADER_MATCHES_MIN: usize = 3;
/// Rows above a header that are read for title, unit and date.
const TITLE_ROWS_MAX: usize = 8;

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
    /// Indexes of rows that hold signatures, notes or other words.
    pub words: Vec<usize>,
    /// Indexes of rows that are examples or hints on how to fill in.
    pub examples: Vec<usize>,
    /// The unit from a 填报单位 line.
    pub unit_hint: Option<String>,
    /// Every line above the header that belongs to no earlier table.
    pub titles: Vec<String>,
    /// Merges down the body, by column and top row: the last row of each.
    pub filled: HashMap<u16, BTreeMap<u32, u32>>,
    /// First and last column of the sheet that belong to it: others may stand beside it.
    pub span: (u16, u16),
}

impl Table {
    /// The sheet column that became this column of the ledger.
    pub fn column_of(&self, ledger_column: usize) -> Option<&MappedColumn> {
        self.columns.iter().find(|c| matches!(c.target, Target::Column { index, .. } if index == ledger_column))
    }

    /// The cells of a row that belong to the table.
    pub fn cells<'s>(&self, sheet: &'s Sheet, row: usize) -> &'s [(u16, Cell)] {
        let cells = sheet.row(row);
        let start = cells.partition_point(|(column, _)| *column < self.span.0);
        let end = cells.partition_point(|(column, _)| *column <= self.span.1);
        &cells[start..end]
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

/// What was found on the sheets of a workbook.
#[derive(Debug, Default)]
pub struct Detected {
    /// Its tables.
    pub tables: Vec<Table>,
    /// Sheets that hold labels and values, but no rows under a header; with what they are.
    pub odd: Vec<(usize, Odd)>,
}

/// Finds every table of a workbook.
pub fn detect(workbook: &Workbook, catalogue: &Catalogue, index: &HeaderIndex, memory: &Memory) -> Detected {
    let mut memo = Memo { known: vec![None; workbook.texts.len()] };
    let mapper = Mapper { catalogue, index, memory };
    let mut detected = Detected::default();
    for (sheet_index, sheet) in workbook.sheets.iter().enumerate() {
        if is_own(workbook, sheet) {
            continue;
        }
        if odd::is_form(sheet, &workbook.texts, index) {
            detected.odd.push((sheet_index, Odd::Form));
            continue;
        }
        let before = detected.tables.len();
        let mut detector = Detector { sheet_index, sheet, texts: &workbook.texts, mapper: &mapper, memo: &mut memo };
        detector.run(&mut detected.tables);
        if detected.tables.len() == before && odd::lies_on_its_side(sheet, &workbook.texts, index) {
            detected.odd.push((sheet_index, Odd::OnItsSide));
        }
    }
    detected
}

/// What looks most like the header of an unrecognised sheet: the first row with several texts and nothing else.
pub(crate) fn likely_header(workbook: &Workbook, sheet: &Sheet) -> Option<BTreeMap<u16, Vec<String>>> {
    let is_header = |row: &usize| {
        let cells = sheet.row(*row);
        cells.len() >= HEADER_MATCHES_MIN && cells.iter().all(|(_, cell)| matches!(cell, Cell::Text(_)))
    };
    let row = (0..sheet.row_count().min(2 * TITLE_ROWS_MAX)).find(is_header)?;
    let (top, bottom) = header_block((sheet, &workbook.texts), row, 0, None);
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
            let (mut found, end) = self.tables(row, ledger, after);
            for page in &mut found {
                // The same header again, with nothing but signatures above it: a new page of the same table.
                let continues = |above: &&Table| above.sheet == page.sheet && above.headers == page.headers;
                if let Some(above) =
                    tables.last().filter(continues).filter(|_| page.titles.iter().all(|l| is_signature(l)))
                {
                    page.titles.clone_from(&above.titles);
                    page.title.clone_from(&above.title);
                    page.unit_hint.clone_from(&above.unit_hint);
                }
            }
            tables.extend(found);
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
        let titles = self.title_lines(row, after, None);
        let headers = cells.iter().filter_map(|(_, cell)| match cell {
            Cell::Text(id) => Some(normalise(self.texts.get(*id))),
            _ => None,
        });
        self.best(headers, &titles)
    }

    /// The ledger with most columns among these headers, with its score.
    fn best(&self, headers: impl Iterator<Item = String>, titles: &[String]) -> Option<(usize, usize)> {
        let mut matched: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for header in headers {
            for claim in self.mapper.index.any_claims(&header).iter().filter(|claim| claim.rank != Rank::Weak) {
                let columns = matched.entry(claim.ledger).or_default();
                if !columns.contains(&claim.column) {
                    columns.push(claim.column);
                }
            }
        }
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
        let (top, bottom) = header_block((self.sheet, self.texts), row, after, None);
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
            && !is_long_number(text)
            && self.mapper.index.any_claims(&normalise(text)).iter().any(|claim| claim.rank != Rank::Weak);
        self.memo.known[index] = Some(claimed);
        claimed
    }

    /// Texts of the rows above a header that belong to no earlier table.
    fn title_lines(&self, header: usize, after: usize, span: Option<(u16, u16)>) -> Vec<String> {
        let lines = after.max(header.saturating_sub(TITLE_ROWS_MAX))..header;
        // Where each of the tables beside each other has a title of its own, the others' are none of its.
        let beside = |row: usize| span.filter(|_| self.sheet.row(row).len() > 1);
        let is_above =
            |row: usize, column: u16| beside(row).is_none_or(|(left, right)| (left..=right).contains(&column));
        lines
            .flat_map(|row| self.sheet.row(row).iter().filter(move |(column, _)| is_above(row, *column)))
            .filter_map(|(_, cell)| match cell {
                Cell::Text(id) => Some(self.texts.get(*id).to_owned()),
                _ => None,
            })
            .collect()
    }

    /// The tables under one header: one, or several side by side.
    fn tables(&mut self, header_row: usize, ledger: usize, after: usize) -> (Vec<Table>, usize) {
        let (top, bottom) = self.block(header_row, after, ledger);
        let all = header_paths(self.sheet, self.texts, top, bottom);
        let (start, limit) = self.extent(header_row, bottom);
        let mut first = header_row;
        while first > after && self.sheet.row_number(first - 1) >= top {
            first -= 1;
        }
        let begins = if self.mapper.remembered(&all).is_some() { vec![0] } else { beginnings(&all, self.mapper.index) };
        let (mut tables, mut end) = (Vec::new(), start);
        for (at, from) in begins.iter().enumerate() {
            let is_only = begins.len() == 1;
            let left = if at == 0 { 0 } else { *from };
            let right = begins.get(at + 1).map_or(u16::MAX, |next| next - 1);
            let paths: Paths = all.range(left..=right).map(|(column, path)| (*column, path.clone())).collect();
            let titles = self.title_lines(first, after, (!is_only).then_some((left, right)));
            let ledger = if is_only { ledger } else { self.ledger_of(&paths, &titles).unwrap_or(ledger) };
            let table = self.table((top, bottom), (left, right), ledger, paths, &titles, start..limit);
            end = end.max(table.body.iter().chain(&table.totals).max().map_or(start, |last| last + 1));
            tables.push(table);
        }
        // Up to the next header everything belongs to these tables, but for the title lines of the next.
        (tables, if limit < self.sheet.row_count() { end.min(limit) } else { limit })
    }

    fn table(
        &self,
        header: (u32, u32),
        span: (u16, u16),
        ledger: usize,
        paths: Paths,
        titles: &[String],
        rows: Range<usize>,
    ) -> Table {
        let remembered = self.mapper.remembered(&paths);
        let mut columns = match remembered {
            Some((ledger, mapping)) => self.mapper.confirmed(ledger, mapping, &paths),
            None => self.mapper.columns(ledger, &paths),
        };
        let stated = titles.iter().find_map(|line| Scale::of_line(line));
        for column in &mut columns {
            if let Target::Column { scale, .. } = &mut column.target {
                *scale = scale.or(stated);
            }
        }
        let ledger = remembered.map_or(ledger, |(ledger, _)| ledger);
        let limit = rows.end;
        let mut table = Table {
            sheet: self.sheet_index,
            ledger,
            title: titles.iter().find(|t| self.mapper.index.is_title(ledger, t)).cloned().unwrap_or_default(),
            header,
            columns,
            remembered: remembered.is_some(),
            headers: paths,
            body: Vec::new(),
            totals: Vec::new(),
            words: Vec::new(),
            examples: Vec::new(),
            unit_hint: titles.iter().find_map(|line| unit_hint(line)),
            titles: titles.to_vec(),
            filled: HashMap::new(),
            span,
        };
        self.body(&mut table, rows);
        table.filled = self.filled(header.1, limit);
        if !table.remembered {
            self.mapper.decide_by_values(&mut table, self.sheet, self.texts);
        }
        table
    }

    fn block(&self, header_row: usize, after: usize, ledger: usize) -> (u32, u32) {
        let beside = self.mapper.memory.is_empty() || self.remembered_header(header_row, after).is_none();
        let index = beside.then_some((self.mapper.index, ledger));
        header_block((self.sheet, self.texts), header_row, after, index)
    }

    /// The ledger that these headers name best.
    fn ledger_of(&self, paths: &Paths, titles: &[String]) -> Option<usize> {
        let last = paths.values().filter_map(|path| path.last()).map(|text| normalise(text));
        self.best(last, titles).map(|(ledger, _)| ledger)
    }

    fn says_unit(&self, cell: Cell) -> bool {
        matches!(cell, Cell::Text(id) if unit_hint(self.texts.get(id)).is_some())
    }

    /// The rows between a header and the next one.
    fn extent(&mut self, header_row: usize, bottom: u32) -> (usize, usize) {
        let mut start = header_row + 1;
        while start < self.sheet.row_count() && self.sheet.row_number(start) <= bottom {
            start += 1;
        }
        let mut row = start;
        while row < self.sheet.row_count() {
            if let Some((ledger, _)) = self.header_score(row, row) {
                // The same header again (a page break) starts a table of its own with the same columns.
                let (top, _) = self.block(row, start, ledger);
                while row > start && self.sheet.row_number(row - 1) >= top {
                    row -= 1;
                }
                break;
            }
            row += 1;
        }
        (start, row)
    }

    /// Sorts the rows below a header.
    fn body(&self, table: &mut Table, rows: Range<usize>) {
        let ledger = &self.mapper.catalogue.ledgers()[table.ledger];
        let width = table.headers.len();
        let mut judge = Judge::new((self.mapper.catalogue, ledger), &table.columns, self.texts, width);
        let (mut body, mut totals, mut words, mut examples) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for row in rows.clone() {
            match judge.kind(table.cells(self.sheet, row)) {
                RowKind::Record => body.push(row),
                RowKind::Total => totals.push(row),
                RowKind::Words => words.push(row),
                RowKind::Example => examples.push(row),
                RowKind::Blank => {}
            }
        }
        // Title lines of the next table were read as rows of this one: they stand right above its header,
        // hold one cell each, and a record holds more.
        if rows.end < self.sheet.row_count() {
            let is_title = |row: usize| row + TITLE_ROWS_MAX >= rows.end && self.sheet.row(row).len() == 1;
            while body.last().is_some_and(|last| is_title(*last)) {
                body.pop();
            }
            let last = body.last().copied();
            let hints = |row: usize| self.sheet.row(row).iter().any(|(_, cell)| self.says_unit(*cell));
            words.retain(|row| last.is_some_and(|last| *row < last) || !is_title(*row) && !hints(*row));
        }
        (table.body, table.totals, table.words, table.examples) = (body, totals, words, examples);
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

/// A number that is no header, rather than the number in front of one.
fn is_long_number(text: &str) -> bool {
    text.bytes().take_while(u8::is_ascii_digit).count() > 2
}
