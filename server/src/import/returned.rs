//! A merged ledger that comes back from an office: the workbook is a replica. Its edits are made on the state that it was
//! drawn from and merged, so that what somebody else has written meanwhile to the same cell becomes a conflict.

use std::collections::{BTreeMap, BTreeSet};

use importer::{
    CellChange, Finding, FindingKind, Importer, Register, Severity, Table, UnitDocuments, UnitPlan, Workbook,
    returned::States,
    rows::RowRef,
    stamp::{DECISION, Decided, Stamp, decided, row_name},
    workbook::grid::{Cell, address},
};
use sync_protocol::{
    Address, Book, ChangeHash, Document, Identity, RowId, UnitId, Value,
    catalogue::Ledger,
    conflict::Means,
    document::{Author, Edit},
    session::Scope,
    unit::Unit,
};

use super::{
    ImportError, Job,
    held::{self, Held},
};
use crate::{Server, returns::said};

/// Body rows in which the column of row ids is looked for.
const ROWS_LOOKED_AT: usize = 50;

/// What a workbook brings back.
pub(super) struct Returned {
    stamp: Stamp,
    /// Rows of the ledger by unit; without an id where their hidden cell is gone, or where they are new.
    rows: BTreeMap<UnitId, Vec<(RowRef, Option<RowId>)>>,
    /// Conflicts that people have settled, by document.
    settled: BTreeMap<(UnitId, Book), Vec<Decided>>,
    units: BTreeMap<UnitId, Unit>,
    /// Rows of the stamp that the sender may not write to.
    pub(super) out_of_scope: usize,
}

/// What is planned for one unit.
#[derive(Default)]
pub(super) struct Plans {
    /// Against what is stored.
    pub(super) ordinary: UnitPlan,
    /// Against the state that the workbook was drawn from.
    pub(super) returned: UnitPlan,
    /// Rows of the stamp that came back.
    pub(super) seen: usize,
    /// What the sender may not decide.
    pub(super) held: Held,
}

/// The stamp of a merged ledger that was drawn here.
fn stamp(server: &Server, workbook: &Workbook) -> Option<Stamp> {
    Stamp::read(workbook, |statement, signature| server.keyring.has_signed(statement, signature))
}

/// The server, asked about the year that a merged ledger was drawn of, whichever was asked about.
pub(super) fn in_its_year(server: Server, workbook: &Workbook) -> Server {
    match stamp(&server, workbook).and_then(|stamp| stamp.period.parse().ok()) {
        Some(year) => server.at(year),
        None => server,
    }
}

impl Returned {
    /// Takes the rows that a signed stamp names out of the tables' bodies.
    pub(super) fn of(server: &Server, workbook: &Workbook, tables: &mut [Table], units: Vec<Unit>) -> Option<Self> {
        let stamp = stamp(server, workbook)?;
        if stamp.period != server.period() {
            return None;
        }
        let mut rows: BTreeMap<UnitId, Vec<(RowRef, Option<RowId>)>> = BTreeMap::new();
        for (index, table) in tables.iter_mut().enumerate() {
            if server.catalogue.ledgers()[table.ledger].id != stamp.ledger {
                continue;
            }
            let sheet = &workbook.sheets[table.sheet];
            let name = |row: usize, column: u16| match sheet.cell(row, column) {
                Some(Cell::Text(id)) => row_name(workbook.texts.get(id)).filter(|name| stamp.rows.contains(name)),
                _ => None,
            };
            let looked_at = table.body.iter().take(ROWS_LOOKED_AT);
            let column = looked_at.clone().find_map(|row| {
                sheet.row(*row).iter().map(|(column, _)| *column).find(|column| name(*row, *column).is_some())
            });
            table.body.retain(|row| {
                let is_keys = sheet
                    .row(*row)
                    .iter()
                    .any(|(_, cell)| matches!(cell, Cell::Text(id) if workbook.texts.get(*id).trim() == "@row"));
                let Some((unit, id)) = column.and_then(|column| name(*row, column)) else { return !is_keys };
                rows.entry(unit).or_default().push((RowRef { table: index, row: *row }, Some(id)));
                false
            });
        }
        let units = units.into_iter().map(|unit| (unit.id, unit)).collect();
        Some(Self { stamp, rows, settled: BTreeMap::new(), units, out_of_scope: 0 })
    }

