//! What a merged ledger says of itself on a hidden sheet: of which state of which documents it was drawn, and which rows it
//! had. Signed, so that nobody makes one up. Without it a workbook is an ordinary ledger.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use data_encoding::HEXLOWER;
use sync_protocol::{Address, Book, ChangeHash, RowId, UnitId, catalogue::Sensitivity};

use crate::{
    text::clean,
    workbook::{
        grid::{Cell, Sheet, Workbook},
        write::{Book as Workbooks, Out, Style, WriteError},
    },
};

/// The hidden sheet.
pub(crate) const SHEET: &str = "台账通回执";
/// The list of conflicts, on which a person decides.
pub const CONFLICTS: &str = "冲突清单";
/// Header of the column of row ids.
pub const ROW_IDS: &str = "系统编号";
/// Header of the column in which a row is marked as to be removed.
pub const REMOVE: &str = "删除";
/// Header of the column in which a conflict is settled.
pub const DECISION: &str = "处理";
/// The value in force stays.
pub const KEEP: &str = "采用值";
/// The other one takes its place.
pub const OTHER: &str = "另一值";

const FIRST_LINE: &str = "taizhang merged ledger 1";
/// Characters of one cell: spreadsheets hold 32,767.
const LINE_MAX: usize = 30_000;

/// What stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Catalogue id of the ledger.
    pub ledger: String,
    /// The campaign year.
    pub period: String,
    /// The highest class of data that was written in clear.
    pub clearance: Sensitivity,
    /// The state of each document.
    pub heads: BTreeMap<(UnitId, Book), Vec<ChangeHash>>,
    /// The rows.
    pub rows: BTreeSet<(UnitId, RowId)>,
}

impl Stamp {
    /// Line by line.
    fn lines(&self) -> Vec<String> {
        let mut lines =
            vec![FIRST_LINE.to_owned(), format!("ledger {} {} {:?}", self.ledger, self.period, self.clearance)];
        for ((unit, book), heads) in &self.heads {
            let heads: Vec<String> = heads.iter().map(ToString::to_string).collect();
            lines.push(format!("document {unit} {} {}", book.as_str(), heads.join(",")));
        }
        let mut line = String::new();
        let mut of = None;
        for (unit, row) in &self.rows {
            if of != Some(unit) || line.len() > LINE_MAX {
                lines.extend((!line.is_empty()).then(|| std::mem::take(&mut line)));
                line = format!("rows {unit}");
                of = Some(unit);
            }
            // Writing to a string does not fail.
            let _ = write!(line, " {row}");
        }
        lines.extend((!line.is_empty()).then_some(line));
        lines
    }

    /// Writes the sheet. `sign` signs what stands on it.
    pub fn write(&self, book: &mut Workbooks, sign: impl Fn(&[u8]) -> [u8; 64]) -> Result<(), WriteError> {
        let lines = self.lines();
        let signature = HEXLOWER.encode(&sign(lines.join("\n").as_bytes()));
        let mut page = book.long_sheet(SHEET)?;
        for (row, line) in (0u32..).zip(lines.iter().chain([&format!("signature {signature}")])) {
            page.put(row, 0, &Out::Text(line.clone()), Style::Plain)?;
        }
        page.hide();
        Ok(())
    }

    /// The hidden sheet of a workbook, whoever has signed it.
    pub fn sheet(workbook: &Workbook) -> Option<&Sheet> {
        workbook.sheets.iter().find(|sheet| is_stamp(workbook, sheet))
    }

    /// Reads it, if it is there and `is_signed` vouches for it.
    pub fn read(workbook: &Workbook, is_signed: impl Fn(&[u8], &[u8]) -> bool) -> Option<Self> {
        let sheet = workbook.sheets.iter().find(|sheet| is_stamp(workbook, sheet))?;
        let mut lines: Vec<&str> = Vec::new();
        for row in 0..sheet.row_count() {
            if let Some(Cell::Text(id)) = sheet.cell(row, 0) {
                lines.push(workbook.texts.get(id).trim());
            }
        }
        let signature = lines.pop()?.strip_prefix("signature ")?;
        let signature = HEXLOWER.decode(signature.as_bytes()).ok()?;
        if !is_signed(lines.join("\n").as_bytes(), &signature) {
            return None;
        }
        let mut head = lines.get(1)?.strip_prefix("ledger ")?.split(' ');
        let mut stamp = Self {
            ledger: head.next()?.to_owned(),
            period: head.next()?.to_owned(),
            clearance: match head.next()? {
                "S0" => Sensitivity::S0,
                "S1" => Sensitivity::S1,
                "S2" => Sensitivity::S2,
                _ => Sensitivity::S3,
            },
            heads: BTreeMap::new(),
            rows: BTreeSet::new(),
        };
        for line in &lines[2..] {
            let mut words = line.split_whitespace();
            match words.next()? {
                "document" => {
                    let (unit, book) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                    let heads = words.next().unwrap_or_default().split(',').filter(|hash| !hash.is_empty());
                    stamp.heads.insert((unit, book), heads.map(|hash| hash.parse().ok()).collect::<Option<_>>()?);
                }
                "rows" => {
                    let unit = words.next()?.parse().ok()?;
                    for word in words {
                        stamp.rows.insert((unit, word.parse().ok()?));
                    }
                }
                _ => return None,
            }
        }
        Some(stamp)
    }
}

