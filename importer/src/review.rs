//! The sheets of a findings workbook on which a person decides: what each column means, and which rows are records that
//! exist. Sent in again, they are read before everything else.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::{
    RowId,
    catalogue::{Catalogue, Ledger},
};

use crate::{
    finding::{Finding, FindingKind},
    header::normalise,
    mapping::{Target, printed},
    memory::{Decision, Doubt, Mapping, Memory, fingerprint},
    seal::is_seal,
    stamp::{is_conflicts, is_stamp},
    table::{Table, likely_header},
    text::clean,
    workbook::{
        grid::{Cell, Sheet, Workbook, address},
        write::{Book, Out, Page, Style, WriteError},
    },
};

/// The list of what was found.
pub(crate) const FINDINGS: &str = "问题清单";
const COLUMNS: &str = "列对应";
const DOUBTS: &str = "疑似重复";
const CHOICES: &str = "选项";

const FINDINGS_HEADER: [&str; 5] = ["工作表", "单元格", "列", "读到的内容", "问题和处理办法"];
const COLUMNS_HEADER: [&str; 8] = ["表号", "原为", "工作表", "列", "表头", "台账", "导入为", "依据"];
const DOUBTS_HEADER: [&str; 8] = ["编号", "记录号", "工作表", "单元格", "台账", "本行内容", "已有记录", "处理"];

/// What is not imported into a column of its own.
const KEPT: &str = "附加信息";
/// What is recomputed.
const DERIVED: &str = "（自动计算，不导入）";
const SAME: &str = "同一记录";
const NEW: &str = "新记录";

/// Behind the name of such a sheet where the office has one of that name itself.
const OURS: &str = "（台账通）";

/// The name of one of our sheets beside those of the office.
pub(crate) fn name_beside(workbook: &Workbook, name: &str) -> String {
    let is_taken = |sheet: &Sheet| sheet.name == name && !is_own(workbook, sheet);
    if workbook.sheets.iter().any(is_taken) { format!("{name}{OURS}") } else { name.to_owned() }
}

/// Whether a sheet was written by this program and holds no records.
pub(crate) fn is_own(workbook: &Workbook, sheet: &Sheet) -> bool {
    is_review(workbook, sheet) || is_stamp(workbook, sheet) || is_conflicts(workbook, sheet) || is_seal(workbook, sheet)
}

/// Whether a sheet was written to hold findings and decisions about them: a findings workbook has new ones. All others are
/// carried on in it.
pub(crate) fn is_review(workbook: &Workbook, sheet: &Sheet) -> bool {
    let header: &[&str] = match base(&sheet.name) {
        FINDINGS => &FINDINGS_HEADER,
        COLUMNS => &COLUMNS_HEADER,
        DOUBTS => &DOUBTS_HEADER,
        CHOICES => &[COLUMNS_HEADER[5]],
        _ => return false,
    };
    (0..).zip(header).all(|(column, text)| cell_text(workbook, sheet, 0, column) == *text)
}

/// The name of a sheet without what sets it apart.
fn base(name: &str) -> &str {
    name.strip_suffix(OURS).unwrap_or(name)
}

fn cell_text(workbook: &Workbook, sheet: &Sheet, row: usize, column: u16) -> String {
    if row >= sheet.row_count() {
        return String::new();
    }
    match sheet.cell(row, column) {
        Some(Cell::Text(id)) => clean(workbook.texts.get(id)).into_owned(),
        Some(Cell::Number { value, .. }) => value.to_string(),
        _ => String::new(),
    }
}

/// Columns in front that are hidden: what is behind a hidden column could be seen to run out of it.
const HIDDEN: u16 = 2;
const CHOICE: u16 = 7;
const LEDGER: u16 = 5;
const TAKEN_AS: u16 = 6;

