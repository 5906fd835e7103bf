//! The tables of a workbook that are taken, and everything of it that is not: nothing is left out in silence.

use std::collections::BTreeSet;

use sync_protocol::{
    catalogue::{Catalogue, Column, ColumnType, Ledger, Requirement},
    checks,
};

use crate::{
    finding::{Finding, FindingKind, Severity},
    header::{HeaderIndex, normalise},
    mapping::{MappedColumn, Target},
    memory::Memory,
    odd::Odd,
    review::is_own,
    table::{self, Table},
    text::compact,
    totals,
    values::Normaliser,
    workbook::grid::{Cell, Sheet, Workbook, address},
};

/// Words in the name of a sheet, or in a title, of examples and instructions.
const SAMPLES: [&str; 10] =
    ["示例", "样表", "样例", "范例", "样本", "填写说明", "填表说明", "填报说明", "使用说明", "填写示范"];
/// Words in the name of a sheet that may also have been filled in.
const TEMPLATES: [&str; 3] = ["模板", "模版", "说明"];
/// The column by which a merged ledger names its rows.
const ROW_ID: &str = "系统编号";

/// What the tables are found and judged by.
pub(crate) struct Survey<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) headers: &'a HeaderIndex,
    pub(crate) memory: &'a Memory,
    pub(crate) normaliser: &'a Normaliser,
}

