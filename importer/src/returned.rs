//! A merged ledger that comes back: only cells that a person has changed become edits, against the state it was drawn from.

use std::collections::BTreeMap;

use sync_protocol::{
    Address, Book, Document, Row, RowId, Value,
    catalogue::{Column, Ledger, Sensitivity},
    conflict::{ConflictValue, Means, Provenance},
    document::Edit,
    row::{EXTRA, REMOVED},
    shape::is_masked,
};

use crate::{
    compare::{extra_name, worsens},
    finding::{Finding, FindingKind},
    header::Scale,
    mapping::Target,
    matching::{Known, Matched},
    plan::{Importer, Place, UnitDocuments, UnitPlan},
    print,
    record::rest_header,
    rows::RowRef,
    stamp::REMOVE,
    table::Table,
    values::{Normalised, masked},
    workbook::grid::{Workbook, address},
};

/// The documents of a unit, then and now.
#[derive(Debug, Clone, Copy)]
pub struct States<'a> {
    /// As they were when the ledger was drawn.
    pub drawn: &'a UnitDocuments,
    /// As they are.
    pub now: &'a UnitDocuments,
    /// The highest class of data that was written in clear.
    pub clearance: Sensitivity,
}

/// What a column that names a unit says of the unit of these rows.
pub type UnitNames<'a> = &'a dyn Fn(&Ledger, &str) -> Option<String>;

/// Rows of the file and, where their hidden cells name them, their ids.
pub type ReturnedRows = [(RowRef, Option<RowId>)];

impl Importer<'_> {
    /// What rows of one unit would change; rows that were not in the ledger when it was drawn are handed back.
    pub fn plan_returned(
        &self,
        (workbook, tables): (&Workbook, &[Table]),
        rows: &ReturnedRows,
        states: States<'_>,
        names: UnitNames<'_>,
    ) -> (UnitPlan, Vec<RowRef>, Vec<RowId>) {
        let mut plan = UnitPlan::default();
        let (mut new, mut seen) = (Vec::new(), Vec::new());
        let mut known: BTreeMap<usize, Known> = BTreeMap::new();
        for (row, id) in rows {
            let table = &tables[row.table];
            let ledger = &self.catalogue().ledgers()[table.ledger];
            let known = known.entry(table.ledger).or_insert_with(|| Known::new(ledger, states.drawn));
            let sheet = &workbook.sheets[table.sheet];
            let place = Place::new(workbook, table, sheet, row.row);
            let id = id.or_else(|| self.found(known, ledger, &place, states.drawn));
            let Some((id, drawn)) = id.and_then(|id| Some((id, known.rows.get(&id)?.clone()))) else {
                new.push(*row);
                continue;
            };
            if let Some(mut duplicate) = known.take(id, &place) {
                // The hidden column says nothing to anybody.
                if let Some(mapped) = table.columns.first() {
                    duplicate.cell = address(sheet.row_number(row.row), mapped.column);
                    duplicate.column.clone_from(&mapped.header);
                    let class = match mapped.target {
                        Target::Column { index, .. } => ledger.columns[index].sensitivity,
                        Target::Extra(_) => Sensitivity::S3,
                    };
                    duplicate.read = masked(&place.read(mapped.column, self.catalogue()), class);
                }
                plan.findings.push(duplicate);
                plan.counts.refused += 1;
                continue;
            }
            seen.push(id);
            plan.origins.insert(id, *row);
            let before = plan.edits.values().map(Vec::len).sum::<usize>();
            Compared { importer: self, ledger, id, drawn: &drawn, states, place: &place }.run(names, &mut plan);
            let after = plan.edits.values().map(Vec::len).sum::<usize>();
            if after > before { plan.counts.changed += 1 } else { plan.counts.unchanged += 1 }
        }
        (plan, new, seen)
    }

    /// The row by its natural key, where its hidden cell was lost.
    fn found(&self, known: &mut Known, ledger: &Ledger, place: &Place<'_>, drawn: &UnitDocuments) -> Option<RowId> {
        let record = self.record(place, ledger, &mut Vec::new());
        match known.find(ledger, &record, place, &self.secrets(), (drawn, self.memory())) {
            Matched::Row { id, .. } => Some(id),
            Matched::Keyless(_) | Matched::Doubtful { .. } => None,
        }
    }
}

/// A row of the file against the row as it was drawn.
struct Compared<'a> {
    importer: &'a Importer<'a>,
    ledger: &'a Ledger,
    id: RowId,
    drawn: &'a Row,
    states: States<'a>,
    place: &'a Place<'a>,
}