/// Writes a sheet of texts under a header; the first `hidden` columns are hidden, the others have these widths.
fn page<'b>(
    book: &'b mut Book,
    name: &str,
    header: &[&str],
    hidden: u16,
    widths: &[f64],
) -> Result<Page<'b>, WriteError> {
    let mut page = book.sheet(name)?;
    for (column, text) in (0..).zip(header) {
        page.put(0, column, &Out::Text((*text).to_owned()), Style::Header)?;
    }
    for (column, width) in (hidden..).zip(widths) {
        page.width(column, *width)?;
    }
    for column in 0..hidden {
        page.hide_column(column)?;
    }
    page.freeze(1, 0)?;
    Ok(page)
}

fn line(page: &mut Page<'_>, row: u32, cells: &[&str], style: Style) -> Result<(), WriteError> {
    for (column, text) in (0..).zip(cells) {
        page.put(row, column, &Out::Text((*text).to_owned()), style)?;
    }
    Ok(())
}

/// The list of findings.
pub(crate) fn draw_findings(book: &mut Book, workbook: &Workbook, findings: &[&Finding]) -> Result<(), WriteError> {
    let mut page = page(book, &name_beside(workbook, FINDINGS), &FINDINGS_HEADER, 0, &[16.0, 9.0, 18.0, 24.0, 70.0])?;
    for (row, f) in (1..).zip(findings) {
        line(&mut page, row, &[&f.sheet, &f.cell, &f.column, &f.read, &f.message], Style::Text)?;
    }
    Ok(())
}

/// The rows that wait, and a choice for each.
pub(crate) fn draw_doubts(book: &mut Book, workbook: &Workbook, doubts: &[Doubt]) -> Result<(), WriteError> {
    if doubts.is_empty() {
        return Ok(());
    }
    let mut page =
        page(book, &name_beside(workbook, DOUBTS), &DOUBTS_HEADER, HIDDEN, &[16.0, 9.0, 18.0, 40.0, 40.0, 14.0])?;
    let mut row = 1;
    for doubt in doubts {
        for candidate in &doubt.candidates {
            let (id, stored) = (doubt.id.to_string(), candidate.row.to_string());
            let cells = [&id, &stored, &doubt.sheet, &doubt.cell, &doubt.ledger, &doubt.record, &candidate.record, ""];
            line(&mut page, row, &cells, Style::Text)?;
            row += 1;
        }
    }
    page.choice((1, CHOICE), (row - 1, CHOICE), &format!("\"{SAME},{NEW}\""))
}