impl Survey<'_> {
    /// The tables of a workbook that are taken, and what was noticed about its sheets.
    pub(crate) fn run(&self, workbook: &Workbook) -> (Vec<Table>, Vec<Finding>) {
        let table::Detected { tables, odd } = table::detect(workbook, self.catalogue, self.headers, self.memory);
        let mut findings = Vec::new();
        let whole =
            |kind: &FindingKind, sheet: &Sheet| Finding::new(kind, &sheet.name, String::new(), "", String::new());
        let left_out: Vec<Option<&str>> =
            (0..workbook.sheets.len()).map(|index| why_left_out(workbook, index, &tables)).collect();
        let (mut tables, others): (Vec<Table>, Vec<Table>) =
            tables.into_iter().partition(|table| left_out[table.sheet].is_none());
        let is_odd = |index: usize| odd.iter().find(|(sheet, _)| *sheet == index).map(|(_, odd)| *odd);
        if tables.is_empty() && !odd.iter().any(|(sheet, _)| left_out[*sheet].is_none()) {
            findings.push(Finding::new(&FindingKind::NoLedger, "", String::new(), "", String::new()));
        }
        for (index, sheet) in workbook.sheets.iter().enumerate() {
            if sheet.cell_count() == 0 || is_own(workbook, sheet) || tables.iter().any(|t| t.sheet == index) {
                continue;
            }
            let kind = match (left_out[index], is_odd(index)) {
                (Some(why), _) if others.iter().any(|table| table.sheet == index) => FindingKind::SheetLeftOut { why },
                (None, Some(odd)) => FindingKind::NotATable { form: odd == Odd::Form },
                _ => FindingKind::NoTable,
            };
            findings.push(whole(&kind, sheet));
        }
        for at in 0..tables.len() {
            let about = self.about(workbook, &mut tables[at]);
            findings.extend(about);
            let (before, rest) = tables.split_at(at);
            let Some(table) = rest.first() else { continue };
            let continues = |other: &&Table| {
                other.sheet == table.sheet && other.ledger == table.ledger && other.headers == table.headers
            };
            let mut pages: Vec<&Table> = before.iter().rev().take_while(continues).collect();
            pages.reverse();
            totals::check(workbook, (table, &pages), (self.catalogue, self.normaliser), &mut findings);
        }
        (tables, findings)
    }

    /// What there is to say about a table; one that cannot be taken loses its rows.
    fn about(&self, workbook: &Workbook, table: &mut Table) -> Vec<Finding> {
        let mut findings = self.columns(workbook, table);
        let sheet = &workbook.sheets[table.sheet];
        let rows = |rows: &[usize], what, findings: &mut Vec<Finding>| {
            let Some(first) = rows.first() else { return };
            let place = address(sheet.row_number(*first), table.cells(sheet, *first).first().map_or(0, |(c, _)| *c));
            let kind = FindingKind::RowsLeftOut { rows: ranges(sheet, rows), what };
            findings.push(Finding::new(&kind, &sheet.name, place, "", excerpt(workbook, table.cells(sheet, *first))));
        };
        rows(&table.words, "签名、说明或其他文字", &mut findings);
        rows(&table.examples, "示例或填写提示", &mut findings);
        let start = findings.len();
        rows(&table.totals, "合计", &mut findings);
        findings[start..].iter_mut().for_each(|finding| finding.severity = Severity::Info);
        if findings.iter().any(|f| matches!(f.code, "key-unread" | "key-missing" | "key-twice")) {
            table.body.clear();
            table.totals.clear();
            return findings;
        }
        cells(workbook, table, &mut findings);
        findings
    }

    /// Columns that are not read, and those that are missing.
    fn columns(&self, workbook: &Workbook, table: &Table) -> Vec<Finding> {
        let sheet = &workbook.sheets[table.sheet];
        let ledger = &self.catalogue.ledgers()[table.ledger];
        let mut findings = Vec::new();
        // A person has said what the columns are, or the rows name themselves.
        let is_known = table.remembered
            || table.headers.values().any(|path| path.last().is_some_and(|text| compact(text) == ROW_ID));
        let rows = table.body.len();
        for column in &table.columns {
            let place = address(table.header.1, column.column);
            let mut add = |kind: &FindingKind| {
                let header = column.header.clone();
                findings.push(Finding::new(kind, &sheet.name, place.clone(), &column.header, header));
            };
            match &column.target {
                Target::Column { index, .. } if column.decided_by_values => {
                    add(&FindingKind::DecidedByValues { column: ledger.columns[*index].title.clone() });
                }
                Target::Column { .. } => {}
                Target::Extra(_) if is_known => {
                    add(&FindingKind::UnknownHeader);
                    findings.iter_mut().last().expect("just added").severity = Severity::Info;
                }
                Target::Extra(_) => {
                    let kind = match (self.repeats(table, ledger, column), self.likely(workbook, table, column)) {
                        (Some(twice), _) => FindingKind::KeyTwice { column: twice.title.clone(), rows },
                        (None, Some(likely)) => FindingKind::KeyUnread { column: likely.title.clone(), rows },
                        (None, None) => FindingKind::UnknownHeader,
                    };
                    add(&kind);
                }
            }
        }
        if let Some(missing) = missing(table, ledger)
            .filter(|_| !is_known && !findings.iter().any(|f| matches!(f.code, "key-unread" | "key-twice")) && rows > 0)
        {
            let kind = FindingKind::KeyMissing { column: missing.title.clone(), rows };
            findings.push(Finding::new(&kind, &sheet.name, address(table.header.1, table.span.0), "", String::new()));
        }
        if table.remembered {
            let place = address(table.header.1, table.span.0);
            findings.push(Finding::new(&FindingKind::Remembered, &sheet.name, place, "", String::new()));
        }
        findings
    }

    /// The column that tells people apart, if this is a second one of that name: other people's, most likely.
    fn repeats<'l>(&self, table: &Table, ledger: &'l Ledger, extra: &MappedColumn) -> Option<&'l Column> {
        let claims = self.headers.any_claims(&extra.header).iter().filter(|claim| claim.ledger == table.ledger);
        claims.map(|claim| &ledger.columns[claim.column]).find(|column| {
            let tells_people = matches!(column.column_type, ColumnType::Person | ColumnType::IdCard)
                && ledger.keys.iter().flatten().any(|key| *key == column.key);
            let same =
                table.columns.iter().any(|c| c.header == extra.header && matches!(c.target, Target::Column { .. }));
            tells_people && same
        })
    }

    /// The key or mandatory column of the ledger that nothing was taken for, and that this one may be.
    fn likely<'l>(&'l self, workbook: &Workbook, table: &Table, extra: &MappedColumn) -> Option<&'l Column> {
        let ledger = &self.catalogue.ledgers()[table.ledger];
        let weak: BTreeSet<String> = self.catalogue.words().weak.iter().map(|word| normalise(word)).collect();
        let last = extra.header.rsplit('/').next().unwrap_or(&extra.header);
        let is_needed = |(index, column): &(usize, &Column)| {
            let in_key = ledger.keys.iter().flatten().any(|key| *key == column.key);
            let reports = ledger.unit.reporting_unit.as_ref() == Some(&column.key);
            let needed = in_key || column.required == Requirement::Mandatory && column.default.is_none();
            needed && !reports && table.column_of(*index).is_none()
        };
        let has_numbers = || {
            let sheet = &workbook.sheets[table.sheet];
            let cells = table.body.iter().take(50).filter_map(|row| sheet.cell(*row, extra.column));
            let (mut seen, mut numbers) = (0, 0);
            for cell in cells {
                seen += 1;
                let Cell::Text(id) = cell else { continue };
                numbers += usize::from(checks::id_card(&compact(workbook.texts.get(id))).is_ok());
            }
            seen > 0 && numbers * 2 >= seen
        };
        ledger.columns.iter().enumerate().filter(is_needed).map(|(_, column)| column).find(|column| {
            // The organisation's code and name stand for each other.
            let unit = &ledger.unit;
            let names = |key: &Option<String>| key.as_ref() == Some(&column.key);
            let other = [&unit.code, &unit.name].into_iter().flatten().filter(|key| **key != column.key);
            let has_other = || {
                let mut mapped = other.filter_map(|key| ledger.columns.iter().position(|c| c.key == *key));
                mapped.any(|index| table.column_of(index).is_some())
            };
            if (names(&unit.code) || names(&unit.name)) && has_other() {
                return false;
            }
            let mut texts = std::iter::once(&column.title).chain(&column.aliases).map(|text| normalise(text));
            texts.any(|text| !weak.contains(&text) && resembles(last, &text))
                || column.column_type == ColumnType::IdCard && has_numbers()
        })
    }
}