    /// Takes rows without an id, too, and what was decided on the list of conflicts; leaves out what the sender may not
    /// write to.
    pub(super) fn complete(
        &mut self,
        job: (&Server, &Workbook, &[Table]),
        grouped: &mut BTreeMap<UnitId, Vec<RowRef>>,
        (scope, register): (Option<&Scope>, &Register),
        findings: &mut Vec<Finding>,
    ) {
        let (server, workbook, tables) = job;
        let ledger = |row: &RowRef| &server.catalogue.ledgers()[tables[row.table].ledger];
        for (unit, rows) in grouped.iter_mut() {
            for row in rows.extract_if(.., |row| ledger(row).id == self.stamp.ledger) {
                self.rows.entry(*unit).or_default().push((row, None));
            }
        }
        grouped.retain(|_, rows| !rows.is_empty());
        let may = |unit: UnitId, book: Book| {
            scope.is_none_or(|scope| register.is_below(unit, scope.unit) && scope.books.contains(&book))
        };
        for (unit, rows) in &mut self.rows {
            let is_out = |(row, _): &mut (RowRef, Option<RowId>)| {
                let book = ledger(row).book;
                !may(*unit, book) || !may(*unit, book.restricted())
            };
            for (row, id) in rows.extract_if(.., is_out) {
                self.out_of_scope += usize::from(id.is_some());
                let sheet = &workbook.sheets[tables[row.table].sheet];
                let place = address(sheet.row_number(row.row), 0);
                findings.push(Finding::new(&FindingKind::OutOfScope, &sheet.name, place, "", String::new()));
            }
        }
        self.rows.retain(|_, rows| !rows.is_empty());
        let (settled, unclear) = decided(workbook);
        for (sheet, row) in unclear {
            let kind = FindingKind::BadDecision { expected: "采用值、另一值".into() };
            findings.push(Finding::new(&kind, &sheet, address(row, 0), DECISION, String::new()));
        }
        for decided in settled {
            if may(decided.unit, decided.book) {
                self.settled.entry((decided.unit, decided.book)).or_default().push(decided);
            } else {
                let place = address(decided.row, 0);
                findings.push(Finding::new(&FindingKind::OutOfScope, &decided.sheet, place, "处理", String::new()));
            }
        }
    }

    /// The units that it has something for.
    pub(super) fn units(&self) -> BTreeSet<UnitId> {
        self.rows.keys().copied().chain(self.settled.keys().map(|(unit, _)| *unit)).collect()
    }

    /// The rows of the stamp.
    pub(super) fn rows_drawn(&self) -> usize {
        self.stamp.rows.len()
    }

    /// The state of a document that the workbook was drawn from.
    pub(super) fn heads(&self, unit: UnitId, book: Book) -> &[ChangeHash] {
        self.stamp.heads.get(&(unit, book)).map(Vec::as_slice).unwrap_or_default()
    }

    /// The books of a unit in which conflicts were settled.
    pub(super) fn settled_books(&self, unit: UnitId) -> impl Iterator<Item = Book> {
        self.settled.keys().filter(move |(of, _)| *of == unit).map(|(_, book)| *book)
    }

    /// What was settled in a unit.
    pub(super) fn settled_in(&self, unit: UnitId) -> impl Iterator<Item = (Book, &Decided)> {
        let of_unit = self.settled.iter().filter(move |((of, _), _)| *of == unit);
        of_unit.flat_map(|((_, book), decided)| decided.iter().map(|decided| (*book, decided)))
    }

    /// The documents as the workbook was drawn from them; none, if one of them is not known any more.
    fn drawn(&self, now: &UnitDocuments) -> Result<Option<UnitDocuments>, ImportError> {
        let mut drawn = UnitDocuments::none(now.unit);
        for ((unit, book), heads) in &self.stamp.heads {
            if *unit != now.unit {
                continue;
            }
            let Some(document) = now.books.get(book) else { return Ok(None) };
            let Some(document) = document.fork_at(heads)? else { return Ok(None) };
            drawn.books.insert(*book, document);
        }
        Ok(Some(drawn))
    }

    /// Edits and settled conflicts, made on the state that the workbook was drawn from and merged into the document.
    pub(super) fn write(
        &self,
        document: &mut Document,
        identity: &Identity,
        edits: &[Edit],
        (author, unsettled): (&Author, &BTreeSet<(Book, Address)>),
    ) -> Result<(usize, Vec<Finding>), ImportError> {
        let (settled, findings) = self.decisions(identity, document)?;
        let Some(mut fork) = document.fork_at(self.heads(identity.unit, identity.book))? else {
            return Ok((0, findings));
        };
        // What an undo has put back as it was drawn is not written beside the undo, but after it.
        let is_put_back = |edit: &Edit| {
            let newest = document.history(&edit.address).pop().and_then(|written| written.provenance);
            let by_undo = newest.is_some_and(|by| by.how == Means::Undo);
            let says = |document: &Document| document.get(&edit.address).filter(|value| !value.is_null());
            by_undo && says(document) == says(&fork)
        };
        let (anew, edits): (Vec<Edit>, Vec<Edit>) = edits.iter().cloned().partition(is_put_back);
        fork.write(identity, &edits, author)?;
        let mut cells = BTreeSet::new();
        for Settled { decided, chosen, .. } in settled {
            if unsettled.contains(&(identity.book, decided.address.clone())) {
                continue;
            }
            fork.settle(&decided.address, &chosen, author)?;
            cells.insert(&decided.address);
        }
        document.merge(&fork)?;
        document.write(identity, &anew, author)?;
        Ok((cells.len(), findings))
    }

