//! A row of a file against the row that is stored: what would be written, and what a person would see change.

use serde::Serialize;
use sync_protocol::{
    Address, Book, Row, RowId, Value,
    catalogue::{Catalogue, Column, Ledger},
    conflict::Means,
    document::Edit,
    row::{EXTRA, REMOVED},
    shape,
};

use crate::{
    finding::FindingKind,
    plan::{Place, UnitDocuments, UnitPlan},
    record::Record,
};

/// A cell of an existing row that an import would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CellChange {
    /// The sheet of the file.
    pub sheet: String,
    /// `F17`.
    pub cell: String,
    /// Title of the ledger.
    pub ledger: String,
    /// Title of the column.
    pub column: String,
    /// What is stored, as it is printed.
    pub before: String,
    /// What the file says.
    pub after: String,
}

/// A normalised row against the one that is stored.
pub(crate) struct Comparison<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) ledger: &'a Ledger,
    pub(crate) id: RowId,
    pub(crate) existing: Option<&'a Row>,
    pub(crate) documents: &'a UnitDocuments,
    pub(crate) place: &'a Place<'a>,
}

impl Comparison<'_> {
    /// Cells that differ become edits, unless a person has edited them since.
    pub(crate) fn run(&self, record: Record, plan: &mut UnitPlan) {
        let Self { ledger, id, existing, documents, place, .. } = *self;
        let mut changed = 0;
        let mut write = |book: Book, edit: Edit, column: Option<&Column>, finding: &mut dyn FnMut(&FindingKind)| {
            let current = existing.and_then(|row| row.cells.get(edit.address.cell().as_ref()));
            if current == Some(&edit.value) {
                plan.same.entry(book).or_default().push(edit.address);
                return;
            }
            if let Some(current) = current
                && let Some(document) = documents.books.get(&book)
                && let Some(provenance) = document.provenance(&edit.address)
                && provenance.is_by_hand()
            {
                finding(&FindingKind::KeptEdit { who: provenance.who, value: current.to_string() });
                return;
            }
            changed += 1;
            if existing.is_some() {
                plan.changes.push(place.change((ledger, column), &edit, current, self.catalogue));
            }
            plan.edits.entry(book).or_default().push(edit);
        };
        for (index, value) in record.cells {
            let column = &ledger.columns[index];
            if let Some(kind) = existing.and_then(|row| worsens(column, row.get(&column.key)?, &value)) {
                Place::instead(&mut plan.findings, place.about(&kind, ledger, column));
                continue;
            }
            let edit = Edit { address: Address::new(&ledger.id, id, &column.key), value };
            write(ledger.book_of(column), edit, Some(column), &mut |kind| {
                plan.findings.push(place.about(kind, ledger, column));
            });
        }
        for (index, codes) in record.sets {
            let column = &ledger.columns[index];
            let gone: Vec<String> = existing
                .map(|row| {
                    row.members(&column.key)
                        .filter(|code| !codes.iter().any(|c| c == code))
                        .map(str::to_owned)
                        .collect()
                })
                .unwrap_or_default();
            for (code, present) in codes.into_iter().map(|c| (c, true)).chain(gone.into_iter().map(|c| (c, false))) {
                let address = Address::new(&ledger.id, id, &column.key).member(code);
                let edit = Edit { address, value: Value::Bool(present) };
                write(ledger.book_of(column), edit, Some(column), &mut |kind| {
                    plan.findings.push(place.about(kind, ledger, column));
                });
            }
        }
        // Nobody classed these columns: they are treated as restricted.
        for (header, text) in record.extras {
            let address = Address::new(&ledger.id, id, EXTRA).member(extra_name(&header));
            write(ledger.book.restricted(), Edit { address, value: Value::Text(text) }, None, &mut |_| {});
        }
        // What an import was taken back from, an import may bring back; what a person removed, it may not.
        if existing.is_some_and(|row| row.removed) {
            let address = Address::new(&ledger.id, id, REMOVED);
            let document = documents.books.get(&ledger.book);
            let removed_by = document.and_then(|document| document.provenance(&address)).map(|by| by.how);
            if removed_by == Some(Means::Undo) {
                changed += 1;
                plan.edits.entry(ledger.book).or_default().push(Edit { address, value: Value::Bool(false) });
            }
        }
        match (existing, changed) {
            (None, _) => plan.counts.added += 1,
            (Some(_), 0) => plan.counts.unchanged += 1,
            (Some(_), _) => plan.counts.changed += 1,
        }
    }
}

/// Why a value does not take the place of one that is stored: it is bad, and that is good.
pub(crate) fn worsens(column: &Column, stored: &Value, value: &Value) -> Option<FindingKind> {
    let (stored, value) = (stored.as_text()?, value.as_text()?);
    if shape::passes(&column.column_type, stored) != Some(true) || stored == value {
        return None;
    }
    if shape::is_rounded(value, stored) {
        return Some(FindingKind::PrecisionLost);
    }
    (shape::passes(&column.column_type, value) == Some(false)).then_some(FindingKind::KeptValid)
}

/// A header as the last part of an address: no slash, at most 60 bytes.
pub(crate) fn extra_name(header: &str) -> String {
    let mut name: String = header.chars().map(|c| if c == '/' || c.is_control() { '·' } else { c }).collect();
    while name.len() > 60 {
        name.pop();
    }
    name
}