/// Why a sheet is not taken unasked.
fn why_left_out(workbook: &Workbook, index: usize, tables: &[Table]) -> Option<&'static str> {
    let sheet = &workbook.sheets[index];
    if sheet.hidden {
        return Some("工作表是隐藏的");
    }
    let has = |text: &str, words: &[&str]| words.iter().any(|word| compact(text).contains(word));
    let title = tables.iter().find(|table| table.sheet == index).map_or("", |table| table.title.as_str());
    let others = || tables.iter().any(|t| t.sheet != index && !workbook.sheets[t.sheet].hidden);
    let is_sample = has(&sheet.name, &SAMPLES) || has(title, &SAMPLES);
    (is_sample || has(&sheet.name, &TEMPLATES) && others()).then_some("工作表是示例、模板或填写说明")
}

/// Cells of columns that are kept beside the rows, and what is struck through.
fn cells(workbook: &Workbook, table: &Table, findings: &mut Vec<Finding>) {
    let sheet = &workbook.sheets[table.sheet];
    let mut struck = sheet.struck.as_slice();
    for row in &table.body {
        let number = sheet.row_number(*row);
        for column in table.columns.iter().filter(|column| matches!(column.target, Target::Extra(_))) {
            if table.cell(sheet, *row, column.column) == Some(Cell::Uncomputed) {
                let place = address(number, column.column);
                let kind = FindingKind::NoResult;
                findings.push(Finding::new(&kind, &sheet.name, place, &column.header, String::new()));
            }
        }
        struck = &struck[struck.partition_point(|(at, _)| *at < number)..];
        let here = &struck[..struck.partition_point(|(at, _)| *at == number)];
        let here: Vec<u16> =
            here.iter().map(|(_, column)| *column).filter(|c| (table.span.0..=table.span.1).contains(c)).collect();
        let cells = table.cells(sheet, *row);
        let whole = here.len() * 2 >= cells.len();
        for column in here.iter().take(if whole { 1 } else { usize::MAX }) {
            let header = table.columns.iter().find(|c| c.column == *column && !whole).map_or("", |c| c.header.as_str());
            let place = address(number, *column);
            findings.push(Finding::new(&FindingKind::StruckThrough, &sheet.name, place, header, String::new()));
        }
    }
}

/// The column without which the table's records cannot be told apart: the name of people, or else every key.
fn missing<'l>(table: &Table, ledger: &'l Ledger) -> Option<&'l Column> {
    let keys: Vec<(usize, &Column)> = ledger
        .columns
        .iter()
        .enumerate()
        .filter(|(_, c)| ledger.keys.iter().flatten().any(|key| *key == c.key) && !ledger.unit.names_unit(&c.key))
        .collect();
    let is_mandatory = |column: &Column| column.required == Requirement::Mandatory;
    let is_absent = |index: usize| table.column_of(index).is_none();
    let name = keys.iter().find(|(_, c)| c.column_type == ColumnType::Person && is_mandatory(c));
    if let Some((_, column)) = name.filter(|(index, _)| is_absent(*index)) {
        return Some(column);
    }
    let all_absent = !keys.is_empty() && keys.iter().all(|(index, _)| is_absent(*index));
    let first = keys.iter().find(|(_, c)| is_mandatory(c)).or(keys.first());
    first.filter(|_| all_absent).map(|(_, column)| *column)
}

/// Whether a header may be meant to say a name: it holds it, or its characters in this order, or is its beginning.
fn resembles(header: &str, name: &str) -> bool {
    let count = name.chars().count();
    if count < 2 || header.chars().count() < 2 {
        return false;
    }
    let mut rest = header.chars();
    let in_order = count >= 4 && name.chars().all(|c| rest.any(|other| other == c));
    header.contains(name) || in_order || name.starts_with(header)
}

/// 7, 9–11
fn ranges(sheet: &Sheet, rows: &[usize]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in rows.iter().map(|row| sheet.row_number(*row) + 1) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let texts = ranges.iter().map(|(a, b)| if a == b { a.to_string() } else { format!("{a}–{b}") });
    texts.collect::<Vec<_>>().join("、")
}

/// The beginning of a row, without long numbers.
fn excerpt(workbook: &Workbook, cells: &[(u16, Cell)]) -> String {
    let first = cells.iter().find_map(|(_, cell)| match cell {
        Cell::Text(id) => Some(workbook.texts.get(*id)),
        _ => None,
    });
    let text: String = first.unwrap_or_default().chars().take(20).collect();
    let digits = text.chars().filter(char::is_ascii_digit).count();
    if digits > 4 { text.chars().map(|c| if c.is_ascii_digit() { '*' } else { c }).collect() } else { text }
}
