//! What a file says that its sender may not decide: taken out of the plan before anything is written, and kept as proposals.

use std::collections::{BTreeMap, BTreeSet};

use importer::{Finding, FindingKind, Target, UnitDocuments, UnitPlan, values::masked, workbook::grid::address};
use sync_protocol::{
    Address, Book, Document, Row, UnitId, Value,
    catalogue::{Actor, Catalogue, Column, Sensitivity, Writing},
    document::{Edit, RowKey},
    row::REMOVED,
};

use super::{Job, returned::Plans};
use crate::store::NewProposal;

/// What is held back of the plans of one unit.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Proposals, by book.
    pub(super) proposals: BTreeMap<Book, Vec<NewProposal>>,
    /// Cells whose conflicts the sender may not settle.
    pub(super) unsettled: BTreeSet<(Book, Address)>,
}

/// Whether somebody may make a cell say something, whatever it says now.
fn may(actor: Actor, catalogue: &Catalogue, documents: &UnitDocuments, book: Book, edit: &Edit) -> Result<(), Actor> {
    let Edit { address, value } = edit;
    let key = RowKey::from(address);
    let row = documents.books.get(&book.open()).map_or_else(|| Row::new(key.row), |open| open.row_state(&key).row);
    let now = documents.books.get(&book).map(|document| document.values(address)).unwrap_or_default();
    let now: Vec<Option<&Value>> = match now.as_slice() {
        [] => vec![None],
        values => values.iter().map(|value| Some(&value.value)).collect(),
    };
    let all = |actor: Actor| {
        now.iter().all(|from| {
            let (ledger, column) = (address.ledger.as_str(), address.column.as_str());
            let is_in_twin = book.is_restricted();
            let writing = Writing { ledger, row: &row, column, from: *from, to: Some(value), is_in_twin };
            catalogue.may_write(actor, &writing)
        })
    };
    if all(actor) {
        return Ok(());
    }
    Err(Actor::ALL.into_iter().find(|higher| all(*higher)).unwrap_or(Actor::County))
}

/// Takes what the sender may not decide out of the plans of a unit.
pub(super) fn hold(job: &Job, unit: UnitId, now: &UnitDocuments, plans: &mut Plans) {
    if job.actor == Actor::County {
        return;
    }
    let mut held = std::mem::take(&mut plans.held);
    for plan in [&mut plans.ordinary, &mut plans.returned] {
        from_plan(job, now, plan, &mut held);
    }
    let settled = job.returned.iter().flat_map(|returned| returned.settled_in(unit));
    for (book, decided) in settled {
        let conflict = now.books.get(&book).map(|document| document.values(&decided.address)).unwrap_or_default();
        let Some(chosen) = conflict.iter().find(|value| value.change == decided.change) else { continue };
        let edit = Edit { address: decided.address.clone(), value: chosen.value.clone() };
        let Err(by) = may(job.actor, &job.server.catalogue, now, book, &edit) else { continue };
        let before = conflict.first().map(|value| value.value.clone());
        held.proposals.entry(book).or_default().push(proposal(edit, before));
        held.unsettled.insert((book, decided.address.clone()));
        let kind = FindingKind::Proposed { by: by.chinese().into() };
        let place = address(decided.row, 0);
        plans.returned.findings.push(Finding::new(&kind, &decided.sheet, place, "处理", String::new()));
        plans.returned.counts.proposed += 1;
    }
    plans.held = held;
}

fn proposal(edit: Edit, before: Option<Value>) -> NewProposal {
    let Edit { address, value } = edit;
    let row = RowKey::from(&address);
    // Whom and what file it is of is known when it is written.
    NewProposal { row, column: address.column.to_string(), before, value, who: String::new(), import: None }
}

fn from_plan(job: &Job, now: &UnitDocuments, plan: &mut UnitPlan, held: &mut Held) {
    let catalogue = &job.server.catalogue;
    let mut refused = Vec::new();
    for (book, edits) in &mut plan.edits {
        let is_guarded = |edit: &Edit| {
            let Address { ledger, column, member, .. } = &edit.address;
            member.is_none() && catalogue.guarded(ledger).any(|guarded| guarded == column)
        };
        let verdict = |edit: &Edit| {
            if is_guarded(edit) { may(job.actor, catalogue, now, *book, edit).err() } else { None }
        };
        let mut kept = Vec::with_capacity(edits.len());
        for edit in std::mem::take(edits) {
            match verdict(&edit) {
                Some(by) => refused.push((*book, by, edit)),
                None => kept.push(edit),
            }
        }
        *edits = kept;
    }
    plan.edits.retain(|_, edits| !edits.is_empty());
    let mut rows: BTreeSet<RowKey> = BTreeSet::new();
    for (book, by, edit) in refused {
        let document = now.books.get(&book);
        let before = document.and_then(|document| document.get(&edit.address)).filter(|value| !value.is_null());
        let finding = finding(job, plan, by, &edit);
        // A preview shows what would be written.
        plan.changes.retain(|change| {
            (&change.sheet, &change.cell, &change.column) != (&finding.sheet, &finding.cell, &finding.column)
        });
        plan.findings.push(finding);
        plan.counts.proposed += 1;
        rows.insert(RowKey::from(&edit.address));
        held.proposals.entry(book).or_default().push(proposal(edit, before));
    }
    for row in rows {
        let is_known = now.books.values().any(|document| has_row(document, &row));
        let is_written = plan.edits.values().flatten().any(|edit| RowKey::from(&edit.address) == row);
        if is_known && !is_written && plan.counts.changed > 0 {
            plan.counts.changed -= 1;
            plan.counts.unchanged += 1;
        }
    }
}

fn has_row(document: &Document, key: &RowKey) -> bool {
    let row = document.row_state(key).row;
    !row.cells.is_empty() || row.removed
}

/// At the cell of the file.
fn finding(job: &Job, plan: &UnitPlan, by: Actor, edit: &Edit) -> Finding {
    let kind = FindingKind::Proposed { by: by.chinese().into() };
    let catalogue = &job.server.catalogue;
    let ledger = catalogue.ledger(&edit.address.ledger);
    let column: Option<&Column> = ledger.and_then(|ledger| ledger.column(&edit.address.column));
    let list = column.and_then(|column| column.column_type.list()).and_then(|id| catalogue.list(id));
    let value = edit.value.to_string();
    let shown = list.map_or(value.as_str(), |list| list.label(&value));
    let read = masked(shown, column.map_or(Sensitivity::S1, |column| column.sensitivity));
    let title = match (column, edit.address.column.as_str()) {
        (Some(column), _) => column.title.clone(),
        (None, REMOVED) => "删除".to_owned(),
        (None, other) => other.to_owned(),
    };
    let Some(origin) = plan.origins.get(&edit.address.row) else {
        return Finding::new(&kind, "", String::new(), &title, read);
    };
    let table = &job.tables[origin.table];
    let sheet = &job.workbook.sheets[table.sheet];
    let is_it = |target: &Target| {
        matches!(target, Target::Column { index, .. }
            if ledger.is_some_and(|ledger| ledger.columns[*index].key == edit.address.column.as_str()))
    };
    let mapped = table.columns.iter().find(|mapped| is_it(&mapped.target)).map_or(0, |mapped| mapped.column);
    Finding::new(&kind, &sheet.name, address(sheet.row_number(origin.row), mapped), &title, read)
}