    /// What was decided about conflicts that are still open; findings about the others.
    fn decisions(
        &self,
        identity: &Identity,
        document: &Document,
    ) -> Result<(Vec<Settled<'_>>, Vec<Finding>), ImportError> {
        let (mut settled, mut findings) = (Vec::new(), Vec::new());
        let of = self.settled.get(&(identity.unit, identity.book));
        let Some(of) = of.filter(|of| !of.is_empty()) else { return Ok((settled, findings)) };
        let fork = document.fork_at(self.heads(identity.unit, identity.book))?;
        let open = document.conflicts();
        for decided in of {
            let conflict = open.iter().find(|conflict| conflict.address == decided.address);
            let chosen = conflict.and_then(|c| c.values.iter().find(|value| value.change == decided.change));
            let is_known = fork.as_ref().is_some_and(|fork| fork.contains(decided.change));
            match (conflict, chosen) {
                (Some(conflict), Some(chosen)) if is_known => {
                    let before = conflict.values.iter().map(|value| value.value.clone()).collect();
                    settled.push(Settled { decided, chosen: chosen.value.clone(), before });
                }
                _ => {
                    let (kind, at) = (FindingKind::SettledAlready, address(decided.row, 0));
                    let mut finding = Finding::new(&kind, &decided.sheet, at, DECISION, String::new());
                    // As it was decided here: by this very sheet, most likely.
                    let history = document.history(&decided.address);
                    let wanted = history.iter().find(|written| written.change == decided.change);
                    let is_so = conflict.is_none()
                        && wanted.is_some_and(|wanted| document.get(&decided.address).as_ref() == Some(&wanted.value));
                    if !is_so {
                        finding.severity = Severity::Warning;
                    }
                    findings.push(finding);
                }
            }
        }
        Ok((settled, findings))
    }
}

/// A conflict, and the value that a person has decided for.
struct Settled<'a> {
    decided: &'a Decided,
    chosen: Value,
    /// All values, the winner first.
    before: Vec<Value>,
}

/// The conflicts of a unit that would be settled, as a person sees them.
pub(super) fn would_settle(job: &Job, unit: UnitId, now: &UnitDocuments) -> (Vec<CellChange>, Vec<Finding>) {
    let (mut changes, mut all) = (BTreeMap::new(), Vec::new());
    let Some(returned) = &job.returned else { return (Vec::new(), all) };
    for book in returned.settled_books(unit) {
        let nothing = Document::new();
        let document = now.books.get(&book).unwrap_or(&nothing);
        let identity = Identity { unit, book, period: job.server.period() };
        // What cannot be read is an error when it is written.
        let Ok((settled, findings)) = returned.decisions(&identity, document) else { continue };
        all.extend(findings);
        for Settled { decided, chosen, before } in settled {
            let ledger = job.server.catalogue.ledger(&decided.address.ledger);
            let column = ledger.and_then(|ledger| ledger.column(&decided.address.column));
            let print = |value: &Value| said(&job.server, column, value, returned.stamp.clearance);
            let change = CellChange {
                sheet: decided.sheet.clone(),
                cell: address(decided.row, 0),
                ledger: ledger.map_or_else(|| decided.address.ledger.to_string(), |ledger| ledger.title.clone()),
                column: column.map_or_else(|| decided.address.cell().into_owned(), |column| column.title.clone()),
                before: before.iter().map(&print).collect::<Vec<_>>().join("」「"),
                after: print(&chosen),
            };
            changes.insert(&decided.address, change);
        }
    }
    (changes.into_values().collect(), all)
}

/// Plans the rows of one unit.
pub(super) fn plan(
    job: &Job,
    importer: &Importer<'_>,
    unit: UnitId,
    now: &UnitDocuments,
) -> Result<Plans, ImportError> {
    let mut rows = job.rows.get(&unit).cloned().unwrap_or_default();
    let mut plans = Plans::default();
    if let Some(returned) = &job.returned
        && let Some(own) = returned.rows.get(&unit)
    {
        if let Some(drawn) = returned.drawn(now)? {
            let of = returned.units.get(&unit);
            let parent = of.and_then(|unit| returned.units.get(&unit.parent?));
            let parent =
                parent.filter(|_| of.is_some_and(|unit| unit.level == sync_protocol::unit::UnitLevel::Organisation));
            let names = |ledger: &Ledger, column: &str| of.and_then(|unit| ledger.unit.named(column, unit, parent));
            let states = States { drawn: &drawn, now, clearance: returned.stamp.clearance };
            let (plan, new, seen) = importer.plan_returned((&job.workbook, &job.tables), own, states, &names);
            (plans.returned, plans.seen) = (plan, seen.len());
            rows.extend(new);
        } else {
            let sheet = own.first().map_or("", |(row, _)| &job.workbook.sheets[job.tables[row.table].sheet].name);
            let kind = FindingKind::StampOutdated;
            plans.returned.findings.push(Finding::new(&kind, sheet, String::new(), "", String::new()));
            plans.seen = own.len();
            rows.extend(own.iter().map(|(row, _)| *row));
        }
    }
    plans.ordinary = importer.plan(&job.workbook, &job.tables, &rows, now);
    held::hold(job, unit, now, &mut plans);
    Ok(plans)
}