impl Compared<'_> {
    fn run(&self, names: UnitNames<'_>, plan: &mut UnitPlan) {
        let catalogue = self.importer.catalogue();
        for mapped in &self.place.table().columns {
            let text = self.place.read(mapped.column, catalogue);
            let (index, scale) = match &mapped.target {
                Target::Column { index, scale } => (*index, *scale),
                Target::Extra(header) => {
                    let address = self.address(EXTRA).member(extra_name(header));
                    let drawn = self.drawn.text(address.cell().as_ref()).to_owned();
                    if !text.is_empty() && text != drawn {
                        let cell = self.place.cell(mapped.column, catalogue);
                        let said = cell.and_then(|cell| self.importer.normaliser().extra(text, cell));
                        let text = match said {
                            Some(Ok(text)) => text,
                            Some(Err(kind)) => {
                                plan.findings.push(self.place.beside(&kind, mapped.column, header));
                                continue;
                            }
                            None => continue,
                        };
                        self.write(self.ledger.book.restricted(), address, Value::Text(text), None, plan);
                    }
                    continue;
                }
            };
            let column = &self.ledger.columns[index];
            let printed = match names(self.ledger, &column.key) {
                Some(name) => name,
                None => print::text(catalogue, column, self.drawn, self.states.clearance),
            };
            if is_same(&text, &printed) {
                if !self.ledger.unit.names_unit(&column.key) && column.sensitivity <= self.states.clearance {
                    self.overtaken(&column.key, plan, |kind| self.place.about(&kind, self.ledger, column));
                }
                continue;
            }
            let kind = if self.ledger.unit.names_unit(&column.key) {
                FindingKind::UnitNotMoved
            } else if column.sensitivity > self.states.clearance {
                // A mask of another form: an earlier version has drawn it.
                if is_masked(&text) {
                    continue;
                }
                FindingKind::NotInClear
            } else {
                self.cell(mapped.column, column, scale, plan);
                continue;
            };
            plan.findings.push(self.place.about(&kind, self.ledger, column));
        }
        let remove = self.place.table().headers.iter().find(|(_, header)| header.iter().any(|text| text == REMOVE));
        let Some((column, _)) = remove else { return };
        let word = self.place.read(*column, catalogue);
        if REMOVES.contains(&word.as_str()) {
            self.write(self.ledger.book, self.address(REMOVED), Value::Bool(true), None, plan);
        } else if KEEPS.contains(&word.as_str()) {
            self.overtaken(REMOVED, plan, |kind| {
                let mut finding = self.place.finding(&kind, Some(*column), word.clone());
                REMOVE.clone_into(&mut finding.column);
                finding
            });
        } else {
            let kind = FindingKind::BadDecision { expected: "“是”，或留空".into() };
            let mut finding = self.place.finding(&kind, Some(*column), word);
            REMOVE.clone_into(&mut finding.column);
            plan.findings.push(finding);
        }
    }

    fn address(&self, column: &str) -> Address {
        Address::new(&self.ledger.id, self.id, column)
    }

    /// A cell that a person has changed.
    fn cell(&self, at: u16, column: &Column, scale: Option<Scale>, plan: &mut UnitPlan) {
        let book = self.ledger.book_of(column);
        let (value, kind) = match self.importer.normalised(self.place, at, column, scale) {
            Normalised::Empty => (Value::Null, None),
            Normalised::One(value) => (value, None),
            Normalised::Doubtful(value, kind) => (value, Some(kind)),
            Normalised::First(value, rest, kind) => {
                let address = self.address(EXTRA).member(extra_name(&rest_header(column, &kind)));
                self.write(self.ledger.book.restricted(), address, Value::Text(rest), None, plan);
                (value, Some(kind))
            }
            Normalised::Set(codes) => return self.set(column, &codes, plan),
            Normalised::Bad(kind) => return plan.findings.push(self.place.about(&kind, self.ledger, column)),
        };
        let drawn = self.drawn.cells.get(&column.key);
        if let Some(kind) = drawn.and_then(|drawn| worsens(column, drawn, &value)) {
            return plan.findings.push(self.place.about(&kind, self.ledger, column));
        }
        if let Some(kind) = kind {
            plan.findings.push(self.place.about(&kind, self.ledger, column));
        }
        if column.column_type.is_set() {
            return self.set(column, &[], plan);
        }
        if drawn == Some(&value) || drawn.is_none() && value.is_null() {
            return;
        }
        self.write(book, self.address(&column.key), value, Some(column), plan);
    }

    fn set(&self, column: &Column, codes: &[String], plan: &mut UnitPlan) {
        let drawn: Vec<&str> = self.drawn.members(&column.key).collect();
        let come = codes.iter().filter(|code| !drawn.contains(&code.as_str())).map(|code| (code.clone(), true));
        let gone =
            drawn.iter().filter(|code| !codes.iter().any(|c| c == *code)).map(|code| ((*code).to_owned(), false));
        for (code, present) in come.chain(gone) {
            let address = self.address(&column.key).member(code);
            self.write(self.ledger.book_of(column), address, Value::Bool(present), Some(column), plan);
        }
    }

    /// A cell that says what it said when the ledger was drawn, of which a sheet has made something else since: nobody can tell
    /// whether somebody wants it back, or has never seen the other. It stays, and is said.
    fn overtaken(&self, key: &str, plan: &mut UnitPlan, about: impl Fn(FindingKind) -> Finding) {
        let is_removal = key == REMOVED;
        let column = self.ledger.column(key).filter(|column| !column.column_type.is_set());
        let book = match column {
            Some(column) => self.ledger.book_of(column),
            None if is_removal => self.ledger.book,
            None => return,
        };
        let (Some(document), address) = (self.states.now.books.get(&book), self.address(key)) else { return };
        let now = document.get(&address).unwrap_or(Value::Null);
        let is_as_drawn = match self.drawn.cells.get(key) {
            Some(drawn) => *drawn == now,
            None => now.is_null() || now == Value::Bool(false) || (is_removal && self.drawn.removed),
        };
        // What was in dispute then is decided on the sheet of conflicts.
        let was_disputed = || {
            let drawn = self.states.drawn.books.get(&book);
            drawn.is_some_and(|drawn| drawn.conflicts().iter().any(|conflict| conflict.address == address))
        };
        if is_as_drawn || was_disputed() {
            return;
        }
        let newest = document.history(&address).pop().and_then(|written| written.provenance);
        let Some(Provenance { who, .. }) = newest.filter(|by| by.how == Means::Return) else { return };
        let value = match column {
            Some(column) => print::printed(self.importer.catalogue(), column, &now),
            None => "已删除 removed".to_owned(),
        };
        plan.findings.push(about(FindingKind::KeptEdit { who, value }));
    }

    /// An edit, unless it is there already: it was delivered before, or somebody has written the same.
    fn write(&self, book: Book, address: Address, value: Value, column: Option<&Column>, plan: &mut UnitPlan) {
        let now = self.states.now.books.get(&book);
        let is_there = now.is_some_and(|document| document.get(&address).as_ref() == Some(&value));
        if is_there || now.is_some_and(|document| self.was_delivered(document, book, &address, &value)) {
            if is_there {
                plan.same.entry(book).or_default().push(address);
            }
            return;
        }
        let edit = Edit { address, value };
        let drawn = self.drawn.cells.get(edit.address.cell().as_ref());
        let catalogue = self.importer.catalogue();
        plan.changes.push(self.place.change((self.ledger, column), &edit, drawn, catalogue));
        plan.edits.entry(book).or_default().push(edit);
    }

    /// Whether a sheet has brought this value since the ledger was drawn, and another has taken its place: somebody's, that is, and
    /// not what an undo of the sheet has put back.
    fn was_delivered(&self, now: &Document, book: Book, address: &Address, value: &Value) -> bool {
        let drawn = self.states.drawn.books.get(&book);
        let is_new = |change| drawn.is_none_or(|drawn| !drawn.contains(change));
        let by_sheet = |by: &Provenance| by.how == Means::Return;
        let history = now.history(address);
        let brought = history.iter().rposition(|written| {
            is_new(written.change) && written.value == *value && written.provenance.as_ref().is_some_and(by_sheet)
        });
        let by_undo = |written: &ConflictValue| written.provenance.as_ref().is_some_and(|by| by.how == Means::Undo);
        brought.is_some_and(|at| !history.iter().skip(at).any(by_undo))
    }
}

/// What stands in the column 删除 of a row that is to be removed.
const REMOVES: [&str; 10] = ["是", "删除", "删", "已删除", "√", "✓", "1", "Y", "y", "TRUE"];
/// What stands there of a row that stays.
const KEEPS: [&str; 9] = ["", "否", "不", "不删除", "保留", "0", "N", "n", "FALSE"];

/// The same text, or the same number however it is written.
fn is_same(text: &str, printed: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    text == printed.trim() || number(text).is_some_and(|n| number(printed.trim()) == Some(n))
}