/// What each column of each table was taken for; tables with the same header are listed once.
pub(crate) fn draw_columns(
    book: &mut Book,
    workbook: &Workbook,
    tables: &[Table],
    catalogue: &Catalogue,
) -> Result<(), WriteError> {
    let ledgers: BTreeSet<usize> = tables.iter().map(|table| table.ledger).collect();
    // Where the titles of each ledger's columns are listed.
    let lists: BTreeMap<usize, u16> = ledgers.into_iter().zip(1u16..).collect();
    let mut sheet =
        page(book, &name_beside(workbook, COLUMNS), &COLUMNS_HEADER, HIDDEN, &[16.0, 6.0, 30.0, 22.0, 26.0, 16.0])?;
    let choices_name = name_beside(workbook, CHOICES);
    let mut seen = BTreeSet::new();
    let mut row = 1;
    let column_name = |column: u16| address(0, column).trim_end_matches('1').to_owned();
    let mut number = 0;
    for table in tables {
        let headers: Vec<(u16, String)> = table.headers.iter().map(|(column, path)| (*column, printed(path))).collect();
        if !seen.insert(fingerprint(headers.iter().map(|(_, header)| header.as_str()))) {
            continue;
        }
        number += 1;
        let ledger = &catalogue.ledgers()[table.ledger];
        let first = row;
        for (column, header) in headers.iter().filter(|(_, header)| !header.is_empty()) {
            let mapped = table.columns.iter().find(|mapped| mapped.column == *column);
            let (taken, why) = match mapped.map(|mapped| (&mapped.target, mapped.decided_by_values)) {
                Some((Target::Column { index, .. }, by_values)) => {
                    let why = match (table.remembered, by_values) {
                        (true, _) => "以前确认",
                        (_, true) => "按内容判断",
                        _ => "表头",
                    };
                    (ledger.columns[*index].title.as_str(), why)
                }
                Some((Target::Extra(_), _)) => (KEPT, if table.remembered { "以前确认" } else { "未识别" }),
                None => (DERIVED, ""),
            };
            let style = Style::marked((why == "未识别" || why == "按内容判断").then_some(false), Style::Text);
            let name = workbook.sheets[table.sheet].name.as_str();
            let cells = [&number.to_string(), taken, name, &column_name(*column), header, &ledger.title, taken, why];
            line(&mut sheet, row, &cells, style)?;
            row += 1;
        }
        if row > first {
            let column = column_name(lists[&table.ledger]);
            let last = ledger.columns.len() + 2;
            sheet.choice(
                (first, TAKEN_AS),
                (row - 1, TAKEN_AS),
                &format!("='{choices_name}'!${column}$2:${column}${last}"),
            )?;
        }
    }
    for (index, unknown) in workbook.sheets.iter().enumerate() {
        let Some(header) = likely_header(workbook, unknown).filter(|_| !tables.iter().any(|t| t.sheet == index)) else {
            continue;
        };
        let header: Vec<(u16, String)> = header.iter().map(|(column, path)| (*column, printed(path))).collect();
        if is_own(workbook, unknown) || !seen.insert(fingerprint(header.iter().map(|(_, text)| text.as_str()))) {
            continue;
        }
        number += 1;
        let first = row;
        for (column, text) in &header {
            let cells = [&number.to_string(), KEPT, &unknown.name, &column_name(*column), text, "", KEPT, "未识别的表"];
            line(&mut sheet, row, &cells, Style::marked(Some(false), Style::Text))?;
            row += 1;
        }
        let last = catalogue.ledgers().len() + 1;
        sheet.choice((first, LEDGER), (row - 1, LEDGER), &format!("='{choices_name}'!$A$2:$A${last}"))?;
    }
    let mut choices = page(book, &choices_name, &[COLUMNS_HEADER[usize::from(LEDGER)]], 0, &[24.0])?;
    for (row, ledger) in (1..).zip(catalogue.ledgers()) {
        choices.put(row, 0, &Out::Text(ledger.title.clone()), Style::Text)?;
    }
    for (ledger, column) in lists {
        let ledger = &catalogue.ledgers()[ledger];
        let titles = ledger.columns.iter().map(|column| column.title.as_str()).chain([KEPT]);
        for (row, text) in (0..).zip(std::iter::once(ledger.title.as_str()).chain(titles)) {
            choices.put(row, column, &Out::Text(text.to_owned()), Style::Text)?;
        }
    }
    choices.hide();
    Ok(())
}

/// What the sheets of decisions say.
#[derive(Debug, Default)]
pub struct Decided {
    /// Headers whose meaning a person has changed.
    pub mappings: Vec<Mapping>,
    /// Doubtful rows that a person has looked at.
    pub decisions: Vec<(RowId, Decision)>,
    /// Decisions that cannot be followed.
    pub findings: Vec<Finding>,
}

impl Decided {
    /// Adds them to what is known.
    pub fn teach(&self, memory: &mut Memory) {
        self.mappings.iter().for_each(|mapping| memory.map(mapping.clone()));
        self.decisions.iter().for_each(|(doubt, decision)| memory.decide(*doubt, *decision));
    }
}

/// Reads the decisions of a workbook, if it has sheets for them.
pub fn read(workbook: &Workbook, catalogue: &Catalogue) -> Decided {
    let mut decided = Decided::default();
    for sheet in workbook.sheets.iter().filter(|sheet| is_own(workbook, sheet)) {
        match base(&sheet.name) {
            COLUMNS => read_columns(workbook, sheet, catalogue, &mut decided),
            DOUBTS => read_doubts(workbook, sheet, &mut decided),
            _ => {}
        }
    }
    decided
}