/// A row as its hidden cell names it.
pub fn row_name(text: &str) -> Option<(UnitId, RowId)> {
    let (unit, row) = text.trim().split_once('/')?;
    Some((unit.parse().ok()?, row.parse().ok()?))
}

fn text(workbook: &Workbook, sheet: &Sheet, row: usize, column: u16) -> String {
    match sheet.cell(row, column) {
        Some(Cell::Text(id)) => clean(workbook.texts.get(id)).into_owned(),
        _ => String::new(),
    }
}

pub(crate) fn is_stamp(workbook: &Workbook, sheet: &Sheet) -> bool {
    sheet.row_count() > 0 && text(workbook, sheet, 0, 0) == FIRST_LINE
}

/// What a person has decided about a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The unit.
    pub unit: UnitId,
    /// The book.
    pub book: Book,
    /// The cell.
    pub address: Address,
    /// The change that wrote the value that is to stay.
    pub change: ChangeHash,
    /// Where it stands: row number from 0.
    pub row: u32,
    /// The sheet.
    pub sheet: String,
}

/// The hidden cell of a line of the list of conflicts.
pub fn conflict_name(unit: UnitId, book: Book, address: &str, winner: &str, other: &str) -> String {
    format!("{unit} {} {winner} {other} {address}", book.as_str())
}

/// Which column of the list of conflicts holds the decisions, and in which row its header stands.
fn decisions(workbook: &Workbook, sheet: &Sheet) -> Option<(usize, u16)> {
    (0..sheet.row_count().min(20)).find_map(|row| {
        let cells = sheet.row(row).iter();
        let found = cells.map(|(column, _)| *column).find(|column| text(workbook, sheet, row, *column) == DECISION);
        found.map(|column| (row, column))
    })
}

/// The rows of the list of conflicts on which a person decides, by number, and the column in which; none, where the sheet is
/// no such list or an empty one.
pub(crate) fn conflict_choices(workbook: &Workbook, sheet: &Sheet) -> Option<(u32, u32, u16)> {
    let (header, column) = decisions(workbook, sheet).filter(|_| is_conflicts(workbook, sheet))?;
    let is_line = |row: &usize| text(workbook, sheet, *row, 0).split(' ').count() == 5;
    let mut lines = (header + 1..sheet.row_count()).filter(is_line);
    let first = lines.next()?;
    let last = lines.next_back().unwrap_or(first);
    Some((sheet.row_number(first), sheet.row_number(last), column))
}

pub(crate) fn is_conflicts(workbook: &Workbook, sheet: &Sheet) -> bool {
    sheet.name.starts_with(CONFLICTS) && decisions(workbook, sheet).is_some()
}

/// What people have decided on the list of conflicts; the rows of decisions that cannot be followed.
pub fn decided(workbook: &Workbook) -> (Vec<Decided>, Vec<(String, u32)>) {
    let (mut all, mut unclear) = (Vec::new(), Vec::new());
    for sheet in workbook.sheets.iter().filter(|sheet| is_conflicts(workbook, sheet)) {
        let Some((header, column)) = decisions(workbook, sheet) else { continue };
        for row in header + 1..sheet.row_count() {
            let decision = text(workbook, sheet, row, column);
            if decision.is_empty() {
                continue;
            }
            let names = sheet.row(row).iter().map(|(column, _)| text(workbook, sheet, row, *column));
            let parsed = names.into_iter().find_map(|name| {
                let mut words = name.splitn(5, ' ');
                let (unit, book) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                let (winner, other) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                Some((unit, book, winner, other, Address::parse(words.next()?)?))
            });
            let number = sheet.row_number(row);
            match (parsed, decision.as_str()) {
                (Some((unit, book, winner, other, address)), KEEP | OTHER) => {
                    let change = if decision == KEEP { winner } else { other };
                    all.push(Decided { unit, book, address, change, row: number, sheet: sheet.name.clone() });
                }
                _ => unclear.push((sheet.name.clone(), number)),
            }
        }
    }
    (all, unclear)
}