fn read_columns(workbook: &Workbook, sheet: &Sheet, catalogue: &Catalogue, decided: &mut Decided) {
    let mut tables: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for row in 1..sheet.row_count() {
        tables.entry(cell_text(workbook, sheet, row, 0)).or_default().push(row);
    }
    for rows in tables.into_values() {
        let text = |row: usize, column: u16| cell_text(workbook, sheet, row, column);
        if rows.iter().all(|row| text(*row, TAKEN_AS) == text(*row, 1)) {
            continue;
        }
        let mut refuse = |row: usize, column: u16, expected: String| {
            let place = address(sheet.row_number(row), column);
            let kind = FindingKind::BadDecision { expected };
            let header = COLUMNS_HEADER[usize::from(column)];
            decided.findings.push(Finding::new(&kind, &sheet.name, place, header, text(row, column)));
        };
        let named = rows.iter().find(|row| !text(**row, LEDGER).is_empty());
        let title = named.map(|row| text(*row, LEDGER)).unwrap_or_default();
        let Some(ledger) = ledger_called(catalogue, &title) else {
            refuse(named.copied().unwrap_or(rows[0]), LEDGER, "台账的名称，见下拉选项".into());
            continue;
        };
        let mut mapping = Mapping { ledger: ledger.id.clone(), columns: Vec::new() };
        let mut sound = true;
        for row in &rows {
            let wanted = text(*row, TAKEN_AS);
            let key = match wanted.as_str() {
                "" | KEPT | DERIVED => None,
                _ => {
                    let is_wanted = |text: &String| normalise(text) == normalise(&wanted);
                    let titled = ledger.columns.iter().find(|column| is_wanted(&column.title));
                    let column = titled.or_else(|| ledger.columns.iter().find(|c| c.aliases.iter().any(is_wanted)));
                    if column.is_none() {
                        refuse(*row, TAKEN_AS, format!("“{}”的列名，或“{KEPT}”", ledger.title));
                        sound = false;
                    }
                    column.map(|column| column.key.clone())
                }
            };
            if key.is_some() && mapping.columns.iter().any(|(_, taken)| *taken == key) {
                refuse(*row, TAKEN_AS, "每列只能对应一次".into());
                sound = false;
            }
            mapping.columns.push((text(*row, 4), key));
        }
        if sound {
            decided.mappings.push(mapping);
        }
    }
}

fn ledger_called<'c>(catalogue: &'c Catalogue, title: &str) -> Option<&'c Ledger> {
    catalogue.ledgers().iter().find(|ledger| normalise(&ledger.title) == normalise(title))
}

fn read_doubts(workbook: &Workbook, sheet: &Sheet, decided: &mut Decided) {
    let mut answers: BTreeMap<RowId, (Vec<RowId>, bool, usize)> = BTreeMap::new();
    let mut refuse = |row: usize, expected: &str| {
        let kind = FindingKind::BadDecision { expected: expected.to_owned() };
        let place = address(sheet.row_number(row), CHOICE);
        decided.findings.push(Finding::new(
            &kind,
            &sheet.name,
            place,
            DOUBTS_HEADER[usize::from(CHOICE)],
            cell_text(workbook, sheet, row, CHOICE),
        ));
    };
    for row in 1..sheet.row_count() {
        let text = |column: u16| cell_text(workbook, sheet, row, column);
        let choice = text(CHOICE);
        if choice.is_empty() {
            continue;
        }
        let (Ok(doubt), Ok(stored)) = (text(0).parse::<RowId>(), text(1).parse::<RowId>()) else {
            refuse(row, "保留隐藏的编号列，从原文件重新填写");
            continue;
        };
        let answer = answers.entry(doubt).or_insert((Vec::new(), false, row));
        match choice.as_str() {
            SAME => answer.0.push(stored),
            NEW => answer.1 = true,
            _ => refuse(row, "“同一记录”或“新记录”"),
        }
    }
    for (doubt, (same, new, row)) in answers {
        match (same.as_slice(), new) {
            ([row], _) => decided.decisions.push((doubt, Decision::Same(*row))),
            ([], true) => decided.decisions.push((doubt, Decision::New)),
            ([], false) => {}
            _ => refuse(row, "一行只能与一条已有记录相同"),
        }
    }
}
